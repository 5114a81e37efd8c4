"""Accuracy of distances on explicit spaces in several dimensions and curvatures, judged as in `exactness.py`."""

import math
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from exactness import BALL, DISTANCES, DTYPES, FLAT, SHEET, STEREOGRAPHIC, UNIT, Coordinates, Point, exact, normal
from measuring import aligned
from mpmath import mp, mpf
from torch import Tensor

from egregium.spaces import ConstantCurvature, Euclidean, Hyperbolic, Sphere

DIMENSIONS = (1, 2, 5, 50)
Maker = Callable[[int, float, torch.dtype], Any]  # of dimension, curvature and dtype


@dataclass(frozen=True)
class Family:
    """A library's spaces of some curvatures, and their coordinates at curvature -1, 0 or 1, which `grow` with the space or not.

    Points lie at most at `reach` of half the way round.
    """

    library: str
    curvatures: Sequence[float]
    make: Maker
    coordinates: Coordinates
    grow: bool = True
    reach: float = 1.0

    def error(self, n: int, kappa: float, dtype: torch.dtype, pairs: int) -> float:
        """Largest relative error of the distance, of points of which the first is at 0.5 from the origin."""
        unit = 1 / mp.sqrt(abs(mpf(kappa))) if kappa else mpf(1)
        cut = math.pi / kappa**0.5 if kappa > 0 else math.inf
        most = cut - 1e-6 if self.reach == 1 else self.reach * cut
        errors = []
        for distance in (*(d for d in DISTANCES if d < most), min(most, DISTANCES[-1])):
            x, y = (self._stored(end, unit, dtype) for end in _ends(n, kappa, distance, pairs))
            found = self.make(n, kappa, dtype).dist(x, y).double().tolist()
            errors += [self._relative(a, exact(p), exact(q), unit) for a, p, q in zip(found, x, y, strict=True)]
        return max(errors)

    def _stored(self, z: Tensor, unit: Any, dtype: torch.dtype) -> Tensor:
        rows = [self.coordinates.store(_times(1 / unit, exact(one))) for one in z]
        grown = [_times(unit, row) if self.grow else row for row in rows]
        return torch.tensor([[float(a) for a in row] for row in grown], dtype=torch.float64).to(dtype)

    def _relative(self, found: float, x: Point, y: Point, unit: Any) -> float:
        """0 where the points coincide as stored, and where the coordinates cannot hold them."""
        x, y = (_times(1 / unit, z) if self.grow else z for z in (x, y))
        if self.coordinates.bounded and max(sum(a * a for a in z) for z in (x, y)) >= 1:
            return 0.0
        truth = unit * self.coordinates.distance(x, y)
        if not truth:
            return 0.0
        return float(abs(found - truth) / truth) if math.isfinite(found) else math.inf


def by_dimension(peers: bool, pairs: int) -> tuple[str, str]:
    """Title and table."""
    rows = [("library", "curvature", *(f"{str(dtype)[6:]}, n = {n}" for dtype in DTYPES for n in DIMENSIONS))]
    for family in _families(peers):
        for kappa in family.curvatures:
            print(f"{family.library}, curvature {kappa:g}", file=sys.stderr, flush=True)
            cells = (f"{family.error(n, kappa, dtype, pairs):.0e}" for dtype in DTYPES for n in DIMENSIONS)
            rows.append((family.library, f"{kappa:g}", *cells))
    return f"Largest relative error of the distance at all distances, {pairs} pairs each", aligned(rows)


def _families(peers: bool) -> list[Family]:
    negative, positive = (-2.0, -0.3), (0.7, 3.0)
    ours = [
        Family("egregium, Euclidean", (0.0,), lambda n, kappa, dtype: Euclidean(n), FLAT),
        Family("egregium, Hyperbolic", negative, lambda n, kappa, dtype: Hyperbolic(n, kappa), normal(-1)),
        Family("egregium, Sphere", positive, lambda n, kappa, dtype: Sphere(n, kappa), UNIT, grow=False),
        Family(
            "egregium, ConstantCurvature", positive, lambda n, kappa, dtype: ConstantCurvature(n, kappa), normal(1), reach=0.5
        ),
    ]
    return [*ours, *(_geoopt(negative, positive) if peers else [])]


def _geoopt(negative: Sequence[float], positive: Sequence[float]) -> list[Family]:
    import geoopt

    def of(kind: Any, number: Callable[[float], float], name: str) -> Maker:
        return lambda n, kappa, dtype: kind(**{name: torch.tensor(number(kappa), dtype=dtype)})

    return [
        Family("geoopt, Euclidean", (0.0,), lambda n, kappa, dtype: geoopt.Euclidean(ndim=1), FLAT),
        Family("geoopt, Lorentz", negative, of(geoopt.Lorentz, lambda kappa: -1 / kappa, "k"), SHEET),
        Family("geoopt, PoincareBall", negative, of(geoopt.PoincareBall, lambda kappa: -kappa, "c"), BALL),
        Family(
            "geoopt, Sphere", positive, lambda n, kappa, dtype: geoopt.Scaled(geoopt.Sphere(), kappa**-0.5), UNIT, grow=False
        ),
        Family("geoopt, SphereProjection", positive, of(geoopt.SphereProjection, float, "k"), STEREOGRAPHIC, reach=0.5),
    ]


def _ends(n: int, kappa: float, distance: float, pairs: int) -> tuple[Tensor, Tensor]:
    """Normal coordinates of pairs of points of about this distance, in random directions."""
    generator = torch.Generator().manual_seed(0)
    z, v = (torch.randn(pairs, n, generator=generator, dtype=torch.float64) for _ in range(2))
    z, space = 0.5 * z / z.norm(dim=-1, keepdim=True), ConstantCurvature(n, kappa)
    return z, space.exp(z, distance * v / space.norm(z, v)[:, None])


def _times(factor: Any, z: Point) -> Point:
    return [factor * a for a in z]
