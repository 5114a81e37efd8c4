"""Explicit spaces: time and accuracy of distances, exponentials and logarithms, beside geoopt's.

    python benchmarks/spaces.py                       both comparisons
    python benchmarks/spaces.py --no-accuracy         times alone
    python benchmarks/spaces.py --no-speed            accuracy alone
    python benchmarks/spaces.py --quick               a smoke run: few points

Times are of a million pairs on one thread, each library on points in its own coordinates, converted before; both in turn,
medians of the repetitions, in time of the processor. A ratio above 1 says that this library is faster; it is the median
ratio of a repetition. Errors are those of `dimensions.py` and `exactness.py`.
"""

import argparse
import statistics
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from itertools import product
from typing import Any

import torch
from dimensions import by_dimension
from exactness import accuracies
from measuring import aligned, clock
from torch import Tensor

from egregium.spaces import ConstantCurvature, Euclidean, Explicit, Hyperbolic, Product, Scaled, Sphere

VERBS = {"dist": "dist", "exp": "expmap", "log": "logmap"}  # ours and geoopt's
DTYPES = (torch.float32, torch.float64)


@dataclass(frozen=True)
class Match:
    """A space in both libraries: `points` are two batches of points and one of tangent vectors at the first, in float64."""

    name: str
    space: Explicit
    points: Sequence[Tensor]
    peer: Any
    peer_points: Sequence[Tensor]


def main(arguments: Sequence[str] | None = None) -> None:
    options = _options(arguments)
    torch.set_num_threads(1)
    peers = has_geoopt() and not options.quick
    if options.speed:
        print(f"\n## Milliseconds of {options.points:,} pairs\n")
        print(speed(options.points, options.repeats, options.dims) if peers else alone(options.points, options.dims))
    if options.accuracy:
        pairs = 1 if options.quick else 10
        for title, table in (by_dimension(peers, pairs), *accuracies(peers, pairs)):
            print(f"\n## {title}\n\n{table}", flush=True)
    if not has_geoopt():
        print("geoopt is not installed, so it was left out: make bench installs it.", file=sys.stderr)


