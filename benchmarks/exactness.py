"""Accuracy of explicit spaces against 200 digits: each library is judged by the coordinates that it was given, as stored.

A stored point means one of the unit sphere or of the hyperboloid of curvature -1: a vector its direction, a Lorentz point the
one of equal space coordinates. Base points lie at `RADII` from the origin, the others at `DISTANCES` from these. Cells give the
largest relative error: `same` where all pairs coincide as stored, `outside` where coordinates cannot hold the points.
"""

import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from measuring import aligned
from mpmath import mp, mpf
from torch import Tensor

from egregium.spaces import ConstantCurvature, Euclidean, Hyperbolic, Sphere

mp.dps = 200
DISTANCES = (1e-6, 1e-5, 1e-4, 1e-3, 1e-2, 0.1, 1.0, 3.0, 10.0, 30.0)
RADII = (0.0, 1.0, 10.0, 30.0)
DTYPES = (torch.float32, torch.float64)
Point = Sequence[Any]


@dataclass(frozen=True)
class Coordinates:
    """Coordinates of a space of curvature `sign`, in many digits.

    From normal ones by `store`, to the sphere or hyperboloid (first coordinate: time) by `lift`; `size` is the length of a
    tangent vector.
    """

    sign: int
    store: Callable[[Point], Point]
    lift: Callable[[Point], Point]
    size: Callable[[Point, Point], Any]
    bounded: bool = False

    def holds(self, x: Tensor) -> bool:
        """Whether a stored point is finite and, where coordinates end at a unit ball, inside it."""
        return bool(torch.isfinite(x).all()) and not (self.bounded and _square(exact(x)) >= 1)

    def distance(self, x: Point, y: Point) -> Any:
        x, y = self.lift(x), self.lift(y)
        apart = _dot([a - b for a, b in zip(x, y, strict=True)], self.sign)
        if self.sign == 0:
            return mp.sqrt(apart)
        if self.sign < 0:
            return 2 * mp.asinh(mp.sqrt(max(apart, mpf(0))) / 2)
        return 2 * mp.atan2(mp.sqrt(apart), mp.norm([a + b for a, b in zip(x, y, strict=True)]))


@dataclass(frozen=True)
class Judged:
    """A library's space, made for a dtype, and its coordinates."""

    library: str
    space: Callable[[torch.dtype], Any]
    coordinates: Coordinates
    log: str = "log"


def accuracies(peers: bool, pairs: int) -> Iterator[tuple[str, str]]:
    """Titles and tables: the distance and the logarithm of each space, and d(x, x)."""
    groups = _groups(peers)
    for name, radii, most, judged in groups:
        for verb in ("distance", "length of the logarithm"):
            yield (
                f"{name}: largest relative error of the {verb}, {pairs} pairs a cell",
                _table(judged, radii, most, pairs, verb),
            )
    yield f"d(x, x), the largest of {pairs} points at each radius", _selves(groups, pairs)


def _groups(peers: bool) -> list[tuple[str, Sequence[float], float, list[Judged]]]:
    flat = [Judged("egregium", lambda dtype: Euclidean(2), FLAT)]
    sphere = [Judged("egregium", lambda dtype: Sphere(2), UNIT)]
    hyperbolic = [Judged("egregium", lambda dtype: Hyperbolic(2), normal(-1))]
    curved = [Judged("egregium", lambda dtype: ConstantCurvature(2, 1.0), normal(1))]
    if peers:
        import geoopt

        def one(dtype: torch.dtype) -> Tensor:
            return torch.ones((), dtype=dtype)

        flat.append(Judged("geoopt", lambda dtype: geoopt.Euclidean(ndim=1), FLAT, "logmap"))
        sphere.append(Judged("geoopt", lambda dtype: geoopt.Sphere(), UNIT, "logmap"))
        hyperbolic.append(Judged("geoopt, Lorentz", lambda dtype: geoopt.Lorentz(k=one(dtype)), SHEET, "logmap"))
        hyperbolic.append(Judged("geoopt, Poincare ball", lambda dtype: geoopt.PoincareBall(c=one(dtype)), BALL, "logmap"))
        stereographic = Judged(
            "geoopt, SphereProjection", lambda dtype: geoopt.SphereProjection(k=one(dtype)), STEREOGRAPHIC, "logmap"
        )
        curved.append(stereographic)
    return [
        ("Euclidean", RADII, 30, flat),
        ("Sphere", (0.0, 1.0), 3, sphere),
        ("Hyperbolic", RADII, 30, hyperbolic),
        ("Curvature 1", (0.0, 1.0), 1, curved),
    ]


def _table(judged: Sequence[Judged], radii: Sequence[float], most: float, pairs: int, verb: str) -> str:
    distances = [d for d in DISTANCES if d <= most]
    rows = [("library", "dtype", "radius", *(f"d = {d:g}" for d in distances))]
    for one in judged:
        for dtype in DTYPES:
            for radius in radii:
                print(f"{one.library}, {dtype}, radius {radius:g}", file=sys.stderr, flush=True)
                cells = (_cell(one, _stored(one.coordinates, radius, d, pairs, dtype), verb) for d in distances)
                rows.append((one.library, str(dtype)[6:], f"{radius:g}", *cells))
    return aligned(rows)


