"""Which minimum: coarse curves from several starts, saddles left behind, the distinct minima of each pair."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from egregium.geodesics.certificate import second_variation
from egregium.geodesics.measure import polygon, quadrature
from egregium.geodesics.problem import Problem
from egregium.geodesics.solvers.base import Solution, Solver, Termination
from egregium.status import Status

DISTINCT = 0.02
OPEN = 1.2
PUSH = 0.3
ESCAPES = 3
TUNNELLED = 0.2


@dataclass(frozen=True)
class Found:
    """The best coarse curve of each pair, whether it is a saddle, and the length of the next distinct one (NaN if none)."""

    best: Solution
    saddle: Tensor
    second_best: Tensor

    def improved(self, rows: Tensor, candidates: Solution, saddle: Tensor) -> "Found":
        """With `candidates` for the pairs `rows` taken where shorter, the loser kept as second best where it is distinct."""
        mine, theirs = polygon(self.best.x[rows]), polygon(candidates.x)
        usable = (candidates.status == Status.CONVERGED) & torch.isfinite(theirs)
        worse_now = self.best.status[rows] != Status.CONVERGED
        wins = usable & (worse_now | (theirs < mine))
        gap = torch.linalg.vector_norm(candidates.x - self.best.x[rows], dim=-1).amax(-1)
        distinct = usable & ~worse_now & (gap > DISTINCT * torch.minimum(mine, theirs))
        loser_is_minimum = torch.where(wins, ~self.saddle[rows], ~saddle)
        loser = torch.where(distinct & loser_is_minimum, torch.maximum(mine, theirs), torch.nan)
        second = torch.fmin(self.second_best[rows], loser)
        steps = self.best.steps.index_add(0, rows, candidates.steps)
        best = self.best.updated(rows[wins], candidates[wins])
        best = Solution(best.vertices, best.x, best.energy, steps, best.status)
        saddles = self.saddle.index_copy(0, rows[wins], saddle[wins])
        return Found(best, saddles, self.second_best.index_copy(0, rows, second))


def minima(problem: Problem, start: Tensor, solver: Solver, termination: Termination) -> tuple[Solution, Tensor]:
    """Solve from `start` `(P, T - 1, d)`, leave saddles along their steepest descent, both ways; returns what is still one."""
    solution = solver.minimise(problem, start, termination)
    saddle = torch.zeros(len(problem), dtype=torch.bool, device=start.device)
    rows = (solution.status == Status.CONVERGED).nonzero().flatten()
    for _ in range(ESCAPES):
        if not len(rows):
            break
        minimum, descent = second_variation(problem[rows], solution[rows])
        saddle = saddle.index_copy(0, rows, ~minimum)
        rows, descent = rows[~minimum], descent[~minimum]
        if len(rows):
            solution = _escape(problem, solution, rows, descent, solver, termination)
    return _untunnelled(problem, solution), saddle


def _untunnelled(problem: Problem, solution: Solution) -> Solution:
    """The solution with curves STALLED that are far longer than their polygon, which tunnels through a fold."""
    along = quadrature(problem, solution.vertices).length
    tunnelled = (along > (1 + TUNNELLED) * polygon(solution.x)) & (solution.status == Status.CONVERGED)
    return replace(solution, status=torch.where(tunnelled, int(Status.STALLED), solution.status).to(torch.int8))


def _escape(
    problem: Problem, solution: Solution, rows: Tensor, descent: Tensor, solver: Solver, termination: Termination
) -> Solution:
    here = solution.vertices[rows]
    both = torch.cat([here + PUSH * descent, here - PUSH * descent])
    tried = solver.minimise(problem[rows.repeat(2)], both, termination)
    first, second = tried[torch.arange(len(rows))], tried[torch.arange(len(rows), 2 * len(rows))]
    better = (second.energy < first.energy).nonzero().flatten()
    best = first.updated(better, second[better])
    lower = (best.status == Status.CONVERGED) & (best.energy < solution.energy[rows])
    total = solution.steps.index_add(0, rows, first.steps + second.steps)
    solution = solution.updated(rows[lower], best[lower])
    return Solution(solution.vertices, solution.x, solution.energy, total, solution.status)


def search(problem: Problem, starts: Sequence[Tensor], solver: Solver, termination: Termination) -> Found:
    """Best coarse curves over several starts, each `(P, T - 1, d)`.

    The first start is solved for every pair. The others are insurance against a better route elsewhere, paid only where
    the certificate is open: where the curve found is far longer than the decoded chord, its lower bound.
    """
    solution, saddle = minima(problem, starts[0], solver, termination)
    nothing = torch.full((len(problem),), torch.nan, dtype=torch.float64, device=saddle.device)
    found = Found(solution, saddle, nothing)
    solved = (solution.status == Status.CONVERGED) & (polygon(solution.x) <= OPEN * problem.chord)
    rows = (~solved).nonzero().flatten()
    for start in starts[1:] if len(rows) else ():
        found = found.improved(rows, *minima(problem[rows], start[rows], solver, termination))
    return found
