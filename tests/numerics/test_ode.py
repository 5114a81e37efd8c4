"""The integrator against exact solutions: to the tolerance asked for, every row by itself, and failures said."""

import pytest
import torch
from torch import Tensor

from egregium.numerics.ode import integrate
from egregium.status import Status


def turning(y: Tensor) -> Tensor:
    """A circle through (y0, y1) at the angular speed y2."""
    return torch.stack([-y[:, 2] * y[:, 1], y[:, 2] * y[:, 0], torch.zeros_like(y[:, 2])], -1)


def plain(state: Tensor, errors: Tensor) -> Tensor:
    return errors.norm(dim=-1)


def circles(speeds: list[float]) -> Tensor:
    return torch.tensor([[1.0, 0.0, speed] for speed in speeds], dtype=torch.float64)


@pytest.mark.parametrize("rtol", [1e-4, 1e-8, 1e-12])
def test_exact_solutions_are_met_to_the_tolerance(rtol: float) -> None:
    start = circles([0.1, 1.0, 10.0])
    flow = integrate(turning, start, plain, rtol=rtol)
    exact = torch.stack([start[:, 2].cos(), start[:, 2].sin()], -1)
    assert (flow.states[:, -1, :2] - exact).norm(dim=-1).max() <= 10 * rtol * float(flow.steps.max())
    assert (flow.status == Status.CONVERGED).all()


@pytest.mark.parametrize("rtol", [1e-4, 1e-10])
@pytest.mark.parametrize("segments", [2, 7, 100])
def test_states_at_uniform_times(segments: int, rtol: float) -> None:
    start = circles([3.0, 20.0, 0.0])
    flow = integrate(turning, start, plain, rtol=rtol, segments=segments)
    t = torch.linspace(0, 1, segments + 1, dtype=torch.float64)
    assert (flow.states[..., 0] - (start[:, 2:] * t).cos()).abs().max() <= rtol * float(flow.steps.max())
    assert torch.equal(flow.states[2, :, 0], torch.ones(segments + 1, dtype=torch.float64))


def test_many_uniform_times_take_no_more_steps_than_few() -> None:
    few, many = (integrate(turning, circles([3.0]), plain, rtol=1e-6, segments=segments) for segments in (2, 100))
    assert few.steps == many.steps < 10


def test_the_order_is_eight() -> None:
    """Errors a thousand times smaller take some 1000^(1/8) = 2.4 times the steps."""
    steps = [int(integrate(turning, circles([30.0]), plain, rtol=rtol).steps) for rtol in (1e-6, 1e-9, 1e-12)]
    assert 1.8 < steps[1] / steps[0] < 3 and 1.8 < steps[2] / steps[1] < 3


def test_rows_do_not_influence_each_other() -> None:
    together = integrate(turning, circles([0.3, 50.0, 2.0]), plain, rtol=1e-9)
    for row, speed in enumerate([0.3, 50.0, 2.0]):
        alone = integrate(turning, circles([speed]), plain, rtol=1e-9)
        torch.testing.assert_close(alone.states[0], together.states[row], rtol=1e-13, atol=1e-13)
        assert alone.steps == together.steps[row]


def test_leaving_the_domain_and_running_out_of_steps() -> None:
    def falling(y: Tensor) -> Tensor:
        """`y' = -1 / y` reaches 0, where it ends, at time `y^2 / 2`."""
        return torch.where(y > 0, -1 / y, torch.nan)

    start = torch.tensor([[2.0], [1.0], [-1.0]], dtype=torch.float64)
    flow = integrate(falling, start, plain, rtol=1e-8, segments=4)
    assert flow.status.tolist() == [Status.CONVERGED, Status.NONFINITE, Status.NONFINITE]
    assert flow.states[1, 1].isfinite().all() and flow.states[1, 3:].isnan().all() and flow.states[2, 1:].isnan().all()
    torch.testing.assert_close(flow.states[0, -1, 0], torch.tensor(2.0).double().sqrt(), rtol=1e-7, atol=0)
    few = integrate(turning, circles([1.0, 500.0]), plain, rtol=1e-8, max_steps=9)
    assert few.status.tolist() == [Status.CONVERGED, Status.MAX_STEPS]
