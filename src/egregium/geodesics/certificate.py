"""What makes a critical curve trustworthy, whichever solver found it: second variation and rank of the decoder."""

import torch
from torch import Tensor

from egregium.geodesics.problem import Problem
from egregium.geodesics.second_order import SecondOrder
from egregium.geodesics.solvers.base import Solution
from egregium.numerics.derivatives import Map, jacobian, row_chunks
from egregium.numerics.tridiagonal import BlockTridiagonal

CURVATURE_MARGIN = 1e-3
SOFT = 0.025
AGED = 3.5
LOOKED_AT = 5


def second_variation(problem: Problem, solution: Solution) -> tuple[Tensor, Tensor, SecondOrder]:
    """Whether the exact Hessian of the energy is positive `(P,)`, a metric unit step of descent where it is not, and the model.

    Positivity is asked of H with a little of the diagonal blocks of the Gauss-Newton metric M added, so that families of
    equally short curves, where H is singular, are no saddles. The step `(P, T - 1, d)` is the lowest generalised eigenvector
    with `<v, M v> / 2 = E`.
    """
    whole = problem.second_order(solution.vertices, solution.x)
    model, hessian = whole.metric, whole.hessian
    margin = torch.full_like(problem.z0[:, 0], CURVATURE_MARGIN)
    shifted = type(hessian)(hessian.diagonal + margin[:, None, None, None] * model.diagonal, hessian.upper)
    _, minimum = shifted.solve(torch.zeros_like(solution.vertices))
    descent = torch.zeros_like(solution.vertices)
    rows = (~minimum & torch.isfinite(hessian.diagonal).all((-1, -2, -3))).nonzero().flatten()
    if len(rows):
        descent[rows] = steepest_descent(model[rows], hessian[rows], solution.energy[rows])
    return minimum, descent, whole.convex(descent)


def steepest_descent(metric: BlockTridiagonal, hessian: BlockTridiagonal, energy: Tensor) -> Tensor:
    """Generalised eigenvectors `v` `(P, n, d)` of the least eigenvalue, with `<v, M v> / 2 = E`; 0 where M is singular."""
    p, n, d = metric.diagonal.shape[:3]
    step = metric.diagonal.new_zeros(p, n, d)
    factor, info = torch.linalg.cholesky_ex(metric.dense())
    rows = (info == 0).nonzero().flatten()
    white = torch.linalg.solve_triangular(factor[rows], hessian[rows].dense(), upper=False)
    white = torch.linalg.solve_triangular(factor[rows], white.mT, upper=False)
    lowest = torch.linalg.eigh(0.5 * (white + white.mT)).eigenvectors[..., 0]
    found = torch.linalg.solve_triangular(factor[rows].mT, lowest[..., None], upper=True)[..., 0]
    unit = (2 * energy[rows]).sqrt().to(found.dtype)
    return step.index_copy(0, rows, (found * unit[:, None]).unflatten(-1, (n, d)))


def soft(problem: Problem, solution: Solution) -> Tensor:
    """Whether the second variation is SOFT somewhere, relative to the metric, `(P,)`.

    A soft polygon can be a minimum where no geodesic is: one of 64 segments, settled in all other ways, slid away with 128.
    The solver's model says where to look, old as it is: it was right to a factor AGED where it has the Hessian's curvature.
    Of solvers without a model, nothing is found soft.
    """
    if solution.model is None:
        return torch.zeros_like(solution.status, dtype=torch.bool)
    suspects = ~solution.model.exceeds(AGED * SOFT) | (solution.model.curvature == 0).all(-1).all(-1).all(-1)
    rows = suspects.nonzero().flatten()
    if not len(rows):
        return suspects
    fresh = problem[rows].second_order(solution.vertices[rows], solution.x[rows])
    return suspects.index_copy(0, rows, ~fresh.exceeds(SOFT))


def degenerate(problem: Problem, vertices: Tensor) -> Tensor:
    """Whether the decoder loses rank at one of 5 nodes of the curve, both ends among them, `(P,)`."""
    z = problem.nodes(vertices)
    z = z[:, torch.linspace(0, z.shape[1] - 1, LOOKED_AT).round().long().unique()]
    return rank_lost(problem.immerse, z.flatten(0, 1), problem.x0.shape[-1]).unflatten(0, z.shape[:2]).any(-1)


def rank_lost(immerse: Map, z: Tensor, width: int) -> Tensor:
    """Whether the map, to `width` numbers, loses rank at points z `(N, d)`, `(N,)`.

    Judged after scaling each latent axis to unit speed. Cost: 3 + 2 d decoder calls a point.
    """
    lost, d = [], z.shape[-1]
    for rows in row_chunks(len(z), d * width):
        block = jacobian(immerse, z[rows]).double()
        gram = block.mT @ block
        axis = gram.diagonal(dim1=-2, dim2=-1)
        gone = (axis <= 1e-20 * axis.amax(-1, keepdim=True)).any(-1) | ~torch.isfinite(gram).all((-1, -2))
        scale = axis.clamp_min(torch.finfo(torch.float64).tiny).rsqrt()
        unit = torch.where(gone[:, None, None], torch.eye(d, dtype=gram.dtype, device=gram.device), gram)
        unit = torch.where(gone[:, None, None], unit, scale[:, :, None] * gram * scale[:, None, :])
        tolerance = 1e-14 if z.dtype == torch.float64 else 1e-9
        lost.append(gone | (torch.linalg.eigvalsh(unit)[:, 0] < tolerance))
    return torch.cat(lost)
