"""What makes a critical curve trustworthy, whichever solver found it: second variation and rank of the decoder."""

import torch
from torch import Tensor

from egregium.geodesics.path_metric import estimated
from egregium.geodesics.problem import Problem
from egregium.geodesics.second_order import SecondOrder
from egregium.geodesics.solvers.base import Solution
from egregium.numerics.derivatives import Map, jacobian, row_chunks
from egregium.numerics.lanczos import lowest
from egregium.numerics.tridiagonal import BlockTridiagonal

CURVATURE_MARGIN = 1e-3
REACH = 1e-3  # relative metric size of the displacements that gradients are differenced over
SOFT = 0.06
AGED = 3.5
LOOKED_AT, LOOKED_AT_WIDE = 5, 3
SUSPECT = 1e-4
PRODUCTS = 60
LOWEST = 2
SETTLED = 0.02  # residual at which Ritz vectors are good enough
PUSHES = (0.3, 0.1, 0.03)  # relative metric sizes of the steps that are tried along them
SEEN = 0.1  # of the tolerance: a smaller relative fall of the energy is none


def second_variation(problem: Problem, solution: Solution, rtol: float = 0.0) -> tuple[Tensor, Tensor, SecondOrder | None]:
    """Whether the exact Hessian of the energy is positive `(P,)`, a metric unit step of descent where it is not, and the model.

    Positivity is asked of H with a little of the diagonal blocks of the Gauss-Newton metric M added, so that families of
    equally short curves, where H is singular, are no saddles. The step `(P, T - 1, d)` is the lowest generalised eigenvector
    with `<v, M v> / 2 = E`. Solutions without a model of wide problems are only searched for directions along which the energy
    falls by what `rtol` can see, and have no model afterwards either.
    """
    if problem.wide and solution.model is None:
        return *_searched(problem, solution, rtol), None
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


def _searched(problem: Problem, solution: Solution, rtol: float) -> tuple[Tensor, Tensor]:
    """Whether the energy falls along none of the LOWEST directions that Lanczos' method finds, and a step along which it does.

    It must fall by what `rtol` can see, both ways on average, which leaves out the slope of curves that are critical only to a
    tolerance: along collapsed latent axes there are many directions of negative curvature that end at a wall at once. Steps are
    units of the metric's damped estimate: a unit of the metric itself along what it hardly sees leaves the latent space. The
    energy falls furthest at PUSHES[0] of the one returned.

    Lanczos' method starts from noise in which every direction has its share. That the energy falls is a proof; that it does not
    is none: a narrow direction may have had next to no share. The same for equal pairs, since the noise is.

    Cost: 3 decoder calls a vertex and product, PRODUCTS of them at most.

    References: Kuczynski and Wozniakowski 1992 (SIAM J. Matrix Anal. Appl. 13), the largest eigenvalue from a random start.
    """
    parts = [_falling(problem[rows], solution.vertices[rows], rtol) for rows in problem.held(solution.vertices)]
    minimum, descent = (torch.cat(part) for part in zip(*parts, strict=True))
    return minimum, descent


def _falling(problem: Problem, vertices: Tensor, rtol: float) -> tuple[Tensor, Tensor]:
    now, near = problem.evaluate(vertices), problem.path_metric(vertices)
    reach = now.noise.sqrt().clamp_min(REACH)
    noise = near.noise(vertices, torch.Generator().manual_seed(0))
    values, vectors = lowest(problem.secant(vertices, now, near, reach), near.inverse, noise, LOWEST, PRODUCTS, SETTLED)
    margin, furthest = (now.noise / reach).clamp_min(CURVATURE_MARGIN), now.noise.clamp_min(SEEN * rtol)
    descent, minimum = torch.zeros_like(vertices), torch.ones_like(values[:, 0], dtype=torch.bool)
    for value, vector in zip(values.unbind(1), vectors.unbind(1), strict=True):
        rows = (value < -margin).nonzero().flatten()
        if not len(rows):
            break
        unit = (2 * now.energy[rows]).sqrt().to(vector)[:, None, None] * vector[rows]
        fall, push = _fall(problem[rows], vertices[rows], now.energy[rows], unit)
        better = fall > furthest[rows]
        taken = rows[better]
        furthest, minimum = furthest.index_copy(0, taken, fall[better]), minimum.index_fill(0, taken, False)
        descent = descent.index_copy(0, taken, ((push / PUSHES[0]).to(unit)[:, None, None] * unit)[better])
    return minimum, descent


def _fall(problem: Problem, vertices: Tensor, energy: Tensor, step: Tensor) -> tuple[Tensor, Tensor]:
    """By how much of it the energy falls along both ways of the `step`, at most, and after which of PUSHES, both `(P,)`."""
    falls = [
        1 - 0.5 * (problem.energy(vertices + push * step) + problem.energy(vertices - push * step)) / energy for push in PUSHES
    ]
    most, which = torch.stack(falls).nan_to_num(-torch.inf).max(0)
    return most, torch.tensor(PUSHES, dtype=energy.dtype, device=energy.device)[which]


