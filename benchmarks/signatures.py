"""How often `eg.signature` names the geometry that noisy distances came from, among its default candidates.

    python benchmarks/signatures.py                                  10 instances of each family
    python benchmarks/signatures.py --families "S^2" "tree of 31"    some of them
    python benchmarks/signatures.py --quick                          a smoke run: one small instance of two families

Distances of random points of a space, of a graph, or of a 6 x 6 grid in the plane, each times a log-normal factor. An instance
is written to the file (`--out`) when it is done, and left out when the file has it: a stopped run goes on.
A tree is named right by a hyperbolic space of any dimension, everything else by its own space alone.
"""

import argparse
import statistics
import sys
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from measuring import aligned
from rows import Row, finished, keep
from scipy.sparse.csgraph import shortest_path
from torch import Tensor

from egregium.relations import Signature, signature
from egregium.relations.signature import CANDIDATES
from egregium.spaces import Euclidean, Explicit, Hyperbolic, Product, Sphere, Torus

COLUMNS = ("family", "instance", "points", "noise", "right", "named", "best", "held_out", "second", "gap", "error", "seconds")


@dataclass(frozen=True)
class Family:
    """`distances` of an instance from a generator, and the candidates of which one is to be named."""

    name: str
    distances: Callable[[torch.Generator], Tensor]
    right: tuple[Explicit, ...]


def main(arguments: Sequence[str] | None = None) -> None:
    options = _options(arguments)
    torch.set_num_threads(1)
    chosen = [family for family in families(options.points) if not options.families or family.name in options.families]
    if options.quick:
        chosen = [family for family in families(12) if family.name in ("E^2", "cycle")]
    done = {(row["family"], int(row["instance"])) for row in finished(options.out)}
    for instance in range(options.instances):
        for family in chosen:
            if (family.name, instance) not in done:
                print(f"{family.name}, instance {instance}", file=sys.stderr, flush=True)
                keep(options.out, measured(family, instance, options.noise, options.candidates))
    print(table(finished(options.out)))


def _options(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--instances", type=int, default=10, help="of each family (default: 10)")
    parser.add_argument("--points", type=int, default=40, help="of a space (default: 40)")
    parser.add_argument("--noise", type=float, default=0.03, help="standard deviation of log-distances (default: 0.03)")
    parser.add_argument("--families", nargs="+", help="some only")
    parser.add_argument("--out", type=Path, default=Path("signatures.csv"), help="results (default: signatures.csv)")
    parser.add_argument(
        "--quick", action="store_true", help="a smoke run: one instance of 12 points of two families, four candidates"
    )
    options = parser.parse_args(arguments)
    options.candidates = CANDIDATES[:4] if options.quick else CANDIDATES
    options.instances = 1 if options.quick else options.instances
    return options


def families(points: int) -> list[Family]:
    """Those of the table, in its order."""
    circle, line = Sphere(1), torch.arange(points, dtype=torch.float64)
    product = Product(circle, Hyperbolic(2))
    spaces = {"S^2": Sphere(2), "H^2": Hyperbolic(2), "E^2": Euclidean(2), "T^2": Torus(2), "S^1 x H^2": product}
    apart = (line - line[:, None]).abs()
    grid = torch.cartesian_prod(torch.arange(6.0), torch.arange(6.0)).double()
    trees = [Family(f"tree of {n}", lambda _, n=n: tree(n), (Hyperbolic(2), Hyperbolic(3))) for n in (31, 63)]
    return [
        *(Family(name, lambda g, space=space: drawn(space, points, g), (space,)) for name, space in spaces.items()),
        *trees,
        Family("cycle", lambda _: torch.minimum(apart, points - apart), (circle,)),
        Family("grid", lambda _: torch.cdist(grid, grid, compute_mode="donot_use_mm_for_euclid_dist"), (Euclidean(2),)),
    ]  # fmt: skip


def drawn(space: Explicit, n: int, generator: torch.Generator) -> Tensor:
    """Distances of random points: uniform on closed factors, normal about an origin on others."""
    z = space.random(n, generator=generator, dtype=torch.float64)
    return space.dist(z[:, None].expand(-1, n, -1), z.expand(n, n, -1))


def tree(n: int) -> Tensor:
    """Edges between the nodes of a balanced binary tree."""
    child = torch.arange(1, n)
    edges = torch.zeros(n, n, dtype=torch.float64)
    edges[child, (child - 1) // 2] = 1
    return torch.from_numpy(shortest_path(edges.numpy(), directed=False))


def noisy(distances: Tensor, size: float, generator: torch.Generator) -> Tensor:
    """Times log-normal factors, the same both ways."""
    factors = (size * torch.randn(distances.shape, generator=generator, dtype=distances.dtype)).triu(1).exp()
    return distances * factors * factors.T


def measured(family: Family, instance: int, noise: float, candidates: Sequence[Explicit]) -> dict[str, str]:
    """A row of the file."""
    generator = torch.Generator().manual_seed(instance)
    distances = noisy(family.distances(generator), noise, generator)
    start = time.perf_counter()
    found = signature(distances, candidates)
    seconds = time.perf_counter() - start
    values = (
        family.name, instance, len(distances), noise, _named(found, family.right), repr(found.space), repr(found.candidates[0]),
        f"{float(found.held_out[0].mean()):.4f}", repr(found.candidates[1]), f"{float(found.gap[1]):.4f}",
        f"{float(found.error[1]):.4f}", f"{seconds:.1f}",
    )  # fmt: skip
    return dict(zip(COLUMNS, map(str, values), strict=True))


def _named(found: Signature, right: Sequence[Explicit]) -> bool:
    return repr(found.space) in map(repr, right)


def table(results: Sequence[Row]) -> str:
    """A line for each family: how often it was named right, and what else was named."""
    rows = [("family", "points", "right", "held-out distortion", "named else", "seconds each")]
    for name in dict.fromkeys(row["family"] for row in results):
        of = [row for row in results if row["family"] == name]
        right = sum(row["right"] == "True" for row in of)
        other = Counter(row["named"] for row in of if row["right"] != "True")
        error, seconds = (statistics.median(float(row[column]) for row in of) for column in ("held_out", "seconds"))
        misses = ", ".join(f"{space}: {times}" for space, times in other.items())
        rows.append((name, of[0]["points"], f"{right} of {len(of)}", f"{error:.3f}", misses or "-", f"{seconds:.0f}"))
    return aligned(rows)


if __name__ == "__main__":
    main()
