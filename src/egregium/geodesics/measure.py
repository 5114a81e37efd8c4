"""What is read off solved curves: lengths, energies and directions from ambient nodes, upper bounds by rectification."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from egregium.geodesics.curve import Curve
from egregium.geodesics.problem import Problem
from egregium.numerics import splines
from egregium.numerics.derivatives import row_chunks

LEAP = 0.75
SAFETY = 100  # measured: up to 190 on folded decoders, 10 commonly
CHUNK = 1 << 22  # numbers at a time: more leave the cache


def polygon(x: Tensor) -> Tensor:
    """Sum of chords `(P,)` of ambient nodes `(P, T + 1, A)`, accumulated in float64."""
    return torch.linalg.vector_norm(x[:, 1:] - x[:, :-1], dim=-1).double().sum(-1)


def extrapolate(levels: Sequence[Tensor]) -> tuple[Tensor, Tensor]:
    """Richardson limit of quantities computed at T, 2 T, 4 T, ... segments, whose error is a series in `1 / T^2`.

    Of the last row of the table the entry of least error is taken, because levels too coarse to follow that series would
    spoil the deeper columns. Its error is estimated as three times what the series leaves of the change of its column since
    the row before. Returns both; a single level has infinite error. Vectors, in the last axis of levels `(P, d)`, are
    judged by their norm.

    >>> value, error = extrapolate([torch.tensor([1 + 1 / 16]), torch.tensor([1 + 1 / 64])])
    >>> value.item()
    1.0
    """
    row = [levels[0]]
    limit, error = levels[0], torch.full_like(_magnitude(levels[0]), torch.inf)
    for value in levels[1:]:
        previous, row = row, [value]
        for order, coarse in enumerate(previous, start=1):
            row.append(row[-1] + (row[-1] - coarse) / (4**order - 1))
        limit, error = row[-1], _left(row, previous, len(previous) - 1)
        for column in range(len(previous) - 2, 0, -1):
            left = _left(row, previous, column)
            better = left < error
            limit = torch.where(better if limit.ndim == 1 else better[:, None], row[column], limit)
            error = torch.where(better, left, error)
    return limit, error


def extrapolated(lengths: Sequence[Tensor]) -> tuple[Tensor, Tensor]:
    """Richardson's limit of polygons' lengths `(P,)` and its error; that of two levels by the square of their defect."""
    length, error = extrapolate(lengths)
    if len(lengths) == 2:
        defect = (lengths[0] - lengths[1]).abs() / (3 * length)
        error = SAFETY * defect**2 * length
    return length, error


def _left(row: Sequence[Tensor], previous: Sequence[Tensor], column: int) -> Tensor:
    return _magnitude(row[column] - previous[column]) * (3 / (4 ** (column + 1) - 1))


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
class Rectified:
    """Length `(P,)` of the spline through latent vertices, an estimate of its error, and the curve by arc length."""

    length: Tensor
    error: Tensor
    curve: Curve

    @property
    def upper(self) -> Tensor:
        """An upper bound `(P,)` of the distance."""
        return self.length + self.error


def rectify(problem: Problem, vertices: Tensor, x: Tensor) -> Rectified:
    """Rectify the C^2 splines through the vertices `(P, T - 1, d)` whose images `(P, T + 1, A)` are known.

    Chords over quarters, halves and wholes of each segment, with Romberg's extrapolation: it stays within segments, because
    higher derivatives of a spline jump at its knots. The length is that of an admissible curve, an upper bound of the
    distance; where the curve is geodesic, it errs by the square of the vertices' error. Its own error is estimated,
    generously, as three times the last correction; of a segment that a quarter of it covers in a leap nothing is known.
    NaN where the decoder has no finite value on the way.
    Cost: 3 decoder calls a segment.
    """
    z = problem.nodes(vertices)
    pieces, error = _pieces(problem, z, x)
    return Rectified(pieces.sum(-1), error, by_arc_length(z, pieces))


def _pieces(problem: Problem, z: Tensor, x: Tensor) -> tuple[Tensor, Tensor]:
    """Lengths `(P, T)` of the segments, and the error `(P,)` of their sums."""
    quarters = torch.stack([splines.between(z, u)[0] for u in (0.25, 0.5, 0.75)], 2)  # (P, T, 3, d)
    lengths, errors = [], []
    for rows in row_chunks(len(z), 5 * x[0].numel(), CHUNK):
        inside = problem.immerse(quarters[rows].flatten(0, 2)).unflatten(0, quarters[rows].shape[:3])
        points = torch.cat([x[rows, :-1, None], inside, x[rows, 1:, None]], 2)  # (P, T, 5, A)
        chords = _chords(points)
        whole, halves, fourths = _chords(points[:, :, ::4]).sum(-1), _chords(points[:, :, ::2]).sum(-1), chords.sum(-1)
        coarse, fine = halves + (halves - whole) / 3, fourths + (fourths - halves) / 3
        lengths.append(torch.maximum(fine + (fine - coarse) / 15, fourths))
        leap = torch.where(chords.amax(-1) > LEAP * fourths, fourths, 0)
        errors.append(((fine - coarse).abs() / 5 + leap).sum(-1))
    return torch.cat(lengths), torch.cat(errors)


def _chords(points: Tensor) -> Tensor:
    """Chords `(P, T, n)` between points `(P, T, n + 1, A)`."""
    return torch.linalg.vector_norm(points.diff(dim=2), dim=-1).double()


def rounding(x: Tensor, energy: Tensor) -> Tensor:
    """What rounding leaves uncertain of the lengths of curves x `(P, T + 1, A)`, relatively, `(P,)`.

    Of first order at the ends alone, since errors of inner nodes lengthen one chord by what they shorten the next, and of
    second order everywhere, since they make curves zigzag.
    """
    nodes = torch.linalg.vector_norm(x, dim=-1).double().amax(-1)
    unit = 4 * torch.finfo(x.dtype).eps
    node = unit * nodes / energy.sqrt()
    return unit + node + 0.5 * (node * (x.shape[1] - 1)) ** 2


def by_arc_length(z: Tensor, pieces: Tensor) -> Curve:
    """The spline through nodes z `(P, T + 1, d)`, its parameter made proportional to arc length by the lengths of its `pieces`.

    The derivative of that parameter is a spline's in turn.
    """
    reached = F.pad(pieces.cumsum(-1), (1, 0))
    total = reached[:, -1:]
    speed = splines.slopes(reached[..., None])[..., 0]
    uniform = torch.linspace(0, 1, z.shape[1], dtype=torch.float64, device=z.device)
    usable = (torch.isfinite(total) & (speed > 0).all(-1, keepdim=True) & (pieces > 0).all(-1, keepdim=True))[:, 0]
    knots = torch.where(usable[:, None], reached / total, uniform)
    rate = torch.where(usable[:, None], total / speed, 1.0)
    knots[:, -1] = 1
    return Curve(knots.to(z.dtype), z, splines.slopes(z) * rate[..., None].to(z.dtype))
