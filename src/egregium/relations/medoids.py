"""k-medoids: the k of the points themselves that are nearest to all."""

from dataclasses import dataclass
from numbers import Integral
from typing import Any

import torch
from torch import Tensor

from egregium.errors import NotConvergedError, OptionError
from egregium.geodesics.options import require_on_fail
from egregium.protocols import Space
from egregium.relations.clouds import cloud, crossed, known
from egregium.relations.verbs import where_ok
from egregium.status import Status

GAIN = 1e-9  # relative; smaller ones are rounding, and would make the result depend on it


@dataclass(frozen=True, eq=False, repr=False)
class Medoids:
    """k medoids of N points, and the clusters around them. All numbers are invariant under isometries.

    Attributes:
        indices: `(k,)`, which of the points are medoids, in ascending order.
        labels: `(N,)`, the place in `indices` of each point's nearest medoid.
        cost: sum of the distances from all points to their medoids.
        distances: `(N, N)`, geodesic distances, NaN where the geodesic failed.
        status: CONVERGED, or the worst of the geodesics, see `eg.Status`.
        swaps: exchanges of a medoid for another point, after the first choice.
    """

    indices: Tensor
    labels: Tensor
    cost: Tensor
    distances: Tensor
    status: Tensor
    swaps: int

    @property
    def ok(self) -> bool:
        """Whether CONVERGED."""
        return bool(self.status == Status.CONVERGED)

    def __repr__(self) -> str:
        return (
            f"Medoids({len(self.indices)} of {len(self.labels)} points, clusters of {self.labels.bincount().tolist()}, cost "
            f"{float(self.cost):.4g}, {self.swaps} swaps: {Status(int(self.status)).name})"
        )


def medoids(space: Space, points: Tensor, k: int, *, on_fail: str = "raise", **options: Any) -> Medoids:
    r"""The k of points `(N, d)` with the least sum of distances `sum_i min_m d(z_i, z_m)`, a local minimum.

    PAM: medoids are added one by one where they lower the sum most, and then exchanged for other points as long as the best
    exchange lowers it. Deterministic, and invariant under isometries: the same points are chosen in every parametrisation.

    Args:
        k: how many, 1 to N.
        on_fail: "raise" `NotConvergedError` with the `Medoids` as `.result`, or "mark" it in `status`. A geodesic that failed
            enters by its lower bound.
        options: keywords of `connect`: solver, rtol, support, max_steps, progress.

    Cost: N (N + 1) / 2 geodesics.

    Raises: what `connect` raises.

    References: Kaufman, Rousseeuw 1990, Finding Groups in Data, chapter 2.

    >>> from egregium.spaces import Euclidean
    >>> medoids(Euclidean(1), torch.tensor([[0.0], [1.0], [2.0], [9.0], [10.0], [11.0]]), 2)
    Medoids(2 of 6 points, clusters of [3, 3], cost 4, 1 swaps: CONVERGED)
    """
    require_on_fail(on_fail)
    points = cloud(space, points)
    if not isinstance(k, Integral) or not 1 <= k <= len(points):
        raise OptionError(f"medoids needs 1 <= k <= number of points; got k = {k!r} for {len(points)} points.")
    with torch.no_grad():
        g = crossed(space, points, points, {**options, "on_fail": "mark"})
        chosen, swaps = _swapped(known(g), _built(known(g), int(k)))
    nearest = known(g)[:, chosen].min(1)
    found = Medoids(chosen, nearest.indices, nearest.values.sum(), where_ok(g.ok, g.length), g.status.amax(), swaps)
    if on_fail == "raise" and not found.ok:
        raise NotConvergedError(
            f"{int((~g.ok).sum())} of {g.ok.numel()} geodesics between the points failed: "
            f'{Status(int(found.status)).sentence}. Use on_fail="mark" to keep them, or change rtol, max_steps or support.',
            found,
        )
    return found


def _built(distances: Tensor, k: int) -> Tensor:
    """k medoids `(k,)`, added one by one where the sum of distances falls most; the first of several such points."""
    nearest = torch.full_like(distances[0], torch.inf)
    chosen: list[int] = []
    for _ in range(k):
        totals = torch.minimum(distances, nearest[:, None]).sum(0)
        totals[chosen] = torch.inf
        chosen.append(_first_least(totals))
        nearest = torch.minimum(nearest, distances[:, chosen[-1]])
    return torch.tensor(chosen, device=distances.device).sort().values


def _swapped(distances: Tensor, chosen: Tensor) -> tuple[Tensor, int]:
    """The best exchanges of one medoid for one point made until none lowers the sum of distances, and their number."""
    swaps = 0
    while True:
        cost = distances[:, chosen].min(1).values.sum()
        totals = torch.stack([_totals_without(distances, chosen, place) for place in range(len(chosen))])
        place, point = divmod(_first_least(totals.flatten()), len(distances))
        if not totals[place, point] < (1 - GAIN) * cost:
            return chosen, swaps
        chosen = chosen.index_fill(0, torch.tensor([place], device=chosen.device), point).sort().values
        swaps += 1


def _totals_without(distances: Tensor, chosen: Tensor, place: int) -> Tensor:
    """Sum of distances `(N,)` with each point in the place of one of the medoids."""
    others = torch.cat([chosen[:place], chosen[place + 1 :]])
    rest = torch.cat([distances[:, others], torch.full_like(distances[:, :1], torch.inf)], 1).min(1).values
    return torch.minimum(distances, rest[:, None]).sum(0)


def _first_least(totals: Tensor) -> int:
    """Index of the first of the numbers that are least up to rounding, so that rounding decides no tie."""
    return int((totals <= (1 + GAIN) * totals.min()).nonzero()[0])
