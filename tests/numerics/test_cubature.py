"""Rules on spheres are exact for polynomials; boxes are cut until the error asked for is met."""

import math

import pytest
import torch

from egregium.numerics.cubature import gauss_lobatto, over_box, over_unit_interval, sphere_rule
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


@pytest.mark.parametrize("n", [2, 3, 7])
def test_the_rule_of_lobatto_has_both_ends(n: int) -> None:
    t, weights = gauss_lobatto(n, ONE)
    assert t[[0, -1]].tolist() == [0.0, 1.0] and torch.equal(t, t.sort().values)
    for power in range(2 * n - 2):
        assert float(weights @ t**power) == pytest.approx(1 / (power + 1), abs=1e-14)


def test_kinks_anywhere_are_seen() -> None:
    kinks = torch.linspace(0.01, 0.99, 500, dtype=torch.float64)
    found = over_unit_interval(lambda row, t: (t - kinks[row]).abs()[:, None] + 1, 500, ONE, rtol=1e-9)
    truth = 1 + (kinks**2 + (1 - kinks) ** 2) / 2
    assert (found.status == int(Status.CONVERGED)).all()
    # Corners are the worst case: of 4,001 the largest error was 3.8 times what was said, at rtol 1e-9.
    assert ((found.value[:, 0] - truth).abs() <= 4 * found.error[:, 0]).all() and (found.error[:, 0] <= 1e-9 * truth).all()


def test_rows_of_integrals_stop_on_their_own() -> None:
    def f(row: torch.Tensor, t: torch.Tensor) -> torch.Tensor:
        waves = (torch.tensor([1.0, 1e5, 1.0])[row] * t).sin() + 2
        return torch.stack([waves, torch.where((row == 2) & (t > 0.5), torch.nan, t)], -1)

    found = over_unit_interval(f, 3, ONE, rtol=1e-9)
    assert found.status.tolist() == [Status.CONVERGED, Status.MAX_STEPS, Status.NONFINITE]
    assert found.value[0].tolist() == pytest.approx([3 - math.cos(1), 0.5], rel=1e-9)
    alone = over_unit_interval(f, 1, ONE, rtol=1e-9)
    assert alone.value[0].tolist() == pytest.approx(found.value[0].tolist(), rel=1e-13)