def soft(problem: Problem, solution: Solution) -> Tensor:
    """Whether the second variation is SOFT somewhere, relative to the metric, `(P,)`.

    A soft polygon can be a minimum where no geodesic is: some of 64 segments, settled in all other ways, slid away with 128;
    the stiffest of those had 0.03.
    The solver's model says where to look, old as it is: it was right to a factor AGED where it has the Hessian's curvature.
    Of solvers without a model, nothing is found soft.
    """
    if solution.model is None:
        return torch.zeros_like(solution.status, dtype=torch.bool)
    suspects = ~solution.model.exceeds(AGED * SOFT) | (solution.model.share == 0)
    rows = suspects.nonzero().flatten()
    if not len(rows):
        return suspects
    fresh = problem[rows].second_order(solution.vertices[rows], solution.x[rows])
    return suspects.index_copy(0, rows, ~fresh.exceeds(SOFT))


def degenerate(problem: Problem, vertices: Tensor, model: SecondOrder | None = None) -> Tensor:
    """Whether the decoder loses rank at one of 5 nodes of the curve, of 3 where wide, both ends among them, `(P,)`.

    Judged after scaling each latent axis to unit speed. Between the ends the metric of a `model`, or where wide
    differences over short distances, clear the decoders that are far from losing rank there, and only the others are judged
    by derivatives: where wide a rank that is lost at one point and not beside it is overlooked.
    """
    segments, width = vertices.shape[1] + 1, problem.x0.shape[-1]
    nodes = torch.linspace(0, segments, LOOKED_AT_WIDE if problem.wide else LOOKED_AT).round().long().unique()
    inner, tolerance = nodes[1:-1] - 1, _tolerance(vertices)
    lost = (_least_of(problem.ends.metric.flatten(0, 1)) < tolerance).unflatten(0, (-1, 2)).any(-1)
    metric = None if model is None else model.metric.diagonal[:, inner]
    rows = (_suspicious(problem, vertices[:, inner], metric) & ~lost).nonzero().flatten()
    if not len(rows):
        return lost
    found = rank_lost(problem.immerse, vertices[rows][:, inner].flatten(0, 1), width)
    return lost.index_copy(0, rows, found.unflatten(0, (len(rows), -1)).any(-1))


def _suspicious(problem: Problem, z: Tensor, metric: Tensor | None) -> Tensor:
    """Where the `metric` `(P, n, d, d)`, if it is known about, does not rule out that rank is lost at points z `(P, n, d)`."""
    if metric is None and not problem.wide:
        return torch.ones_like(problem.z0[:, 0], dtype=torch.bool)
    n = z.shape[1]
    if metric is None:
        extent = (problem.z1 - problem.z0).abs().amax(-1).repeat_interleave(n)
        metric = estimated(problem.immerse, z.flatten(0, 1), extent).unflatten(0, (-1, n))
    return (_least_of(metric.flatten(0, 1)) < SUSPECT).unflatten(0, (-1, n)).any(-1)


def rank_lost(immerse: Map, z: Tensor, width: int) -> Tensor:
    """Whether the map, to `width` numbers, loses rank at points z `(N, d)`, `(N,)`.

    Judged after scaling each latent axis to unit speed. Cost: 3 + 2 d decoder calls a point.
    """
    lost = []
    for rows in row_chunks(len(z), z.shape[-1] * width):
        block = jacobian(immerse, z[rows]).double()
        lost.append(_least_of(block.mT @ block) < _tolerance(z))
    return torch.cat(lost)


def _tolerance(like: Tensor) -> float:
    """Squared ratio of speeds at which rank counts as lost."""
    return 1e-14 if like.dtype == torch.float64 else 1e-9


def _least_of(metric: Tensor) -> Tensor:
    """Least eigenvalue `(N,)` of metrics `(N, d, d)`, in axes of unit speed; 0 where one has none or is not finite."""
    gram = metric.double()
    axis = gram.diagonal(dim1=-2, dim2=-1)
    lost = (axis <= 1e-20 * axis.amax(-1, keepdim=True)).any(-1) | ~torch.isfinite(gram).all((-1, -2))
    scale = axis.clamp_min(torch.finfo(torch.float64).tiny).rsqrt()
    identity = torch.eye(gram.shape[-1], dtype=gram.dtype, device=gram.device)
    unit = torch.where(lost[:, None, None], identity, scale[:, :, None] * gram * scale[:, None, :])
    return torch.where(lost, 0.0, torch.linalg.eigvalsh(unit.nan_to_num(0.0))[:, 0])
