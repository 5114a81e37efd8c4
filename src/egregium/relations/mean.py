"""Frechet means: the points from which the squared distances to a population are least."""

import warnings
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor

from egregium.errors import NotConvergedError
from egregium.geodesics.connect import connect
from egregium.geodesics.options import require_on_fail, require_steps, require_tolerance
from egregium.geodesics.shooting import shoot
from egregium.protocols import ClosedForm, ImmersedSpace
from egregium.relations.clouds import cloud, shares
from egregium.status import Status

STEPS = 50
SHORTENED = 0.5
LEAST = 1e-3
DISTINCT = 0.02
FINER = 0.1
PUSH = 0.3


@dataclass(frozen=True, repr=False)
class Mean:
    """A Frechet mean.

    Attributes:
        point: `(d,)`; it transforms with the coordinates.
        variance: the least weighted mean of squared distances found, a number that is invariant.
        distances: `(N,)`, from the mean to every point.
        gradient: metric norm of the weighted mean of the logarithms, relative to the root of the variance: 0 at a mean.
        status: CONVERGED, MAX_STEPS, STALLED, or that of geodesics which failed, see `eg.Status`.
        steps: steps of gradient descent, tried ones too.
        unique: False where descent from elsewhere led to another mean; True says only that it did not.
    """

    point: Tensor
    variance: Tensor
    distances: Tensor
    gradient: Tensor
    status: Tensor
    steps: int
    unique: bool = True

    @property
    def ok(self) -> bool:
        """Whether CONVERGED."""
        return bool(self.status == Status.CONVERGED)

    def __repr__(self) -> str:
        return (
            f"Mean(of {len(self.distances)} points, d = {len(self.point)}, variance {float(self.variance):.4g}, "
            f"{self.steps} steps{'' if self.unique else ', not unique'}: {Status(int(self.status)).name})"
        )


def mean(
    space: ImmersedSpace,
    points: Tensor,
    weights: Tensor | None = None,
    *,
    rtol: float = 1e-3,
    max_steps: int = STEPS,
    on_fail: str = "raise",
    **options: Any,
) -> Mean:
    r"""The Frechet mean `argmin_m sum_i w_i d(m, z_i)^2` of points `(N, d)`, a local minimum.

    Riemannian gradient descent, `m <- exp_m(sum_i w_i log_m z_i)`, from the point whose decoding is nearest to the mean of the
    decoded points, and again from the point farthest from what was found and from a push aside, by which saddles are left too:
    several means warn that it is not unique. The mean is invariant: it transforms with the points.

    Args:
        weights: `(N,)`, not negative, with a positive sum; equal by default.
        rtol: norm of the gradient at the mean, relative to the root of the variance; geodesics are
            found ten times as exactly.
        max_steps: steps of descent from each start.
        on_fail: "raise" `NotConvergedError` with the `Mean` as `.result`, or "mark" it in `status`.
        options: keywords of `connect`: solver, support.

    Cost: N geodesics a step, 5 to 20 steps.

    References: Karcher 1977 (doi 10.1002/cpa.3160300502); Pennec 2006 (doi 10.1007/s10851-006-6228-4).

    >>> from egregium.spaces import Euclidean
    >>> mean(Euclidean(2), torch.tensor([[0.0, 0.0], [2.0, 4.0]])).point.tolist()
    [1.0, 2.0]
    """
    require_on_fail(on_fail)
    require_steps(max_steps)
    points = cloud(space, points)
    require_tolerance(rtol, points.dtype)
    share = shares(points, weights)
    with torch.no_grad():
        x = space.immerse(points)
        first = int((x - share @ x).norm(dim=-1).argmin())
        found = _descended(space, points, share, points[first], rtol, max_steps, options)
        if found.ok and found.variance > 0:
            found = _compared(space, found, points, share, rtol, max_steps, options)
    if on_fail == "raise" and not found.ok:
        raise NotConvergedError(
            f"the mean did not converge in {found.steps} steps: {Status(int(found.status)).sentence}. Its gradient is "
            f'{float(found.gradient):.1e}. Use on_fail="mark" to keep it, a larger rtol or more max_steps.',
            found,
        )
    return found


