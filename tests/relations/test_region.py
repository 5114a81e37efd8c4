"""Volumes of boxes and regions: closed forms, twins, errors that hold, refusals."""

import math

import pytest
import torch
from torch import Tensor

from egregium.errors import NotConvergedError, OptionError, ShapeError, ToleranceError
from egregium.relations import volume
from egregium.spaces import Euclidean, Pullback
from egregium.status import Status
from egregium.testing.surfaces import Paraboloid, SphericalCoordinates
from egregium.testing.twins import Diffeomorphism, random_decoder, twin

SPHERE = Pullback(SphericalCoordinates(2.0).decode, dim=2)


def corners(low: list[float], high: list[float]) -> tuple[Tensor, Tensor]:
    return torch.tensor(low, dtype=torch.float64), torch.tensor(high, dtype=torch.float64)


def torus(z: Tensor) -> Tensor:
    ring = 2 + z[:, 1].cos()
    return torch.stack([ring * z[:, 0].cos(), ring * z[:, 0].sin(), z[:, 1].sin()], -1)


@pytest.mark.parametrize(
    ("space", "low", "high", "truth"),
    [
        (SPHERE, [0.0, 0.0], [math.pi, 2 * math.pi], 16 * math.pi),
        (Pullback(torus, dim=2), [0.0, 0.0], [2 * math.pi, 2 * math.pi], 8 * math.pi**2),
        (Pullback(lambda z: torch.cat([z, 3 * z[:, :1]], -1), dim=3), [0.0, 0.0, 1.0], [1.0, 2.0, 4.0], 6 * 10**0.5),
        (Euclidean(1), [0.0], [2.0], 2.0),
    ],
)
def test_boxes(space: Pullback, low: list[float], high: list[float], truth: float) -> None:
    found = volume(space, *corners(low, high), rtol=1e-10)
    print(f"\n{found!r}, off by {abs(found.value.item() / truth - 1):.1e}")
    assert found.value.item() == pytest.approx(truth, rel=1e-10)
    assert found.ok and found.lower <= truth * (1 + 1e-14) and truth * (1 - 1e-14) <= found.upper


def test_a_sharp_ridge_is_cut_finely_where_it_is() -> None:
    ridge = Pullback(lambda z: torch.stack([z[:, 0], z[:, 1], torch.tanh(50 * z[:, 0])], -1), dim=2)
    x = torch.linspace(-1, 1, 2_000_001, dtype=torch.float64)
    truth = 2 * torch.trapezoid((1 + (50 / torch.cosh(50 * x) ** 2) ** 2).sqrt(), x).item()
    found = volume(ridge, *corners([-1, -1], [1, 1]), rtol=1e-6)
    assert found.value.item() == pytest.approx(truth, rel=1e-6) and found.points < 2e5


def test_a_region_is_told_with_its_error() -> None:
    """The paraboloid over the unit disc; 99 % intervals, of which all of ten seeds may well hold."""
    space, box = Pullback(Paraboloid().decode, dim=2), corners([-1, -1], [1, 1])
    truth = math.pi / 6 * (5**1.5 - 1)
    found = [volume(space, *box, contains=lambda z: z.norm(dim=-1) < 1, seed=1000 * seed) for seed in range(10)]
    off = [float((one.value - truth).abs() / one.error) for one in found]
    print(f"\ndisc of the paraboloid: errors in units of what was told {[round(x, 2) for x in off]}")
    assert all(one.ok for one in found) and sum(x > 1 for x in off) <= 1
    again = volume(space, *box, contains=lambda z: z.norm(dim=-1) < 1, seed=0)
    assert again.value == found[0].value


def test_a_region_goes_along_with_its_twin() -> None:
    decoder, a = random_decoder(3, 10, seed=0), Diffeomorphism(3, seed=0, strength=0.2)
    corner = torch.ones(3, dtype=torch.float64)
    here = volume(Pullback(decoder, dim=3), -corner, corner, rtol=1e-6)
    inside = torch.cartesian_prod(*[torch.linspace(-1, 1, 9, dtype=torch.float64)] * 3)
    reach = 1.2 * a.forward(inside).abs().amax(0)
    there = volume(
        Pullback(twin(decoder, a), dim=3), -reach, reach, contains=lambda y: (a.inverse(y).abs() < 1).all(-1), rtol=0.02
    )
    print(f"\na box {here!r}, its image {there!r}")
    assert here.lower <= there.upper and there.lower <= here.upper


def test_failures() -> None:
    box = corners([-1, -1], [1, 1])
    rough = Pullback(lambda z: torch.stack([z[:, 0], z[:, 1], torch.sin(300 * z).prod(-1)], -1), dim=2)
    with pytest.raises(NotConvergedError, match="max_points") as failure:
        volume(rough, *box, rtol=1e-10, max_points=5000)
    assert failure.value.result.status == Status.MAX_STEPS and failure.value.result.points <= 5000  # type: ignore[attr-defined]
    empty = volume(SPHERE, *box, contains=lambda z: z[:, 0] > 2, max_points=1 << 13, on_fail="mark")
    assert empty.status == Status.MAX_STEPS and empty.value == 0 and not empty.ok
    broken = Pullback(lambda z: torch.cat([z, z[:, :1].sqrt()], -1), dim=2)
    assert volume(broken, *box, on_fail="mark").status == Status.NONFINITE
    assert volume(broken, *box, contains=lambda z: z[:, 0] < 0, on_fail="mark").status == Status.NONFINITE


def test_refusals() -> None:
    low, high = corners([0, 0], [1, 1])
    with pytest.raises(OptionError, match="below high"):
        volume(SPHERE, high, low)
    with pytest.raises(ShapeError, match="corners"):
        volume(SPHERE, low[None], high[None])
    with pytest.raises(OptionError, match="contains="):
        volume(Euclidean(5), torch.zeros(5), torch.ones(5))
    with pytest.raises(ToleranceError, match="rtol"):
        volume(SPHERE, low, high, rtol=1e-15)
    with pytest.raises(ShapeError, match="bool tensor"):
        volume(SPHERE, low, high, contains=lambda z: z[:, 0])
