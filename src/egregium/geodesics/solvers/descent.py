"""Descent with a line search for each pair: the loop that methods share which turn a gradient into a direction."""

from dataclasses import dataclass, replace
from typing import Protocol, Self

import torch
from torch import Tensor

from egregium.geodesics.path_metric import PathMetric
from egregium.geodesics.problem import Evaluation, Problem
from egregium.geodesics.solvers.base import Solution, Termination
from egregium.geodesics.solvers.first_order import asked, judged
from egregium.numerics.rows import Rows
from egregium.status import Status

IDLE = 30
AGAIN = 0.7


class Memory(Protocol):
    """What a method knows about each of P pairs; rows are pairs."""

    def __getitem__(self, rows: Tensor) -> Self: ...
    @property
    def near(self) -> PathMetric | None:
        """An estimate of the metric of the curves, if it keeps one."""
        ...

    def direction(self, problem: Problem, vertices: Tensor, now: Evaluation) -> Tensor:
        """A direction of descent `(P, T - 1, d)`, or NaN."""
        ...

    def learned(self, moved: Tensor, step: Tensor, change: Tensor) -> Self:
        """After the pairs `moved` `(P,)` took `step`, which changed the gradient by `change`."""
        ...

    def forgotten(self, failed: Tensor) -> tuple[Self, Tensor]:
        """With nothing remembered of the pairs `failed`, and which of these had something to forget."""
        ...


@dataclass(frozen=True)
class Backtracking:
    """Armijo's rule: the first of 1, `shrink`, `shrink^2`, ... whose decrease is `decrease` of what the slope promises.

    Where rounding hides differences of energy, the slope at the new place is asked instead (for a quadratic that is the same
    condition): energies are of second order in what gradients still resolve.

    References: Hager and Zhang 2005 (SIAM J. Optim. 16), approximate Wolfe conditions.
    """

    shrink: float = 0.5
    decrease: float = 1e-4
    trials: int = 20

    def along(
        self, problem: Problem, vertices: Tensor, now: Evaluation, direction: Tensor, slope: Tensor
    ) -> tuple[Tensor, Evaluation, Tensor]:
        """Vertices and evaluation after the search, and which pairs moved `(P,)`. Each pair searches for itself."""
        rows = (slope < 0).nonzero().flatten()
        moved, weight = torch.zeros_like(slope, dtype=torch.bool), 1.0
        here, start = vertices, now
        for _ in range(self.trials):
            if not len(rows):
                break
            tried = here[rows] + weight * direction[rows]
            trial = problem[rows].evaluate(tried)
            good = trial.energy <= start.energy[rows] + self.decrease * weight * slope[rows]
            flat = trial.energy <= start.energy[rows] * (1 + start.noise[rows])
            good |= flat & (_slope(trial.gradient, direction[rows]) <= (2 * self.decrease - 1) * slope[rows])
            taken = rows[good]
            vertices = vertices.index_copy(0, taken, tried[good])
            now = now.updated(taken, trial[good])
            moved[taken] = True
            rows, weight = rows[~good], weight * self.shrink
        return vertices, now, moved


def _slope(gradient: Tensor, direction: Tensor) -> Tensor:
    return (gradient.double() * direction.double()).sum((-2, -1))


def descend(problem: Problem, vertices: Tensor, termination: Termination, memory: Memory, search: Backtracking) -> Solution:
    """Follow the memory's directions until every pair is finished.

    The relative decrease that a direction predicts tells when it is worth asking for the metric step, which alone decides.
    """
    state = _State.start(problem, vertices, memory, termination)
    result = state.solution(torch.full_like(state.steps, Status.NONFINITE, dtype=torch.int8))
    state = state[torch.isfinite(state.now.energy) & (state.now.energy > 0)]
    while len(state.rows):
        direction = state.memory.direction(state.problem, state.vertices, state.now)
        slope = _slope(state.now.gradient, direction)
        state, converged, better = state.asked((-0.5 * slope / state.now.energy).clamp_min(0).sqrt(), termination)
        if converged.any():
            result = result.updated(
                state.rows[converged], state[converged].solution(torch.zeros_like(slope[converged], dtype=torch.int8))
            )
            state, direction, better = state[~converged], direction[~converged], better[~converged]
        direction = torch.where(_slope(state.now.gradient, better)[:, None, None] < 0, better, direction)
        state, stuck = state.moved(direction, _slope(state.now.gradient, direction), search)
        spent = state.steps >= termination.max_steps
        finished = stuck | spent
        if finished.any():
            last = state[finished]
            otherwise = torch.where(stuck[finished], int(Status.STALLED), int(Status.MAX_STEPS))
            status = judged(last.problem, last.vertices, last.now, termination, otherwise)
            result = result.updated(last.rows, last.solution(status))
            state = state[~finished]
    return result


@dataclass(frozen=True)
class _State(Rows):
    """Everything that belongs to the pairs still at work; `rows` are their places in the original problem.

    `bar` is the predicted size of step below which the first-order condition is asked for next, `least` the smallest
    one so far, `idle` the number of steps since it or, by more than rounding, the energy last fell; that was `mark` then.
    """

    problem: Problem
    rows: Tensor
    vertices: Tensor
    now: Evaluation
    memory: Memory
    steps: Tensor
    bar: Tensor
    least: Tensor
    idle: Tensor
    mark: Tensor

    @staticmethod
    def start(problem: Problem, vertices: Tensor, memory: Memory, termination: Termination) -> "_State":
        now = problem.evaluate(vertices)
        rows = torch.arange(len(problem), device=vertices.device)
        count = torch.zeros_like(rows, dtype=torch.int32)
        bar = torch.full_like(now.energy, termination.tolerance)
        never = torch.full_like(bar, torch.inf)
        return _State(problem, rows, vertices, now, memory, count, bar, never, count.clone(), now.energy)

    def solution(self, status: Tensor) -> Solution:
        return Solution(self.vertices, self.now.x, self.now.energy, self.steps, status)

    def asked(self, size: Tensor, termination: Termination) -> "tuple[_State, Tensor, Tensor]":
        """Ask for the first-order condition where the predicted `size` of the step is small.

        The state, where it is met, and the steps `(P, T - 1, d)` that asking found, 0 where none.
        """
        look = size <= torch.maximum(self.bar, self.now.noise)
        converged, step = torch.zeros_like(look), torch.zeros_like(self.vertices)
        if look.any():
            part = self[look]
            answer = asked(part.problem, part.vertices, part.now, termination, part.memory.near)
            converged[look], step[look] = answer.met, answer.step
        bar = torch.where(look & ~converged, AGAIN * size, self.bar)
        idle = torch.where(size < self.least, 0, self.idle + 1)
        return replace(self, bar=bar, least=torch.fmin(self.least, size), idle=idle), converged, step

    def moved(self, direction: Tensor, slope: Tensor, search: Backtracking) -> "tuple[_State, Tensor]":
        """One searched step of every pair; the state, and which pairs cannot go on."""
        vertices, now, moved = search.along(self.problem, self.vertices, self.now, direction, slope)
        memory = self.memory.learned(moved, vertices - self.vertices, now.gradient - self.now.gradient)
        memory, forgot = memory.forgotten(~moved)
        fell = now.energy < self.mark * (1 - now.noise)
        idle, mark = torch.where(fell, 0, self.idle), torch.where(fell, now.energy, self.mark)
        stuck = (~moved & ~forgot) | (idle >= IDLE)
        return replace(self, vertices=vertices, now=now, memory=memory, steps=self.steps + 1, idle=idle, mark=mark), stuck
