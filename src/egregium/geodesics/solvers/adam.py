"""Adam on the vertices: the plain first-order way."""

from dataclasses import dataclass, replace

import torch
from torch import Tensor

from egregium.geodesics.problem import Evaluation, Problem
from egregium.geodesics.second_order import SecondOrder
from egregium.geodesics.solvers.base import Solution, Termination
from egregium.geodesics.solvers.first_order import judged
from egregium.numerics.rows import Rows
from egregium.status import Status

CHECK_EVERY = 50
PATIENCE = 500


@dataclass(frozen=True)
class Adam:
    """Adam on the free vertices; batched over pairs, each with its own stop.

    Steps are measured in latent units, so that results at a finite tolerance depend on how the latent space is drawn;
    gradients are divided by the energy at the start, so that scaling the decoder changes nothing. The first-order condition
    is asked for every 50 steps; a pair whose energy has no new minimum for 500 steps is STALLED at its best vertices.

    Cost: 3 decoder calls a vertex and step.

    Args:
        lr: length of a step of each coordinate, in latent units.
        betas: decay of the gradient's running first and second moment.
        segments: numbers of segments, coarse to fine; None: chosen from the tolerance.
        max_steps: steps allowed at each number of segments.

    References: Kingma and Ba 2015 (arXiv 1412.6980).
    """

    lr: float = 0.01
    betas: tuple[float, float] = (0.9, 0.999)
    segments: tuple[int, ...] | None = None
    max_steps: int = 4096

    def minimise(
        self, problem: Problem, vertices: Tensor, termination: Termination, model: SecondOrder | None = None
    ) -> Solution:
        state = _State.start(problem, vertices)
        result = state.solution(torch.full_like(state.since, Status.NONFINITE, dtype=torch.int8), 0)
        state = state[torch.isfinite(state.now.energy) & (state.now.energy > 0)]
        step = 0
        while len(state.rows):
            step += 1
            state = state.moved(step, self)
            finished, status = self._judged(state, step, termination)
            if finished.any():
                result = result.updated(state.rows[finished], state[finished].solution(status[finished], step))
                state = state[~finished]
        return result

    def _judged(self, state: "_State", step: int, termination: Termination) -> tuple[Tensor, Tensor]:
        """Which pairs are finished, and their status."""
        broken = ~torch.isfinite(state.now.energy)
        stalled = state.since >= PATIENCE
        finished = broken | stalled | (step >= termination.max_steps)
        status = torch.where(stalled, int(Status.STALLED), int(Status.MAX_STEPS))
        status = torch.where(broken, int(Status.NONFINITE), status).to(torch.int8)
        look = ~broken if step % CHECK_EVERY == 0 else finished & ~broken
        if look.any():
            part = state[look]
            status[look] = judged(part.problem, part.best, part.at_best, termination, status[look])
        return finished | (look & (status == Status.CONVERGED)), status


@dataclass(frozen=True)
class Moments(Rows):
    """Running moments of gradients, each of the parameters' shape, and the steps that Adam makes of them."""

    first: Tensor
    second: Tensor

    @staticmethod
    def zero(parameters: Tensor) -> "Moments":
        return Moments(torch.zeros_like(parameters), torch.zeros_like(parameters))

    def after(
        self, gradient: Tensor, count: int, lr: float, betas: tuple[float, float], eps: float = 1e-8
    ) -> "tuple[Moments, Tensor]":
        """Moments after gradient number `count` (from 1), and the change of the parameters."""
        first = torch.lerp(gradient, self.first, betas[0])
        second = torch.lerp(gradient**2, self.second, betas[1])
        size = (second / (1 - betas[1] ** count)).sqrt() + eps
        return Moments(first, second), -lr / (1 - betas[0] ** count) * first / size


@dataclass(frozen=True)
class _State(Rows):
    """Everything that belongs to the pairs still at work; `best` are the vertices of least energy, `since` steps ago."""

    problem: Problem
    rows: Tensor
    vertices: Tensor
    now: Evaluation
    moments: Moments
    unit: Tensor
    best: Tensor
    at_best: Evaluation
    since: Tensor

    @staticmethod
    def start(problem: Problem, vertices: Tensor) -> "_State":
        now = problem.evaluate(vertices)
        rows = torch.arange(len(problem), device=vertices.device)
        unit = now.energy.to(vertices)[:, None, None]
        return _State(
            problem, rows, vertices, now, Moments.zero(vertices), unit, vertices, now, torch.zeros_like(rows, dtype=torch.int32)
        )

    def solution(self, status: Tensor, step: int) -> Solution:
        steps = torch.full_like(self.since, step)
        return Solution(self.best, self.at_best.x, self.at_best.energy, steps, status)

    def moved(self, step: int, settings: Adam) -> "_State":
        """After one step, with the best vertices brought up to date."""
        moments, change = self.moments.after(self.now.gradient / self.unit, step, settings.lr, settings.betas)
        vertices = self.vertices + change
        now = self.problem.evaluate(vertices)
        better = now.energy < self.at_best.energy
        clearly = now.energy < self.at_best.energy * (1 - now.noise)
        return replace(
            self, vertices=vertices, now=now, moments=moments,
            best=torch.where(better[:, None, None], vertices, self.best), at_best=now.where(better, self.at_best),
            since=torch.where(clearly, 0, self.since + 1),
        )  # fmt: skip