def _options(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--points", type=int, default=1_000_000, help="pairs of points (default: 1000000)")
    parser.add_argument("--dims", type=int, nargs="+", default=[2, 10], help="dimensions (default: 2 10)")
    parser.add_argument("--repeats", type=int, default=7, help="repetitions in turn (default: 7)")
    parser.add_argument("--no-speed", dest="speed", action="store_false", help="leave times out")
    parser.add_argument("--no-accuracy", dest="accuracy", action="store_false", help="leave accuracy out")
    parser.add_argument("--device", default="cpu", choices=["cpu", "cuda"], help="for `make bench`: times are the CPU's always")
    parser.add_argument("--quick", action="store_true", help="a smoke run: few points, no peer")
    options = parser.parse_args(arguments)
    if options.quick:
        options.points, options.dims, options.repeats = 100, [2], 1
    return options


def has_geoopt() -> bool:
    """Whether the peer is installed."""
    return find_spec("geoopt") is not None


def speed(number: int, repeats: int, dims: Sequence[int]) -> str:
    """A line for each match, dimension and dtype: milliseconds of both libraries, and how many times faster this one is."""
    rows = [("space", "n", "dtype", *(f"{verb}, ms: ours, geoopt, ratio" for verb in VERBS))]
    for n, dtype in product(dims, DTYPES):
        for match in matches(n, number):
            print(f"{match.name}, n = {n}, {dtype}", file=sys.stderr, flush=True)
            rows.append((match.name, str(n), str(dtype)[6:], *(_raced(match, verb, dtype, repeats) for verb in VERBS)))
    return aligned(rows)


def _raced(match: Match, verb: str, dtype: torch.dtype, repeats: int) -> str:
    ours, theirs = getattr(match.space, verb), getattr(match.peer.to(dtype), VERBS[verb])
    second = 2 if verb == "exp" else 1
    points, peer_points = ([some[k].to(dtype) for k in (0, second)] for some in (match.points, match.peer_points))
    times = [(_milliseconds(ours, points), _milliseconds(theirs, peer_points)) for _ in range(repeats + 1)][1:]
    medians = [f"{statistics.median(column):.1f}" for column in zip(*times, strict=True)]
    return f"{', '.join(medians)}, **{statistics.median(b / a for a, b in times):.2f}**"


def _milliseconds(verb: Any, points: Sequence[Tensor]) -> float:
    start = clock(torch.device("cpu"))
    with torch.no_grad():
        verb(*points)
    return 1e3 * (clock(torch.device("cpu")) - start)


def alone(number: int, dims: Sequence[int]) -> str:
    """Milliseconds of this library, without its peer."""
    rows = [("space", *VERBS)]
    for space in (kind(n) for n in dims for kind in (Euclidean, Sphere, Hyperbolic, ConstantCurvature)):
        x, y = space.random(number), space.random(number)
        v = space.log(x, y)
        times = (_milliseconds(getattr(space, verb), (x, v if verb == "exp" else y)) for verb in VERBS)
        rows.append((repr(space), *(f"{time:.1f}" for time in times)))
    return aligned(rows)


def matches(n: int, number: int) -> Iterator[Match]:
    """The spaces that both libraries have, of dimension n (products: of n in each factor)."""
    import geoopt

    generator = torch.Generator().manual_seed(n)
    options: dict[str, Any] = {"generator": generator, "dtype": torch.float64}
    flat, sphere, hyperbolic = Euclidean(n), Sphere(n), Hyperbolic(n)
    z = [flat.random(number, scale=0.5, **options) for _ in range(3)]
    yield Match("Euclidean", flat, z, geoopt.Euclidean(ndim=1), z)
    x = [sphere.random(number, **options) for _ in range(2)]
    x.append(sphere.tangent(x[0], torch.randn(x[0].shape, **options)))
    yield Match("Sphere", sphere, x, geoopt.Sphere(), x)
    yield Match("Scaled sphere", Scaled(sphere, 2.0), x, geoopt.Scaled(geoopt.Sphere(), 2.0), x)
    lorentz, ball = geoopt.Lorentz().double(), geoopt.PoincareBall().double()
    on_sheet = _converted(hyperbolic, z, lorentz, hyperbolic.to_lorentz)
    yield Match("Hyperbolic, Lorentz", hyperbolic, z, lorentz, on_sheet)
    yield Match("Hyperbolic, Poincare ball", hyperbolic, z, ball, _converted(hyperbolic, z, ball, hyperbolic.to_poincare))
    three = geoopt.ProductManifold((geoopt.Sphere(), n + 1), (geoopt.Lorentz(), n + 1), (geoopt.Euclidean(ndim=1), n))
    factors = [torch.cat(parts, -1) for parts in zip(x, z, z, strict=True)]
    peer_factors = [torch.cat(parts, -1) for parts in zip(x, on_sheet, z, strict=True)]
    yield Match("Sphere x Hyperbolic (Lorentz) x Euclidean", Product(sphere, hyperbolic, flat), factors, three, peer_factors)
    curved, projection = ConstantCurvature(n, 1.0), geoopt.SphereProjection().double()
    z = [0.5 * one for one in z]
    yield Match("Curvature 1, stereographic", curved, z, projection, _converted(curved, z, projection, _stereographic))


def _converted(space: Explicit, z: Sequence[Tensor], peer: Any, convert: Any) -> list[Tensor]:
    """Points in the peer's coordinates, and its tangent vectors to where ours lead."""
    start, end, ahead = (convert(one) for one in (z[0], z[1], space.exp(z[0], z[2])))
    return [start, end, peer.logmap(start, ahead)]


def _stereographic(z: Tensor) -> Tensor:
    r = torch.linalg.vector_norm(z, dim=-1, keepdim=True)
    return torch.tan(0.5 * r) / r * z


if __name__ == "__main__":
    main()
