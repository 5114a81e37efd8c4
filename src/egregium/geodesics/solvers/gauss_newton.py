"""Gauss-Newton and Newton on the vertices: fresh gradients, a model that is renewed only when it no longer serves."""

from dataclasses import dataclass, replace

import torch
from torch import Tensor

from egregium.geodesics.problem import Evaluation, Problem
from egregium.geodesics.second_order import SecondOrder
from egregium.geodesics.solvers.base import Solution, Termination
from egregium.geodesics.solvers.secant import Secants, dot
from egregium.status import Status

HISTORY = 5
ROUNDING = 30  # steps this near the noise floor that no longer shrink are rounding


@dataclass(frozen=True)
class GaussNewton:
    """Newton's method on the energy, falling back to Gauss-Newton where its Hessian is not definite; batched over pairs.

    Each step takes a reverse-mode gradient. The block-tridiagonal model is recomputed only for the pairs whose steps shrink
    too slowly: the exact Hessian where it is positive definite, else the metric `D^T J^T J D`, damped relative to itself
    (Levenberg-Marquardt), so that a step is a tangent vector and the stationary points are exactly invariant. The Hessian
    costs little beyond the Jacobian, because one backward pass an axis gives both.

    Args:
        refresh: ratio of successive steps above which the model is renewed.
        reach: longest relative metric step; shorter ones keep curves from jumping over folds of the decoder.
        newton: use the exact Hessian where it is definite.
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
        state = _State.start(problem, vertices, self.newton, model)
        result = state.solution(torch.full((len(problem),), Status.NONFINITE, dtype=torch.int8, device=vertices.device))
        state = state[torch.isfinite(state.now.energy) & (state.now.energy > 0)]
        while len(state.rows):
            state, finished, status = self._step(state, termination)
            if finished.any():
                result = result.updated(state.rows[finished], state[finished].solution(status[finished]))
                state = state[~finished]
        return result

    def _step(self, state: "_State", termination: Termination) -> "tuple[_State, Tensor, Tensor]":
        """One step of every active pair; the new state, which pairs are finished, and their status."""
        matrix = state.model.hessian
        damped = matrix.damped(state.damping)
        delta = state.secants.inverse(-state.now.gradient, lambda q: damped.solve(q)[0])
        definite = torch.isfinite(delta).all((-2, -1))
        size = (0.5 * matrix.quadratic(delta).double() / state.now.energy).clamp_min(0).sqrt() * (1 + state.damping)
        reach = (self.reach / size).clamp_max(1).to(delta)
        moved = torch.where(definite[:, None, None], state.vertices + reach[:, None, None] * delta, state.vertices)
        trial = state.problem.evaluate(moved)
        noise = state.now.noise
        accept = definite & torch.isfinite(trial.energy) & (trial.energy <= state.now.energy * (1 + noise))
        now = trial.where(accept, state.now)
        vertices = torch.where(accept[:, None, None], moved, state.vertices)
        slow = ~(size <= self.refresh * state.size)
        fresh = state.age == 0
        gain = (state.now.energy - trial.energy) / _promised(state.now.gradient, delta, reach).double()
        damping = torch.where(accept, _adapted(state.damping, gain), torch.where(fresh, _raised(state.damping), state.damping))
        steps = state.steps + 1

        left = size * _remaining(size / state.size)
        exhausted = fresh & (state.damping == 0) & (size <= ROUNDING * noise) & ~(size <= 0.5 * state.size)
        done = exhausted | (accept & (left <= noise.clamp_min(termination.tolerance)))
        stuck = (damping > 1e10) | (~accept & ~torch.isfinite(size) & fresh & (damping > 1e4))
        finished, status = _outcome(done, stuck, steps >= termination.max_steps)

        size = torch.where(accept, size, state.size)
        secants = state.secants.learned(accept & (damping == 0), vertices - state.vertices, now.gradient - state.now.gradient)
        after = _State(state.problem, state.rows, vertices, now, state.model, secants, damping, size, state.age + 1, steps)
        renew = ~finished & torch.where(accept, slow, ~fresh)
        return after.renewed(renew, self.newton), finished, status


@dataclass(frozen=True)
class _State:
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
    steps: Tensor

    @staticmethod
    def start(problem: Problem, vertices: Tensor, newton: bool, model: SecondOrder | None) -> "_State":
        now = problem.evaluate(vertices)
        zero = torch.zeros(len(problem), dtype=vertices.dtype, device=vertices.device)
        count = torch.zeros(len(problem), dtype=torch.int32, device=vertices.device)
        rows = torch.arange(len(problem), device=vertices.device)
        age = count.clone() if model is None else count + 1
        model = _model(problem, vertices, now, newton) if model is None else model
        secants = Secants.empty(vertices, HISTORY)
        return _State(problem, rows, vertices, now, model, secants, zero, zero.double() + torch.inf, age, count)

    def __getitem__(self, keep: Tensor) -> "_State":
        return self if bool(keep.all()) else _State(*(value[keep] for value in vars(self).values()))

    def solution(self, status: Tensor) -> Solution:
        return Solution(self.vertices, self.now.x, self.now.energy, self.steps, status, self.model)

    def renewed(self, renew: Tensor, newton: bool) -> "_State":
        """The state with the model recomputed in the rows `renew`."""
        if not renew.any():
            return self
        part = self[renew]
        model = self.model.updated(renew.nonzero().flatten(), _model(part.problem, part.vertices, part.now, newton))
        return replace(self, model=model, secants=self.secants.forgotten(renew), age=torch.where(renew, 0, self.age))


def _model(problem: Problem, vertices: Tensor, now: Evaluation, newton: bool) -> SecondOrder:
    """The exact Hessian where it is positive definite, else the Gauss-Newton matrix."""
    if newton:
        return problem.second_order(vertices, now.x).convex(now.gradient)
    metric = problem.gauss_newton(vertices)
    return SecondOrder(metric, torch.zeros_like(metric.diagonal))


def _outcome(done: Tensor, stuck: Tensor, spent: Tensor) -> tuple[Tensor, Tensor]:
    """Which pairs are finished and with what status; success goes before the reasons to give up."""
    given_up = torch.where(stuck, int(Status.STALLED), int(Status.MAX_STEPS))
    return done | stuck | spent, torch.where(done, int(Status.CONVERGED), given_up).to(torch.int8)


def _remaining(contraction: Tensor) -> Tensor:
    """Distance to the limit of steps that shrink geometrically, over the last step, and at least 1."""
    contraction = contraction.clamp(0, 0.99)
    return (contraction / (1 - contraction)).clamp_min(1)


def _promised(gradient: Tensor, delta: Tensor, reach: Tensor) -> Tensor:
    """Decrease of the energy that the model, whose minimum is at `delta`, predicts for the step `reach delta`, `(P,)`."""
    return -dot(gradient, delta) * reach * (1 - 0.5 * reach)


def _adapted(damping: Tensor, gain: Tensor) -> Tensor:
    """Less damping after a step that kept its promise, more after one that did not."""
    lower = torch.where(damping > 1e-3, 0.2 * damping, 0)
    return torch.where(gain > 0.7, lower, torch.where(gain > 0.2, damping, 3 * damping))


def _raised(damping: Tensor) -> Tensor:
    return (8 * damping).clamp_min(0.03)
