"""Volume of geodesic balls: of the regions that need no coordinates to be told, the simplest."""

from dataclasses import dataclass

import torch
from torch import Tensor

from egregium.errors import NotConvergedError, OptionError, ShapeError
from egregium.geodesics.measure import extrapolate
from egregium.geodesics.options import require_on_fail, require_tolerance
from egregium.numerics.cubature import sphere_rule
from egregium.numerics.derivatives import row_chunks
from egregium.numerics.rows import Rows
from egregium.protocols import ClosedForm, Measured, Scale, Space
from egregium.relations.jacobi import first_conjugate, spread_of
from egregium.relations.verbs import where_ok
from egregium.spaces.points import flat
from egregium.status import Status, describe, worst

COARSE = 8  # degree of the first rule on directions
MOST_SEGMENTS = 64  # of radii
FINEST = {1: 8, 2: 128, 3: 32, 4: 8}  # degree up to which it is doubled, by dimension
FINER = 0.003  # of the tolerance asked for: that of one step of a radius
TOGETHER = 1 << 22


def ball_volume(space: Space, center: Tensor, radius: float | Tensor, *, rtol: float = 1e-4, on_fail: str = "raise") -> Tensor:
    r"""Riemannian volume of geodesic balls, `(*batch)`: length at d = 1, area at d = 2.

    .. math:: \int_{S^{d-1}} \int_0^r |\det D\exp_c(t u)| \, t^{d-1} dt \, du,

    in polar coordinates around the centre, with Jacobi fields for the differential of the exponential map. Invariant: a ball is
    told by its centre and radius, without coordinates. Valid up to the injectivity radius, where radii are shortest curves.
    Balls with a conjugate point, or at d = 2 with a circle that crosses itself, reach beyond it, and are SADDLE; at d > 2 radii
    that meet elsewhere than at conjugate points are not noticed, and what lies beyond is counted twice.

    Args:
        center: points `(*batch, d)`, d at most 4.
        radius: a number, or one a point, `(*batch)`.
        rtol: relative error. Directions and segments are doubled until it is met, a few times (MAX_STEPS).
        on_fail: "raise" `NotConvergedError`, whose `.result` is a `Measured`, or "mark" failed balls by NaN, such as those that
            leave the domain of the decoder.

    Cost: some `2 * 8^(d - 1)` geodesics with Jacobi fields, of 16 segments, a ball; every doubling `2^(d - 1)` times that.

    References: Chavel 2006, Riemannian Geometry, section III.3; Gray 1973 (doi 10.1307/mmj/1029001150) for small balls.

    >>> from egregium.spaces import Euclidean
    >>> ball_volume(Euclidean(2), torch.zeros(2).double(), 2.0).item() / torch.pi
    4.0...
    """
    require_on_fail(on_fail)
    found = measured(space, center, radius, rtol)
    failed = found.status != Status.CONVERGED
    if on_fail == "raise" and bool(failed.any()):
        raise NotConvergedError(
            f"the volume of {int(failed.sum())} of {failed.numel()} balls is not known: {describe(found.status.flatten())}. "
            'Use on_fail="mark" for NaN in these, a smaller radius or a larger rtol.',
            found,
        )
    return where_ok(~failed, found.value)


@dataclass(frozen=True)
class BallVolume:
    """`ball_volume` of one radius as a relation."""

    radius: float
    rtol: float = 1e-4
    name: str = "ball_volume"
    arity: int = 1
    scale: Scale = "ratio"
    invariant_under: str = "isometries"

    def __call__(self, space: Space, *points: Tensor) -> Measured:
        return measured(space, *points, radius=self.radius, rtol=self.rtol)


def measured(space: Space, center: Tensor, radius: float | Tensor, rtol: float) -> Measured:
    """Volumes with their error as bounds, and what became of each ball."""
    (center,) = space.prepare(center, names=("center",))
    require_tolerance(rtol, center.dtype)
    if space.width != space.dim and not isinstance(space, ClosedForm):
        raise OptionError(f"ball_volume needs as many coordinates as dimensions; {space!r} has {space.width} for {space.dim}.")
    d = space.dim
    if d not in FINEST:
        raise OptionError(
            f"ball_volume integrates over directions, in at most {max(FINEST)} dimensions; got {d}: use volume()."
        )
    radii = _radii(center, radius)
    points, size = flat(center), radii.flatten()
    with torch.no_grad():
        degree, rows = COARSE, torch.arange(len(points), device=points.device)
        best = _Balls.of(space, points, size, degree, rtol)
        while degree < FINEST[d]:
            rows = rows[(best.error[rows] > rtol * best.value[rows]) & (best.status[rows] == Status.CONVERGED)]
            if not len(rows):
                break
            degree *= 2
            best = best.updated(rows, _Balls.of(space, points[rows], size[rows], degree, rtol))
    missed = torch.where(best.error > rtol * best.value, int(Status.MAX_STEPS), int(Status.CONVERGED)).to(torch.int8)
    shape = center.shape[:-1]
    value, error = (x.to(center.dtype).reshape(shape) for x in (best.value, best.error))
    return Measured(value, (value - error).clamp_min(0), value + error, worst(best.status, missed).reshape(shape))


