"""The globally shortest distance on decoders of two dimensions, and whether it is known: an oracle for tests."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from tests.acceptance.eikonal import Array, Field, Grid, Table, from_frame, march
from torch import Tensor

from egregium.numerics.derivatives import jacobian

DISC = 4.0  # cells of the coarse grid around a source in which geodesics are found by Picard's iteration
REFINED = 1e-3

Grids = tuple[int, int, float]
"""Cells of the coarsest and of the finest grid, and the margin of the box."""


@dataclass(frozen=True)
class Oracle:
    """Distances `(S, K)` within a box on the finest grid, their relative difference to the one before, and what curves that
    leave the box, or one within it, are at least as long as."""

    distance: Array
    difference: Array
    outside: Array

    @property
    def contained(self) -> Array:
        """Whether no curve outside is shorter, `(S, K)`."""
        return self.distance <= self.outside

    @property
    def ok(self) -> Array:
        return (self.difference <= REFINED) & self.contained


def shortest(
    decode: Callable[[Tensor], Tensor],
    sources: Array,
    targets: Array,
    *,
    cells: int = 96,
    finest: int = 192,
    margin: float = 0.6,
    about: Array | None = None,
) -> Oracle:
    """Shortest distances from sources `(S, 2)` to targets `(S, K, 2)`, on grids refined until two agree to REFINED.

    The box exceeds that of the points `about` `(N, 2)`, all ends if not given, by `margin` of its longer side, in coordinates
    where the metric is isotropic on average over them.
    """
    points = np.concatenate([sources, targets.reshape(-1, 2)]) if about is None else about
    white = whitening(decode, points)
    low, high = (white @ points.T).T.min(0), (white @ points.T).T.max(0)
    reach = margin * (high - low).max()
    back = torch.as_tensor(np.linalg.inv(white).T)
    table = Table.of(lambda y: decode(y @ back.to(y)), low - reach, high + reach, finest)
    sources, targets = sources @ white.T, targets @ white.T
    found: list[Array] = []
    outside = np.empty(0)
    for n in [cells << k for k in range((finest // cells).bit_length())]:
        field = march(Grid.of(table, n), sources, targets, DISC * n / cells)
        found.append(field.at(targets, DISC * n / cells))
        if len(found) == 1:
            outside = least_outside(field, targets, lambda y: decode(torch.as_tensor(y) @ back).flatten(1).detach().numpy())
        elif (np.abs(found[-1] - found[-2]) <= REFINED * found[-1]).all():
            break
    coarse, fine = found[-2:]
    return Oracle(fine, np.abs(fine - coarse) / np.maximum(fine, 1e-300), outside)


def least_outside(field: Field, targets: Array, decode: Callable[[Array], Array]) -> Array:
    """What curves from the sources to the targets `(S, K, 2)` that leave the box are at least as long as, `(S, K)`.

    They come to the border somewhere, and from there to the target, by the decoded chord at least and over the frame at least.
    """
    inward = from_frame(field.grid).at(targets.reshape(1, -1, 2), 0).reshape(targets.shape[:-1])
    nodes, outward = field.border
    there, ends = decode(nodes), decode(targets.reshape(-1, 2)).reshape(*targets.shape[:-1], -1)
    chord = np.stack([np.linalg.norm(ends - x, axis=-1) for x in there])
    return (outward.T[..., None] + np.maximum(chord, inward)).min(0)


def whitening(decode: Callable[[Tensor], Tensor], points: Array) -> Array:
    """`W` such that the metric is isotropic on average in the coordinates `W z`."""
    block = jacobian(lambda z: decode(z).flatten(1), torch.as_tensor(points))
    metric = (block.mT @ block).double().numpy()
    mean = (metric / np.sqrt(np.linalg.det(metric))[:, None, None]).mean(0)
    return np.linalg.cholesky(mean).T


def asked_in(rounds: Sequence[Grids], decode: Callable[[Tensor], Tensor], sources: np.ndarray, targets: np.ndarray) -> Oracle:
    """What the oracle comes to know.

    Boxes are laid about the ends that are left, which makes them small. Where that does not do they are laid about all ends of
    a source, one within the other: what is known of curves that leave a small box holds in the larger ones too, whose own grids
    may be too coarse to tell.
    """
    shape = targets.shape[:-1]
    oracle = Oracle(np.full(shape, np.nan), np.full(shape, np.inf), np.zeros(shape))
    for nested in (False, True) if len(rounds) > 1 else (False,):
        bounds: list[tuple[float, np.ndarray]] = []
        for cells, finest, margin in rounds:
            outside = np.max([bound for least, bound in bounds if nested and least <= margin] or [np.zeros(shape)], 0)
            for row in np.flatnonzero(~oracle.ok.all(-1)).tolist():
                left = ~oracle.ok[row]
                asked = sources[row : row + 1], targets[row : row + 1, left]
                ends = np.concatenate([sources[row : row + 1], targets[row] if nested else targets[row, left]])
                found = shortest(decode, *asked, cells=cells, finest=finest, margin=margin, about=ends)
                outside[row, left] = np.maximum(outside[row, left], found.outside[0])
                oracle.distance[row, left], oracle.difference[row, left] = found.distance[0], found.difference[0]
                oracle.outside[row, left] = outside[row, left]
            bounds.append((margin, outside))
    return oracle
