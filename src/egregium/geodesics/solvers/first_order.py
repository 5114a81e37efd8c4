"""Whether a curve meets the first-order condition, asked in the same way of every solver's result."""

from dataclasses import dataclass

import torch
from torch import Tensor

from egregium.geodesics.path_metric import PathMetric
from egregium.geodesics.problem import Evaluation, Problem
from egregium.geodesics.solvers.base import Termination
from egregium.numerics.conjugate import conjugate_gradients
from egregium.numerics.rows import Rows
from egregium.status import Status

COARSE = 3e-3
ROUGHLY = 0.25
PRODUCTS = 12


@dataclass(frozen=True)
class Asked(Rows):
    """Where the first-order condition is `met` `(P,)`, and the `step` `(P, T - 1, d)` that asking found, 0 where none."""

    met: Tensor
    step: Tensor


def asked(
    problem: Problem, vertices: Tensor, now: Evaluation, termination: Termination, near: PathMetric | None = None
) -> Asked:
    """Where the metric step left at `vertices` `(P, T - 1, d)` is at most the tolerance or its noise floor.

    `near` is an estimate of the metric, if there is one at hand. Cost: that of `Problem.metric_step`; less where that is
    `promised` instead, in wide problems whose tolerance is COARSE.
    """
    if problem.wide and termination.tolerance >= COARSE:
        near = problem.path_metric(vertices) if near is None else near
        size, step = promised(problem, vertices, now, termination.tolerance, near)
        return Asked(size <= now.noise.clamp_min(termination.tolerance), step)
    size, noise = problem.metric_step(vertices, now, near, termination.tolerance)
    return Asked(size <= noise.clamp_min(termination.tolerance), torch.zeros_like(vertices))


def promised(problem: Problem, vertices: Tensor, now: Evaluation, tolerance: float, near: PathMetric) -> tuple[Tensor, Tensor]:
    """Root of the relative decrease `(P,)` of the energy that second differences over the `tolerance` promise, and the step.

    Where the Hessian is the metric, the size of the metric step. From few conjugate gradients: of a badly conditioned decoder
    they saw a half to two thirds of the size; lengths err by half its square. Cost: 3 decoder calls a vertex and product, at
    most PRODUCTS.
    """
    bound = 2 * now.energy * now.noise.clamp_min(tolerance) ** 2
    product = problem.secant(vertices, now, near, now.noise.sqrt().clamp_min(tolerance))
    solved = conjugate_gradients(product, near.inverse, now.gradient, ROUGHLY, PRODUCTS, bound.to(vertices))
    size = (0.5 * (solved.found + solved.left).double() / now.energy).sqrt()
    return size.nan_to_num(torch.inf), -solved.x


def judged(problem: Problem, vertices: Tensor, now: Evaluation, termination: Termination, otherwise: Tensor) -> Tensor:
    """Statuses `(P,)` of curves that are given up: CONVERGED where the condition is met all the same, else `otherwise`."""
    return torch.where(asked(problem, vertices, now, termination).met, int(Status.CONVERGED), otherwise).to(torch.int8)
