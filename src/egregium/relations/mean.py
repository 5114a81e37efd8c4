"""Frechet means: the points from which the squared distances to a population are least."""

import warnings
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor

from egregium.errors import NotConvergedError
from egregium.geodesics.connect import connect
from egregium.geodesics.options import ROUGH, require_immersed, require_on_fail, require_steps, require_tolerance
from egregium.geodesics.shooting import carry
from egregium.numerics.derivatives import jacobian
from egregium.numerics.rounding import reachable
from egregium.protocols import ClosedForm, Composite, ImmersedSpace, Space
from egregium.relations.clouds import cloud, shares
from egregium.relations.verbs import coefficients, factored
from egregium.spaces.product import require_riemannian
from egregium.status import Status, worst

STEPS = 50
CANDIDATES = 64  # points of explicit spaces among which the start is
SHORTENED = 0.5
LEAST = 1e-3
DISTINCT = 0.02
FINER = 0.1
PUSH = 0.3
LOOSEST = 1e-3  # tolerance of the first geodesics, where the last are rough too
SHARP = 1e-3  # of the slope: tolerance of the geodesics of the next step
COARSE = 1e-4  # tolerance of the way to the next point, which need not be exact
CURVED = 0.1  # cosine that step and change of the gradient have at least where the secant is learnt from


