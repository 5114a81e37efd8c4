"""Solving a batch of pairs: attempts with few segments first, and again with more where these proved too few."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from egregium.geodesics.certificate import degenerate
from egregium.geodesics.metric_table import MetricTable
from egregium.geodesics.options import Options
from egregium.geodesics.problem import Problem
from egregium.geodesics.refine import Certified, refine
from egregium.geodesics.search import Found, folded, search, widened
from egregium.geodesics.starts import RESOLVED, TUNNELLED, Candidates, along_chord, ranked
from egregium.geodesics.support import Routes, out_of_support, routes
from egregium.geodesics.tabulated import OnTable, solve_on_table, starts_from_table
from egregium.numerics.derivatives import mapped
from egregium.numerics.rows import Rows
from egregium.protocols import ImmersedSpace
from egregium.status import Status


@dataclass(frozen=True)
class Solved(Rows):
    """One chunk of pairs in the order of its ends."""

    lower: Tensor
    second_best: Tensor
    certified: Certified

    @property
    def converged(self) -> Tensor:
        return self.certified.status == Status.CONVERGED

    @property
    def failed(self) -> Tensor:
        """Curves that tunnelled or are saddles, `(P,)`: they may be followed better with more segments."""
        status, gap = self.certified.status, self.certified.upper > (1 + TUNNELLED) * self.certified.length
        return (status == Status.STALLED) | (status == Status.SADDLE) | gap


def solve(
    space: ImmersedSpace, problem: Problem, options: Options, users: Candidates | None, table: MetricTable | None
) -> Solved:
    """Solve each pair on the `table`, if there is one and the tolerance is rough; else, and the rest, on the decoder."""
    along = None if options.support is None else routes(space, problem, options.support, RESOLVED)
    if table is None or users is not None:
        return _solved_on_decoder(space, problem, options, users, along, [])
    further = [] if along is None else [problem.nodes(along.vertices)]
    if not options.rough:
        return _solved_on_decoder(space, problem, options, None, along, [starts_from_table(table, problem, further)])
    left = torch.ones(len(problem), dtype=torch.bool, device=problem.z0.device)
    parts, order = [], []
    for part in solve_on_table(table, problem, options.rtol, further):
        part = part[_in_support(space, problem, part, along, options)]
        lower = torch.minimum(problem.lower[part.rows], part.certified.length)
        parts.append(Solved(lower, part.second_best, part.certified))
        order.append(part.rows)
        left[part.rows] = False
    rows = left.nonzero().flatten()
    if len(rows):
        parts.append(_solved_on_decoder(space, problem[rows], options, None, None if along is None else along[rows], []))
        order.append(rows)
    return Solved.joined(parts, torch.cat(order))


def _in_support(space: ImmersedSpace, problem: Problem, part: OnTable, along: Routes | None, options: Options) -> Tensor:
    """Whether the support has nothing against the curves, `(k,)`."""
    if along is None or options.support is None:
        return torch.ones_like(part.rows, dtype=torch.bool)
    t = torch.linspace(0, 1, RESOLVED + 1, dtype=problem.z0.dtype, device=problem.z0.device)
    z = part.certified.curve.at(t.expand(len(part.rows), -1))[0]
    x = mapped(problem.immerse, z.flatten(0, 1)).unflatten(0, z.shape[:2])
    return along.connected[part.rows] & ~out_of_support(space, x, options.support)


def _solved_on_decoder(
    space: ImmersedSpace,
    problem: Problem,
    options: Options,
    users: Candidates | None,
    along: Routes | None,
    further: Sequence[Tensor],
) -> Solved:
    """Solve each pair with the segments that its starts need; where these prove too few, with more and from every start."""
    disconnected = torch.zeros(len(problem), dtype=torch.bool, device=problem.z0.device) if along is None else ~along.connected
    problem = problem.with_ends()
    starts = _starts(problem, options, users, along, further)
    segments, every = starts.segments.clone(), torch.full_like(disconnected, users is not None)
    left = torch.ones_like(disconnected)
    parts, order = [], []
    while left.any():
        fewest = int(segments[left].min())
        rows = (left & (segments == fewest)).nonzero().flatten()
        rows = rows[every[rows] == every[rows[0]]]
        first = bool((segments[rows] == starts.segments[rows]).all())
        attempt = _Attempt(space, options if first else options.stricter, fewest, bool(every[rows[0]]))
        part, again = attempt.solve(problem[rows], starts[rows], disconnected[rows])
        if part is not None:
            parts.append(part)
            order.append(rows[~again])
        left[rows[~again]] = False
        segments[rows[again]], every[rows[again]] = options.more(fewest), True
    return Solved.joined(parts, torch.cat(order))


def _starts(
    problem: Problem, options: Options, users: Candidates | None, along: Routes | None, further: Sequence[Tensor]
) -> Candidates:
    """Curves to start from."""
    extra = [*further, *([] if along is None else [problem.nodes(along.vertices)])]
    if users is not None:
        candidates = users.and_then(extra)
    else:
        candidates = ranked(problem, [along_chord(problem), problem.nodes(problem.straight(RESOLVED)), *extra])
    fixed = options.solver.segments
    return candidates if fixed is None else candidates.followed_with(fixed[0])


@dataclass(frozen=True)
class _Attempt:
    """Solving pairs from so many `segments`, from the first start and where in doubt the others, or from `every` one."""

    space: ImmersedSpace
    options: Options
    segments: int
    every: bool

    @property
    def may_continue(self) -> bool:
        return self.options.may_continue(self.segments)

    def solve(self, problem: Problem, starts: Candidates, disconnected: Tensor) -> tuple[Solved | None, Tensor]:
        """What was solved, and which pairs `(P,)` were left for more segments and every start.

        These are curves that tunnelled or are saddles, and folded decoders where the search is to be thorough.
        """
        options, doubting = self.options, self.may_continue and not self.every
        found = search(problem, starts, self.segments, options, self.every or options.thorough)
        again = torch.zeros_like(disconnected)
        if options.thorough:
            several = folded(starts, found)
            found = found if not self.every else widened(found, problem, several, self.segments, options)
            again = several & doubting
        rows = (~again).nonzero().flatten()
        if not len(rows):
            return None, again
        problem, starts, disconnected = problem[rows], starts[rows], disconnected[rows]
        certified = refine(problem, found.best[rows], options, self.segments, doubting)
        result = _judged(self.space, problem, options, found[rows], certified, disconnected)
        if doubting:
            result = self._instead_of_soft(result, problem, starts, disconnected)
        failed = result.failed & self.may_continue
        return result[~failed], again.index_copy(0, rows, failed)

    def _instead_of_soft(self, result: Solved, problem: Problem, starts: Candidates, disconnected: Tensor) -> Solved:
        """With shorter curves instead of soft minima, where another attempt finds some."""
        rows = (result.certified.soft & result.converged).nonzero().flatten()
        if not len(rows):
            return result
        more = replace(self, segments=self.options.more(self.segments), every=True)
        other, failed = more.solve(problem[rows], starts[rows], disconnected[rows])
        if other is None:
            return result
        rows = rows[~failed]
        wins = other.converged & (other.certified.length < result.certified.length[rows])
        return result.updated(rows[wins], other[wins])


def _judged(
    space: ImmersedSpace, problem: Problem, options: Options, found: Found, certified: Certified, disconnected: Tensor
) -> Solved:
    """Statuses in order of precedence, bounds, and the trivial geodesics between equal points."""
    status = certified.status.clone()

    def mark(rows: Tensor, code: Status) -> None:
        status[rows] = status[rows].clamp_min(int(code))

    mark(found.saddle & (status == Status.CONVERGED), Status.SADDLE)
    if options.support is not None:
        mark(out_of_support(space, found.best.x, options.support), Status.OUT_OF_SUPPORT)
    mark(disconnected, Status.DISCONNECTED)
    mark(degenerate(problem, found.best.vertices, found.best.model), Status.DEGENERATE)
    mark(~torch.isfinite(certified.length), Status.NONFINITE)
    equal = (problem.z0 == problem.z1).all(-1)
    status[equal & torch.isfinite(problem.x0).all(-1)] = Status.CONVERGED
    zero = {
        name: torch.where(equal, 0.0, getattr(certified, name)) for name in ("length", "energy", "upper", "direction_error")
    }
    still = (
        torch.where(equal[:, None], 0.0, certified.initial_velocity),
        torch.where(equal[:, None], 0.0, certified.final_velocity),
    )
    lower = torch.minimum(problem.lower, zero["length"])
    certified = replace(certified, **zero, status=status, initial_velocity=still[0], final_velocity=still[1])
    return Solved(torch.where(equal, 0.0, lower), found.second_best, certified)
