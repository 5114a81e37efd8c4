"""Lengths of short geodesics, by the thousand: what `connect` finds between neighbours, at a tenth of its cost.

Between neighbours the latent line is so near to the geodesic that one exact Hessian at its middle serves for everything: it
says whether the curve is a minimum, and it is the solver's model on two segments, and prolonged on four and eight.
"""

from dataclasses import dataclass, replace

import torch
from torch import Tensor

from egregium.geodesics.certificate import AGED, SOFT, second_variation
from egregium.geodesics.measure import extrapolated, polygon, rectify, rounding
from egregium.geodesics.options import Options
from egregium.geodesics.problem import Problem
from egregium.geodesics.solvers.base import Solution
from egregium.numerics import splines
from egregium.numerics.cubature import gauss_legendre
from egregium.numerics.derivatives import jvp
from egregium.numerics.rows import Rows
from egregium.status import Status

SEGMENTS = (4, 8, 16)
FAR = 1.5


@dataclass(frozen=True)
class Short(Rows):
    """Lengths of P geodesics with upper bounds, all `(P,)` in float64, and which of them are certified; others are NaN."""

    length: Tensor
    upper: Tensor
    certified: Tensor


def short(problem: Problem, options: Options) -> Short:
    """Lengths of geodesics between neighbours, certified to the tolerance of the `options` or not at all.

    Certified is what `connect` calls CONVERGED: of first order to the solver's tolerance, of second order, and with lengths of
    polygons, extrapolated, that agree with that of an admissible curve. Curves much longer than their decoded chord are left
    alone, because others may be shorter.
    Cost: some `30 + 4 d` decoder calls a pair that four segments suffice for, and 50 more for eight.
    """
    nothing = problem.chord * torch.nan
    result = Short(nothing, nothing, torch.zeros_like(nothing, dtype=torch.bool))
    solution, minimum = _halved(problem, options)
    rows = minimum.nonzero().flatten()
    solution, lengths = solution[rows], [polygon(solution.x[rows])]
    for _ in SEGMENTS:
        if not len(rows):
            break
        part = problem[rows]
        model = None if solution.model is None else solution.model.prolonged()
        finer = splines.doubled(part.nodes(solution.vertices))[:, 1:-1]
        solution = options.solver.minimise(part, finer, options.measuring(problem.wide), model)
        lengths.append(polygon(solution.x))
        found = _measured(part, solution, lengths, options.rtol)
        result = result.updated(rows, found)
        left = (~found.certified & (found.upper <= FAR * part.chord)).nonzero().flatten()
        rows, solution, lengths = rows[left], solution[left], [one[left] for one in lengths]
    return result


def near(problem: Problem, rtol: float) -> Short:
    """Lengths of latent lines between points so near that the manifold is flat between them, to the tolerance.

    With the vectors `u = J(z) (z1 - z0)` along the line, `|int u| = chord <= distance <= int |u|`: certified where the two
    integrals agree, by 3 points of Gauss, with each other and with the decoded chord. Derivatives keep the digits that
    differences of decoded points lose; here the chord is but a check that the 3 points saw everything.
    Cost: 15 decoder calls a pair.
    """
    t, weights = gauss_legendre(3, problem.z0.double())
    step = problem.z1 - problem.z0
    z = torch.lerp(problem.z0[:, None], problem.z1[:, None], t[None, :, None].to(step))
    _, u = jvp(problem.immerse, z.flatten(0, 1), step[:, None].expand_as(z).flatten(0, 1))
    u = u.unflatten(0, z.shape[:2]).double()
    speed = torch.linalg.vector_norm(u, dim=-1)
    length, chord = speed @ weights, torch.linalg.vector_norm(torch.einsum("pka,k->pa", u, weights), dim=-1)
    eps = torch.finfo(step.dtype).eps
    error = (length - speed[:, 1]).abs() + 50 * eps * length
    flat = length - chord + error <= rtol * length
    return Short(length, length + error, flat & ((length - problem.chord).abs() <= rtol * length + 50 * eps * problem.size))


def _halved(problem: Problem, options: Options) -> tuple[Solution, Tensor]:
    """The curves of two segments, and which of them are minima `(P,)`."""
    straight = problem.straight(2)
    now = problem.evaluate(straight)
    model = problem.second_order(straight, now.x).convex(now.gradient)
    solution = options.solver.minimise(problem, straight, options.measuring(problem.wide), model)
    minimum = solution.status == Status.CONVERGED
    if solution.model is None:
        rows = minimum.nonzero().flatten()
    else:
        rows = (minimum & ~solution.model.exceeds(AGED * SOFT)).nonzero().flatten()
    if len(rows):
        settled, _, model = second_variation(problem[rows], solution[rows])
        minimum = minimum.index_copy(0, rows, settled)
        if solution.model is not None and model is not None:
            solution = replace(solution, model=solution.model.updated(rows, model))
    return solution, minimum


def _measured(problem: Problem, solution: Solution, lengths: list[Tensor], rtol: float) -> Short:
    """Richardson's limit of the polygons' `lengths`, certified where an admissible curve is as long to within `rtol`."""
    length, error = extrapolated(lengths)
    curve = rectify(problem, solution.vertices, solution.x)
    gap = (curve.length - length).abs() + curve.error
    noise = rounding(solution.x, solution.energy)
    upper = torch.maximum(curve.upper, length) * (1 + noise)
    agrees = torch.maximum(error, 3 * gap) + noise * length <= rtol * length
    sound = (solution.status == Status.CONVERGED) & (upper <= FAR * problem.chord)
    return Short(length, upper, agrees & sound)
