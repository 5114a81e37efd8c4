"""What is read off solved curves: lengths, energies and directions from ambient nodes, upper bounds by quadrature."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from egregium.geodesics.curve import Curve
from egregium.geodesics.problem import Problem
from egregium.numerics import splines
from egregium.numerics.derivatives import jvp

GAUSS = (0.5 - 0.15**0.5, 0.5, 0.5 + 0.15**0.5)
"""Nodes of Gauss's rule of three points on [0, 1]."""


def polygon(x: Tensor) -> Tensor:
    """Sum of chords `(P,)` of ambient nodes `(P, T + 1, A)`, accumulated in float64."""
    return torch.linalg.vector_norm(x[:, 1:] - x[:, :-1], dim=-1, dtype=torch.float64).sum(-1)


def extrapolate(levels: Sequence[Tensor]) -> tuple[Tensor, Tensor]:
    """Richardson limit of quantities computed at T, 2 T, 4 T, ... segments, whose error is a series in `1 / T^2`.

    Of the last row of the table the entry is taken that moved least since the row before, because levels too coarse to
    follow that series would spoil the deeper columns. Returns it and how much it moved (infinite for a single level).
    Vectors, in the last axis of levels `(P, d)`, are judged by their norm.

    >>> value, error = extrapolate([torch.tensor([1 + 1 / 16]), torch.tensor([1 + 1 / 64])])
    >>> value.item()
    1.0
    """
    row = [levels[0]]
    limit, moved = levels[0], torch.full_like(_magnitude(levels[0]), torch.inf)
    for value in levels[1:]:
        previous, row = row, [value]
        for order, coarse in enumerate(previous, start=1):
            row.append(row[-1] + (row[-1] - coarse) / (4**order - 1))
        limit, moved = row[-1], _magnitude(row[-1] - previous[-1])
        for column in range(len(previous) - 1, 0, -1):
            change = _magnitude(row[column] - previous[column])
            better = change < moved
            limit = torch.where(better if limit.ndim == 1 else better[:, None], row[column], limit)
            moved = torch.where(better, change, moved)
    return limit, moved


def _magnitude(value: Tensor) -> Tensor:
    return value.abs() if value.ndim == 1 else value.norm(dim=-1)


def end_momenta(x: Tensor) -> tuple[Tensor, Tensor]:
    """T times the first and the last chord `(P, A)` of ambient nodes `(P, T + 1, A)`.

    Projected on the tangent spaces at the ends these are the discrete Legendre transforms of a critical curve, the
    derivatives of its energy in its end points. Their error is a series in `1 / T^2`, as `extrapolate` asks; that of
    difference formulas over more nodes is not, and was 20 to 1000 times larger after extrapolation.

    References: Marsden and West 2001, Discrete mechanics and variational integrators, Acta Numerica 10.
    """
    segments = x.shape[1] - 1
    return segments * (x[:, 1] - x[:, 0]), segments * (x[:, -1] - x[:, -2])


@dataclass(frozen=True)
class Quadrature:
    """Length `(P,)` of the spline through latent vertices, an estimate of its error, and the curve by arc length."""

    length: Tensor
    error: Tensor
    curve: Curve


def quadrature(problem: Problem, vertices: Tensor) -> Quadrature:
    """Integrate the speed `|J z'|` of the C^2 spline through the vertices `(P, T - 1, d)`, by Gauss's rule on each segment.

    The length is that of an admissible curve: an upper bound of the distance. Its error is estimated, generously, from the
    difference to Simpson's rule. Both stay within segments, because higher derivatives of a spline jump at its knots.
    NaN where the decoder has no finite value on the way. Cost: 20 decoder calls a segment.
    """
    z = problem.nodes(vertices)
    slope = splines.slopes(z)
    inside = [splines.between(z, u) for u in GAUSS]
    points = torch.cat([z, *(value for value, _ in inside)], 1)
    velocities = torch.cat([slope, *(rate for _, rate in inside)], 1)
    x, tangents = jvp(problem.immerse, points.flatten(0, 1), velocities.flatten(0, 1))
    speed = torch.linalg.vector_norm(tangents, dim=-1, dtype=torch.float64)
    # Outside its domain a decoder may have no value and yet a finite derivative, as the logarithm has.
    speed = torch.where(torch.isfinite(x).all(-1), speed, torch.nan).reshape(points.shape[:2])
    segments = z.shape[1] - 1
    at_nodes, left, middle, right = speed.split([segments + 1, segments, segments, segments], -1)
    pieces = (5 * left + 8 * middle + 5 * right) / (18 * segments)
    simpson = (at_nodes[:, :-1] + 4 * middle + at_nodes[:, 1:]) / (6 * segments)
    error = (pieces - simpson).abs().sum(-1) / 4
    return Quadrature(pieces.sum(-1), error, _by_arc_length(z, slope, at_nodes, pieces))


def _by_arc_length(z: Tensor, slope: Tensor, speed: Tensor, pieces: Tensor) -> Curve:
    reached = torch.nn.functional.pad(pieces.cumsum(-1), (1, 0))
    total = reached[:, -1:]
    uniform = torch.linspace(0, 1, z.shape[1], dtype=torch.float64, device=z.device)
    usable = (torch.isfinite(total) & (speed > 0).all(-1, keepdim=True) & (pieces > 0).all(-1, keepdim=True))[:, 0]
    knots = torch.where(usable[:, None], reached / total, uniform)
    rate = torch.where(usable[:, None], total / speed, 1.0)
    knots[:, -1] = 1
    return Curve(knots.to(z.dtype), z, slope * rate[..., None].to(z.dtype))
