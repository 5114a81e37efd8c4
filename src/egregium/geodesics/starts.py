"""Starting curves that do not depend on how the latent space is drawn."""

import torch
from torch import Tensor

from egregium.geodesics.problem import Problem
from egregium.geodesics.search import Found
from egregium.geodesics.solvers.base import Solver, Termination
from egregium.numerics.splines import resampled


def given(curve: Tensor, segments: int) -> Tensor:
    """Free vertices `(P, segments - 1, d)` of a user's curve `(P, n, d)` at uniform t."""
    t = torch.linspace(0, 1, curve.shape[1], dtype=curve.dtype, device=curve.device).expand(len(curve), -1)
    return resampled(curve, t, segments)[:, 1:-1]


def explore(problem: Problem, found: Found, solver: Solver, termination: Termination) -> Found:
    return found
