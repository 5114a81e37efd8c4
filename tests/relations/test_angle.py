"""Angles and logarithms: closed forms on the sphere and the plane, invariance, and angles that do not exist."""

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from egregium.protocols import Relation
from egregium.relations import Angle, angle, log
from egregium.spaces import Euclidean, Pullback
from egregium.status import Status
from egregium.testing.laws import relation_breaches, require
from egregium.testing.surfaces import StereographicSphere
from egregium.testing.twins import Diffeomorphism, random_decoder, twin

DECODER = random_decoder(2, 12, seed=0)
SPACE = Pullback(DECODER, dim=2)
SPHERE = Pullback(StereographicSphere().decode, dim=2)
Z, Z1, Z2 = torch.randn(3, 4, 2, generator=torch.Generator().manual_seed(0), dtype=torch.float64)


def test_the_octant_has_three_right_angles() -> None:
    corners = torch.tensor([[0.0, 0.0], [1.0, 0.0], [0.0, 1.0]], dtype=torch.float64)
    found = angle(SPHERE, corners, corners.roll(1, 0), corners.roll(2, 0), rtol=1e-9)
    torch.testing.assert_close(found, torch.full((3,), math.pi / 2, dtype=torch.float64), rtol=0, atol=1e-7)


def test_spherical_triangles_obey_the_law_of_cosines() -> None:
    surface = StereographicSphere()
    z, z1, z2 = surface.sample(12, torch.Generator().manual_seed(1)).chunk(3)
    a, b, c = surface.distance(z1, z2), surface.distance(z, z1), surface.distance(z, z2)
    expected = ((a.cos() - b.cos() * c.cos()) / (b.sin() * c.sin())).acos()
    torch.testing.assert_close(angle(SPHERE, z, z1, z2, rtol=1e-9), expected, rtol=0, atol=1e-6)


@given(st.floats(-math.pi, math.pi), st.floats(0.1, 10.0))
def test_in_the_plane(direction: float, far: float) -> None:
    here = torch.tensor([0.3, -0.2], dtype=torch.float64)
    ahead = here + torch.tensor([1.0, 0.0], dtype=torch.float64)
    aside = here + far * torch.tensor([math.cos(direction), math.sin(direction)], dtype=torch.float64)
    assert angle(Euclidean(2), here, ahead, aside).item() == pytest.approx(abs(direction), abs=1e-9)


def test_small_and_straight_angles_keep_their_digits() -> None:
    """Where `acos` of a cosine would be blind."""
    here, ahead = torch.zeros(2).double(), torch.tensor([1.0, 0.0]).double()
    for tiny in (1e-9, 1e-12):
        aside = torch.tensor([1.0, tiny], dtype=torch.float64)
        assert angle(Euclidean(2), here, ahead, aside).item() == pytest.approx(tiny, rel=1e-6)
        assert math.pi - angle(Euclidean(2), here, -ahead, aside).item() == pytest.approx(tiny, rel=1e-3, abs=1e-15)


def test_angles_and_logarithms_are_invariant() -> None:
    a = Diffeomorphism(2, seed=4)
    there = Pullback(twin(DECODER, a), dim=2)
    here = angle(SPACE, Z, Z1, Z2, rtol=1e-6)
    moved = angle(there, a.forward(Z), a.forward(Z1), a.forward(Z2), rtol=1e-6)
    torch.testing.assert_close(moved, here, rtol=0, atol=1e-4)
    block = torch.stack([torch.func.jacrev(a.forward)(row) for row in Z[:2]])
    expected = (block @ log(SPACE, Z[:2], Z1[:2], rtol=1e-6)[..., None])[..., 0]
    torch.testing.assert_close(log(there, a.forward(Z[:2]), a.forward(Z1[:2]), rtol=1e-6), expected, rtol=1e-4, atol=1e-4)


def test_scaling_changes_no_angle() -> None:
    scaled = Pullback(lambda z: 1e3 * DECODER(z), dim=2)
    torch.testing.assert_close(angle(scaled, Z, Z1, Z2), angle(SPACE, Z, Z1, Z2), rtol=1e-9, atol=0)


def test_the_logarithm_has_the_distance_for_norm_and_points_the_right_way() -> None:
    surface = StereographicSphere()
    z0, z1 = surface.sample(8, torch.Generator().manual_seed(3)).chunk(2)
    v = log(SPHERE, z0, z1, rtol=1e-9)
    torch.testing.assert_close(SPHERE.norm(z0, v), surface.distance(z0, z1), rtol=1e-8, atol=0)
    x0, x1 = surface.decode(z0), surface.decode(z1)
    tangent = x1 - (x0 * x1).sum(-1, keepdim=True) * x0
    found = (SPHERE.jacobian(z0) @ v[..., None])[..., 0]
    torch.testing.assert_close(found / found.norm(dim=-1, keepdim=True), tangent / tangent.norm(dim=-1, keepdim=True),
                               rtol=0, atol=1e-6)  # fmt: skip


@pytest.mark.parametrize("space", [SPACE, Euclidean(2)], ids=["pullback", "plane"])
def test_an_angle_at_equal_points_does_not_exist(space: Pullback | Euclidean) -> None:
    assert angle(space, Z, Z, Z2).isnan().all() and angle(space, Z, Z1, Z).isnan().all()
    assert (log(space, Z, Z) == 0).all()


def test_relation() -> None:
    relation = Angle()
    assert isinstance(relation, Relation) and relation.arity == 3
    require(relation_breaches(relation, SPACE, Z, Z1, Z2))
    failed = Angle(options={"max_steps": 1})(Pullback(lambda z: torch.cat([z, 5 * (2 * z).sin()], -1), dim=2), Z, Z1, Z2)
    assert (failed.status == Status.MAX_STEPS).all()
    exact = angle(SPACE, Z, Z1, Z2, rtol=1e-8)
    loose = relation(SPACE, Z, Z1, Z2)
    assert ((loose.lower <= exact) & (exact <= loose.upper)).all()


def test_failed_rows_are_nan() -> None:
    space = Pullback(lambda z: torch.cat([z, 5 * (2 * z).sin()], -1), dim=2)
    assert angle(space, Z, Z1, Z2, max_steps=1, on_fail="mark").isnan().all()
    assert log(space, Z, Z1, max_steps=1, on_fail="mark").isnan().all()
