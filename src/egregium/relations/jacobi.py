"""Jacobi fields, how neighbouring geodesics spread, and conjugate points, where they meet again."""

import torch
import torch.nn.functional as F
from torch import Tensor

from egregium.errors import NotConvergedError
from egregium.geodesics.closed import spread_closed
from egregium.geodesics.options import require_immersed, require_on_fail, require_tolerance
from egregium.geodesics.shooting import Spread, spread
from egregium.protocols import ClosedForm, Space
from egregium.relations.verbs import coefficients, factored, mixed
from egregium.spaces.points import flat
from egregium.spaces.product import require_riemannian
from egregium.status import Status, describe

FINER = 0.01  # of the tolerance asked for: that of one step
LOOKS = 128
NARROWED = 48
SINGULAR = 1e-5


def jacobi_field(
    space: Space, z: Tensor, v: Tensor, value: Tensor, slope: Tensor, *, rtol: float = 1e-5, on_fail: str = "raise"
) -> tuple[Tensor, Tensor]:
    r"""The Jacobi field along `t -> exp(z, t v)` with given value and covariant derivative at t = 0: both again at t = 1.

    Solves `D^2 y = -R(y, c') c'` in frames carried in parallel, with the curvature of the Gauss equation. With value 0 and
    slope w it is the derivative of `exp(z, v)` along w; with slope 0, that of moving z along the value while v is carried
    in parallel. Vectors transform as tangent vectors under reparametrisation.

    Args:
        z, v, value, slope: points and tangent vectors there, all `(*batch, d)`.
        rtol: error relative to the largest field along the way.
        on_fail: "raise" `NotConvergedError`, whose `.result` is the pair of results, or "mark" failed rows by NaN.

    Cost: `12 (12 + 8 d)` decoder calls a step, some 30 steps.

    References: do Carmo 1992, Riemannian Geometry, chapter 5.

    >>> from egregium.spaces import Euclidean
    >>> o, e = torch.zeros(2).double(), torch.tensor([1.0, 0.0]).double()
    >>> [round(x.norm().item(), 6) for x in jacobi_field(Euclidean(2), o, e, value=e, slope=e)]
    [2.0, 1.0]
    """
    z, v, value, slope = space.prepare(z, v, value, slope, names=("z", "v", "value", "slope"))
    options = {"rtol": rtol, "on_fail": on_fail}
    if mixed(space):
        require_riemannian(space)
        parts = [jacobi_field(factor, *part, **options) for factor, *part in factored(space, z, v, value, slope)]
        return torch.cat([y for y, _ in parts], -1), torch.cat([dy for _, dy in parts], -1)
    with torch.no_grad():
        shot = _spread(space, z, v, rtol, on_fail, segments=1)
        first, last = shot.frames[:, 0], shot.frames[:, -1]
        start = torch.cat([coefficients(space, flat(z), first, flat(y)) for y in (value, slope)], -1)[..., None]
        parts = [(last @ part[:, -1] @ start)[..., 0].reshape(z.shape) for part in (shot.fields, shot.slopes)]
    return parts[0], parts[1]


def conjugate_time(space: Space, z: Tensor, v: Tensor, *, rtol: float = 1e-5, on_fail: str = "raise") -> Tensor:
    """First t in (0, 1] at which `exp(z, t v)` is conjugate to z, `(*batch)`; infinite where there is none.

    There the exponential map is singular, and beyond it geodesics from z are not even locally shortest. Invariant. Found to
    some 1e-6; NaN in rows that failed. Cost: as `jacobi_field`, a quarter more a step.

    >>> from egregium.spaces import Pullback
    >>> def sphere(z):
    ...     s = (z**2).sum(-1, keepdim=True)
    ...     return torch.cat([2 * z, s - 1], -1) / (s + 1)
    >>> conjugate_time(Pullback(sphere, dim=2), torch.full((2,), 0.5).double(), torch.tensor([0.3, 3.0]).double()).item()
    0.7815...
    """
    z, v = space.prepare(z, v, names=("z", "v"))
    if mixed(space):
        require_riemannian(space)
        times = [conjugate_time(factor, *part, rtol=rtol, on_fail=on_fail) for factor, *part in factored(space, z, v)]
        return torch.stack(times).amin(0)
    with torch.no_grad():
        return first_conjugate(_spread(space, z, v, rtol, on_fail, segments=LOOKS)).reshape(z.shape[:-1])


