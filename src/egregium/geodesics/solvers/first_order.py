"""Whether a curve meets the first-order condition, asked in the same way of every solver's result."""

import torch
from torch import Tensor

from egregium.geodesics.path_metric import PathMetric
from egregium.geodesics.problem import Evaluation, Problem
from egregium.geodesics.solvers.base import Termination
from egregium.status import Status


def met(
    problem: Problem, vertices: Tensor, now: Evaluation, termination: Termination, near: PathMetric | None = None
) -> Tensor:
    """Where the metric step left at `vertices` `(P, T - 1, d)` is at most the tolerance or its noise floor, `(P,)`.

    `near` is an estimate of the metric, if there is one at hand. Cost: that of `Problem.metric_step`.
    """
    size, noise = problem.metric_step(vertices, now, near, termination.tolerance)
    return size <= noise.clamp_min(termination.tolerance)


def judged(problem: Problem, vertices: Tensor, now: Evaluation, termination: Termination, otherwise: Tensor) -> Tensor:
    """Statuses `(P,)` of curves that are given up: CONVERGED where the condition is met all the same, else `otherwise`."""
    return torch.where(met(problem, vertices, now, termination), int(Status.CONVERGED), otherwise).to(torch.int8)
