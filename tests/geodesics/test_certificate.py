"""Second variation and rank: what makes a critical curve trustworthy."""

import pytest
import torch
from torch import Tensor

from egregium.geodesics.certificate import degenerate, second_variation, soft
from egregium.geodesics.problem import Problem
from egregium.geodesics.solvers import GaussNewton, Termination
from egregium.spaces import Pullback
from egregium.testing.surfaces import Cylinder


def solved(decoder, z0: list[float], z1: list[float], segments: int = 16):
    problem = Problem.between(Pullback(decoder, dim=2), torch.tensor([z0]).double(), torch.tensor([z1]).double())
    return problem, GaussNewton().minimise(problem, problem.straight(segments), Termination(1e-9, 200))


def hill(height: float):
    return lambda z: torch.cat([z, height * (-2 * (z**2).sum(-1, keepdim=True)).exp()], -1)


def test_the_line_over_a_hill_is_a_saddle_and_the_descent_is_aside() -> None:
    problem, solution = solved(hill(2.0), [-1.5, 0.0], [1.5, 0.0], segments=64)
    assert solution.vertices[..., 1].abs().max() < 1e-9
    minimum, descent, _ = second_variation(problem, solution)
    assert not minimum.any() and descent[..., 1].abs().max() > 0.05
    here = problem.evaluate(solution.vertices).energy
    for side in (1e-2, -1e-2):
        assert problem.evaluate(solution.vertices + side * descent).energy < here
    model = problem.second_order(solution.vertices, solution.x).metric
    torch.testing.assert_close(model.quadratic(descent) / 2, solution.energy, rtol=1e-6, atol=0)


def test_the_line_over_a_low_hill_is_a_minimum() -> None:
    minimum, descent, _ = second_variation(*solved(hill(0.1), [-1.5, 0.0], [1.5, 0.0]))
    assert minimum.all() and (descent == 0).all()


def test_flat_spaces_have_only_minima() -> None:
    assert second_variation(*solved(Cylinder().decode, [0.0, 0.0], [3.0, 1.0]))[0].all()


def test_families_of_equally_short_curves_are_no_saddles() -> None:
    """Between the poles of a sphere all meridians are geodesics: the Hessian is singular along them."""

    def sphere(z: Tensor) -> Tensor:
        x = torch.stack([z[:, 1].cos() * z[:, 0].sin(), z[:, 1].sin() * z[:, 0].sin(), z[:, 0].cos()], -1)
        return x

    assert second_variation(*solved(sphere, [0.02, 0.0], [torch.pi - 0.02, 0.0]))[0].all()


@pytest.mark.parametrize(("arc", "expected"), [(2.0, False), (2.9, False), (3.12, True)])
@pytest.mark.parametrize("newton", [True, False])
def test_arcs_soften_towards_the_antipode(arc: float, expected: bool, newton: bool) -> None:
    """The second variation of an arc of the unit sphere is `1 - (arc / pi)^2` of the metric in its softest direction."""

    def equator(z: Tensor) -> Tensor:
        return torch.stack([z[:, 0].cos() * z[:, 1].cos(), z[:, 0].sin() * z[:, 1].cos(), z[:, 1].sin()], -1)

    problem, _ = solved(equator, [0.0, 0.0], [arc, 0.0])
    found = GaussNewton(newton=newton).minimise(problem, problem.straight(16), Termination(1e-9, 200))
    assert soft(problem, found).item() is expected
    exact = problem.second_order(found.vertices, found.x)
    share = 1 - (arc / torch.pi) ** 2
    assert exact.exceeds(share - 0.01).item() and not exact.exceeds(share + 0.01).item()


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize(
    ("decoder", "lost"),
    [
        (lambda z: torch.stack([z[:, 0], z[:, 0] ** 2, 0 * z[:, 1]], -1), True),
        (lambda z: torch.stack([z.sum(-1), z.sum(-1).sin()], -1), True),
        (lambda z: torch.stack([z[:, 0], z[:, 1] ** 3], -1), True),
        (lambda z: torch.stack([z[:, 0], 1e-5 * z[:, 1]], -1), False),
        (lambda z: torch.stack([1e-12 * z[:, 0], 1e-12 * z[:, 1]], -1), False),
        (lambda z: torch.stack([z.sum(-1), z[:, 0] - 0.98 * z[:, 1]], -1), False),
    ],
    ids=["ignored", "dependent", "cusp", "scaled", "tiny", "oblique"],
)
def test_rank(decoder, lost: bool, dtype: torch.dtype) -> None:
    ends = torch.tensor([[-1.0, -1.0]], dtype=dtype), torch.tensor([[1.0, 1.0]], dtype=dtype)
    space = Pullback(decoder, dim=2)
    space.prepare(*ends)
    problem = Problem.between(space, *ends)
    assert degenerate(problem, problem.straight(16)).tolist() == [lost]
