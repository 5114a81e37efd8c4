"""Which minimum, on a tabulated metric: from the latent line, from given curves, and from routes over a lattice."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
import torch.nn.functional as F
from torch import Tensor

from egregium.geodesics.certificate import steepest_descent
from egregium.geodesics.lattice import Lattice
from egregium.geodesics.metric_energy import Relaxed, quadratic, relax
from egregium.geodesics.metric_table import MetricTable, full
from egregium.geodesics.starts import given
from egregium.numerics import splines
from egregium.numerics.cubature import gauss_legendre
from egregium.numerics.rows import Rows

COARSE, FINE = 16, 64
HALVES = 2  # of a segment: pieces whose lengths tell how fast a start runs
UNRESOLVED = 0.02  # of the length: a polygon that is shorter by more than that is too coarse to tell minima apart
CELLS = 0.75  # of a lattice between the ends, for each segment
ROUTES = 4
CLOSED = 1.005  # times the lower bound: no curve is shorter by more
DISTINCT = 1.6  # mean segments: what a route over the lattice strays by is less
LONGER = 1.2  # times the curve found: a lattice route that is longer hides no shorter curve
SAME = 0.02
PUSH = 0.3
TOGETHER = 512  # pairs on a coarse lattice at once: more leave the cache


@dataclass(frozen=True)
class Curves(Rows):
    """Polygons of K curves with the `length` `(K,)` of the splines through them, infinite where they are not critical."""

    found: Relaxed
    length: Tensor
    second_best: Tensor

    @property
    def unresolved(self) -> Tensor:
        """Whether the polygons are too coarse to tell minima apart, `(K,)`."""
        return ~(self.length <= (1 + UNRESOLVED) * self.found.energy.sqrt())

    def improved(self, rows: Tensor, other: "Curves", apart: Tensor) -> "Curves":
        """With `other` for `rows` where shorter; the longer of two minima that are `apart` is the second best."""
        mine, theirs = self.length[rows], other.length
        wins = theirs < mine
        loser = torch.where(apart & torch.isfinite(mine) & torch.isfinite(theirs), torch.maximum(mine, theirs), torch.nan)
        steps = self.found.steps.index_add(0, rows, other.found.steps)
        return Curves(
            replace(self.found.updated(rows[wins], other.found[wins]), steps=steps),
            self.length.index_copy(0, rows[wins], theirs[wins]),
            self.second_best.index_copy(0, rows, torch.fmin(self.second_best[rows], loser)),
        )


@dataclass(frozen=True)
class Pairs(Rows):
    """Pairs z0, z1 `(P, d)` on a table, whose squares suit curves of so large an `extent` `(P,)`, and how many `segments` the
    polygons have by which minima are looked for."""

    table: MetricTable
    z0: Tensor
    z1: Tensor
    extent: Tensor
    tolerance: float
    segments: int = COARSE

    @property
    def straight(self) -> Tensor:
        """The latent lines `(P, segments + 1, d)`."""
        t = torch.linspace(0, 1, self.segments + 1, dtype=self.z0.dtype, device=self.z0.device)
        return torch.lerp(self.z0[:, None], self.z1[:, None], t[None, :, None])

    def even(self, nodes: Tensor) -> Tensor:
        """Polygons `(P, T + 1, d)` resampled to pieces of equal length, where the table knows them.

        How fast a start runs through its curve is no information, and takes Newton's method as many steps as its shape.
        """
        segments = HALVES * (nodes.shape[1] - 1)
        uniform = torch.linspace(0, 1, nodes.shape[1], dtype=nodes.dtype, device=nodes.device).expand(len(nodes), -1)
        fine = splines.resampled(nodes, uniform, segments)
        pieces = self.speed(0.5 * (fine[:, 1:] + fine[:, :-1]), fine.diff(dim=1))
        return splines.resampled(fine, splines.shares(pieces).to(nodes), nodes.shape[1] - 1)

    def minima(self, nodes: Tensor, known: Tensor | None = None) -> Curves:
        """Minima near polygons `(P, T + 1, d)` but those `known`; saddles are left along their steepest descent, both ways."""
        found = relax(self.table, nodes, self.extent, self.tolerance, known)
        rows = (found.ok & ~found.minimum).nonzero().flatten()
        if len(rows):
            found = self[rows]._left(found, rows)
        length = torch.where(found.settled, self.pieces(found.nodes).sum(-1), torch.inf)
        return Curves(found, length, torch.full_like(length, torch.nan))

    def _left(self, found: Relaxed, rows: Tensor) -> Relaxed:
        about, here = quadratic(self.table, found.nodes[rows], self.extent), found.nodes[rows]
        push = F.pad(PUSH * steepest_descent(about.metric, about.hessian, about.energy), (0, 0, 1, 1))
        tried = relax(self.table, torch.cat([here + push, here - push]), self.extent.repeat(2), self.tolerance)
        first, second = tried[: len(rows)], tried[len(rows) :]
        better = second.settled & (~first.settled | (second.energy < first.energy))
        best = second.where(better, first)
        lower = best.ok & (best.energy < about.energy)
        steps = found.steps.index_add(0, rows, first.steps + second.steps)
        return replace(found.updated(rows[lower], best[lower]), steps=steps)

    def pieces(self, nodes: Tensor) -> Tensor:
        """Lengths `(P, T)` of the pieces of the splines through `nodes`; NaN off the table."""
        times, weights = gauss_legendre(2, nodes.double())
        speeds = [self.speed(*splines.between(nodes, t)) for t in times.tolist()]
        return torch.stack(speeds, -1) @ weights / (nodes.shape[1] - 1)

    def speed(self, z: Tensor, velocity: Tensor) -> Tensor:
        """Norms `(P, n)` of vectors at points, both `(P, n, d)`, in float64."""
        (g11, g12, g22), (x, y) = self._components(z).double().unbind(-1), velocity.double().unbind(-1)
        return (g11 * x * x + 2 * g12 * x * y + g22 * y * y).clamp_min(0).sqrt()

    def metric(self, z: Tensor) -> Tensor:
        """The metric `(P, n, d, d)` at points `(P, n, d)`; NaN off the table."""
        return full(self._components(z))

    def _components(self, z: Tensor) -> Tensor:
        """Its components `(P, n, 3)`."""
        n = z.shape[1]
        squares = self.table.locate(z.flatten(0, 1), self.extent.repeat_interleave(n))
        return self.table.components(squares, z.flatten(0, 1)).unflatten(0, (-1, n))

    def mean(self, nodes: Tensor) -> Tensor:
        """The metric's rough mean `(P, d, d)` over the nodes of polygons."""
        return full(self._components(nodes).nanmean(1))

    def routes(self, best: Curves) -> list[tuple[Tensor, Tensor]]:
        """Ways over a lattice that may lead to shorter curves than `best`: of some rows, polygons `(k, segments + 1, d)`."""
        mean = self.mean(self.straight)
        lattice = Lattice.about(self.table, self.z0, self.z1, mean, self.extent, round(CELLS * self.segments))
        found, left = [], torch.arange(len(self.z0), device=self.z0.device)
        for rank in range(ROUTES):
            path, walked = lattice.shortest()
            lengths = walked[:, -1]
            worth = (torch.isfinite(lengths) & (lengths < LONGER * best.length[left])).nonzero().flatten()
            left, path, lattice = left[worth], path[worth], lattice.of(worth)
            route = lattice.curves(path, walked[worth], self.segments)
            far = _apart(route, best.found.nodes[left], mean[left]) > DISTINCT / self.segments * best.length[left]
            far |= torch.isinf(best.length[left])
            found.append((left[far], route[far]))
            if rank < ROUTES - 1:
                lattice = lattice.avoiding(path)
        return found

    def over_the_lattice(self, best: Curves, some: Tensor) -> Curves:
        """`best` after the routes of `some` pairs have been followed too."""
        found = []
        for rows in some.split(TOGETHER * COARSE**2 // self.segments**2):
            found.append([(rows[which], route) for which, route in self[rows].routes(best[rows])])
        ranks = [[torch.cat(parts) for parts in zip(*one, strict=True)] for one in zip(*found, strict=True)]
        return self.tried(best, [rows for rows, _ in ranks], [routes for _, routes in ranks])

    def tried(self, best: Curves, rows: Sequence[Tensor], starts: Sequence[Tensor]) -> Curves:
        """`best` with the minima near each of the `starts` `(k, segments + 1, d)` taken for its pairs `rows` where shorter."""
        whole = torch.cat(list(rows)) if rows else torch.empty(0, dtype=torch.long, device=self.z0.device)
        if not len(whole):
            return best
        some = self[whole]
        known = torch.where(best.found.settled[:, None, None], best.found.nodes, torch.nan)
        found = some.minima(torch.cat(list(starts)), known[whole])
        mean = some.mean(found.found.nodes)
        begin = 0
        for which in rows:
            part = torch.arange(begin, begin + len(which), device=which.device)
            other, begin = found[part], begin + len(which)
            apart = _apart(other.found.nodes, best.found.nodes[which], mean[part]) > SAME * other.length
            best = best.improved(which, other, apart)
        return best


def searched(pairs: Pairs, least: Tensor, starts: Sequence[Tensor]) -> list[tuple[Tensor, Curves]]:
    """The best minima from the latent line, from further `starts` and, where the lower bound leaves room, over the lattice.

    In parts, each of some rows of the pairs: those whose polygons prove too coarse, or find no minimum, are searched again with
    twice the segments, from what was found too; second best lengths of coarse polygons are not trusted.
    """
    best = pairs.minima(pairs.even(pairs.straight))
    for start in starts:
        curves = pairs.even(given(start, pairs.segments))
        best = pairs.tried(best, [torch.arange(len(start), device=start.device)], [curves])
    rows = (best.length > CLOSED * least).nonzero().flatten()
    if len(rows):
        best = pairs.over_the_lattice(best, rows)
    unresolved = best.unresolved & (pairs.segments < FINE)
    rows, again = (~unresolved).nonzero().flatten(), unresolved.nonzero().flatten()
    parts = [(rows, best[rows])] if len(rows) else []
    if len(again):
        finer, found = replace(pairs[again], segments=2 * pairs.segments), splines.doubled(best.found.nodes[again])
        for rows, curves in searched(finer, least[again], [*(start[again] for start in starts), found]):
            steps = curves.found.steps + best.found.steps[again[rows]]
            parts.append((again[rows], replace(curves, found=replace(curves.found, steps=steps))))
    return parts


def _apart(a: Tensor, b: Tensor, metric: Tensor) -> Tensor:
    """Largest distance `(P,)` of equally many nodes of two curves, in one metric `(P, d, d)` a pair."""
    gap = a - b
    return torch.einsum("pna,pab,pnb->pn", gap, metric, gap).clamp_min(0).sqrt().amax(-1).double()
