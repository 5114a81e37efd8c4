"""Gauss-Newton and Newton on the vertices: fresh gradients, a model that is renewed only when it no longer serves."""

from dataclasses import dataclass, replace

import torch
from torch import Tensor

from egregium.geodesics.problem import Evaluation, Problem
from egregium.geodesics.second_order import SecondOrder
from egregium.geodesics.solvers.base import Solution, Termination
from egregium.geodesics.solvers.secant import Secants, dot
from egregium.numerics.rows import Rows
from egregium.status import Status

HISTORY = 2
ROUNDING = 5  # steps this near the noise floor that no longer shrink are rounding


@dataclass(frozen=True)
class GaussNewton:
    """Newton's method on the energy, as near to Gauss-Newton as it takes where its Hessian is not definite; batched over pairs.

    Each step takes a reverse-mode gradient. The block-tridiagonal model is recomputed only for the pairs whose steps shrink
    too slowly: the exact Hessian where it is positive definite, else the metric `D^T J^T J D` with a share of the decoder's
    curvature, damped relative to itself (Levenberg-Marquardt), so that a step is a tangent vector and the stationary points
    are exactly invariant. The Hessian costs little beyond the Jacobian, because one backward pass an axis gives both.

    Args:
        refresh: ratio of successive steps above which the model is renewed.
        reach: longest relative metric step; shorter ones keep curves from jumping over folds of the decoder.
        newton: use the decoder's curvature, as much as leaves the model definite.
        segments: numbers of segments, coarse to fine; None: chosen from the tolerance.
        max_steps: steps allowed at each number of segments.

    References: Nocedal and Wright 2006, chapters 3 and 10; the energy: Shao, Kumar, Fletcher 2018 (arXiv 1711.08014).
    """

    refresh: float = 0.8
    reach: float = 0.5
    newton: bool = True
    segments: tuple[int, ...] | None = None
    max_steps: int = 200

    def minimise(
        self, problem: Problem, vertices: Tensor, termination: Termination, model: SecondOrder | None = None
    ) -> Solution:
        state = _State.start(problem, vertices, model)
        result = state.solution(torch.full((len(problem),), Status.NONFINITE, dtype=torch.int8, device=vertices.device))
        state = state[torch.isfinite(state.now.energy) & (state.now.energy > 0)]
        while len(state.rows):
            state, step, result = _at_work(state, _Step.of(state), result, termination)
            state, step, result = _at_work(*self._renewed(state, step), result, termination)
            if len(state.rows):
                state, given_up, status = self._moved(state, step, termination)
                if given_up.any():
                    result = result.updated(state.rows[given_up], state[given_up].solution(status[given_up]))
                    state = state[~given_up]
        return result

    def _renewed(self, state: "_State", step: "_Step") -> "tuple[_State, _Step]":
        """Models and steps computed anew in the rows that are `stale`."""
        if not state.stale.any():
            return state, step
        rows, part = state.stale.nonzero().flatten(), state[state.stale]
        model = state.model.updated(rows, _model(part.problem, part.vertices, part.now, self.newton))
        secants, age = state.secants.forgotten(state.stale), torch.where(state.stale, 0, state.age)
        state = replace(state, model=model, secants=secants, age=age)
        return state, step.updated(rows, _Step.of(state[state.stale]))

    def _moved(self, state: "_State", step: "_Step", termination: Termination) -> "tuple[_State, Tensor, Tensor]":
        """The state after the step, kept where the energy does not grow; which pairs are given up, and their status."""
        reach = (self.reach / step.size).clamp_max(1).to(step.delta)
        moved = torch.where(step.definite[:, None, None], state.vertices + reach[:, None, None] * step.delta, state.vertices)
        trial = state.problem.evaluate(moved)
        accept = step.definite & torch.isfinite(trial.energy) & (trial.energy <= state.now.energy * (1 + state.now.noise))
        now = trial.where(accept, state.now)
        vertices = torch.where(accept[:, None, None], moved, state.vertices)
        fresh = state.age == 0
        gain = (state.now.energy - trial.energy) / _promised(state.now.gradient, step.delta, reach).double()
        damping = torch.where(accept, _adapted(state.damping, gain), torch.where(fresh, _raised(state.damping), state.damping))
        learned = accept & (damping == 0)
        secants = state.secants.learned(learned, vertices - state.vertices, now.gradient - state.now.gradient)
        size, age, steps = torch.where(accept, step.size, state.size), state.age + accept, state.steps + 1
        stale = torch.where(accept, ~(step.size <= self.refresh * state.size), ~fresh)
        after = _State(state.problem, state.rows, vertices, now, state.model, secants, damping, size, age, stale, steps)

        stuck = (damping > 1e10) | (~step.definite & fresh & (damping > 1e4))
        given_up = stuck | (steps >= termination.max_steps)
        status = torch.where(stuck, int(Status.STALLED), int(Status.MAX_STEPS)).to(torch.int8)
        return after, given_up, status


