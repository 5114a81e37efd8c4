"""Geodesics of decoders of two latent dimensions: found on the tabulated metric, confirmed on the decoder itself.

What is found here is CONVERGED or is not returned: pairs whose curves the table cannot follow, or on which the decoder
contradicts it, are left to the solvers that work on the decoder.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from egregium.geodesics.curve import Curve
from egregium.geodesics.measure import by_arc_length, rounding
from egregium.geodesics.metric_energy import Relaxed, end_momenta, relax
from egregium.geodesics.metric_table import MetricTable
from egregium.geodesics.problem import Problem
from egregium.geodesics.refine import Certified
from egregium.geodesics.starts import RESOLVED, given
from egregium.geodesics.table_search import Curves, Pairs, searched
from egregium.numerics import chebyshev, splines
from egregium.numerics.derivatives import row_chunks
from egregium.numerics.rows import Rows
from egregium.status import Status

FINEST = 256
TELLING = 1e-3  # tolerance at which minima are told apart, and no larger one
NODES, DOUBLINGS = 16, 2  # degree of the polynomials through what is decoded, and how often it is doubled where in doubt
KEPT = 0.75  # of their degree: what is left without the terms above tells how good they are
DECODED = 1 << 19  # numbers at a time: more leave the cache


@dataclass(frozen=True)
class OnTable(Rows):
    """Geodesics of the `rows` `(k,)` of a problem, and the lengths of the second best or NaN."""

    rows: Tensor
    certified: Certified
    second_best: Tensor


def solve_on_table(table: MetricTable, problem: Problem, rtol: float, starts: Sequence[Tensor]) -> list[OnTable]:
    """CONVERGED geodesics of those pairs of `problem` that the table can follow, by their segments.

    `starts` `(P, n, d)` are tried besides the library's own. Cost: what the table decodes, some 10,000 points for standard
    normal pairs of a trained decoder, and 15 to 63 calls a pair, some 22 in the mean.
    """
    pairs, rows = _followed(table, problem)
    if not len(rows):
        return []
    parts = []
    for some, curves in searched(pairs, problem.least[rows], [start[rows] for start in starts]):
        for part in _refined(replace(pairs[some], tolerance=rtol), problem[rows[some]], curves, rtol):
            parts.append(replace(part, rows=rows[some][part.rows]))
    return parts


def starts_from_table(table: MetricTable, problem: Problem, starts: Sequence[Tensor]) -> Tensor:
    """The best minima `(P, RESOLVED + 1, d)` that the table knows, to be followed on the decoder; else the latent line."""
    nodes = problem.nodes(problem.straight(RESOLVED))
    pairs, rows = _followed(table, problem)
    if not len(rows):
        return nodes
    for some, curves in searched(pairs, problem.least[rows], [start[rows] for start in starts]):
        known = torch.isfinite(curves.length).nonzero().flatten()
        nodes = nodes.index_copy(0, rows[some[known]], given(splines.doubled(curves.found.nodes[known])))
    return nodes


def _followed(table: MetricTable, problem: Problem) -> tuple[Pairs, Tensor]:
    """The pairs whose curves the table may hold, and their rows."""
    extent = (problem.z1 - problem.z0).abs().amax(-1)
    sound = torch.isfinite(problem.x0).all(-1) & torch.isfinite(problem.x1).all(-1)
    rows = (sound & (extent > 0)).nonzero().flatten()
    tolerance = 0.2 * min(table.tolerance, TELLING) ** 0.5
    return Pairs(table, problem.z0[rows], problem.z1[rows], extent[rows], tolerance), rows


def _refined(pairs: Pairs, problem: Problem, curves: Curves, rtol: float) -> list[OnTable]:
    """Segments doubled until a curve is settled, twice if it is soft, and the decoder agrees with what the table says of it."""
    rows = torch.isfinite(curves.length).nonzero().flatten()
    found, parts = curves.found[rows], []
    if not len(rows):
        return parts
    coarser, before = _Level.of(pairs[rows], found), torch.zeros_like(found.ok)
    while len(rows) and found.nodes.shape[1] - 1 < FINEST:
        finer = relax(pairs.table, splines.doubled(found.nodes), pairs.extent[rows], pairs.tolerance, softness=True)
        found = replace(finer, steps=finer.steps + found.steps)
        level, pieces = _Level.of(pairs[rows], found), pairs[rows].pieces(found.nodes)
        sound = found.ok & level.regular
        settled = sound & found.minimum & level.settled(coarser, pieces.sum(-1), rtol)
        firm = settled & (~found.soft | before)
        if firm.any():
            some = firm.nonzero().flatten()
            certified = _confirmed(problem[rows[some]], found[some], pieces[some], level[some], coarser[some], rtol)
            part = OnTable(rows[some], certified, curves.second_best[rows[some]])
            parts.append(part[certified.status == Status.CONVERGED])
        on = (sound & ~firm).nonzero().flatten()
        rows, found, coarser, before = rows[on], found[on], level[on], settled[on]
    return parts


@dataclass(frozen=True)
class _Level(Rows):
    """Of polygons of one T: root of the energy, velocities at both ends in frames, and whether these are `regular`."""

    root: Tensor
    velocities: Tensor
    frames: Tensor
    regular: Tensor

    @staticmethod
    def of(pairs: Pairs, found: Relaxed) -> "_Level":
        momenta = end_momenta(pairs.table, found.nodes, pairs.extent).double()
        upper, info = torch.linalg.cholesky_ex(pairs.metric(found.nodes[:, [0, -1]]).double(), upper=True)
        velocities = torch.linalg.solve_triangular(upper.mT, momenta[..., None], upper=False)[..., 0]
        return _Level(found.energy.sqrt(), velocities, upper, (info == 0).all(-1))

    def settled(self, coarser: "_Level", length: Tensor, rtol: float) -> Tensor:
        """Whether Richardson's limit of the energies agrees with the splines' `length`, and the directions rest, `(P,)`."""
        limit = (4 * self.root - coarser.root) / 3
        agrees = 3 * (limit - length).abs() <= rtol * length
        return agrees & (self.turning(coarser) <= rtol**0.5 / 5)

    def turning(self, coarser: "_Level") -> Tensor:
        """Radians by which the directions at the ends are wrong, about; the larger one, `(P,)`."""
        moved = (self.velocities - coarser.velocities).norm(dim=-1) / self.velocities.norm(dim=-1)
        return 0.1 * moved.amax(-1)

    def ends(self, coarser: "_Level", length: Tensor) -> tuple[Tensor, Tensor]:
        """Velocities `(P, d)` at both ends, by Richardson's limit, whose norm is `length` `(P,)`."""
        limit = (4 * self.velocities - coarser.velocities) / 3
        coefficients = limit / limit.norm(dim=-1, keepdim=True) * length[:, None, None]
        latent = torch.linalg.solve_triangular(self.frames, coefficients[..., None], upper=True)[..., 0]
        return latent[:, 0], latent[:, 1]


