"""The oracle itself: surfaces whose shortest distances are known, cut loci among them, and what it says it does not know."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pytest
import torch
from geographiclib.geodesic import Geodesic as OnEllipsoid
from tests.acceptance.landscapes import DECEIVING
from tests.acceptance.oracle import REFINED, shortest
from torch import Tensor

from egregium.relations import exp
from egregium.spaces import Pullback
from egregium.testing.surfaces import Ellipsoid, Paraboloid, StereographicSphere
from egregium.testing.twins import Diffeomorphism


@dataclass(frozen=True)
class Known:
    """A decoder, pairs of points as sources `(S, 2)` and targets `(S, K, 2)`, and the distances `(S, K)`."""

    decode: Callable[[Tensor], Tensor]
    sources: Tensor
    targets: Tensor
    distance: Tensor


def uniform(*shape: int, low: float, high: float) -> Tensor:
    return low + (high - low) * torch.rand(*shape, generator=torch.Generator().manual_seed(0), dtype=torch.float64)


def between(decode: Callable[[Tensor], Tensor], distance: Callable[[Tensor, Tensor], Tensor], points: Tensor) -> Known:
    """From the first two of `points` to all others."""
    sources, targets = points[:2], points[2:].expand(2, -1, -1)
    return Known(decode, sources, targets, distance(sources[:, None].expand_as(targets), targets))


def sphere() -> Known:
    surface = StereographicSphere()
    return between(surface.decode, surface.distance, uniform(12, 2, low=-1.2, high=1.2))


def cut_locus() -> Known:
    """Of a paraboloid: points nearly opposite to each other, with a way round the axis on either side."""
    surface = Paraboloid()
    angle = torch.tensor([0.0, 0.3, 2.3, 2.6, 2.9, 3.1, 3.2, 3.4, 3.7, 4.0], dtype=torch.float64)
    points = 1.4 * torch.stack([angle.cos(), angle.sin()], -1)
    return between(surface.decode, surface.distance, points)


def ellipsoid() -> Known:
    surface = Ellipsoid()
    solver = OnEllipsoid(surface.equatorial, surface.flattening)

    def distance(z0: Tensor, z1: Tensor) -> Tensor:
        degrees = torch.cat([z0, z1], -1).rad2deg().reshape(-1, 4).tolist()
        return torch.tensor([solver.Inverse(*row)["s12"] for row in degrees]).double().reshape(z0.shape[:-1])

    return between(surface.decode, distance, surface.sample(12, torch.Generator().manual_seed(0)))


def torus() -> Known:
    """Of revolution: ends of geodesics that are too short to have others beside them."""

    def decode(z: Tensor) -> Tensor:
        ring = 2 + z[:, 1].cos()
        return torch.stack([ring * z[:, 0].cos(), ring * z[:, 0].sin(), z[:, 1].sin()], -1)

    space, sources = Pullback(decode, dim=2), torch.tensor([[0.0, 0.0], [1.0, 2.5]], dtype=torch.float64)
    start = sources[:, None].expand(2, 12, 2)
    along = uniform(2, 12, 2, low=-0.5, high=0.5)
    return Known(decode, sources, exp(space, start, along, rtol=1e-8), space.norm(start, along))


def half_plane() -> Known:
    """Of constant curvature -1, as a pseudosphere by `(x, log(y - 1))`: `2 asinh(|z - w| / (2 sqrt(y y')))`."""

    def decode(z: Tensor) -> Tensor:
        x, y = z[:, 0], 1 + z[:, 1].exp()
        return torch.stack([x.cos() / y, x.sin() / y, torch.acosh(y) - (1 - y**-2).sqrt()], -1)

    def distance(a: Tensor, b: Tensor) -> Tensor:
        (x, v), (w, t) = a.unbind(-1), b.unbind(-1)
        y, s = 1 + v.exp(), 1 + t.exp()
        return 2 * torch.asinh(torch.hypot(x - w, y - s) / (2 * (y * s).sqrt()))

    return between(decode, distance, uniform(12, 2, low=-1.0, high=1.0))


def anisotropic() -> Known:
    """A plane stretched a hundredfold in an oblique direction."""
    turn = torch.linalg.qr(torch.randn(2, 2, generator=torch.Generator().manual_seed(3), dtype=torch.float64)).Q
    matrix = turn @ torch.diag(torch.tensor([1.0, 100.0], dtype=torch.float64)) @ turn.mT
    return between(lambda z: z @ matrix, lambda a, b: ((b - a) @ matrix).norm(dim=-1), uniform(12, 2, low=-1.0, high=1.0))


def bent() -> Known:
    """A plane in bent coordinates, whose metric is stretched differently everywhere."""
    a = Diffeomorphism(2, seed=4, strength=0.3)
    return between(
        a.inverse, lambda y, z: (a.inverse(z) - a.inverse(y)).norm(dim=-1), a.forward(uniform(12, 2, low=-1, high=1))
    )


KNOWN = {known.__name__: known for known in (sphere, cut_locus, ellipsoid, torus, half_plane, anisotropic, bent)}


def examine(name: str, cells: int, finest: int) -> None:
    known = KNOWN[name]()
    found = shortest(known.decode, known.sources.numpy(), known.targets.numpy(), cells=cells, finest=finest)
    wrong = np.abs(found.distance / known.distance.numpy() - 1)
    print(
        f"\noracle, {name}: off by at most {wrong[found.ok].max():.1e}, median {np.median(wrong):.1e}; grids differ by at most "
        f"{found.difference.max():.1e}; refined and held by its box {found.ok.mean():.0%}"
    )
    assert wrong[found.ok].max() <= REFINED
    assert found.ok.mean() >= 0.5


@pytest.mark.parametrize("name", ["ellipsoid", "half_plane"])
def test_the_oracle_knows_some_surfaces_on_coarse_grids(name: str) -> None:
    examine(name, 24, 48)


@pytest.mark.slow
@pytest.mark.parametrize("name", KNOWN)
def test_the_oracle_knows_surfaces(name: str) -> None:
    """To the tenth of a per cent that it promises."""
    examine(name, 32, 128)


def test_the_shorter_of_two_ways_is_found() -> None:
    """Below a hill, though the straight line, hence both ends' own direction, is nearer to the way above it."""
    ends = np.array([[-1.5, 0.0]]), np.array([[[1.5, 0.0]]])
    found = shortest(DECEIVING, *ends, cells=40, finest=80)
    t = np.linspace(0, 1, 2001)
    lengths = []
    for side in (1, -1):
        z = np.stack([3 * t - 1.5, side * 0.9 * np.sin(np.pi * t)], -1)
        x = DECEIVING(torch.as_tensor(z))
        lengths.append(float(x.diff(dim=0).norm(dim=-1).sum()))
    assert found.distance.item() < min(lengths) < max(lengths)
    assert lengths[1] < lengths[0]


def test_what_the_box_may_not_hold_is_said() -> None:
    """A wall whose ends lie outside of the box."""

    def wall(z: Tensor) -> Tensor:
        return torch.cat([z, 5 * (-((z[:, :1] / 0.3) ** 2) - (z[:, 1:] / 4) ** 2).exp()], -1)

    found = shortest(wall, np.array([[-1.0, 0.0]]), np.array([[[1.0, 0.0], [-0.8, 0.1]]]), cells=32, finest=64, margin=0.3)
    assert found.contained.tolist() == [[False, True]]
