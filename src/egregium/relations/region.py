"""Volume of regions of latent space: boxes by cubature, anything else within one by sampling."""

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from egregium.errors import NotConvergedError, OptionError, ShapeError
from egregium.geodesics.options import require_immersed, require_on_fail, require_tolerance
from egregium.numerics.cubature import Integral, over_box
from egregium.protocols import ClosedForm, Space
from egregium.relations.volume import log_volume
from egregium.spaces.points import require_points
from egregium.status import Status

MOST = 1 << 20
DEEPEST = 4  # dimensions in which boxes are cut
REPEATS = 16  # independent scramblings, from which the error is told
BEYOND = 2.95  # quantile 0.995 of Student's distribution with 15 degrees of freedom


@dataclass(frozen=True, repr=False)
class Volume:
    """Volume of a region.

    Attributes:
        value: the volume, a scalar.
        error: of a box what its rule errs by, estimated generously; of a sampled region half of a 99 % interval.
        points: how many points it took.
        status: CONVERGED where the error is at most `rtol` of the value, else MAX_STEPS, or NONFINITE.
    """

    value: Tensor
    error: Tensor
    points: int
    status: Status

    @property
    def lower(self) -> Tensor:
        """Value less error, not negative."""
        return (self.value - self.error).clamp_min(0)

    @property
    def upper(self) -> Tensor:
        """Value and error."""
        return self.value + self.error

    @property
    def ok(self) -> bool:
        """Whether CONVERGED."""
        return self.status == Status.CONVERGED

    def __repr__(self) -> str:
        return f"Volume({float(self.value):.6g} +- {float(self.error):.1g}, {self.points} points: {self.status.name})"


def volume(
    space: Space,
    low: Tensor,
    high: Tensor,
    *,
    contains: Callable[[Tensor], Tensor] | None = None,
    rtol: float | None = None,
    max_points: int = MOST,
    seed: int = 0,
    on_fail: str = "raise",
) -> Volume:
    r"""Riemannian volume `int_R sqrt(det G(z)) dz` of the box from `low` to `high`, or of the region `contains` within it.

    Boxes by the rule of Gauss, cut where needed; regions by 16 scrambled Sobol sequences, in any dimension, whose spread tells
    the error. The volume of a region is identifiable, but the region has to go along: where another training draws z as `A(z)`,
    it is `contains(A^{-1}(y))`, within a box that holds it. `eg.ball_volume` is of regions that need no coordinates.

    Args:
        low, high: corners `(d,)`, latent coordinates; d at most 4 without `contains`.
        contains: which of points `(N, d)` are in the region, bool `(N,)`.
        rtol: relative error to reach; default 1e-4 for boxes, 1e-2 for regions.
        max_points: points allowed.
        seed: of the scrambling.
        on_fail: "raise" `NotConvergedError`, whose `.result` is the `Volume`, or "mark" in `status`.

    Cost: `3 + 2 d` decoder calls a point; boxes take `6^d` points for each of `1 + 2^d` boxes or more.

    References: Owen 1997 (doi 10.1137/S0036142994277468) for the sampling.

    >>> from egregium.spaces import Euclidean
    >>> box = torch.zeros(2).double(), torch.ones(2).double()
    >>> volume(Euclidean(2), *box)
    Volume(1 +- ..., 180 points: CONVERGED)
    >>> disc = volume(Euclidean(2), *box, contains=lambda z: z.norm(dim=-1) < 1)
    >>> bool((disc.value - torch.pi / 4).abs() < disc.error)
    True
    """
    require_on_fail(on_fail)
    low, high = _corners(space, low, high)
    if space.width != space.dim:
        raise OptionError(f"volume integrates over boxes of coordinates, which {space!r} has none of: see eg.ball_volume.")
    wanted = (1e-4 if contains is None else 1e-2) if rtol is None else rtol
    require_tolerance(wanted, low.dtype)
    if contains is None and len(low) > DEEPEST:
        raise OptionError(f"volume cuts boxes in at most {DEEPEST} dimensions; got {len(low)}: give contains=, which samples.")
    if not isinstance(space, ClosedForm):
        space = require_immersed(space).economical()
    with torch.no_grad():
        if contains is None:
            found = over_box(lambda z: log_volume(space, z).exp(), low, high, rtol=wanted, most=max_points)
        else:
            found = _sampled(space, low, high, contains, wanted, max_points, seed)
    result = Volume(found.value.to(low.dtype), found.error.to(low.dtype), found.points, found.status)
    if on_fail == "raise" and not result.ok:
        raise NotConvergedError(
            f"the volume is not known to {wanted:g} of its value: {result!r}. "
            'Use on_fail="mark" to keep it, a larger rtol or more max_points.',
            result,
        )
    return result


def _corners(space: Space, low: Tensor, high: Tensor) -> tuple[Tensor, Tensor]:
    require_points(low, high, width=None, names=("low", "high"))
    if low.ndim != 1:
        raise ShapeError(f"low and high are corners (d,); got {tuple(low.shape)}.")
    if not bool((low < high).all()):
        raise OptionError(f"low must be below high along every axis; got {low.tolist()} and {high.tolist()}.")
    low, high = space.prepare(low, high, names=("low", "high"))
    return low, high


def _sampled(
    space: Space,
    low: Tensor,
    high: Tensor,
    contains: Callable[[Tensor], Tensor],
    rtol: float,
    most: int,
    seed: int,
) -> Integral:
    """Points of every sequence are doubled until the means over sequences agree."""
    sequences = [torch.quasirandom.SobolEngine(len(low), scramble=True, seed=seed + k) for k in range(REPEATS)]
    total, each, drawn = torch.zeros(REPEATS, dtype=torch.float64, device=low.device), 0, 256
    size = (high - low).double().prod()
    while True:
        for k, sequence in enumerate(sequences):
            unit = sequence.draw(drawn, dtype=torch.float64).to(low)
            total[k] += _volume_elements(space, low + unit * (high - low), contains)
        each += drawn
        mean = size * total / each
        value, error = mean.mean(), BEYOND * mean.std() / math.sqrt(REPEATS)
        if not torch.isfinite(value):
            return Integral(value, torch.full_like(value, torch.inf), each * REPEATS, Status.NONFINITE)
        if value > 0 and error <= rtol * value:
            return Integral(value, error, each * REPEATS, Status.CONVERGED)
        if 2 * each * REPEATS > most:
            return Integral(value, error, each * REPEATS, Status.MAX_STEPS)
        drawn = each


def _volume_elements(space: Space, z: Tensor, contains: Callable[[Tensor], Tensor]) -> Tensor:
    """The sum of the volume elements at those of the points z `(N, d)` that are in the region."""
    inside = contains(z)
    if not isinstance(inside, Tensor) or inside.shape != z.shape[:1] or inside.dtype != torch.bool:
        found = f"{tuple(inside.shape)} {inside.dtype}" if isinstance(inside, Tensor) else type(inside).__name__
        raise ShapeError(f"contains must map points {tuple(z.shape)} to a bool tensor ({len(z)},); got {found}.")
    return log_volume(space, z[inside]).double().exp().sum() if inside.any() else z.new_zeros((), dtype=torch.float64)
