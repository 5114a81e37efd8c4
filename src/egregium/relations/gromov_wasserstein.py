"""Gromov-Wasserstein alignment: two clouds compared by the distances inside each, without a point or a space in common."""

from dataclasses import dataclass
from numbers import Integral
from typing import Any, NamedTuple

import torch
from torch import Tensor

from egregium.errors import NotConvergedError, OptionError
from egregium.geodesics.geodesic import Geodesic
from egregium.geodesics.options import require_on_fail
from egregium.geodesics.support import SupportGraph
from egregium.numerics.derivatives import row_chunks
from egregium.protocols import Space
from egregium.relations.clouds import cloud, crossed, known, shares
from egregium.relations.couplings import PIVOTS, on_host, optimal, require_pot, silent
from egregium.relations.verbs import where_ok
from egregium.status import Status

STEPS = 1000
RTOL = 1e-12
ATOL = 1e-15
DISTINCT = 0.01
STARTS = 100
NOISE = 3.0  # in mean costs: some see the profiles and some hardly


@dataclass(frozen=True, eq=False, repr=False)
class Alignment:
    """An alignment of N points of one space with M points of another. All numbers are invariant under isometries of either.

    Attributes:
        distance: the Gromov-Wasserstein distance, that of the best plan found.
        lower: a bound below which no plan is, whatever the starts missed: Memoli's third lower bound.
        second_best: distance of the next best plan that the starts led to and that differs in 1 % of the mass, NaN if none.
        plan: `(N, M)`, the mass that i and j share.
        distances_a, distances_b: `(N, N)`, `(M, M)`, geodesic distances inside, NaN where the geodesic failed.
        status: CONVERGED, MAX_STEPS, or the worst of the geodesics, see `eg.Status`.
        starts: how many plans were descended from.
    """

    distance: Tensor
    lower: Tensor
    second_best: Tensor
    plan: Tensor
    distances_a: Tensor
    distances_b: Tensor
    status: Tensor
    starts: int

    @property
    def ok(self) -> bool:
        """Whether CONVERGED."""
        return bool(self.status == Status.CONVERGED)

    @property
    def match(self) -> Tensor:
        """`(N,)`, the j to which most of the mass of each i goes."""
        return self.plan.argmax(1)

    def __repr__(self) -> str:
        n, m = self.plan.shape
        return (
            f"Alignment({n} with {m} points, distance {float(self.distance):.4g} (no less than {float(self.lower):.4g}), "
            f"second best {float(self.second_best):.4g}, {self.starts} starts: {Status(int(self.status)).name})"
        )


