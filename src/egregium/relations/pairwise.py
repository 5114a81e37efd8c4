"""Distances between all pairs of many points: as a matrix, or on demand over a neighbour graph."""

import sys
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, overload

import torch
from torch import Tensor

from egregium.errors import NotConvergedError
from egregium.geodesics.connect import connect, require_converged
from egregium.geodesics.geodesic import PER_ROW, Geodesic, shorter
from egregium.geodesics.options import require_immersed, require_on_fail
from egregium.geodesics.support import SupportGraph, along
from egregium.protocols import ClosedForm, Space
from egregium.relations.clouds import cloud
from egregium.relations.verbs import where_ok
from egregium.status import Status, describe

PAIRS = 4096
SEGMENTS = 64


@overload
def pairwise(space: Space, points: Tensor, *, on_fail: str = "raise", progress: bool = False, **options: Any) -> Tensor: ...
@overload
def pairwise(
    space: Space, points: SupportGraph, *, on_fail: str = "raise", progress: bool = False, **options: Any
) -> "Pairwise": ...
def pairwise(
    space: Space, points: Tensor | SupportGraph, *, on_fail: str = "raise", progress: bool = False, **options: Any
) -> "Tensor | Pairwise":
    r"""Geodesic distances between all pairs of points: of points the matrix `(N, N)`, of a graph over them a `Pairwise`.

    For some hundred points `eg.pairwise(space, z)` joins every pair by `connect`: symmetric, zero on the diagonal, invariant
    under isometries, detached. For many, `eg.pairwise(space, eg.neighbors(space, z, k=15))` computes nothing yet: ask it for
    rows of upper bounds along the graph, and to `refine` the pairs that matter.

    Args:
        points: `(N, d)`, or a `SupportGraph`.
        on_fail: "raise" `NotConvergedError`, whose `.result` is the matrix, or "mark" failed pairs by NaN in it.
        progress: print how many pairs are done, to standard error.
        options: further keywords of `connect`.

    Cost: `N (N - 1) / 2` times that of `connect` for a matrix, none for a graph.

    Raises: what `connect` raises; `ShapeError`.

    >>> from egregium.spaces import Euclidean
    >>> pairwise(Euclidean(1), torch.tensor([[0.0], [1.0], [3.0]])).tolist()
    [[0.0, 1.0, 3.0], [1.0, 0.0, 2.0], [3.0, 2.0, 0.0]]
    """
    require_on_fail(on_fail)
    if isinstance(points, SupportGraph):
        return Pairwise(space, points, {**options, "on_fail": on_fail, "progress": progress})
    points = cloud(space, points).detach()
    n = len(points)
    matrix, codes = points.new_zeros(n, n), torch.zeros(n * (n - 1) // 2, dtype=torch.int8, device=points.device)
    first, second = torch.triu_indices(n, n, 1, device=points.device)
    for start in range(0, len(first), PAIRS):
        i, j = first[start : start + PAIRS], second[start : start + PAIRS]
        g = connect(space, points[i], points[j], on_fail="mark", **options)
        matrix[i, j] = matrix[j, i] = where_ok(g.ok, g.length)
        codes[start : start + PAIRS] = g.status
        if progress:
            print(f"pairwise: {start + len(i)} of {len(first)} pairs", file=sys.stderr, flush=True)
    if on_fail == "raise" and bool((codes != Status.CONVERGED).any()):
        raise NotConvergedError(
            f"{int((codes != Status.CONVERGED).sum())} of {len(codes)} pairs did not converge: {describe(codes)}. "
            'Use on_fail="mark" for NaN in their place, or change rtol, max_steps or support.',
            matrix,
        )
    return matrix


@dataclass(frozen=True, repr=False)
class Pairwise:
    """Distances between the N points of a neighbour graph, on demand: bounds along the graph, and geodesics for chosen pairs.

    Nothing here is ever `(N, N)` unless it is asked for. `options` are keywords of `connect`.
    """

    space: Space
    graph: SupportGraph
    options: Mapping[str, Any] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.graph.points)

    def __repr__(self) -> str:
        return f"Pairwise(of {self.graph!r})"

    def upper(self, sources: Tensor) -> Tensor:
        """Lengths of shortest paths from the points `sources` `(S,)` to every point, `(S, N)`, see `SupportGraph.distances`.

        Upper bounds of the distance where the edges are lengths of geodesics. With more points at a fixed number of neighbours
        they do not converge to it.
        """
        return self.graph.distances(sources)

    def refine(self, i: Tensor, j: Tensor) -> Geodesic:
        """Geodesics between the points `i` and `j` `(P,)`, none of them longer than the path along the graph, to `rtol`.

        `connect` with the graph as support; where its curve is longer than the path, which proves that there is a shorter
        one, again from that path. `second_best` and `upper / lower` tell what else there may be. Cost, errors: as `connect`.
        """
        options = {"support": self.graph, **self.options, "on_fail": "mark"}
        bound = self.graph.between(i, j)
        (points,) = self.space.prepare(self.graph.points.detach())
        g = connect(self.space, points[i], points[j], **options)
        short = g.ok & (g.length <= (1 + options.get("rtol", 1e-3)) * bound)
        rows = (torch.isfinite(bound) & ~short).nonzero().flatten()
        if len(rows) and not isinstance(self.space, ClosedForm):
            i, j = i[rows], j[rows]
            with torch.no_grad():
                starts = along(require_immersed(self.space), points, self.graph.paths(i, j), SEGMENTS)
            g = _shorter(g, rows, connect(self.space, points[i], points[j], **{**options, "starts": starts}))
        if self.options.get("on_fail", "raise") == "raise":
            require_converged(g)
        return g


def _shorter(g: Geodesic, rows: Tensor, other: Geodesic) -> Geodesic:
    """`g` with the geodesics `other` in those of the `rows` where they are shorter, or where `g` failed."""
    best = shorter(g[rows], other)
    fields = {name: getattr(g, name).index_copy(0, rows, getattr(best, name)) for name in PER_ROW}
    return replace(g, **fields, curve=g.curve.updated(rows, best.curve))