def _radii(center: Tensor, radius: float | Tensor) -> Tensor:
    radii = radius.to(center) if isinstance(radius, Tensor) else torch.full_like(center[..., 0], radius)
    if radii.shape != center.shape[:-1]:
        raise ShapeError(f"radius must be a number or have shape {tuple(center.shape[:-1])}; got {tuple(radii.shape)}.")
    if not bool(((radii > 0) & torch.isfinite(radii)).all()):
        raise OptionError(f"a radius must be positive and finite; got {radius}.")
    return radii


@dataclass(frozen=True)
class _Balls(Rows):
    """Volumes of balls and their errors, in float64, and statuses, all `(P,)`."""

    value: Tensor
    error: Tensor
    status: Tensor

    @staticmethod
    def of(space: Space, centers: Tensor, radii: Tensor, degree: int, rtol: float) -> "_Balls":
        """By rules of so high a `degree` on directions and of half that, whose difference is part of the error, generously."""
        d = space.dim
        segments = min(2 * degree, MOST_SEGMENTS)
        fine, coarse = sphere_rule(d, degree, centers), sphere_rule(d, degree // 2, centers)
        unit, weights = torch.cat([fine[0], coarse[0]]), torch.block_diag(fine[1], coarse[1])
        parts = [
            _integrated(space, centers[rows], radii[rows], unit, weights.double(), segments, rtol)
            for rows in row_chunks(len(centers), len(unit) * segments * 5 * d**2, TOGETHER)
        ]
        return _Balls.stack(parts)


def _integrated(
    space: Space, centers: Tensor, radii: Tensor, unit: Tensor, weights: Tensor, segments: int, rtol: float
) -> _Balls:
    """By two rules on the directions `unit` `(m, d)`, the finer one first: weights `(2, m)`."""
    p, d, m = len(centers), space.dim, len(unit)
    velocity = radii[:, None, None] * (unit @ space.frame(centers).mT)
    shot = spread_of(space, centers.repeat_interleave(m, 0), velocity.flatten(0, 1), FINER * rtol, segments)
    density = torch.linalg.det(shot.fields[..., d:].double())  # over t, in units of the radius; D exp is the field over t
    t = torch.linspace(0, 1, segments + 1, dtype=torch.float64, device=centers.device)
    density = torch.cat([torch.full_like(density[:, :1], float(d == 1)), density[:, 1:] / t[1:]], -1)
    along = weights @ density.unflatten(0, (p, m))
    levels = [torch.trapezoid(along[..., :: segments >> k], dx=1 / (1 << k)).flatten() for k in range(segments.bit_length())]
    both, wrong = (found.unflatten(0, (p, 2)) for found in extrapolate(levels))
    status = shot.status.unflatten(0, (p, m)).amax(-1)
    folded = ((density[:, 1:] <= 0).any(-1) | (first_conjugate(shot) <= 1)).unflatten(0, (p, m)).any(-1)
    if isinstance(space, ClosedForm):
        folded |= radii > space.injectivity_radius
    elif d == 2:
        folded |= _crosses_itself(shot.end.unflatten(0, (p, m))[:, weights[0] > 0])
    status = torch.where(folded, status.clamp_min(int(Status.SADDLE)), status)
    status = torch.where(torch.isfinite(both[:, 0]), status, int(Status.NONFINITE)).to(torch.int8)
    error = wrong[:, 0] + (both[:, 0] - both[:, 1]).abs() + FINER * rtol * shot.steps.unflatten(0, (p, m)).amax(-1) * both[:, 0]
    size = radii.double() ** d
    return _Balls(size * both[:, 0], size * error, status)


def _crosses_itself(ring: Tensor) -> Tensor:
    """Whether closed polygons `(P, m, 2)` do, `(P,)`: a local homeomorphism of a disc is one to one if its rim is."""
    a, b = ring[:, :, None], ring.roll(-1, 1)[:, :, None]
    c, e = ring[:, None], ring.roll(-1, 1)[:, None]
    apart = (_side(a, b, c) * _side(a, b, e) < 0) & (_side(c, e, a) * _side(c, e, b) < 0)
    return apart.any(-1).any(-1)


def _side(a: Tensor, b: Tensor, c: Tensor) -> Tensor:
    """On which side of the line from a to b the point c is, by sign."""
    u, v = b - a, c - a
    return u[..., 0] * v[..., 1] - u[..., 1] * v[..., 0]