def gromov_wasserstein(
    space_a: Space,
    A: Tensor,
    space_b: Space,
    B: Tensor,
    *,
    weights_a: Tensor | None = None,
    weights_b: Tensor | None = None,
    support_a: SupportGraph | None = None,
    support_b: SupportGraph | None = None,
    random_starts: int = STARTS,
    seed: int = 0,
    on_fail: str = "raise",
    **options: Any,
) -> Alignment:
    r"""The Gromov-Wasserstein distance `min_P (sum_ijkl P_ij P_kl (d_a(i, k) - d_b(j, l))^2)^(1/2)`, with the plan P.

    Aligns two trainings that share no points, by geodesic distances inside each. Invariant under isometries of either space,
    hence under reparametrisation; 0 only for clouds that an isometry matches. Symmetric clouds have several best plans.

    Not convex: conditional gradient from the independent plan, from those that match eccentricities (mean distances) and
    profiles of distances best, and from random ones, profiles with noise; the best is kept. Between clouds that have little in
    common even the best of 100 is mostly not the global one, but a per cent or two more; `lower` tells how far it may be.

    Args:
        A, B: points `(N, d_a)` of `space_a` and `(M, d_b)` of `space_b`.
        weights_a, weights_b: `(N,)` and `(M,)`, not negative, with positive sums, which become 1; equal by default.
        support_a, support_b: a `SupportGraph` of the data in each space, as in `connect`.
        random_starts: how many, 0 or more, drawn with `seed`; 100 take 0.3 s at 50 points and 3 s at 200.
        on_fail: "raise" `NotConvergedError` with the `Alignment` as `.result`, or "mark" it in `status`. A geodesic that failed
            enters by its lower bound.
        options: keywords of `connect` for both: solver, rtol, max_steps, progress. Distances that err by a share of `rtol` make
            that of the alignment err by as large a share of the mean distances inside.

    Cost: N (N + 1) / 2 + M (M + 1) / 2 geodesics.

    Raises: `MissingExtraError` without POT (`pip install egregium[ot]`); what `connect` raises.

    References: Memoli 2011 (doi 10.1007/s10208-011-9093-5), definition 5.7, without its factor 1/2, and 6.3; the descent: Vayer
    et al. 2019 (arXiv 1805.09114).

    >>> from egregium.spaces import Euclidean
    >>> corner = torch.tensor([[0.0, 0.0], [3.0, 0.0], [0.0, 4.0]])
    >>> turned = torch.tensor([[9.0, 0.0, 4.0], [9.0, 0.0, 0.0], [9.0, 3.0, 0.0]])
    >>> gromov_wasserstein(Euclidean(2), corner, Euclidean(3), turned).match.tolist()
    [1, 2, 0]
    """
    require_on_fail(on_fail)
    _require_starts(random_starts, options)
    require_pot()
    a, b = cloud(space_a, A, "A"), cloud(space_b, B, "B")
    wa, wb = shares(a, weights_a, "weights_a"), shares(b, weights_b, "weights_b")
    with torch.no_grad():
        inside = crossed(space_a, a, a, {**options, "support": support_a, "on_fail": "mark"})
        outside = crossed(space_b, b, b, {**options, "support": support_b, "on_fail": "mark"})
        found = _aligned(inside, outside, on_host(wa), on_host(wb), random_starts, seed)
    if on_fail == "raise":
        _require_converged(found)
    return found


def _require_starts(random_starts: int, options: dict[str, Any]) -> None:
    if not isinstance(random_starts, Integral) or random_starts < 0:
        raise OptionError(f"gromov_wasserstein(random_starts=) is a number of plans, 0 or more; got {random_starts!r}.")
    if "support" in options:
        raise OptionError("gromov_wasserstein measures in two spaces: give support_a and support_b in place of support.")


def _require_converged(found: Alignment) -> None:
    if found.ok:
        return
    failed = [f"{int(d.isnan().sum())} of {d.numel()}" for d in (found.distances_a, found.distances_b)]
    raise NotConvergedError(
        f"the alignment did not converge: {Status(int(found.status)).sentence}. {failed[0]} geodesics in A failed, {failed[1]} "
        'in B. Use on_fail="mark" to keep it, or change rtol, max_steps or support_a and support_b.',
        found,
    )


class _Minimum(NamedTuple):
    """A plan that conditional gradient ended at, its distance in units of the largest, and whether it converged there."""

    plan: Tensor
    distance: float
    converged: bool


def _aligned(g: Geodesic, h: Geodesic, a: Tensor, b: Tensor, random_starts: int, seed: int) -> Alignment:
    """The best alignment of inner distances, those of geodesics g `(N, N)` and h `(M, M)`, for weights a and b."""
    unit = max(float(known(g).max()), float(known(h).max())) or 1.0
    da, db = on_host(known(g)) / unit, on_host(known(h)) / unit
    a, b = a / a.sum(), b / b.sum()
    profiles = _profile_costs(da, db, a, b)
    matched = optimal(a, b, profiles)
    starts = [matched.plan, *_starts(da, db, a, b, profiles, random_starts, seed)]
    minima = sorted((_descended(da, db, a, b, start) for start in starts), key=lambda one: one.distance)
    best = minima[0]
    others = [one.distance for one in minima[1:] if 0.5 * (one.plan - best.plan).abs().sum() > DISTINCT]
    like, met = g.length, Status.CONVERGED if best.converged else Status.MAX_STEPS
    status = max(_worst(g, a), _worst(h, b), int(matched.status), int(met))
    bound = float((matched.plan * profiles).sum()) ** 0.5 * (1 - 8 * torch.finfo(like.dtype).eps)
    distance, lower, second = (like.new_tensor(unit * x) for x in (best.distance, bound, min(others, default=torch.nan)))
    return Alignment(
        distance=distance, lower=torch.minimum(lower, distance), second_best=second, plan=best.plan.to(like),
        distances_a=where_ok(g.ok, g.length), distances_b=where_ok(h.ok, h.length),
        status=g.status.new_tensor(status), starts=len(starts),
    )  # fmt: skip