def _cell(judged: Judged, ends: tuple[Tensor, Tensor], verb: str) -> str:
    held = torch.tensor([judged.coordinates.holds(x) and judged.coordinates.holds(y) for x, y in zip(*ends, strict=True)])
    if not held.any():
        return "outside"
    x, y = (one[held] for one in ends)
    space = judged.space(x.dtype)
    truth = [judged.coordinates.distance(exact(a), exact(b)) for a, b in zip(x, y, strict=True)]
    if verb == "distance":
        found = exact(space.dist(x, y))
    else:
        ways = getattr(space, judged.log)(x, y)
        found = [judged.coordinates.size(exact(a), exact(v)) for a, v in zip(x, ways, strict=True)]
    errors = [abs(a - b) / b if mp.isfinite(a) else mp.inf for a, b in zip(found, truth, strict=True) if b > 0]
    return f"{float(max(errors)):.0e}" if errors else "same"


def _selves(groups: Sequence[tuple[str, Sequence[float], float, list[Judged]]], pairs: int) -> str:
    rows = [("space", "library", "float32", "float64")]
    for name, radii, _, judged in groups:
        for one in judged:
            cells = []
            for dtype in DTYPES:
                points = torch.cat([_stored(one.coordinates, radius, 1.0, pairs, dtype)[0] for radius in radii])
                x = points[torch.tensor([one.coordinates.holds(x) for x in points])]
                cells.append(f"{float(one.space(dtype).dist(x, x.clone()).max()):.1e}")
            rows.append((name, one.library, *cells))
    return aligned(rows)


def _stored(coordinates: Coordinates, radius: float, distance: float, pairs: int, dtype: torch.dtype) -> tuple[Tensor, Tensor]:
    """Pairs of points of about this distance, the first about so far from the origin, in random directions."""
    generator = torch.Generator().manual_seed(0)
    space = ConstantCurvature(2, float(coordinates.sign))
    z, v = (torch.randn(pairs, 2, generator=generator, dtype=torch.float64) for _ in range(2))
    z = radius * z / z.norm(dim=-1, keepdim=True)
    ends = z, space.exp(z, distance * v / space.norm(z, v)[:, None])
    x, y = ([[float(a) for a in coordinates.store(exact(one))] for one in rows] for rows in ends)
    return torch.tensor(x, dtype=torch.float64).to(dtype), torch.tensor(y, dtype=torch.float64).to(dtype)


def exact(x: Tensor) -> list[Any]:
    """The numbers of a tensor `(n,)`, exactly."""
    return [mpf(value) for value in x.double().tolist()]


def normal(sign: int) -> Coordinates:
    """Normal coordinates at the origin."""

    def sine(r: Any) -> Any:
        return mp.sinh(r) if sign < 0 else mp.sin(r)

    def lift(z: Point) -> Point:
        r = mp.norm(z)
        return [mp.cosh(r) if sign < 0 else mp.cos(r), *(_quotient(sine(r), r) * a for a in z)]

    def size(z: Point, v: Point) -> Any:
        r = mp.norm(z)
        radial = sum(a * b for a, b in zip(z, v, strict=True)) / r if r else mpf(0)
        across = sum(b * b for b in v) - radial**2
        return mp.sqrt(radial**2 + _quotient(sine(r), r) ** 2 * across)

    return Coordinates(sign, list, lift, size)


def _quotient(a: Any, b: Any) -> Any:
    return a / b if b else mpf(1)


def _dot(x: Point, sign: int) -> Any:
    return sum(a * a for a in x[1:]) + (sign or 1) * x[0] * x[0]


def _scaled(function: Callable[[Any], Any], z: Point) -> Point:
    r = mp.norm(z)
    return [function(r) / r * a for a in z] if r else list(z)


def _unit(x: Point) -> Point:
    return [a / mp.norm(x) for a in x]


def _tangent(x: Point, v: Point) -> Any:
    along = sum(a * b for a, b in zip(_unit(x), v, strict=True))
    return mp.sqrt(sum(b * b for b in v) - along**2)


def _square(x: Point) -> Any:
    return sum(a * a for a in x)


FLAT = Coordinates(0, list, list, lambda x, v: mp.norm(v))
UNIT = Coordinates(1, lambda z: normal(1).lift(z), _unit, _tangent)
SHEET = Coordinates(
    -1,
    lambda z: normal(-1).lift(z),
    lambda x: [mp.sqrt(1 + _square(x[1:])), *x[1:]],
    lambda x, v: mp.sqrt(max(_dot(v, -1), mpf(0))),
)
BALL = Coordinates(
    -1,
    lambda z: _scaled(lambda r: mp.tanh(r / 2), z),
    lambda x: [(1 + _square(x)) / (1 - _square(x)), *(2 * a / (1 - _square(x)) for a in x)],
    lambda x, v: 2 * mp.norm(v) / (1 - _square(x)),
    bounded=True,
)
STEREOGRAPHIC = Coordinates(
    1,
    lambda z: _scaled(lambda r: mp.tan(r / 2), z),
    lambda x: [(1 - _square(x)) / (1 + _square(x)), *(2 * a / (1 + _square(x)) for a in x)],
    lambda x, v: 2 * mp.norm(v) / (1 + _square(x)),
)
