"""Volumes of geodesic balls: closed forms, twins, and balls that are too large."""

import math

import pytest
import torch

from egregium.errors import NotConvergedError, OptionError, ShapeError
from egregium.protocols import Relation
from egregium.relations import BallVolume, ball_volume
from egregium.relations.ball import measured
from egregium.spaces import Euclidean, Pullback
from egregium.spaces.half_plane import immersed
from egregium.status import Status
from egregium.testing.laws import relation_breaches, require
from egregium.testing.surfaces import Cylinder, StereographicSphere
from egregium.testing.twins import Diffeomorphism, random_decoder, twin

Z = torch.tensor([[0.3, 0.2], [0.5, -0.4]], dtype=torch.float64)
SPHERE = Pullback(StereographicSphere().decode, dim=2)
HALF_PLANE = Pullback(lambda z: immersed(z[:, 0], z[:, 1]), dim=2)


def three_sphere(z: torch.Tensor) -> torch.Tensor:
    square = (z**2).sum(-1, keepdim=True)
    return torch.cat([2 * z, square - 1], -1) / (square + 1)


@pytest.mark.parametrize(
    ("space", "radius", "truth"),
    [
        (SPHERE, 0.01, 4 * math.pi * math.sin(0.005) ** 2),
        (SPHERE, 1.5, 2 * math.pi * (1 - math.cos(1.5))),
        (HALF_PLANE, 1.5, 4 * math.pi * (math.cosh(1.5 / 2**0.5) - 1)),
        (Pullback(Cylinder().decode, dim=2), 5.0, 25 * math.pi),  # the latent space winds around without end
    ],
)
def test_discs(space: Pullback, radius: float, truth: float) -> None:
    found = measured(space, Z, radius, 1e-8)
    print(f"\narea of a disc of radius {radius}: off by {(found.value / truth - 1).abs().max():.1e}")
    torch.testing.assert_close(found.value, torch.full_like(found.value, truth), rtol=1e-8, atol=0)
    assert (found.lower <= truth).all() and (truth <= found.upper).all()


@pytest.mark.parametrize(("d", "truth"), [(1, 4.0), (2, 4 * math.pi), (3, 32 * math.pi / 3), (4, 8 * math.pi**2)])
def test_flat_balls(d: int, truth: float) -> None:
    assert ball_volume(Euclidean(d), torch.zeros(d).double(), 2.0, rtol=1e-3).item() == pytest.approx(truth, rel=1e-10)


def test_a_ball_of_the_three_sphere() -> None:
    found = ball_volume(Pullback(three_sphere, dim=3), torch.tensor([0.3, 0.2, 0.1]).double(), 1.5, rtol=1e-6)
    assert found.item() == pytest.approx(math.pi * (3 - math.sin(3)), rel=1e-6)


@pytest.mark.parametrize(("d", "radius", "rtol"), [(2, 0.3, 1e-6), (3, 0.05, 1e-5)])
def test_twins_agree(d: int, radius: float, rtol: float) -> None:
    decoder, a = random_decoder(d, 10, seed=0), Diffeomorphism(d, seed=0)
    z = torch.randn(2, d, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    here, there = Pullback(decoder, dim=d), Pullback(twin(decoder, a), dim=d)
    one, two = ball_volume(here, z, radius, rtol=rtol), ball_volume(there, a.forward(z), radius, rtol=rtol)
    print(f"\nacceptance 2, volume of balls, d = {d}: twins differ by {(two / one - 1).abs().max():.1e}")
    torch.testing.assert_close(two, one, rtol=1e-6, atol=0)


@pytest.mark.slow
def test_balls_with_a_conjugate_point() -> None:
    """On the three-sphere two fields vanish there at once, so that no determinant changes sign."""
    assert (measured(SPHERE, Z, 3.3, 1e-3).status == Status.SADDLE).all()
    three = measured(Pullback(three_sphere, dim=3), torch.tensor([0.3, 0.2, 0.1]).double(), 3.3, 1e-3)
    assert three.status == Status.SADDLE


def test_balls_beyond_the_injectivity_radius() -> None:
    """On the far side of a steep hill circles cross themselves."""
    hill = Pullback(lambda z: torch.cat([z, 3 * torch.exp(-(z**2).sum(-1, keepdim=True))], -1), dim=2)
    center = torch.tensor([-2.0, 0.0]).double()
    assert ball_volume(hill, center, 1.0) > 0
    with pytest.raises(NotConvergedError, match="smaller radius") as failure:
        ball_volume(hill, center, 5.0, rtol=1e-2)
    assert failure.value.result.status == Status.SADDLE  # type: ignore[attr-defined]
    assert ball_volume(hill, center, 5.0, rtol=1e-2, on_fail="mark").isnan()


def test_balls_that_leave_the_domain() -> None:
    z = torch.tensor([[0.5, 0.0], [3.0, 0.0]]).double()
    found = measured(Pullback(lambda z: torch.cat([z, (z[:, :1] - 0.4).sqrt()], -1), dim=2), z, 0.5, 1e-3)
    assert found.status.tolist() == [Status.NONFINITE, Status.CONVERGED]


def test_rows_do_not_influence_each_other() -> None:
    decoder = Pullback(random_decoder(2, 10, seed=1), dim=2)
    radius = torch.tensor([0.1, 0.4]).double()
    both = measured(decoder, Z, radius, 1e-3)
    for k in range(2):
        alone = measured(decoder, Z[k], radius[k], 1e-3)
        assert alone.status == both.status[k] and alone.value.item() == pytest.approx(both.value[k].item(), rel=1e-12)


def test_the_relation_keeps_its_laws() -> None:
    relation = BallVolume(0.4, rtol=1e-3)
    assert isinstance(relation, Relation) and relation.scale == "ratio"
    require(relation_breaches(relation, SPHERE, Z))


def test_refusals() -> None:
    with pytest.raises(OptionError, match="at most 4 dimensions"):
        ball_volume(Euclidean(5), torch.zeros(5), 1.0)
    for radius in (0.0, -1.0, math.inf, math.nan):
        with pytest.raises(OptionError, match="positive and finite"):
            ball_volume(Euclidean(2), torch.zeros(2), radius)
    with pytest.raises(ShapeError, match=r"shape \(2,\)"):
        ball_volume(SPHERE, Z, torch.ones(3))