def _worst(g: Geodesic, weights: Tensor) -> int:
    """The worst status of geodesics `(N, N)` between points that have weight."""
    used = (weights > 0).to(g.status.device)
    return int(g.status[used][:, used].amax())


def _starts(da: Tensor, db: Tensor, a: Tensor, b: Tensor, profiles: Tensor, random_starts: int, seed: int) -> list[Tensor]:
    """Further plans to descend from; none of them depends on how the points are drawn."""
    generator = torch.Generator().manual_seed(seed)
    eccentricity = ((da @ a)[:, None] - db @ b) ** 2
    independent, unit = torch.outer(a, b), NOISE * float(profiles.mean()) or 1.0
    noise = [unit * torch.rand(profiles.shape, generator=generator, dtype=torch.float64) for _ in range(random_starts)]
    # Corners of the polytope are often minima of their own; halfway to its middle they are not.
    random = [0.5 * (optimal(a, b, profiles + one).plan + independent) for one in noise]
    return [independent, optimal(a, b, eccentricity).plan, *random]


def _descended(da: Tensor, db: Tensor, a: Tensor, b: Tensor, start: Tensor) -> _Minimum:
    with silent():
        plan, log = require_pot().gromov.gromov_wasserstein(
            da.numpy(), db.numpy(), a.numpy(), b.numpy(), "square_loss", symmetric=True, log=True, G0=start.numpy(),
            max_iter=STEPS, tol_rel=RTOL, tol_abs=ATOL, numItermaxEmd=PIVOTS,
        )  # fmt: skip
    plan = torch.from_numpy(plan)
    return _Minimum(plan, _distortion(da, db, plan), len(log["loss"]) <= STEPS)


def _distortion(da: Tensor, db: Tensor, plan: Tensor) -> float:
    """`(sum P_ij P_kl (d_ik - d_jl)^2)^(1/2)` over the pairs with mass; expanded squares would cancel where it is small."""
    i, j = (plan > 0).nonzero(as_tuple=True)
    mass = plan[i, j]
    total = 0.0
    for rows in row_chunks(len(mass), len(mass)):
        total += float(mass[rows] @ ((da[i[rows]][:, i] - db[j[rows]][:, j]) ** 2 @ mass))
    return total**0.5


def _profile_costs(da: Tensor, db: Tensor, a: Tensor, b: Tensor) -> Tensor:
    """`(N, M)`, squares of the 2-Wasserstein distances between the laws of distances from each i and from each j."""
    order = db.argsort(-1)
    steps, reached = db.gather(-1, order), b[order].cumsum(-1)  # (M, M)
    costs = []
    for row in da:
        order = row.argsort()
        here = a[order].cumsum(0)
        levels = torch.cat([reached, here.expand(len(db), -1)], -1).clamp_max(1).sort(-1).values  # (M, M + N)
        widths = levels.diff(dim=-1, prepend=levels.new_zeros(len(db), 1))
        middle = levels - 0.5 * widths
        x = row[order][torch.searchsorted(here, middle).clamp_max(len(row) - 1)]
        y = steps.gather(-1, torch.searchsorted(reached, middle).clamp_max(len(db) - 1))
        costs.append((widths * (x - y) ** 2).sum(-1))
    return torch.stack(costs)
