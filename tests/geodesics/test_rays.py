"""Curves of explicit spaces and what is read off them: times, velocities, reversal, rows, dtypes."""

from typing import Any

import pytest
import torch
from torch import Tensor

from egregium.geodesics.curve import Curve
from egregium.geodesics.rays import Columns, OnBase, Ray, SideBySide
from egregium.spaces import Hyperbolic, Sphere, Torus

T = torch.linspace(0, 1, 5, dtype=torch.float64).expand(3, -1)


def ray(space: Any, length: float = 1.2, count: int = 3) -> Ray:
    z = space.random(count, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    v = space.frame(z)[..., 0] * length
    return Ray(space, z, v)


def chord() -> Curve:
    """Beside the sphere: the chord of a quarter of a great circle, three times."""
    ends = torch.eye(3, dtype=torch.float64)[:2].expand(3, -1, -1)
    way = ends.diff(dim=1).expand(-1, 2, -1)
    return Curve(torch.tensor([0.0, 1.0], dtype=torch.float64).expand(3, -1), ends, way)


def beside() -> SideBySide:
    return SideBySide(ray(Sphere(2)), ray(Hyperbolic(2)))


CURVES = {
    "ray on a sphere": ray(Sphere(2)), "ray on a hyperbolic space": ray(Hyperbolic(3)), "ray on a torus": ray(Torus(2)),
    "side by side": beside(), "columns": Columns(beside(), slice(3, 5)), "on a base": OnBase(chord(), Sphere(2)),
}  # fmt: skip


@pytest.fixture(params=CURVES)
def curve(request: pytest.FixtureRequest) -> Any:
    return CURVES[request.param]


def test_velocities_are_derivatives(curve: Any) -> None:
    z, v = curve.at(T[:, 1:-1])
    step = 1e-5
    ahead, behind = curve.at(T[:, 1:-1] + step)[0], curve.at(T[:, 1:-1] - step)[0]
    assert z.shape == v.shape == (3, 3, curve.width) and len(curve) == 3
    torch.testing.assert_close(v, (ahead - behind) / (2 * step), rtol=0, atol=1e-9)  # of second order in the step


def test_reversal_runs_backwards(curve: Any) -> None:
    (z, v), (y, w) = curve.at(T), curve.reversed().at(1 - T)
    assert type(curve.reversed()) is type(curve)
    torch.testing.assert_close(y, z, rtol=0, atol=1e-14)
    torch.testing.assert_close(w, -v, rtol=0, atol=1e-13)


def test_rows_are_curves_by_themselves(curve: Any) -> None:
    """Up to rounding, which differs with a row's place in a batch on some processors."""
    z, v = curve.at(T)
    some = curve[torch.tensor([2, 0])]
    assert len(some) == 2
    for found, expected in zip(some.at(T[:2]), (z, v), strict=True):
        torch.testing.assert_close(found, expected[[2, 0]], rtol=0, atol=1e-14)
    swapped = curve.updated(torch.tensor([0]), curve[torch.tensor([2])])
    torch.testing.assert_close(swapped.at(T)[0], z[[2, 1, 2]], rtol=0, atol=1e-14)
    chosen = curve.where(torch.tensor([True, False, True]), curve[torch.tensor([1, 0, 0])])
    torch.testing.assert_close(chosen.at(T)[0], z[[0, 0, 2]], rtol=0, atol=1e-14)


def test_cast_curves_are_the_same(curve: Any) -> None:
    z, _ = curve.to(torch.float32).at(T.float())
    assert z.dtype == torch.float32
    torch.testing.assert_close(z, curve.at(T)[0].float(), rtol=0, atol=1e-6)


@pytest.mark.parametrize("space", [Sphere(2), Hyperbolic(2), Torus(2)], ids=repr)
def test_rays_have_uniform_speed_and_end_at_one(space: Any) -> None:
    drawn = ray(space)
    z, v = drawn.at(T)
    torch.testing.assert_close(space.norm(z, v), torch.full((3, 5), 1.2).double())
    torch.testing.assert_close(z[:, -1], space.exp(drawn.start, drawn.velocity))
    assert drawn.at(T + 2)[0].equal(drawn.at(torch.ones_like(T))[0])


def test_rays_as_long_as_from_pole_to_pole_know_their_velocity() -> None:
    z, v = ray(Sphere(2), length=torch.pi).at(T)
    torch.testing.assert_close(Sphere(2).norm(z, v), torch.full((3, 5), torch.pi).double())


def parts_of(z: Tensor) -> tuple[Tensor, Tensor]:
    return z[..., :3], z[..., 3:]


def test_columns_are_the_curves_side_by_side() -> None:
    both = beside()
    for of_sphere, whole in zip(both.first.at(T), both.at(T), strict=True):
        assert parts_of(whole)[0].equal(of_sphere)
    place = Columns(both, slice(3, 5))
    for found, whole in zip(place.at(T), both.at(T), strict=True):
        assert found.equal(parts_of(whole)[1])


def test_curves_put_onto_a_base_lie_on_it() -> None:
    z, v = OnBase(chord(), Sphere(2)).at(T)
    torch.testing.assert_close(z.norm(dim=-1), torch.ones(3, 5).double())
    assert (z * v).sum(-1).abs().max() < 1e-15
    torch.testing.assert_close(z[:, 2], torch.tensor([0.5, 0.5, 0.0]).double().sqrt().expand(3, -1))
