"""How a population spreads around its Frechet mean: its variance, and the directions in which it spreads most."""

from dataclasses import dataclass
from numbers import Integral
from typing import Any

import torch
from torch import Tensor

from egregium.errors import NotConvergedError, OptionError
from egregium.geodesics.closed import arrived
from egregium.geodesics.connect import connect
from egregium.geodesics.geodesic import Geodesic
from egregium.geodesics.options import require_immersed
from egregium.geodesics.shooting import shoot
from egregium.numerics.rounding import reachable
from egregium.protocols import ClosedForm, Space
from egregium.relations.clouds import cloud, shares
from egregium.relations.explog import log
from egregium.relations.mean import STEPS, Mean, mean
from egregium.relations.verbs import coefficients, factored, mixed, where_ok
from egregium.status import Status

FINER = 0.1
FEET = 20
SLOPES = (0.25, 4.0)


@dataclass(frozen=True, eq=False, repr=False)
class PrincipalDirections:
    """The K directions at the mean in which N points spread most.

    Attributes:
        mean: the `Mean`, whose variance is that of the population.
        directions: `(K, d)`, tangent vectors at the mean, orthonormal in the metric; they transform by the Jacobian of a
            reparametrisation. Each points to where the largest of its scores is.
        variances: `(K,)`, weighted means of squared scores, invariant; all d of them sum to the variance.
        residuals: `(K,)`, what variance is left around the geodesic along each direction: weighted means of squared
            distances from the points to it, NaN where it leaves the domain. In flat spaces the variance less `variances`.
        scores: `(N, K)`, coordinates of the points' logarithms along the directions, invariant.
        status: CONVERGED, that of the mean or of geodesics which failed, or MAX_STEPS where feet were not found.
    """

    mean: Mean
    directions: Tensor
    variances: Tensor
    residuals: Tensor
    scores: Tensor
    status: Tensor

    @property
    def ok(self) -> bool:
        """Whether CONVERGED."""
        return bool(self.status == Status.CONVERGED)

    def __repr__(self) -> str:
        n, k = self.scores.shape
        total = self.mean.variance.clamp_min(torch.finfo(self.variances.dtype).tiny)
        explained = ", ".join(f"{x:.1%}" for x in (self.variances / total).tolist())
        left = ", ".join(f"{x:.1%}" for x in (self.residuals / total).tolist())
        return (
            f"PrincipalDirections({k} of {n} points, variance {float(self.mean.variance):.4g}, in the tangent space "
            f"{explained}, left around the geodesics {left}: {Status(int(self.status)).name})"
        )


def variance(space: Space, points: Tensor, weights: Tensor | None = None, **options: Any) -> Tensor:
    """Frechet variance `min_m sum_i w_i d(m, z_i)^2` of points `(N, d)`: a number, that of `mean`.

    Invariant under isometries. Takes the keywords of `mean`, costs what it costs and raises what it raises; with
    `on_fail="mark"` NaN where that failed.

    References: Pennec 2006 (doi 10.1007/s10851-006-6228-4).

    >>> from egregium.spaces import Euclidean
    >>> variance(Euclidean(1), torch.tensor([[-1.0], [1.0]])).item()
    1.0
    """
    found = mean(space, points, weights, **options)
    return where_ok(found.status == Status.CONVERGED, found.variance)


def principal_directions(
    space: Space,
    points: Tensor,
    k: int = 1,
    weights: Tensor | None = None,
    *,
    rtol: float = 1e-3,
    max_steps: int = STEPS,
    on_fail: str = "raise",
    **options: Any,
) -> PrincipalDirections:
    r"""Directions at the Frechet mean m in which points spread most: eigenvectors of `sum_i w_i log_m z_i (log_m z_i)^T`.

    The linearised principal geodesic analysis of Fletcher et al. 2004: principal components of the logarithms, in an
    orthonormal frame of the tangent space at the mean. How well the geodesics along them fit is told by `residuals`, which
    are measured on the space and not in the tangent space. Scores, variances and residuals are invariant under isometries.

    Args:
        points: `(N, d)`.
        k: how many, 1 to d.
        weights: `(N,)`, not negative, with a positive sum; equal by default.
        rtol: as in `mean`; the residuals err by about this share of the variance at most.
        max_steps: as in `mean`.
        on_fail: "raise" `NotConvergedError`, or "mark" in `status`.
        options: keywords of `connect`: solver, support.

    Cost: that of `mean`, of N logarithms, and of 2 to 4 N geodesics a direction.

    Raises: what `mean` raises.

    References: Fletcher, Lu, Pizer, Joshi 2004 (doi 10.1109/TMI.2004.831793); Sommer, Lauze, Nielsen 2014 (arXiv 1008.1902).

    >>> from egregium.spaces import Euclidean
    >>> cross = torch.tensor([[-3.0, 0.0], [3.0, 0.0], [0.0, -1.0], [0.0, 1.0]])
    >>> principal_directions(Euclidean(2), cross)
    PrincipalDirections(1 of 4 points, variance 5, in the tangent space 90.0%, left around the geodesics 10.0%: CONVERGED)
    """
    points = cloud(space, points)
    share = shares(points, weights)
    if not isinstance(k, Integral) or not 1 <= k <= space.dim:
        raise OptionError(f"principal_directions needs 1 <= k <= {space.dim}, the dimension; got {k!r}.")
    centre = mean(space, points, weights, rtol=rtol, max_steps=max_steps, on_fail=on_fail, **options)
    exact = {**options, "rtol": reachable(FINER * rtol, points.dtype), "on_fail": "mark"}
    with torch.no_grad():
        found = _spread(space, points, share, centre, int(k), rtol, exact)
    if on_fail == "raise" and not found.ok:
        raise NotConvergedError(
            f"the principal directions did not converge: {Status(int(found.status)).sentence}. "
            'Use on_fail="mark" to keep them, or change rtol, max_steps or support.',
            found,
        )
    return found


