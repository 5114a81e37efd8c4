"""Many latent dimensions: the same numbers and verdicts without a Jacobian at every vertex."""

from dataclasses import replace

import pytest
import torch
from torch import Tensor

from egregium.geodesics import connect
from egregium.geodesics.certificate import degenerate, second_variation
from egregium.geodesics.problem import WIDE, Problem
from egregium.geodesics.solvers import LBFGS, Automatic, GaussNewton, Termination
from egregium.geodesics.solvers.choice import chosen
from egregium.geodesics.solvers.first_order import promised
from egregium.models.nets import mlp_decoder
from egregium.spaces import Pullback
from egregium.status import Status

LATENT = 32


def decoder(dtype: torch.dtype = torch.float64) -> torch.nn.Module:
    net = mlp_decoder(LATENT, (64,), (1, 8, 12), "silu", torch.Generator().manual_seed(0)).to(dtype)
    with torch.no_grad():
        for parameter in net.parameters():
            parameter.mul_(2)
    return net.requires_grad_(False)


def ends(pairs: int, dtype: torch.dtype = torch.float64) -> tuple[Tensor, Tensor]:
    z0, z1 = torch.randn(2, pairs, LATENT, generator=torch.Generator().manual_seed(1), dtype=torch.float64).to(dtype)
    return z0, z1


def problem(pairs: int = 2) -> Problem:
    space = Pullback(decoder(), dim=LATENT)
    return Problem.between(space, *space.prepare(*ends(pairs)))


def hill(height: float):
    """A hill on the plane of the first two coordinates of a flat space."""
    return lambda z: torch.cat([z, height * (-2 * (z[:, :2] ** 2).sum(-1, keepdim=True)).exp()], -1)


def over_the_hill(height: float, segments: int) -> tuple[Problem, Tensor]:
    z0, z1 = torch.zeros(2, 1, LATENT, dtype=torch.float64)
    z0[:, 0], z1[:, 0] = -1.5, 1.5
    here = Problem.between(Pullback(hill(height), dim=LATENT), z0, z1)
    return here, here.straight(segments)


def test_the_solver_is_chosen_by_dimension_alone() -> None:
    assert LATENT >= WIDE > 8
    assert isinstance(chosen(problem()), LBFGS)
    narrow = Problem.between(Pullback(lambda z: z, dim=2), torch.zeros(1, 2), torch.ones(1, 2))
    assert isinstance(chosen(narrow), GaussNewton)


def test_the_first_order_defect_is_that_of_the_matrix() -> None:
    here = problem()
    vertices = here.straight(8)
    size, _ = here.metric_step(vertices)
    now = here.evaluate(vertices)
    model = here.gauss_newton(vertices)
    exact = (0.5 * model.quadratic(model.solve(-now.gradient)[0]) / now.energy).sqrt()
    print(f"\nmetric step by products over that by blocks: {(size / exact).tolist()}")
    assert (size >= 0.95 * exact).all()  # a hundredth of the square is left, as the damped estimate of the metric sees it
    assert (size <= 1.1 * exact).all()


def test_what_second_differences_promise_is_the_decrease_near_a_minimum() -> None:
    here = problem()
    solution = LBFGS().minimise(here, here.straight(8), Termination(1e-6, 1000))
    vertices = solution.vertices + 0.01 * (here.straight(8) - solution.vertices)
    now = here.evaluate(vertices)
    size, step = promised(here, vertices, now, 1e-3, here.path_metric(vertices))
    left = (now.energy / solution.energy - 1).sqrt()
    print(f"\npromised size of step over that of the energy left: {(size / left).tolist()}")
    assert (size > 0.4 * left).all() and (size < 1.2 * left).all()  # few products see a part
    assert (here.evaluate(vertices + step).energy < now.energy).all()


def test_directions_at_the_ends_are_those_of_gauss_newton() -> None:
    space = Pullback(decoder(), dim=LATENT)
    free, full = (connect(space, *ends(1), solver=solver, rtol=1e-5) for solver in (None, GaussNewton()))
    torch.testing.assert_close(free.initial_velocity, full.initial_velocity, rtol=1e-2, atol=1e-3)  # 50 rtol, cond 10
    torch.testing.assert_close(space.norm(ends(1)[0], free.initial_velocity), free.length, rtol=1e-6, atol=0)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_lengths_are_those_of_gauss_newton(dtype: torch.dtype) -> None:
    space = Pullback(decoder(dtype), dim=LATENT)
    free, full = (connect(space, *ends(4, dtype), solver=solver) for solver in (None, GaussNewton()))
    assert free.length.dtype == dtype
    torch.testing.assert_close(free.length, full.length, rtol=1e-3, atol=0)  # rtol of both
    torch.testing.assert_close(free.length, connect(space, *ends(4, dtype), solver=Automatic()).length, rtol=0, atol=0)


