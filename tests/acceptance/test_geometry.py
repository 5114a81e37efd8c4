"""Geometry on surfaces and decoders: exp and log, transport, holonomy, Gauss-Bonnet, curvature (issue 3, acceptance 1)."""

from collections.abc import Callable
from dataclasses import dataclass

import pytest
import torch
from numpy.polynomial.legendre import leggauss
from torch import Tensor

from egregium.geodesics import Geodesic, connect
from egregium.relations import angle, curvature, exp, log, log_volume, transport
from egregium.spaces import Pullback
from egregium.testing.twins import random_decoder

PAIRS = 20
DECODERS = [(d, ambient, seed) for d, ambient in ((2, 10), (2, 784), (3, 10), (5, 10), (5, 784)) for seed in range(2)]
REPARAMETRISED = {torch.float64: (1e3, 1e-6), torch.float32: (1e2, 1e-2)}
"""For each dtype: condition of a linear change of coordinates, and the line for curvature relative to |II|^2."""


@dataclass(frozen=True)
class Surface:
    """A decoder of two dimensions with its Gaussian curvature, on a box in which geodesics stay."""

    decode: Callable[[Tensor], Tensor]
    gaussian: Callable[[Tensor], Tensor]
    low: tuple[float, float]
    high: tuple[float, float]

    def points(self, n: int) -> Tensor:
        low, high = (torch.tensor(corner, dtype=torch.float64) for corner in (self.low, self.high))
        return low + (high - low) * torch.rand(n, 2, generator=torch.Generator().manual_seed(0), dtype=torch.float64)


def sphere(z: Tensor) -> Tensor:
    theta, phi = z.unbind(-1)
    return torch.stack([theta.sin() * phi.cos(), theta.sin() * phi.sin(), theta.cos()], -1)


def torus(z: Tensor) -> Tensor:
    ring = 2 + z[:, 1].cos()
    return torch.stack([ring * z[:, 0].cos(), ring * z[:, 0].sin(), z[:, 1].sin()], -1)


def pseudosphere(z: Tensor) -> Tensor:
    """By the height along the axis and the angle, both smooth: `(sech u cos v, sech u sin v, u - tanh u)`."""
    u, v = z.unbind(-1)
    return torch.stack([v.cos() / u.cosh(), v.sin() / u.cosh(), u - u.tanh()], -1)


def paraboloid(z: Tensor) -> Tensor:
    return torch.cat([z, (z**2).sum(-1, keepdim=True)], -1)


AXES = torch.tensor([1.5, 1.0, 0.7], dtype=torch.float64)


def ellipsoid(z: Tensor) -> Tensor:
    return AXES.to(z) * sphere(z)


def of_ellipsoid(z: Tensor) -> Tensor:
    x = ellipsoid(z)
    return 1 / (AXES.prod() ** 2 * ((x / AXES**2) ** 2).sum(-1) ** 2)


SURFACES = {
    "sphere": Surface(sphere, lambda z: torch.ones_like(z[:, 0]), (0.8, -0.8), (2.2, 0.8)),
    "torus": Surface(torus, lambda z: z[:, 1].cos() / (2 + z[:, 1].cos()), (-0.7, -1.0), (0.7, 2.5)),
    "pseudosphere": Surface(pseudosphere, lambda z: -torch.ones_like(z[:, 0]), (0.7, -0.6), (1.6, 0.6)),
    "paraboloid": Surface(paraboloid, lambda z: 4 / (1 + 4 * (z**2).sum(-1)) ** 2, (-1.0, -1.0), (1.0, 1.0)),
    "ellipsoid": Surface(ellipsoid, of_ellipsoid, (0.9, -0.7), (2.1, 0.7)),
}


def inner_products(space: Pullback, g: Geodesic, u: Tensor, v: Tensor) -> Tensor:
    """By how much transport changes inner products, relative to the norms."""
    start, end = g(0.0), g(1.0)
    before = space.inner(start, u, v)
    after = space.inner(end, transport(space, g, u), transport(space, g, v))
    return (after - before).abs() / (space.norm(start, u) * space.norm(start, v))


def closing(space: Pullback, z0: Tensor, z1: Tensor) -> tuple[Tensor, Tensor]:
    """Decoded distance from `exp(log)` to the goal relative to the length, and which rows converged."""
    v = log(space, z0, z1, rtol=5e-8, on_fail="mark")
    ok = torch.isfinite(v).all(-1)
    end = exp(space, z0[ok], v[ok], rtol=5e-8)
    return (space.ambient(end) - space.ambient(z1[ok])).norm(dim=-1) / space.norm(z0[ok], v[ok]), ok


@pytest.mark.parametrize("name", SURFACES)
def test_exp_of_log_and_inner_products_on_surfaces(name: str) -> None:
    surface = SURFACES[name]
    space, points = Pullback(surface.decode, dim=2), surface.points(2 * PAIRS)
    z0, z1 = points.chunk(2)
    miss, ok = closing(space, z0, z1)
    g, (u, v) = connect(space, z0[:5], z1[:5]), torch.randn(2, 5, 2, generator=torch.Generator().manual_seed(1)).double()
    kept = inner_products(space, g, u, v)
    print(f"\nacceptance 1, {name}: exp(log) misses {miss.max():.1e} of {int(ok.sum())} pairs, inner products {kept.max():.1e}")
    assert ok.all() and miss.max() <= 1e-7 and kept.max() <= 1e-9