def _compared(
    space: ImmersedSpace, found: Mean, points: Tensor, share: Tensor, rtol: float, max_steps: int, options: dict[str, Any]
) -> Mean:
    """The best of the mean found and those from a push aside and from its farthest point, with a warning where they differ."""
    push = torch.randn(points.shape[1], generator=torch.Generator().manual_seed(0), dtype=torch.float64).to(points)
    push = PUSH * found.variance.sqrt() * push / space.norm(found.point, push)
    farthest = points[int(found.distances.where(share > 0, 0).argmax())]
    best, unique = found, True
    for start in (_moved(space, found.point, push, rtol), farthest):
        other = _descended(space, points, share, start, rtol, max_steps, options)
        apart = connect(space, found.point, other.point, on_fail="mark").length
        if other.ok and bool(apart > DISTINCT * found.variance.sqrt()):
            best, unique = (other if other.variance < best.variance else best), False
    if not unique:
        warnings.warn("the Frechet mean is not unique: descent from other points led to other means.", stacklevel=3)
    return replace(best, unique=unique)


def _descended(
    space: ImmersedSpace, points: Tensor, share: Tensor, start: Tensor, rtol: float, max_steps: int, options: dict[str, Any]
) -> Mean:
    """Gradient descent from one start; steps that do not lower the variance are halved."""
    here = _measured(space, points, share, start, rtol, options)
    step, steps, stalled = 1.0, 0, False
    while here.failed == Status.CONVERGED and here.slope > rtol and steps < max_steps and not stalled:
        steps += 1
        there = _measured(space, points, share, _moved(space, here.point, step * here.gradient, rtol), rtol, options)
        if there.better(here, rtol):
            here, step = there, min(1.0, 2 * step)
        else:
            step *= SHORTENED
            stalled = step < LEAST
    status = int(here.failed)
    if status == Status.CONVERGED and not here.slope <= rtol:
        status = int(Status.STALLED if stalled else Status.MAX_STEPS)
    code = torch.tensor(status, dtype=torch.int8, device=points.device)
    return Mean(here.point, here.variance, here.distances, here.slope, code, steps)


@dataclass(frozen=True)
class _Place:
    """A point with the distances to the population, its variance, the descent `gradient` and the size of it, and a status."""

    point: Tensor
    distances: Tensor
    variance: Tensor
    gradient: Tensor
    slope: Tensor
    failed: Tensor

    def better(self, before: "_Place", rtol: float) -> bool:
        """Whether the variance is less, or equal to what is known of it and its slope less."""
        change = (self.variance - before.variance) / before.variance
        lower = (change < -rtol) | ((change <= rtol) & (self.slope < before.slope))
        return bool(lower & (self.failed == Status.CONVERGED))


def _measured(
    space: ImmersedSpace, points: Tensor, share: Tensor, here: Tensor, rtol: float, options: dict[str, Any]
) -> _Place:
    used, exact = share > 0, max(FINER * rtol, 50 * torch.finfo(here.dtype).eps)
    g = connect(space, here.expand_as(points)[used], points[used], **{**options, "rtol": exact, "on_fail": "mark"})
    distances = torch.zeros_like(share).index_put((used,), g.length.to(share))
    gradient = share[used] @ g.initial_velocity
    variance = (share * distances**2).sum()
    size = torch.where(torch.isfinite(gradient).all(), space.norm(here, torch.nan_to_num(gradient)), torch.inf)
    slope = torch.where(variance > 0, size / variance.sqrt(), 0.0)
    return _Place(here, distances, variance, gradient, slope, g.status.amax())


def _moved(space: ImmersedSpace, here: Tensor, v: Tensor, rtol: float) -> Tensor:
    if isinstance(space, ClosedForm):
        return space.exp(here, v)
    end = shoot(space, here[None], v[None], FINER * rtol).end[0]
    return torch.where(torch.isfinite(end).all(), end, here)