def _confirmed(problem: Problem, found: Relaxed, pieces: Tensor, level: _Level, coarser: _Level, rtol: float) -> Certified:
    """What the table says of the curves, CONVERGED where the decoder confirms their lengths, else STALLED.

    It is asked for polynomials through points on them, whose lengths are to agree with those on the table, which are as a rule
    the more precise ones: of trained and of folded decoders they were off by 3e-6 in the median, by 2e-4 at most.
    """
    length, curve = pieces.sum(-1), by_arc_length(found.nodes, pieces)
    chunks = row_chunks(len(problem), NODES * problem.x0.shape[-1], DECODED)
    parts = [_doubts(problem[rows], curve[rows], length[rows], 0.5 * rtol) for rows in chunks]
    error, noise = (torch.cat(part) for part in zip(*parts, strict=True))
    good = error + noise * length <= rtol * length
    start, end = (v.to(found.nodes) for v in level.ends(coarser, length))
    status = torch.where(good, int(Status.CONVERGED), int(Status.STALLED)).to(torch.int8)
    upper = (length + error) * (1 + noise)
    whole = torch.full_like(found.steps, found.nodes.shape[1] - 1)
    return Certified(
        length, length**2, upper, status, whole.int(), found.steps.int(), start, end,
        level.turning(coarser), torch.zeros_like(good), curve,
    )  # fmt: skip


def _doubts(problem: Problem, curve: Curve, length: Tensor, enough: float) -> tuple[Tensor, Tensor]:
    """What `_doubt` says of curves, by more points where it is not `enough`, relatively, and there are more to be had."""
    x = _decoded(problem, curve)
    rows, (error, noise) = torch.arange(len(problem), device=x.device), _doubt(x, length)
    for _ in range(DOUBLINGS):
        doubtful = (error > enough * length)[rows]
        rows, x = rows[doubtful], x[doubtful]
        if not len(rows):
            break
        x = _doubled(problem[rows], curve[rows], x)
        error, noise = (old.index_copy(0, rows, new) for old, new in zip((error, noise), _doubt(x, length[rows]), strict=True))
    return error, noise


def _decoded(problem: Problem, curve: Curve) -> Tensor:
    """Images `(P, NODES + 1, A)` at Chebyshev's nodes of curves between the ends of `problem`."""
    inner = _images(problem, curve, chebyshev.nodes(NODES)[1:-1])
    return torch.cat([problem.x0[:, None], inner, problem.x1[:, None]], 1)


def _doubled(problem: Problem, curve: Curve, x: Tensor) -> Tensor:
    """Images x `(P, n + 1, A)` at the nodes of a degree n with those that twice that degree has between, `(P, 2 n + 1, A)`."""
    between = _images(problem, curve, chebyshev.nodes(2 * (x.shape[1] - 1))[1::2])
    return torch.cat([torch.stack([x[:, :-1], between], 2).flatten(1, 2), x[:, -1:]], 1)


def _images(problem: Problem, curve: Curve, u: Tensor) -> Tensor:
    """Of the points of all curves at u `(n,)`, from -1 to 1, `(P, n, A)`."""
    t = (0.5 * (u + 1)).to(curve.knots)
    z = curve.at(t.expand(len(problem), -1))[0]
    return problem.immerse(z.flatten(0, 1)).unflatten(0, z.shape[:2])


def _doubt(x: Tensor, length: Tensor) -> tuple[Tensor, Tensor]:
    """By how much `length` `(P,)` may be wrong, and what rounding leaves uncertain relatively, both `(P,)`.

    That is how far the length of polynomials through images x `(P, n + 1, A)` at Chebyshev's nodes is from it, and how far from
    their own without their last terms.
    """
    degree = x.shape[1] - 1
    weights = chebyshev.to_integral(degree).to(x.device)
    seen, without = (
        torch.linalg.vector_norm(chebyshev.to_slopes(degree, kept).to(x) @ x, dim=-1).double() @ weights
        for kept in (degree, int(KEPT * degree))
    )
    return (seen - length).abs() + (seen - without).abs(), rounding(x, seen**2)