def _spread(
    space: Space, points: Tensor, share: Tensor, centre: Mean, k: int, rtol: float, exact: dict[str, Any]
) -> PrincipalDirections:
    velocities, failed = _logarithms(space, centre.point.expand_as(points), points, exact)
    frame = space.frame(centre.point)
    coordinates = coefficients(space, centre.point.expand_as(points), frame.expand(len(points), -1, -1), velocities)
    variances, axes = torch.linalg.eigh(coordinates.mT @ (share[:, None] * coordinates))
    axes = axes.flip(1)[:, :k]
    scores = coordinates @ axes
    signs = torch.where(scores.gather(0, scores.abs().argmax(0, keepdim=True))[0] < 0, -1.0, 1.0).to(scores)
    directions, scores = (frame @ axes * signs).mT, scores * signs
    slack = (rtol * centre.variance).sqrt()
    fits = [_fit(space, centre.point, e, s, points, share, slack, exact) for e, s in zip(directions, scores.mT, strict=True)]
    status = torch.stack([centre.status, failed, *(code for _, code in fits)]).amax()
    residuals = torch.stack([left for left, _ in fits])
    return PrincipalDirections(centre, directions, variances.flip(0)[:k].clamp_min(0), residuals, scores, status)


def _logarithms(space: Space, z0: Tensor, z1: Tensor, options: dict[str, Any]) -> tuple[Tensor, Tensor]:
    """Logarithms `(N, d)`, with those that failed at their last, and the worst status."""
    try:
        return log(space, z0, z1, **{**options, "on_fail": "raise"}), torch.zeros((), dtype=torch.int8, device=z0.device)
    except NotConvergedError as failed:
        assert isinstance(failed.result, Geodesic)
        return torch.nan_to_num(failed.result.initial_velocity), failed.result.status.amax()


def _fit(
    space: Space, z: Tensor, e: Tensor, s: Tensor, points: Tensor, share: Tensor, slack: Tensor, exact: dict[str, Any]
) -> tuple[Tensor, Tensor]:
    """Weighted mean of squared distances from the points to the geodesic from z along e, and the worst status.

    The feet `s` `(N,)` are found by the secant method on the component along the geodesic of the logarithm from foot to
    point, which vanishes at a nearest foot, until it is less than `slack`.
    """
    s, before, along, slope = s.clone(), s.clone(), torch.zeros_like(s), torch.ones_like(s)
    distance, status = torch.zeros_like(s), torch.full_like(s, int(Status.MAX_STEPS), dtype=torch.int8)
    rows = torch.arange(len(s), device=s.device)
    for _ in range(FEET):
        foot, tangent = _along(space, z, e, s[rows], exact["rtol"])
        arrived = torch.isfinite(foot).all(-1)
        foot, tangent = (torch.where(arrived[:, None], x, y) for x, y in ((foot, z), (tangent, e)))
        g = connect(space, foot, points[rows], **exact)
        component = space.inner(foot, torch.nan_to_num(g.initial_velocity), tangent)
        moved, change = s[rows] - before[rows], component - along[rows]
        slope[rows] = torch.where(moved != 0, (-change / moved).clamp(*SLOPES), slope[rows])
        distance[rows], before[rows], along[rows] = where_ok(arrived, g.length), s[rows], component
        s[rows] += component / slope[rows]
        done = (component.abs() <= slack) | ~g.ok | ~arrived
        status[rows] = torch.where(arrived, torch.where(done, g.status, status[rows]), int(Status.NONFINITE)).to(status)
        rows = rows[~done]
        if not len(rows):
            break
    return share @ distance**2, status.amax()


def _along(space: Space, z: Tensor, e: Tensor, s: Tensor, rtol: float) -> tuple[Tensor, Tensor]:
    """Points and velocities `(P, d)` of the unit-speed geodesic from z along e at times s `(P,)`."""
    start, velocity = z.expand(len(s), -1), s[:, None] * e
    if mixed(space):
        parts = [_along(factor, point, axis, s, rtol) for factor, point, axis in factored(space, z, e)]
        return torch.cat([end for end, _ in parts], -1), torch.cat([tangent for _, tangent in parts], -1)
    if isinstance(space, ClosedForm):
        end, arriving = arrived(space, start, velocity)  # type: ignore[arg-type]
    else:
        shot = shoot(require_immersed(space).economical().immerse, start, velocity, FINER * rtol)
        end, arriving = shot.end, shot.velocities[:, -1]
    at_rest = s[:, None] == 0
    return end, torch.where(at_rest, e, arriving / torch.where(at_rest, 1.0, s[:, None]))
