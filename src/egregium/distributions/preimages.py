r"""Densities of Gaussians pushed through exponential maps: sums over all tangent vectors that arrive at a point.

With `v` at loc, `r = |v|` and the sine s of the space's curvature, `|det d exp| = (s(r) / r)^(n-1)`. On Euclidean and
hyperbolic spaces one v arrives at each point; on a circle all `v + 2 pi k R` do; on a sphere all those of length `r + 2 pi k
R`, k any whole number, along the one great circle through both points, so that scales may differ by direction there too.
"""

import math

import torch
from torch import Tensor

from egregium.distributions.frames import split, to_frame
from egregium.errors import OptionError
from egregium.numerics.compensated import dot
from egregium.numerics.trigonometry import Trigonometry
from egregium.spaces import ConstantCurvature, Euclidean, Explicit, Product, Scaled, Sphere, Torus
from egregium.spaces.explicit import plain, root

REACH = 9.0  # standard deviations beyond the most frequent radius: what arrives from farther is less than rounding
WIDE = 1.5  # radians, from where a circle's wrapped Gaussian is summed as a Fourier series
TURNS, HARMONICS = 2, 6  # either way round a circle up to there, and waves from there: to rounding


def require_exponential(space: Explicit) -> None:
    """Check that densities of wrapped Gaussians are known on a space.

    Raises: `OptionError`.
    """
    match space:
        case Product(p=2):
            for factor in space.factors:
                require_exponential(factor)
        case Scaled():
            require_exponential(space.space)
        case Euclidean() | Torus() | Sphere() | ConstantCurvature():
            return
        case _:
            raise OptionError(
                "WrappedNormal is a density on Euclidean, Sphere, Hyperbolic, ConstantCurvature and Torus, on Scaled ones and "
                f"Products of them with p=2; got {space!r}."
            )


def log_wrapped(space: Explicit, loc: Tensor, x: Tensor, scale: Tensor) -> Tensor:
    """Log-density `(*batch)` at points x of the Gaussian at loc with standard deviations `(*batch, dim)` in the frame there."""
    match space:
        case Scaled():
            factor = torch.as_tensor(space.s, dtype=x.dtype, device=x.device)
            return log_wrapped(space.space, loc, x, scale / factor) - space.dim * factor.log()
        case Product():
            parts = zip(space.factors, space.split(loc), space.split(x), split(space, scale), strict=True)
            return torch.stack([log_wrapped(*part) for part in parts]).sum(0)
        case Torus():
            return _log_on_circles(space, loc, x, scale)
        case Sphere() | ConstantCurvature():
            return _log_on_space_form(space, loc, x, scale)
    return _log_gaussian(x - loc, scale)


def log_pushed(space: Explicit, c: Tensor, scale: Tensor) -> Tensor | None:
    """Log-density where vectors arrive that have components c in the frame at loc; None where several arrive at one point."""
    match space:
        case Scaled():
            factor = torch.as_tensor(space.s, dtype=c.dtype, device=c.device)
            inner = log_pushed(space.space, c / factor, scale / factor)
            return None if inner is None else inner - space.dim * factor.log()
        case Product():
            parts = [log_pushed(*part) for part in zip(space.factors, split(space, c), split(space, scale), strict=True)]
            known = [part for part in parts if part is not None]
            return torch.stack(known).sum(0) if len(known) == len(parts) else None
        case Euclidean():
            return _log_gaussian(c, scale)
        case ConstantCurvature() if plain(space.curvature) <= 0:
            return _log_from_lengths(space, c, root(dot(c, c)[..., 0]), scale)
    return None


def _log_gaussian(c: Tensor, scale: Tensor) -> Tensor:
    return (-0.5 * (c / scale) ** 2 - scale.log()).sum(-1) - 0.5 * c.shape[-1] * math.log(2 * math.pi)


def _log_on_circles(space: Torus, loc: Tensor, x: Tensor, scale: Tensor) -> Tensor:
    radii = torch.tensor(space.radii, dtype=x.dtype, device=x.device)
    return (log_on_circle(space.log(loc, x), scale / radii) - radii.log()).sum(-1)


