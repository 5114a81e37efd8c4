"""Rules on spheres are exact for polynomials; boxes are cut until the error asked for is met."""

import math

import pytest
import torch

from egregium.numerics.cubature import over_box, sphere_rule
from egregium.status import Status

ONE = torch.zeros(1, dtype=torch.float64)


def moment(powers: tuple[int, ...]) -> float:
    """`int_S x^powers` over the unit sphere (Folland 2001)."""
    if any(k % 2 for k in powers):
        return 0.0
    halves = [(k + 1) / 2 for k in powers]
    return 2 * math.prod(math.gamma(b) for b in halves) / math.gamma(sum(halves))


@pytest.mark.parametrize(
    "powers", [(0, 0), (4, 2), (3, 2), (2, 2, 2), (4, 0, 2), (0, 0, 0), (1, 2, 2), (2, 2, 0, 2), (0, 6, 0, 0)]
)
def test_polynomials_on_spheres(powers: tuple[int, ...]) -> None:
    points, weights = sphere_rule(len(powers), 4, ONE)
    assert points.norm(dim=-1).allclose(torch.ones_like(weights)) and len(points) == 2 * 4 ** (len(powers) - 1)
    found = (weights * (points ** torch.tensor(powers)).prod(-1)).sum()
    assert found.item() == pytest.approx(moment(powers), abs=1e-13)


def test_the_sphere_of_a_line_is_two_points() -> None:
    points, weights = sphere_rule(1, 4, ONE)
    assert points.tolist() == [[1.0], [-1.0]] and weights.tolist() == [1.0, 1.0]


@pytest.mark.parametrize("d", [1, 2, 3])
def test_a_peak_in_a_box(d: int) -> None:
    def peak(z: torch.Tensor) -> torch.Tensor:
        return (1 / (1e-2 + (z - 0.3) ** 2)).prod(-1)

    found = over_box(peak, torch.zeros(d).double(), torch.ones(d).double(), rtol=1e-6, most=1 << 21)
    truth = (10 * (math.atan(7) + math.atan(3))) ** d
    assert found.status == Status.CONVERGED
    assert abs(found.value.item() - truth) <= found.error.item() <= 1e-6 * truth


def test_no_more_points_than_allowed() -> None:
    found = over_box(lambda z: torch.sin(1e3 * z[:, 0]) + 2, ONE, ONE + 1, rtol=1e-12, most=500)
    assert found.status == Status.MAX_STEPS and found.points <= 500