def first_conjugate(shot: Spread) -> Tensor:
    """`conjugate_time` `(P,)` of geodesics that are known with their Jacobi fields; NaN where they do not arrive."""
    d = shot.fields.shape[-2]
    fields, slopes, one = shot.fields[..., d:], shot.slopes[..., d:], torch.eye(d, dtype=shot.end.dtype, device=shot.end.device)
    t = torch.linspace(0, 1, fields.shape[1], dtype=one.dtype, device=one.device)
    arrived = torch.isfinite(shot.end).all(-1)
    fields, slopes = (torch.where(arrived[:, None, None, None], part, one) for part in (fields, slopes))
    least = torch.linalg.svdvals(fields[:, 1:] / t[1:, None, None])[..., -1]
    padded = F.pad(least, (1, 1), value=torch.inf)
    rows, place = ((least <= padded[:, :-2]) & (least <= padded[:, 2:]) & (least < 0.5)).nonzero(as_tuple=True)
    when, size = _narrowed(fields[rows], slopes[rows], place + 1)
    first = torch.full_like(least[:, 0], torch.inf)
    first = first.scatter_reduce(0, rows[size < SINGULAR], when[size < SINGULAR], "amin")
    return torch.where(arrived, first, torch.nan)


def _narrowed(fields: Tensor, slopes: Tensor, place: Tensor) -> tuple[Tensor, Tensor]:
    """Where, next to node `place` `(M,)` of each row, the least singular value of the fields over t is least, and its value."""
    looks, one = fields.shape[1] - 1, torch.arange(len(place), device=place.device)
    h = 1 / looks

    def size(t: Tensor) -> Tensor:
        left = (t / h).floor().long().clamp(0, looks - 1)
        u = (t / h - left)[:, None, None]
        a, b = fields[one, left], fields[one, left + 1]
        da, db = h * slopes[one, left], h * slopes[one, left + 1]
        y = (1 + 2 * u) * (1 - u) ** 2 * a + u * (1 - u) ** 2 * da + u**2 * (3 - 2 * u) * b - u**2 * (1 - u) * db
        return torch.linalg.svdvals(y)[:, -1] / t

    low, high = ((place - 1).clamp_min(1) * h).to(fields), ((place + 1).clamp_max(looks) * h).to(fields)
    golden = 0.5 * (5**0.5 - 1)
    for _ in range(NARROWED):
        a, b = high - golden * (high - low), low + golden * (high - low)
        nearer = size(a) <= size(b)
        low, high = torch.where(nearer, low, a), torch.where(nearer, b, high)
    return 0.5 * (low + high), size(0.5 * (low + high))


def spread_of(space: Space, z: Tensor, v: Tensor, rtol: float, segments: int) -> Spread:
    """Geodesics from z along v `(P, w)` with their Jacobi fields, by the space's own rules or by its equation."""
    if isinstance(space, ClosedForm):
        return spread_closed(space, z, v, segments)  # type: ignore[arg-type]
    return spread(require_immersed(space).economical().immerse, z, v, rtol, segments=segments)


def _spread(space: Space, z: Tensor, v: Tensor, rtol: float, on_fail: str, segments: int) -> Spread:
    require_on_fail(on_fail)
    require_tolerance(rtol, z.dtype)
    shot = spread_of(space, flat(z), flat(v), FINER * rtol, segments)
    failed = shot.status != Status.CONVERGED
    if on_fail == "raise" and bool(failed.any()):
        raise NotConvergedError(
            f"{int(failed.sum())} of {len(failed)} geodesics did not arrive: {describe(shot.status)}. "
            'Use on_fail="mark" for NaN in these rows, or shorter v.',
            shot,
        )
    return shot