def log_on_circle(angle: Tensor, width: Tensor) -> Tensor:
    """Log-density in the angle, in `[-pi, pi]`, of wrapped Gaussians whose standard deviation is `width` radians."""
    wide, angle = width > WIDE, angle[..., None]
    narrow, broad = torch.where(wide, WIDE, width)[..., None], torch.where(wide, width, WIDE)[..., None]
    turns = 2 * math.pi * torch.arange(-TURNS, TURNS + 1, dtype=angle.dtype, device=angle.device)
    direct = torch.logsumexp(-0.5 * ((angle + turns) / narrow) ** 2 - narrow.log(), -1) - 0.5 * math.log(2 * math.pi)
    waves = torch.arange(1, HARMONICS + 1, dtype=angle.dtype, device=angle.device)
    heights = (-0.5 * (waves * broad) ** 2).exp()
    fourier = torch.log1p(2 * (heights * (waves * angle).cos()).sum(-1)) - math.log(2 * math.pi)
    return torch.where(wide, fourier, direct)


def _log_on_space_form(space: Sphere | ConstantCurvature, loc: Tensor, x: Tensor, scale: Tensor) -> Tensor:
    trig = space.trigonometry if isinstance(space, ConstantCurvature) else Trigonometry(space.curvature)
    across, curved = space.dim - 1, plain(space.curvature) > 0
    if isinstance(space, ConstantCurvature) and not curved and not loc.requires_grad and not loc.any():
        return _log_from_lengths(space, x, root(dot(x, x)[..., 0]), scale)  # normal coordinates are vectors at the origin
    r = space.dist(loc, x)
    if curved and not across:
        unit = torch.as_tensor(trig.curvature, dtype=r.dtype, device=r.device).sqrt()
        return log_on_circle(unit * r, unit * scale[..., 0]) + unit.log()
    c = to_frame(space, loc, space.log(loc, x))
    if isinstance(space, ConstantCurvature) and not curved:
        return _log_from_lengths(space, c, r, scale)
    away = r > 0
    safe, sine = torch.where(away, r, 1.0), torch.where(away, _sine(space, trig, loc, x, r), 1.0)
    shortest = _log_gaussian(c, scale) + across * (safe / sine).log().where(away, 0.0)
    slope = (c / scale).square().sum(-1) / safe**2
    others = _log_gaussian(torch.zeros_like(c), scale) + _around(slope, safe, across, trig, scale) - across * sine.log()
    return torch.where(away, torch.logaddexp(shortest, others), shortest)


def _log_from_lengths(space: ConstantCurvature, c: Tensor, r: Tensor, scale: Tensor) -> Tensor:
    """Of vectors with components c and lengths r, where no others arrive."""
    return _log_gaussian(c, scale) - (space.dim - 1) * space.trigonometry.sinc(r).log()


def _around(slope: Tensor, r: Tensor, across: int, trig: Trigonometry, scale: Tensor) -> Tensor:
    """Logarithm of the sum over all other turns of `rho^(n-1) exp(-slope rho^2 / 2)`, `rho` the ways round to distance r."""
    turn = 2 * math.pi / torch.as_tensor(trig.curvature, dtype=r.dtype, device=r.device).sqrt()
    farthest = float(scale.detach().amax() / turn.detach()) * (math.sqrt(across) + REACH)
    total = torch.full_like(r, -torch.inf)
    for k in range(1, math.ceil(farthest + 0.5) + 1):
        for way in (k * turn - r, k * turn + r):
            total = torch.logaddexp(total, across * way.log() - 0.5 * slope * way**2)
    return total


def _sine(space: Sphere | ConstantCurvature, trig: Trigonometry, loc: Tensor, x: Tensor, r: Tensor) -> Tensor:
    """`s(r)`, on a sphere with all digits next to the antipode as well."""
    if isinstance(space, Sphere):
        r = torch.minimum(r, space.dist(-loc, x))
    return trig.sine(r).abs()