@dataclass(frozen=True, repr=False)
class Mean:
    """A Frechet mean.

    Attributes:
        point: `(d,)`; it transforms with the coordinates.
        variance: the least weighted mean of squared distances found, a number that is invariant.
        distances: `(N,)`, from the mean to every point.
        gradient: metric norm of the weighted mean of the logarithms, relative to the root of the variance: 0 at a mean.
        status: CONVERGED, MAX_STEPS, STALLED, or that of geodesics which failed, see `eg.Status`.
        steps: steps of descent, tried ones too.
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
    space: Space,
    points: Tensor,
    weights: Tensor | None = None,
    *,
    rtol: float = 1e-3,
    max_steps: int = STEPS,
    on_fail: str = "raise",
    **options: Any,
) -> Mean:
    r"""The Frechet mean `argmin_m sum_i w_i d(m, z_i)^2` of points `(N, d)`, a local minimum.

    Riemannian BFGS, `m <- exp_m(B sum_i w_i log_m z_i)` with B from the secants in a frame carried along, from the point whose
    decoding is nearest to the mean of the decoded points, and again from the point farthest from what was found and from a push
    aside, by which saddles are left too: several means warn that it is not unique. The mean is invariant: it transforms with
    the points.

    Args:
        weights: `(N,)`, not negative, with a positive sum; equal by default.
        rtol: norm of the gradient at the mean, relative to the root of the variance; geodesics are
            found ten times as exactly in the end.
        max_steps: steps of descent from each start.
        on_fail: "raise" `NotConvergedError` with the `Mean` as `.result`, or "mark" it in `status`.
        options: keywords of `connect`: solver, support.

    Cost: N geodesics a step, 5 to 10 steps from each start, the first of them roughly.

    References: Karcher 1977 (doi 10.1002/cpa.3160300502); Pennec 2006 (doi 10.1007/s10851-006-6228-4); Ring, Wirth 2012 (doi
    10.1137/11082885X).

    >>> from egregium.spaces import Euclidean
    >>> mean(Euclidean(2), torch.tensor([[0.0, 0.0], [2.0, 4.0]])).point.tolist()
    [1.0, 2.0]
    """
    require_on_fail(on_fail)
    require_steps(max_steps)
    points = cloud(space, points)
    require_riemannian(space)
    require_tolerance(rtol, points.dtype)
    share = shares(points, weights)
    with torch.no_grad():
        found = _found(space, points, share, rtol, max_steps, options)
    if not found.unique:
        warnings.warn("the Frechet mean is not unique: descent from other points led to other means.", stacklevel=2)
    if on_fail == "raise" and not found.ok:
        raise NotConvergedError(
            f"the mean did not converge in {found.steps} steps: {Status(int(found.status)).sentence}. Its gradient is "
            f'{float(found.gradient):.1e}. Use on_fail="mark" to keep it, a larger rtol or more max_steps.',
            found,
        )
    return found


def _found(space: Space, points: Tensor, share: Tensor, rtol: float, max_steps: int, options: dict[str, Any]) -> Mean:
    if isinstance(space, Composite):
        return _by_factors(space, points, share, rtol, max_steps, options)
    used = share > 0
    search = _Search(space, points[used], share[used], rtol, max_steps, options)
    found = search.descended(_central(space, points[used], share[used]))
    assert found is not None  # nothing is known yet
    if found.ok and found.variance > 0:
        found = search.compared(found)
    return replace(found, distances=torch.zeros_like(share).index_put((used,), found.distances))


def _by_factors(space: Composite, points: Tensor, share: Tensor, rtol: float, max_steps: int, options: dict[str, Any]) -> Mean:
    """The squared distance of a product is a sum, so that each factor has its own mean."""
    found = [_found(factor, part, share, rtol, max_steps, options) for factor, part in factored(space, points)]
    return Mean(
        point=torch.cat([one.point for one in found]),
        variance=torch.stack([one.variance for one in found]).sum(),
        distances=space.combined([one.distances for one in found]),
        gradient=torch.stack([one.gradient for one in found]).amax(),
        status=worst(*(one.status for one in found)),
        steps=sum(one.steps for one in found),
        unique=all(one.unique for one in found),
    )


def _central(space: Space, points: Tensor, share: Tensor) -> Tensor:
    """The point to start from: whose decoding is nearest to their mean; on explicit spaces the best of some."""
    if not isinstance(space, ClosedForm):
        x = require_immersed(space).immerse(points)
        return points[int((x - share @ x).norm(dim=-1).argmin())]
    some = points[torch.linspace(0, len(points) - 1, min(CANDIDATES, len(points)), device=points.device).round().long()]
    squares = [share @ space.dist(one.expand_as(points), points) ** 2 for one in some]
    return some[int(torch.stack(squares).argmin())]


@dataclass(frozen=True)
class _Place:
    """A point with the distances to the population, its variance, the descent `gradient`, what is known to which tolerance."""

    point: Tensor
    distances: Tensor
    variance: Tensor
    gradient: Tensor
    slope: Tensor
    status: int
    tolerance: float

    def better(self, before: "_Place", rtol: float) -> bool:
        """Whether the variance is less, or equal to what is known of it and its slope less."""
        known = max(rtol, self.tolerance, before.tolerance)
        change = (self.variance - before.variance) / before.variance
        lower = (change < -known) | ((change <= known) & (self.slope < before.slope))
        return bool(lower) and self.status == Status.CONVERGED


@dataclass(frozen=True)
class _Secants:
    """The inverse Hessian of half the variance, as far as steps have told it, in an orthonormal frame carried along."""

    space: Space
    point: Tensor
    frame: Tensor
    inverse: Tensor

    @staticmethod
    def at(space: Space, point: Tensor) -> "_Secants":
        """Nothing known: a flat space."""
        one = torch.eye(space.dim, dtype=point.dtype, device=point.device)
        return _Secants(space, point, space.frame(point), one)

    def step(self, gradient: Tensor) -> Tensor:
        return self.frame @ self.inverse @ self.coefficients(gradient)

    def coefficients(self, v: Tensor) -> Tensor:
        return coefficients(self.space, self.point, self.frame, v)

    def learnt(self, there: "_Secants", step: Tensor, change: tuple[Tensor, Tensor]) -> "_Secants":
        """`there` with what a step and the descent gradients before and after it tell: the update of BFGS."""
        s, y = self.coefficients(step), self.coefficients(change[0]) - there.coefficients(change[1])
        if not bool(s @ y > CURVED * s.norm() * y.norm()):
            return there
        left = torch.eye(len(s), dtype=s.dtype, device=s.device) - torch.outer(s, y) / (s @ y)
        return replace(there, inverse=left @ self.inverse @ left.mT + torch.outer(s, s) / (s @ y))

    def carried(self, step: Tensor) -> "_Secants | None":
        """With the frame at the point to which a step leads; None where it leads nowhere."""
        space, here, columns = self.space, self.point, self.frame.mT
        if isinstance(space, ClosedForm):
            end = space.exp(here, step)
            columns = space.transport(here.expand_as(columns), end.expand_as(columns), columns)
            return replace(self, point=end, frame=columns.mT)
        path = carry(require_immersed(space).economical().immerse, here[None], step[None], COARSE)
        if not bool(torch.isfinite(path.end).all()):
            return None
        frame = path.frames[0, -1] @ torch.linalg.solve(path.frames[0, 0], self.frame)
        return replace(self, point=path.end[0], frame=frame)


@dataclass(frozen=True)
class _Search:
    """Descent to means of points `(N, d)` with shares `(N,)`; `options` are those of `connect`."""

    space: Space
    points: Tensor
    share: Tensor
    rtol: float
    max_steps: int
    options: dict[str, Any]

    @property
    def exact(self) -> float:
        """The tolerance of the geodesics in the end."""
        return reachable(FINER * self.rtol, self.points.dtype)

    @property
    def rough(self) -> float:
        """The tolerance of the first ones, for which minima are searched as thoroughly as for the last ones."""
        return max(LOOSEST, self.exact) if self.exact >= ROUGH else 0.9 * ROUGH

    def compared(self, found: Mean) -> Mean:
        """The best of the mean found and those from a push aside and from its farthest point; unique if there are no others."""
        aside = _Secants.at(self.space, found.point).carried(self._push(found))
        starts = [self.points[int(found.distances.argmax())], *([] if aside is None else [aside.point])]
        others = [other for start in starts if (other := self.descended(start, found)) is not None and other.ok]
        best = min([found, *others], key=lambda mean: float(mean.variance))
        return replace(best, unique=not others)

    def _push(self, found: Mean) -> Tensor:
        """A tangent at the mean: the part there of a random ambient direction, which is the same in every parametrisation."""
        seeded, frame = torch.Generator().manual_seed(0), self.space.frame(found.point)
        if isinstance(self.space, ClosedForm):
            direction = torch.randn(self.space.dim, generator=seeded, dtype=torch.float64).to(frame)
        else:
            tangents = jacobian(require_immersed(self.space).immerse, found.point[None])[0] @ frame
            direction = tangents.mT @ torch.randn(len(tangents), generator=seeded, dtype=torch.float64).to(frame)
        push = frame @ direction
        return PUSH * found.variance.sqrt() * push / self.space.norm(found.point, push)

    def descended(self, start: Tensor, known: Mean | None = None) -> Mean | None:
        """Descent from one start, None if it comes to a mean that is `known`; steps that do not lead down are halved."""
        here, secants, tolerance = self._place(start, self.rough), _Secants.at(self.space, start), self.rough
        scale, steps = 1.0, 0
        while known is None or not self._near(known, here.point):
            status = self._verdict(here, scale, steps)
            if status is not None:
                code = torch.tensor(status, dtype=torch.int8, device=start.device)
                return Mean(here.point, here.variance, here.distances, here.slope, code, steps)
            if here.slope <= self.rtol:
                here, tolerance = self._place(here.point, self.exact), self.exact
                continue
            steps, step = steps + 1, scale * secants.step(here.gradient)
            reached = secants.carried(step)
            if reached is None:
                scale *= SHORTENED
                continue
            tolerance = min(tolerance, max(self.exact, SHARP * float(here.slope)))
            there = self._place(reached.point, tolerance)
            if there.better(here, self.rtol):
                secants = secants.learnt(reached, step, (here.gradient, there.gradient))
                here, scale = there, min(1.0, 2 * scale)
            elif here.tolerance > self.exact:
                here, tolerance = self._place(here.point, self.exact), self.exact
            else:
                scale *= SHORTENED
        return None

    def _verdict(self, here: _Place, scale: float, steps: int) -> int | None:
        """The status in which the descent ends, if it does."""
        if here.status != Status.CONVERGED:
            return here.status
        if here.slope <= self.rtol:
            return int(Status.CONVERGED) if here.tolerance <= self.exact else None
        if scale < LEAST:
            return int(Status.STALLED)
        return int(Status.MAX_STEPS) if steps >= self.max_steps else None

    def _near(self, known: Mean, point: Tensor) -> bool:
        close = DISTINCT * known.variance.sqrt()
        if isinstance(self.space, ImmersedSpace) and bool(self.space.least_distance(known.point[None], point[None]) > close):
            return False
        return not bool(connect(self.space, known.point, point, on_fail="mark").length > close)

    def _place(self, here: Tensor, tolerance: float) -> _Place:
        g = connect(
            self.space, here.expand_as(self.points), self.points, **{**self.options, "rtol": tolerance, "on_fail": "mark"}
        )
        gradient, variance = self.share @ g.initial_velocity, (self.share * g.length**2).sum()
        size = torch.where(torch.isfinite(gradient).all(), self.space.norm(here, torch.nan_to_num(gradient)), torch.inf)
        slope = torch.where(variance > 0, size / variance.sqrt(), 0.0)
        return _Place(here, g.length, variance, gradient, slope, int(g.status.amax()), tolerance)
