"""Wasserstein distances: what it costs to carry one cloud of points to another along geodesics."""

from dataclasses import dataclass
from math import inf
from numbers import Real
from typing import Any

import torch
from torch import Tensor

from egregium.errors import NotConvergedError, OptionError
from egregium.geodesics.geodesic import Geodesic
from egregium.geodesics.options import require_on_fail
from egregium.protocols import Space
from egregium.relations.clouds import cloud, crossed, known, shares
from egregium.relations.couplings import Coupling, entropic, on_host, optimal, require_pot
from egregium.relations.verbs import where_ok
from egregium.status import Status, worst


@dataclass(frozen=True, eq=False, repr=False)
class Transport:
    """An optimal transport of N points to M points. All numbers are invariant under isometries.

    Attributes:
        distance: `cost^(1/p)`, the p-Wasserstein distance; with `entropy` that of the entropic plan, which is more.
        cost: `sum_ij P_ij d_ij^p`.
        lower, upper: bounds of the p-Wasserstein distance, that follow from those of the geodesics.
        plan: `(N, M)`, the mass that goes from i to j.
        distances: `(N, M)`, geodesic distances d_ij, NaN where the geodesic failed.
        status: that of the plan, or the worst of the geodesics which it uses, see `eg.Status`.
        pairs: `(K, 2)`, the i and j between which mass goes; `geodesics`: the K geodesics between them.
        p, entropy: as given.
    """

    distance: Tensor
    cost: Tensor
    lower: Tensor
    upper: Tensor
    plan: Tensor
    distances: Tensor
    status: Tensor
    pairs: Tensor
    geodesics: Geodesic
    p: float
    entropy: float | None

    @property
    def ok(self) -> bool:
        """Whether CONVERGED."""
        return bool(self.status == Status.CONVERGED)

    @property
    def masses(self) -> Tensor:
        """`(K,)`, the mass that goes along each of the `geodesics`; their sum is 1."""
        return self.plan[self.pairs[:, 0], self.pairs[:, 1]]

    def displace(self, t: float) -> tuple[Tensor, Tensor]:
        """Where the masses are at time t in [0, 1]: points `(K, d)` and their masses `(K,)`.

        McCann's displacement interpolation: each mass runs along its geodesic at uniform speed, so that for an exact plan the
        cloud at t is `t W` away from the first and `(1 - t) W` from the second.

        References: McCann 1997 (doi 10.1006/aima.1997.1634).
        """
        if not 0 <= t <= 1:
            raise OptionError(f"displace(t): t must lie in [0, 1]; got {t}.")
        return self.geodesics(t), self.masses

    def __repr__(self) -> str:
        n, m = self.plan.shape
        failed = int(self.distances.isnan().sum())
        return (
            f"Transport({n} to {m} points, p = {self.p:g}{'' if self.entropy is None else f', entropy {self.entropy:g}'}, "
            f"distance {float(self.distance):.4g} in [{float(self.lower):.4g}, {float(self.upper):.4g}]"
            f"{f', {failed} of {n * m} geodesics failed' if failed else ''}: {Status(int(self.status)).name})"
        )