def test_pairs_do_not_feel_their_batch_mates() -> None:
    space, (z0, z1) = Pullback(decoder(), dim=LATENT), ends(3)
    together, alone = connect(space, z0, z1), connect(space, z0[1:2], z1[1:2])
    torch.testing.assert_close(together.length[1:2], alone.length, rtol=1e-10, atol=0)
    assert together.steps[1] == alone.steps[0]


@pytest.mark.parametrize(("height", "saddle"), [(2.0, True), (0.1, False)])
def test_the_line_over_a_hill_is_a_saddle(height: float, saddle: bool) -> None:
    here, line = over_the_hill(height, 32)
    solution = GaussNewton().minimise(here, line, Termination(1e-9, 200))
    minimum, descent, model = second_variation(here, replace(solution, model=None))
    exact, _, _ = second_variation(here, solution)
    assert model is None
    assert minimum.tolist() == exact.tolist() == [not saddle]
    if saddle:
        energy = here.evaluate(solution.vertices).energy
        for side in (1e-2, -1e-2):
            assert here.evaluate(solution.vertices + side * descent).energy < energy
        size = here.gauss_newton(solution.vertices).quadratic(descent) / 2
        assert (size <= solution.energy * (1 + 1e-9)).all() and (size >= 0.1 * solution.energy).all()


def test_the_way_round_a_hill_is_found() -> None:
    z0, z1 = torch.zeros(2, 1, LATENT, dtype=torch.float64)
    z0[:, 0], z1[:, 0] = -1.5, 1.5
    found = connect(Pullback(hill(2.0), dim=LATENT), z0, z1, on_fail="mark")
    plane = connect(Pullback(hill(2.0), dim=2), z0[:, :2], z1[:, :2], on_fail="mark")
    assert found.status.item() == Status.CONVERGED
    torch.testing.assert_close(found.length, plane.length, rtol=2e-3, atol=0)


def collapsed(height: float):
    """The hill, and axes that the decoder hardly sees nearby and that run into walls."""
    weight = torch.randn(LATENT - 2, LATENT - 2, generator=torch.Generator().manual_seed(1), dtype=torch.float64)

    def decode(z: Tensor) -> Tensor:
        rest = z[:, 2:]
        walls, bends = (rest @ weight.to(z) / 6) ** 2, 0.5 * z[:, :1] ** 2 * (rest @ weight.mT.to(z) / 6).sin()
        return torch.cat([hill(height)(z[:, :2]), 0.03 * rest, bends, walls], -1)

    return decode


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_collapsed_axes_do_not_hide_a_hill(dtype: torch.dtype) -> None:
    z0, z1 = torch.zeros(2, 1, LATENT, dtype=dtype)
    z0[:, 0], z1[:, 0] = -1.5, 1.5
    found = connect(Pullback(collapsed(1.0), dim=LATENT), z0, z1, on_fail="mark")
    plane = connect(Pullback(hill(1.0), dim=2), z0[:, :2], z1[:, :2], on_fail="mark")
    assert found.status.item() == Status.CONVERGED
    torch.testing.assert_close(found.length, plane.length, rtol=2e-3, atol=0)  # rtol of both


def test_a_saddle_that_the_tolerance_cannot_see_is_none() -> None:
    """A bump so low that the way around it is shorter by 1e-5 alone: told at 1e-6, not at 1e-3."""
    z0, z1 = torch.zeros(2, 1, LATENT, dtype=torch.float64)
    z0[:, 0], z1[:, 0] = -1.5, 1.5

    def ridge(z: Tensor) -> Tensor:
        return torch.cat([z, (0.05 - 40 * z[:, 1:2] ** 2) * (-2 * z[:, :1] ** 2).exp()], -1)

    here = Problem.between(Pullback(ridge, dim=LATENT), z0, z1)
    solution = GaussNewton().minimise(here, here.straight(16), Termination(1e-9, 200))
    bare = replace(solution, model=None)
    assert not second_variation(here, solution)[0].any()
    assert not second_variation(here, bare, 1e-6)[0].any()
    assert second_variation(here, bare, 1e-2)[0].all()


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_rank(dtype: torch.dtype) -> None:
    cases = {
        "regular": (lambda z: torch.cat([z, z[:, :1] ** 2], -1), False),
        "ignored": (lambda z: torch.cat([z[:, 1:], z[:, 1:] ** 2], -1), True),
        "dependent": (lambda z: torch.cat([z[:, 2:], z[:, :1] + z[:, 1:2], z[:, :2].sum(-1, keepdim=True).sin()], -1), True),
        "scaled": (lambda z: torch.cat([1e-5 * z[:, :1], z[:, 1:]], -1), False),
        "oblique": (lambda z: torch.cat([z[:, 2:], z[:, :2].sum(-1, keepdim=True), z[:, :1] - 0.98 * z[:, 1:2]], -1), False),
    }
    for name, (immersion, lost) in cases.items():
        here = Problem.between(Pullback(immersion, dim=LATENT), *ends(2, dtype))
        assert degenerate(here, here.straight(16)).tolist() == [lost, lost], name
