"""Starting curves that do not depend on how the latent space is drawn."""

import torch
from torch import Tensor

from egregium.geodesics.measure import quadrature
from egregium.geodesics.problem import Problem
from egregium.numerics.derivatives import jacobian
from egregium.numerics.splines import resampled

CORRECTIONS = 2
DAMPING = 1e-2


def given(curve: Tensor, segments: int) -> Tensor:
    """Free vertices `(P, segments - 1, d)` of a user's curve `(P, n, d)` at uniform t."""
    t = torch.linspace(0, 1, curve.shape[1], dtype=curve.dtype, device=curve.device).expand(len(curve), -1)
    return resampled(curve, t, segments)[:, 1:-1]


def along_chord(problem: Problem, segments: int) -> Tensor:
    """Free vertices `(P, segments - 1, d)` that follow the decoded chord from both ends to the middle.

    Each vertex is one Levenberg-Marquardt step further than the one before, towards the next point of the ambient segment
    from `x0` to `x1`: built from decoded quantities, hence to first order independent of the latent coordinates.
    Cost: `segments (3 + 2 d)` decoder calls a pair.
    """
    half = segments // 2
    ends, goals = torch.cat([problem.z0, problem.z1]), torch.cat([problem.x1, problem.x0])
    origins = torch.cat([problem.x0, problem.x1])
    walked, z = [], ends
    for k in range(1, half + 1):
        target = torch.lerp(origins, goals, k / segments)
        for _ in range(CORRECTIONS):
            z = _towards(problem, z, target)
        walked.append(z)
    forward, backward = (torch.stack([step[rows] for step in walked], 1) for rows in _halves(len(problem)))
    middle = 0.5 * (forward[:, -1:] + backward[:, -1:])
    return torch.cat([forward[:, :-1], middle, backward[:, :-1].flip(1)], 1)


def _halves(pairs: int) -> tuple[slice, slice]:
    return slice(0, pairs), slice(pairs, 2 * pairs)


def _towards(problem: Problem, z: Tensor, target: Tensor) -> Tensor:
    """One damped Gauss-Newton step of `|f(z) - target|^2`, kept only where it comes nearer."""
    block, x = jacobian(problem.immerse, z), problem.immerse(z)
    miss = target - x
    gram = block.mT @ block
    gram = gram + torch.diag_embed(DAMPING * gram.diagonal(dim1=-2, dim2=-1))
    factor, info = torch.linalg.cholesky_ex(gram)
    step = torch.cholesky_solve(block.mT @ miss[..., None], factor)[..., 0]
    trial = z + step
    nearer = (problem.immerse(trial) - target).norm(dim=-1) < miss.norm(dim=-1)
    return torch.where((nearer & (info == 0))[:, None], trial, z)


def by_length(problem: Problem, first: Tensor, second: Tensor) -> tuple[Tensor, Tensor]:
    """Two starts of each pair, the shorter first, as measured along the curves: polygons may tunnel through folds."""
    swap = quadrature(problem, second).length < quadrature(problem, first).length
    pick = swap[:, None, None]
    return torch.where(pick, second, first), torch.where(pick, first, second)