@pytest.mark.slow
@pytest.mark.parametrize(("d", "ambient", "seed"), DECODERS)
def test_exp_of_log_and_inner_products_on_decoders(d: int, ambient: int, seed: int) -> None:
    space = Pullback(random_decoder(d, ambient, seed), dim=d)
    z0, z1, u, v = torch.randn(4, PAIRS, d, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    miss, ok = closing(space, z0, z1)
    kept = inner_products(space, connect(space, z0[:5], z1[:5], rtol=1e-6), u[:5], v[:5])
    print(
        f"\nacceptance 1, decoder d = {d}, D = {ambient}, seed {seed}: exp(log) misses {miss.max():.1e} of {int(ok.sum())} of "
        f"{PAIRS} pairs, inner products {kept.max():.1e}"
    )
    assert miss.max() <= 1e-7 and kept.max() <= 1e-9


@pytest.mark.parametrize("name", SURFACES)
def test_holonomy_is_the_angle_excess(name: str) -> None:
    """Of geodesic triangles: the integral of curvature over them, by Gauss and Bonnet."""
    surface = SURFACES[name]
    space, corners = Pullback(surface.decode, dim=2), surface.points(15).chunk(3)
    v = w = torch.randn(5, 2, generator=torch.Generator().manual_seed(1)).double()
    here, after, last = (torch.cat([corners[(k + shift) % 3] for k in range(3)]) for shift in range(3))
    sides = connect(space, here, after, rtol=1e-8)
    for k in range(3):
        w = transport(space, sides[5 * k : 5 * k + 5], w, rtol=1e-8)
    frame = space.frame(corners[0])
    v, w = (torch.linalg.solve(frame, x[..., None])[..., 0] for x in (v, w))
    turned = torch.atan2(v[:, 0] * w[:, 1] - v[:, 1] * w[:, 0], (v * w).sum(-1))
    turned = turned * torch.linalg.det(frame).sign()
    angles = angle(space, here, after, last, rtol=1e-10).chunk(3)
    a, b, c = corners
    side = torch.sign((b - a)[:, 0] * (c - a)[:, 1] - (b - a)[:, 1] * (c - a)[:, 0])
    wrong = torch.remainder(turned - side * (sum(angles) - torch.pi) + torch.pi, 2 * torch.pi) - torch.pi
    print(f"\nacceptance 1, {name}: holonomy less angle excess {wrong.abs().max():.1e} rad")
    assert wrong.abs().max() <= 1e-6


def test_gauss_and_bonnet_on_closed_surfaces() -> None:
    grid = torch.arange(64, dtype=torch.float64) * (2 * torch.pi / 64)
    z = torch.cartesian_prod(grid, grid)
    on_torus = _total(Pullback(torus, dim=2), z, torch.full((len(z),), (2 * torch.pi / 64) ** 2, dtype=torch.float64))
    nodes, weights = (torch.as_tensor(x, dtype=torch.float64) for x in leggauss(40))
    theta = 0.5 * torch.pi * (nodes + 1)
    z = torch.cartesian_prod(theta, grid)
    weight = (0.5 * torch.pi * weights)[:, None] * torch.full((64,), 2 * torch.pi / 64, dtype=torch.float64)
    found = {"torus": on_torus, "sphere": _total(Pullback(sphere, dim=2), z, weight.flatten()) - 4 * torch.pi}
    found["ellipsoid"] = _total(Pullback(ellipsoid, dim=2), z, weight.flatten()) - 4 * torch.pi
    print(f"\nacceptance 1, total curvature less 2 pi chi: {', '.join(f'{name} {x:.1e}' for name, x in found.items())}")
    assert max(abs(x) for x in found.values()) <= 1e-6


def _total(space: Pullback, z: Tensor, weights: Tensor) -> float:
    return float((0.5 * curvature.scalar(space, z) * log_volume(space, z).exp() * weights).sum())


@pytest.mark.parametrize("dtype", REPARAMETRISED, ids=str)
@pytest.mark.parametrize("name", SURFACES)
def test_curvature_is_that_of_the_surface_in_all_coordinates(name: str, dtype: torch.dtype) -> None:
    surface, (condition, line) = SURFACES[name], REPARAMETRISED[dtype]
    z = surface.points(50)
    turn = torch.linalg.qr(torch.randn(2, 2, generator=torch.Generator().manual_seed(2), dtype=torch.float64)).Q
    stretch = turn @ torch.diag(torch.tensor([1.0, condition], dtype=torch.float64)) @ turn.mT
    plain, y = Pullback(surface.decode, dim=2), torch.linalg.solve(stretch, z.mT).mT.to(dtype)
    skewed = Pullback(lambda y: surface.decode(y @ stretch.to(y).mT), dim=2)
    size, expected = _size(plain, z), surface.gaussian(z)
    here = _wrong(plain, z, expected) / size
    there = _wrong(skewed, y, surface.gaussian(y.double() @ stretch.mT)) / size
    print(f"\nacceptance 1, {name}, {dtype}: curvature off by {here.max():.1e}, at condition {condition:.0e} {there.max():.1e}")
    assert here.max() <= 1e-9 and there.max() <= line


def _size(space: Pullback, z: Tensor) -> Tensor:
    form, frame = curvature.second_fundamental_form(space, z), space.frame(z)
    return (frame.mT[:, None] @ form @ frame[:, None]).pow(2).sum((1, 2, 3))


def _wrong(space: Pullback, z: Tensor, expected: Tensor) -> Tensor:
    """The largest error of scalar, Ricci and sectional curvature, all as Gaussian curvatures."""
    u, v = torch.eye(2, dtype=z.dtype).expand(len(z), 2, 2).unbind(1)
    frame = space.frame(z)
    ricci = frame.mT @ curvature.ricci(space, z) @ frame - expected[:, None, None] * torch.eye(2)
    found = [curvature.scalar(space, z) / 2 - expected, curvature.sectional(space, z, u, v) - expected]
    return torch.stack([*(x.abs().double() for x in found), ricci.double().norm(dim=(1, 2))]).amax(0)
