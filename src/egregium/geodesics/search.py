"""Which minimum: coarse curves from several starts, saddles left behind, the distinct minima of each pair."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from egregium.geodesics.certificate import second_variation
from egregium.geodesics.measure import polygon, rectify
from egregium.geodesics.options import Options
from egregium.geodesics.problem import Problem
from egregium.geodesics.solvers.base import Solution
from egregium.geodesics.starts import TUNNELLED, Candidates, bent
from egregium.numerics.rows import Rows
from egregium.status import Status

DISTINCT = 0.02
OPEN = 4.0
FAR = 1.05
PUSH = 0.3
ESCAPES = 3


@dataclass(frozen=True)
class Minima:
    """Coarse curves of P pairs, whether each is a saddle, and its `length` `(P,)` along the spline through its vertices."""

    solution: Solution
    saddle: Tensor
    length: Tensor


@dataclass(frozen=True)
class Found(Rows):
    """The best coarse curve of each pair, whether it is a saddle, its length, and that of the next distinct one or NaN."""

    best: Solution
    saddle: Tensor
    length: Tensor
    second_best: Tensor

    def knows(self, rows: Tensor, tried: Solution) -> Tensor:
        """Whether the curves `tried` of the pairs `rows` are those already found."""
        gap = torch.linalg.vector_norm(tried.x - self.best.x[rows], dim=-1).amax(-1)
        return (gap <= DISTINCT * self.length[rows]) & (self.best.status[rows] == Status.CONVERGED)

    def counted(self, rows: Tensor, steps: Tensor) -> "Found":
        """With the steps of solves that found nothing new."""
        return replace(self, best=replace(self.best, steps=self.best.steps.index_add(0, rows, steps)))

    def improved(self, rows: Tensor, candidates: Minima) -> "Found":
        """With `candidates` for the pairs `rows` taken where shorter, the loser kept as second best where it is distinct."""
        mine, theirs, other = self.length[rows], candidates.length, candidates.solution
        usable = (other.status == Status.CONVERGED) & torch.isfinite(theirs)
        failed = self.best.status[rows] != Status.CONVERGED
        wins = usable & (failed | (theirs < mine))
        distinct = usable & ~failed & ~self.knows(rows, other)
        loser_is_minimum = torch.where(wins, ~self.saddle[rows], ~candidates.saddle)
        loser = torch.where(distinct & loser_is_minimum, torch.maximum(mine, theirs), torch.nan)
        taken = rows[wins]
        steps = self.best.steps.index_add(0, rows, other.steps)
        return Found(
            replace(self.best.updated(taken, other[wins]), steps=steps),
            self.saddle.index_copy(0, taken, candidates.saddle[wins]),
            self.length.index_copy(0, taken, theirs[wins]),
            self.second_best.index_copy(0, rows, torch.fmin(self.second_best[rows], loser)),
        )


def minima(problem: Problem, solution: Solution, options: Options) -> Minima:
    """Leave saddles among critical curves along their steepest descent, both ways, and rectify what is found.

    Curves that are far longer than their polygon, which then tunnels through a fold, are STALLED.
    """
    saddle = torch.zeros(len(problem), dtype=torch.bool, device=solution.x.device)
    rows = (solution.status == Status.CONVERGED).nonzero().flatten()
    for _ in range(ESCAPES):
        if not len(rows):
            break
        minimum, descent, model = second_variation(problem[rows], solution[rows], options.rtol)
        if solution.model is not None and model is not None:
            solution = replace(solution, model=solution.model.updated(rows, model))
        saddle = saddle.index_copy(0, rows, ~minimum)
        rows, descent = rows[~minimum], descent[~minimum]
        if len(rows):
            solution = _escape(problem, solution, rows, descent, options)
    length = rectify(problem, solution.vertices, solution.x).length
    tunnelled = (length > (1 + TUNNELLED) * polygon(solution.x)) & (solution.status == Status.CONVERGED)
    status = torch.where(tunnelled, int(Status.STALLED), solution.status).to(torch.int8)
    return Minima(replace(solution, status=status), saddle, length)


def _escape(problem: Problem, solution: Solution, rows: Tensor, descent: Tensor, options: Options) -> Solution:
    here = solution.vertices[rows]
    both = torch.cat([here + PUSH * descent, here - PUSH * descent])
    tried = options.solver.minimise(problem[rows.repeat(2)], both, options.exploring(problem.wide))
    first, second = tried[: len(rows)], tried[len(rows) :]
    best = second.where(second.energy < first.energy, first)
    lower = (best.status == Status.CONVERGED) & (best.energy < solution.energy[rows])
    total = solution.steps.index_add(0, rows, first.steps + second.steps)
    return replace(solution.updated(rows[lower], best[lower]), steps=total)


def search(problem: Problem, starts: Candidates, segments: int, options: Options, every: bool) -> Found:
    """Best coarse curves of so many `segments` over several starts.

    The first start is solved for every pair. The others are insurance against a better route elsewhere, paid only where the
    certificate is open: where the first failed or its curve is OPEN times longer than the lower bound of the distance;
    or for `every` pair.
    """
    first, *others = starts.vertices(segments)
    best = minima(problem, options.solver.minimise(problem, first, options.exploring(problem.wide)), options)
    found = Found(best.solution, best.saddle, best.length, torch.full_like(best.length, torch.nan))
    closed = (best.solution.status == Status.CONVERGED) & (best.length <= OPEN * problem.least)
    rows = (~closed | every).nonzero().flatten()
    return _insured(found, problem, rows, [start[rows] for start in others], options)


def widened(found: Found, problem: Problem, several: Tensor, segments: int, options: Options) -> Found:
    """`found` after the latent line bent to all sides was tried too, for the pairs that may have `several` minima.

    Not where wide: there are too many sides.
    """
    if problem.wide or not several.any():
        return found
    rows = several.nonzero().flatten()
    return _insured(found, problem, rows, bent(problem[rows], segments), options)


def folded(starts: Candidates, found: Found) -> Tensor:
    """Whether `(P,)` the starts led to several minima, or one is so much longer than the curve found that there may be more.

    Never of a user's starts, which are all that is to be tried.
    """
    if starts.longest is None:
        return torch.zeros_like(found.saddle)
    return torch.isfinite(found.second_best) | (starts.longest > FAR * found.length) & (found.length > 0)


def _insured(found: Found, problem: Problem, rows: Tensor, starts: Sequence[Tensor], options: Options) -> Found:
    """With more `starts`, each `(R, T - 1, d)`, tried for the R pairs `rows`; never more curves at once than pairs."""
    if not len(rows) or not starts:
        return found
    together = max(1, len(problem) // len(rows))
    for k in range(0, len(starts), together):
        some = starts[k : k + together]
        tried = options.solver.minimise(problem[rows.repeat(len(some))], torch.cat(list(some)), options.exploring(problem.wide))
        for one in torch.arange(len(tried.steps), device=rows.device).chunk(len(some)):
            found = _with_tried(found, problem, rows, tried[one], options)
    return found


def _with_tried(found: Found, problem: Problem, rows: Tensor, tried: Solution, options: Options) -> Found:
    """`found` after the curves `tried` of the pairs `rows`."""
    other = ~found.knows(rows, tried)
    found, new = found.counted(rows[~other], tried.steps[~other]), rows[other]
    return found.improved(new, minima(problem[new], tried[other], options)) if len(new) else found