def wasserstein(
    space: Space,
    A: Tensor,
    B: Tensor,
    p: float = 2,
    *,
    weights_a: Tensor | None = None,
    weights_b: Tensor | None = None,
    entropy: float | None = None,
    on_fail: str = "raise",
    **options: Any,
) -> Transport:
    r"""The p-Wasserstein distance `min_P (sum_ij P_ij d(a_i, b_j)^p)^(1/p)` over plans P with the weights as marginals.

    Invariant under isometries, hence under reparametrisation. The distance is differentiable in the points (by first variation
    and with the plan held fixed, which is optimal); that of an entropic plan is detached.

    A geodesic that failed enters by its lower bound. A plan that does not use it is optimal whatever its length, and
    CONVERGED; one that does has its status.

    Args:
        A, B: points `(N, d)` and `(M, d)`; where they are one tensor, each pair is joined once.
        p: order, a number >= 1.
        weights_a, weights_b: `(N,)` and `(M,)`, not negative, with positive sums, which become 1; equal by default.
        entropy: None for the exact plan, or the weight of the plan's negative entropy `sum P log P`, in units of the mean cost
            `sum_ij a_i b_j d_ij^p`, so that it has no unit and is invariant; 0.01 is little, 1 is much.
        on_fail: "raise" `NotConvergedError` with the `Transport` as `.result`, or "mark" it in `status`.
        options: keywords of `connect`: solver, rtol, support, max_steps, progress, differentiable.

    Cost: N M geodesics (N (N + 1) / 2 if A is B).

    Raises: `MissingExtraError` without POT (`pip install egregium[ot]`); what `connect` raises.

    References: Villani 2009, Optimal Transport, chapter 6; Flamary et al. 2021 (POT); entropic: Cuturi 2013 (arXiv 1306.0895).

    >>> from egregium.spaces import Euclidean
    >>> line = torch.arange(4.0)[:, None]
    >>> wasserstein(Euclidean(1), line, line + 2)
    Transport(4 to 4 points, p = 2, distance 2 in [2, 2]: CONVERGED)
    """
    require_on_fail(on_fail)
    _require_order_and_entropy(p, entropy)
    require_pot()
    a, b = _clouds(space, A, B)
    wa, wb = shares(a, weights_a, "weights_a"), shares(b, weights_b, "weights_b")
    g = crossed(space, a, b, {**options, "on_fail": "mark"})
    found = _transported(g, on_host(wa), on_host(wb), float(p), entropy)
    if on_fail == "raise" and not found.ok:
        raise NotConvergedError(
            f"the transport did not converge: {Status(int(found.status)).sentence}. {int((~g.ok).sum())} of {g.ok.numel()} "
            'geodesics failed. Use on_fail="mark" to keep it, or change rtol, max_steps, support or entropy.',
            found,
        )
    return found


def _transported(g: Geodesic, a: Tensor, b: Tensor, p: float, entropy: float | None) -> Transport:
    """The transport along geodesics g, of batch `(N, M)`, between weights a and b."""
    like, unit = g.length.detach(), float(known(g).max()) or 1.0
    coupling = _coupled(a, b, on_host(known(g) / unit) ** p, entropy)
    plan, used = coupling.plan.to(like), coupling.plan.to(like) > 0
    lengths = g.length if entropy is None else like
    least = optimal(a, b, on_host(torch.nan_to_num(g.lower, nan=0.0) / unit) ** p)
    distance, lower, upper = (
        unit * _root((mass * torch.where(mass > 0, d / unit, 0.0) ** p).sum(), p)
        for mass, d in ((plan, lengths), (least.plan.to(like), g.lower), (plan, g.upper))
    )
    margin = 8 * torch.finfo(like.dtype).eps
    status = worst(torch.where(used, g.status, 0).amax(), coupling.status.to(g.status), least.status.to(g.status))
    return Transport(
        distance=distance, cost=distance**p, lower=lower * (1 - margin), upper=upper * (1 + margin),
        plan=plan, distances=where_ok(g.ok, g.length), status=status,
        pairs=used.nonzero(), geodesics=g[used], p=p, entropy=entropy,
    )  # fmt: skip


def _coupled(a: Tensor, b: Tensor, cost: Tensor, entropy: float | None) -> Coupling:
    return optimal(a, b, cost) if entropy is None else entropic(a, b, cost, entropy)


def _root(cost: Tensor, p: float) -> Tensor:
    """`cost^(1/p)`, whose gradient at 0 is taken as 0."""
    positive = cost > 0
    return torch.where(positive, torch.where(positive, cost, 1.0) ** (1 / p), cost)


def _clouds(space: Space, A: Tensor, B: Tensor) -> tuple[Tensor, Tensor]:
    a = cloud(space, A, "A")
    b = a if A is B else cloud(space, B, "B")
    space.prepare(a[:1], b[:1], names=("A", "B"))
    return a, b


def _require_order_and_entropy(p: float, entropy: float | None) -> None:
    if not isinstance(p, Real) or not 1 <= p < inf:
        raise OptionError(f"wasserstein(p=): the order is a finite number >= 1; got {p!r}.")
    if entropy is not None and not (isinstance(entropy, Real) and 0 < entropy < inf):
        raise OptionError(
            f"wasserstein(entropy=) is a positive number of mean costs, or None for the exact plan; got {entropy!r}."
        )
