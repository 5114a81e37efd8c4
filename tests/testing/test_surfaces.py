"""The reference surfaces themselves: their distances obey the eikonal equation and what is known of them without solving."""

import math

import pytest
import torch

from egregium.spaces import Pullback
from egregium.testing.surfaces import SOLVED, Ellipsoid, Paraboloid, SolvedSurface, StereographicSphere, Surface

STEP = 1e-6


def sampled(surface: Surface, n: int = 20) -> torch.Tensor:
    return surface.sample(n, torch.Generator().manual_seed(0))


@pytest.mark.parametrize("surface", [*SOLVED, Ellipsoid()], ids=repr)
def test_samples(surface: Surface) -> None:
    z = sampled(surface)
    assert z.shape == (20, surface.dim) and z.dtype == torch.float64
    assert torch.equal(z, sampled(surface)) and not torch.equal(z, surface.sample(20, torch.Generator().manual_seed(1)))
    assert torch.linalg.eigvalsh(Pullback(surface.decode, dim=surface.dim).metric(z)).min() > 1e-2


@pytest.mark.parametrize("surface", SOLVED, ids=repr)
def test_distances_obey_the_eikonal_equation(surface: SolvedSurface) -> None:
    """`|grad d| = 1` in the inverse metric, which the length of no other curve obeys everywhere."""
    z0, z1 = sampled(surface).chunk(2)
    axes = torch.eye(surface.dim, dtype=torch.float64)
    slope = torch.stack([surface.distance(z0, z1 + STEP * a) - surface.distance(z0, z1 - STEP * a) for a in axes], -1) / (
        2 * STEP
    )
    inverse = torch.linalg.inv(Pullback(surface.decode, dim=surface.dim).metric(z1))
    torch.testing.assert_close(torch.einsum("ni,nij,nj->n", slope, inverse, slope), torch.ones(10).double(), rtol=1e-6, atol=0)


@pytest.mark.parametrize("surface", SOLVED, ids=repr)
def test_distances_are_symmetric_and_no_shorter_than_chords(surface: SolvedSurface) -> None:
    z0, z1 = sampled(surface).chunk(2)
    there, back = surface.distance(z0, z1), surface.distance(z1, z0)
    torch.testing.assert_close(there, back, rtol=1e-13, atol=0)
    assert (there >= (surface.decode(z1) - surface.decode(z0)).norm(dim=-1) * (1 - 1e-13)).all()
    assert (surface.distance(z0, z0).abs() < 1e-7).all()


@pytest.mark.parametrize("a", [0.1, 1.0, 3.0])
def test_meridians_of_the_paraboloid(a: float) -> None:
    """Along a meridian, and through the apex, the distance is the arc length of a parabola."""

    def arc(rho: float) -> float:
        return 0.5 * rho * math.sqrt(1 + (2 * a * rho) ** 2) + math.asinh(2 * a * rho) / (4 * a)

    near, far, apex = (torch.tensor([rho, 0.0], dtype=torch.float64) for rho in (0.3, 1.2, 0.0))
    surface = Paraboloid(a)
    assert surface.distance(near, far).item() == pytest.approx(arc(1.2) - arc(0.3), rel=1e-12)
    assert surface.distance(apex, far).item() == pytest.approx(arc(1.2), rel=1e-12)


def test_flat_paraboloids_are_planes_and_round_ellipsoids_are_spheres() -> None:
    z0, z1 = sampled(Paraboloid()).chunk(2)
    torch.testing.assert_close(Paraboloid(1e-7).distance(z0, z1), (z1 - z0).norm(dim=-1), rtol=1e-9, atol=0)
    z = sampled(Ellipsoid())
    assert Ellipsoid(2.0, 2.0).flattening == 0
    torch.testing.assert_close(Ellipsoid(2.0, 2.0).decode(z).norm(dim=-1), torch.full((20,), 2.0, dtype=torch.float64))
    x = Ellipsoid(1.0, 0.8).decode(z)
    torch.testing.assert_close(x[:, 0] ** 2 + x[:, 1] ** 2 + (x[:, 2] / 0.8) ** 2, torch.ones(20).double())


def test_radii_scale_distances() -> None:
    z0, z1 = sampled(StereographicSphere()).chunk(2)
    torch.testing.assert_close(StereographicSphere(3.0).distance(z0, z1), 3 * StereographicSphere().distance(z0, z1))
