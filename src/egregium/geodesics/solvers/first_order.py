"""Whether a curve meets the first-order condition, asked in the same way of every solver's result."""

import torch
from torch import Tensor

from egregium.geodesics.path_metric import PathMetric
from egregium.geodesics.problem import Evaluation, Problem
from egregium.geodesics.solvers.base import Termination
from egregium.numerics.conjugate import conjugate_gradients
from egregium.status import Status

COARSE = 3e-3
ROUGHLY = 0.01
PRODUCTS = 12


def met(
    problem: Problem, vertices: Tensor, now: Evaluation, termination: Termination, near: PathMetric | None = None
) -> Tensor:
    """Where the metric step left at `vertices` `(P, T - 1, d)` is at most the tolerance or its noise floor, `(P,)`.

    `near` is an estimate of the metric, if there is one at hand. Cost: that of `Problem.metric_step`; less where that is
    `promised` instead, in wide problems whose tolerance is COARSE.
    """
    if problem.wide and termination.tolerance >= COARSE:
        near = problem.path_metric(vertices) if near is None else near
        return promised(problem, vertices, now, termination.tolerance, near) <= now.noise.clamp_min(termination.tolerance)
    size, noise = problem.metric_step(vertices, now, near, termination.tolerance)
    return size <= noise.clamp_min(termination.tolerance)


def promised(problem: Problem, vertices: Tensor, now: Evaluation, tolerance: float, near: PathMetric) -> Tensor:
    """Root of the relative decrease `(P,)` of the energy that second differences over the `tolerance` promise.

    Where the Hessian is the metric, the size of the metric step. From few conjugate gradients: of a badly conditioned decoder
    they saw a half to two thirds of the size, of whose square lengths err by half. Cost: 3 decoder calls a vertex and product,
    at most PRODUCTS.
    """
    bound = 2 * now.energy * now.noise.clamp_min(tolerance) ** 2
    product = problem.secant(vertices, now, near, now.noise.sqrt().clamp_min(tolerance))
    solved = conjugate_gradients(product, near.inverse, now.gradient, ROUGHLY, PRODUCTS, bound.to(vertices))
    size = (0.5 * (solved.found + solved.left).double() / now.energy).sqrt()
    return size.nan_to_num(torch.inf)


def judged(problem: Problem, vertices: Tensor, now: Evaluation, termination: Termination, otherwise: Tensor) -> Tensor:
    """Statuses `(P,)` of curves that are given up: CONVERGED where the condition is met all the same, else `otherwise`."""
    return torch.where(met(problem, vertices, now, termination), int(Status.CONVERGED), otherwise).to(torch.int8)
