r"""Placing points in a product of explicit spaces, from many starts at once, so that their distances meet tables of them.

With factors f of scale `s_f`, the distance of two points is `d = sqrt(sum_f (s_f d_f)^2)`. What is minimised over points and
scales, `sum_ij w_ij (d_ij / D_ij - 1)^2`, is a sum of squares of which each sees two points and the scales alone, so that the
matrix of its Gauss-Newton step is put together by blocks. All rows of a batch take a step at once, each with its own damping
(Levenberg and Marquardt): a start costs milliseconds, where a quasi-Newton descent of its own took a second.
"""

import math
from dataclasses import dataclass, fields, replace
from typing import Any, TypeVar

import torch
from torch import Tensor

from egregium.spaces import Explicit

PIECE = 1 << 23  # numbers of the matrices that are solved at a time
BOUND = math.log(50.0)  # of radii of curvature, to both sides of the largest distance: then a factor is flat, or a tree
FARTHEST = 0.5  # of the largest distance: as far as a point moves in a step
DAMPING = 1e-2  # at the start
LEAST, MOST = 1e-9, 1e9  # damping, below which nothing changes, and above which no step lowers the loss
SPOTS = 200  # places where points may be put
CALM = 3  # steps of little gain in a row after which a descent is at rest
TINY = 1e-12  # distance in units of the table, below which a pair has no direction
EXACT = 0.01  # of rtol: root mean square of relative errors that is none

Rows = TypeVar("Rows", "Tables", "Places")


def rows(batch: Rows, chosen: Tensor) -> Rows:
    """Some rows of a batch."""
    return type(batch)(*(_chosen(getattr(batch, field.name), chosen) for field in fields(batch)))


def _chosen(value: Any, chosen: Tensor) -> Any:
    return value[chosen] if isinstance(value, Tensor) else value


@dataclass(frozen=True)
class Factors:
    """The space, its factors, which of them may be scaled, and the pairs of points."""

    space: Explicit
    each: tuple[Explicit, ...]
    radii: Tensor  # (F,), of curvature
    free: Tensor  # (F,)
    first: Tensor  # (P,)
    second: Tensor  # (P,)

    def distances(self, z0: Tensor, z1: Tensor, scales: Tensor) -> Tensor:
        """Distances in each factor `(B, P, F)`, scaled by the exponentials of `scales` `(B, F)`."""
        widths = [factor.width for factor in self.each]
        parts = zip(self.each, z0.split(widths, -1), z1.split(widths, -1), strict=True)
        return torch.stack([factor.dist(a, b) for factor, a, b in parts], -1) * scales.exp()[:, None]

    def stretched(self, scales: Tensor) -> Tensor:
        """How long the vectors of a frame are, `(B, 1, dim)`."""
        return torch.cat([scales[:, k].exp().expand(f.dim, 1, -1) for k, f in enumerate(self.each)]).permute(2, 1, 0)

    def step(self, points: Tensor, way: Tensor) -> Tensor:
        """Points `(B, N, width)` moved by `way` `(B, N, dim)` in their frames, straight in coordinates.

        In normal coordinates of a hyperbolic space far branches turn about the origin on straight lines, but not on geodesics.
        """
        return self.space.project(points + (self.space.frame(points) @ way[..., None])[..., 0])