@dataclass(frozen=True)
class _Step(Rows):
    """Steps `delta` of the active pairs, their relative metric `size` `(P,)`, and whether they are finite at all."""

    delta: Tensor
    size: Tensor
    definite: Tensor

    @staticmethod
    def of(state: "_State") -> "_Step":
        matrix = state.model.hessian
        damped = matrix.damped(state.damping)
        delta = state.secants.inverse(-state.now.gradient, lambda q: damped.solve(q)[0])
        size = (0.5 * matrix.quadratic(delta).double() / state.now.energy).clamp_min(0).sqrt() * (1 + state.damping)
        return _Step(delta, size, torch.isfinite(delta).all((-2, -1)))

    def settled(self, state: "_State", termination: Termination) -> Tensor:
        """Whether what is left, this step and those that would follow at the rate of the last, is within tolerance or noise.

        Nor is anything to be gained where undamped steps of a fresh model are near the noise and no longer shrink. A first step
        on the metric alone is not judged: no rate tells yet what would follow.
        """
        noise = state.now.noise
        rate = torch.where(self.size == 0, 0.0, self.size / state.size).clamp(0, 0.99)
        left = self.size / (1 - rate)
        rounding = (state.age == 0) & (state.damping == 0) & (self.size <= ROUNDING * noise) & ~(self.size <= 0.5 * state.size)
        judged = (state.age > 0) | torch.isfinite(state.size)
        return self.definite & judged & ((left <= noise.clamp_min(termination.tolerance)) | rounding)


@dataclass(frozen=True)
class _State(Rows):
    """Everything that belongs to the pairs still at work; `rows` are their places in the original problem."""

    problem: Problem
    rows: Tensor
    vertices: Tensor
    now: Evaluation
    model: SecondOrder
    secants: Secants
    damping: Tensor
    size: Tensor
    age: Tensor
    stale: Tensor
    steps: Tensor

    @staticmethod
    def start(problem: Problem, vertices: Tensor, model: SecondOrder | None) -> "_State":
        now = problem.evaluate(vertices)
        zero = torch.zeros(len(problem), dtype=vertices.dtype, device=vertices.device)
        count = torch.zeros(len(problem), dtype=torch.int32, device=vertices.device)
        rows = torch.arange(len(problem), device=vertices.device)
        age = count.clone() if model is None else count + 1
        model = _model(problem, vertices, now, newton=False) if model is None else model
        secants = Secants.empty(vertices, HISTORY)
        far = zero.double() + torch.inf
        never = torch.zeros_like(rows, dtype=torch.bool)
        return _State(problem, rows, vertices, now, model, secants, zero, far, age, never, count)

    def solution(self, status: Tensor | Status) -> Solution:
        if isinstance(status, Status):
            status = torch.full_like(self.steps, int(status), dtype=torch.int8)
        return Solution(self.vertices, self.now.x, self.now.energy, self.steps, status, self.model)


def _at_work(state: _State, step: _Step, result: Solution, termination: Termination) -> tuple[_State, _Step, Solution]:
    """Without the pairs that have settled, which go to the result."""
    settled = step.settled(state, termination)
    if not settled.any():
        return state, step, result
    done = state[settled]
    return state[~settled], step[~settled], result.updated(done.rows, done.solution(Status.CONVERGED))


def _model(problem: Problem, vertices: Tensor, now: Evaluation, newton: bool) -> SecondOrder:
    """The exact Hessian where it is positive definite, else between it and the Gauss-Newton matrix."""
    if newton:
        return problem.second_order(vertices, now.x).convex(now.gradient)
    return SecondOrder.flat(problem.gauss_newton(vertices))


def _promised(gradient: Tensor, delta: Tensor, reach: Tensor) -> Tensor:
    """Decrease of the energy that the model, whose minimum is at `delta`, predicts for the step `reach delta`, `(P,)`."""
    return -dot(gradient, delta) * reach * (1 - 0.5 * reach)


def _adapted(damping: Tensor, gain: Tensor) -> Tensor:
    """Less damping after a step that kept its promise, more after one that did not."""
    lower = torch.where(damping > 1e-3, 0.2 * damping, 0)
    return torch.where(gain > 0.7, lower, torch.where(gain > 0.2, damping, 3 * damping))


def _raised(damping: Tensor) -> Tensor:
    return (8 * damping).clamp_min(0.03)