@dataclass(frozen=True)
class Tables:
    """Lengths and weights `(B, P)` of the pairs, and the largest distance `reach` `(B,)`; weights add to one, 0 if unknown."""

    factors: Factors
    lengths: Tensor
    weights: Tensor
    reach: Tensor

    def loss(self, points: Tensor, scales: Tensor) -> Tensor:
        """Mean square of the relative errors, `(B,)`."""
        of = self.factors
        found = of.distances(points[:, of.first], points[:, of.second], scales).norm(dim=-1)
        return (self.weights * (found / self.lengths - 1) ** 2).sum(1)

    def normal_equations(self, points: Tensor, scales: Tensor) -> tuple[Tensor, Tensor]:
        """Matrix `(B, K, K)` and gradient `(B, K)` of a Gauss-Newton step, K = N dim + F: points in frames, then scales."""
        (b, n, _), dim, here = points.shape, self.factors.space.dim, torch.arange(points.shape[1])
        of_points, of_scales, miss = self._linearised(points, scales)
        blocks = of_points[..., :, None] * of_points.transpose(1, 2)[..., None, :]  # b i j d e
        blocks[:, here, here] = torch.einsum("bijd,bije->bide", of_points, of_points)
        within = blocks.transpose(2, 3).reshape(b, n * dim, n * dim)
        across = torch.einsum("bijd,bijf->bidf", of_points, of_scales).reshape(b, n * dim, -1)
        beside = 0.5 * torch.einsum("bijf,bijg->bfg", of_scales, of_scales)  # pairs stand on both sides of the diagonal
        matrix = torch.cat([torch.cat([within, across], 2), torch.cat([across.mT, beside], 2)], 1)
        in_points = torch.einsum("bijd,bij->bid", of_points, miss).reshape(b, n * dim)
        return matrix, torch.cat([in_points, 0.5 * torch.einsum("bijf,bij->bf", of_scales, miss)], 1)

    def _linearised(self, points: Tensor, scales: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Slopes of the residual of pair ij in point i `(B, N, N, dim)` and in scales `(B, N, N, F)`, and it `(B, N, N)`."""
        of, n = self.factors, points.shape[1]
        ends = points[:, of.first].requires_grad_(), points[:, of.second].requires_grad_()
        with torch.enable_grad():
            parts = of.distances(*ends, scales)
            slopes = torch.autograd.grad(0.5 * parts.square().sum(), ends)  # of squares, which have one at 0
        parts, frame, root = parts.detach(), of.space.frame(points), self.weights.sqrt() / self.lengths
        apart = parts.norm(dim=-1)
        steep = (root / apart.clamp_min(TINY))[..., None]
        forth = steep * torch.einsum("bpw,bpwd->bpd", slopes[0], frame[:, of.first])
        back = steep * torch.einsum("bpw,bpwd->bpd", slopes[1], frame[:, of.second])
        by_scale, miss = steep * parts**2 * of.free, root * (apart - self.lengths)
        square = self.square(
            torch.cat([forth, by_scale, miss[..., None]], -1), torch.cat([back, by_scale, miss[..., None]], -1), n
        )
        of_points, of_scales, missed = square.split([of.space.dim, len(of.each), 1], -1)
        return of_points, of_scales, missed[..., 0]

    def between(self, z0: Tensor, z1: Tensor, scales: Tensor) -> Tensor:
        """Distances `(B, M, K)` of each of some points `(B, M, width)` from each of others `(B, K, width)`."""
        (b, m, width), k = z0.shape, z1.shape[1]
        z0, z1 = (z.expand(b, m, k, width).reshape(b, m * k, width) for z in (z0[:, :, None], z1[:, None]))
        return self.factors.distances(z0, z1, scales).norm(dim=-1).reshape(b, m, k)

    def square(self, forth: Tensor, back: Tensor, n: int) -> Tensor:
        """What belongs to the pairs `(B, P, k)` in a square `(B, N, N, k)`: `forth` above its diagonal, `back` below."""
        square = forth.new_zeros(len(forth), n, n, forth.shape[-1])
        square[:, self.factors.first, self.factors.second] = forth
        square[:, self.factors.second, self.factors.first] = back
        return square


@dataclass(frozen=True)
class Places:
    """B placements: the `table` of each, points `(B, N, width)` and logarithms of scales `(B, F)`, and how the descent goes."""

    table: Tensor
    points: Tensor
    scales: Tensor
    loss: Tensor
    damping: Tensor
    calm: Tensor
    steps: Tensor
    rests: Tensor

    @staticmethod
    def at(tables: Tables, table: Tensor, points: Tensor, scales: Tensor) -> "Places":
        """Where descents start."""
        loss, none = rows(tables, table).loss(points, scales), torch.zeros(len(table), dtype=torch.int64)
        return Places(table, points, scales, loss, torch.full_like(loss, DAMPING), none, none, none > 0)

    def best(self, kept: int) -> "Places":
        """The `kept` of least loss of each table; of each there are as many, in turn."""
        turns = self.loss.nan_to_num(torch.inf).reshape(-1, int(self.table.max()) + 1)
        least = turns.argsort(0)[:kept]
        return rows(self, (least * turns.shape[1] + torch.arange(turns.shape[1])).flatten())


def joined(first: Places, second: Places) -> Places:
    """One after the other."""
    return Places(*(torch.cat([getattr(first, field.name), getattr(second, field.name)]) for field in fields(Places)))


def descended(tables: Tables, places: Places, until: int, rtol: float) -> Places:
    """After that many steps, or at rest where the loss no longer falls by `rtol`, or is nothing."""
    size = max(1, PIECE // (places.points.shape[1] * tables.factors.space.dim) ** 2)
    while len(live := (~places.rests & (places.steps < until)).nonzero().flatten()):
        parts = [_stepped(rows(tables, places.table[some]), rows(places, some), rtol) for some in live.split(size)]
        changed = (torch.cat([getattr(part, field.name) for part in parts]) for field in fields(Places))
        old = (getattr(places, field.name) for field in fields(Places))
        places = Places(*(before.index_copy(0, live, after) for before, after in zip(old, changed, strict=True)))
    return places


def _stepped(tables: Tables, at: Places, rtol: float) -> Places:
    matrix, gradient = tables.normal_equations(at.points, at.scales)
    diagonal = matrix.diagonal(dim1=1, dim2=2)
    diagonal = diagonal + 1e-6 * diagonal.amax(1, keepdim=True)
    factor, failed = torch.linalg.cholesky_ex(matrix + torch.diag_embed(at.damping[:, None] * diagonal))
    step = -torch.cholesky_solve(gradient[..., None], factor)[..., 0]
    step = torch.where((failed == 0)[:, None], step, 0.0).nan_to_num()
    points, scales = _moved(tables, at, *step.split([step.shape[1] - at.scales.shape[1], at.scales.shape[1]], 1))
    loss = tables.loss(points, scales).nan_to_num(torch.inf)
    lower = loss < at.loss
    calm = torch.where(lower, torch.where(loss > (1 - rtol) * at.loss, at.calm + 1, 0), at.calm)
    damping = torch.where(lower, 0.3 * at.damping, 5 * at.damping).clamp_min(LEAST)
    points, scales = points.where(lower[:, None, None], at.points), scales.where(lower[:, None], at.scales)
    loss = loss.where(lower, at.loss)
    rests = (calm >= CALM) | (damping > MOST) | (loss <= (EXACT * rtol) ** 2)
    return Places(at.table, points, scales, loss, damping, calm, at.steps + 1, rests)


def _moved(tables: Tables, at: Places, ways: Tensor, stretch: Tensor) -> tuple[Tensor, Tensor]:
    """Points and scales after a step, neither beyond bounds."""
    of, reach = tables.factors, tables.reach[:, None]
    size = (reach / of.radii).log()
    scales = (at.scales + stretch).clamp(size - BOUND, size + BOUND)
    ways = ways.reshape(*at.points.shape[:2], -1)
    far = (ways * of.stretched(at.scales)).norm(dim=-1, keepdim=True) / (FARTHEST * reach[..., None])
    return of.step(at.points, ways / far.clamp_min(1.0)), torch.where(of.free, scales, at.scales)


def relocated(tables: Tables, places: Places, generator: torch.Generator) -> Places:
    """Each point in turn where of many candidate places its own distances are met best, if better than where it is.

    A descent does not carry a point through others, to the far side of a torus or to another branch of a tree; this does. The
    candidates `(B, M, width)` are the same for all points, so that all is sums over one table of distances `(B, M, N)`.
    Where no point has moved the loss is infinite.
    """
    some, n, batch = rows(tables, places.table), places.points.shape[1], torch.arange(len(places.table))
    spots, points, scales = _candidates(some, places, generator), places.points.clone(), places.scales
    to_spots, to_points = some.between(spots, points, scales), some.between(points, points, scales)
    pairs = torch.stack([some.weights / some.lengths**2, some.weights / some.lengths], -1)
    square, plain = some.square(pairs, pairs, n).unbind(-1)
    moved = torch.zeros_like(places.rests)
    for i in torch.randperm(n, generator=generator).tolist():
        losses = ((to_spots**2) @ square[:, i, :, None] - 2 * to_spots @ plain[:, i, :, None])[..., 0]
        here = (to_points[:, i] ** 2 * square[:, i] - 2 * to_points[:, i] * plain[:, i]).sum(1)
        least, spot = losses.min(1)
        better = least < here
        moved = moved | better
        points[:, i] = spots[batch, spot].where(better[:, None], points[:, i])
        to_spots[:, :, i] = some.between(spots, points[:, i : i + 1], scales)[..., 0]
        to_points[:, i] = to_points[:, :, i] = some.between(points, points[:, i : i + 1], scales)[..., 0]
    found = Places.at(tables, places.table, points, scales)
    return replace(found, loss=found.loss.masked_fill(~moved, torch.inf), steps=places.steps, rests=~moved)


def _candidates(tables: Tables, places: Places, generator: torch.Generator) -> Tensor:
    """From points in random directions, as far as one of the lengths."""
    of, b = tables.factors, len(places.table)
    pair = torch.randint(tables.lengths.shape[1], (b, SPOTS), generator=generator)
    start = places.points[torch.arange(b)[:, None], of.first[pair]]
    way = torch.randn(b, SPOTS, of.space.dim, generator=generator, dtype=torch.float64)
    way = way * (tables.lengths.gather(1, pair) / way.norm(dim=-1))[..., None] / of.stretched(places.scales)
    return of.space.project(of.space.exp(start, (of.space.frame(start) @ way[..., None])[..., 0]))
