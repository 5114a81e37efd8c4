"""Routes over a lattice about each pair of ends: where a tabulated metric lets shorter curves run than the one found.

The lattice is square in the metric's mean over the latent line and reaches beyond the ends and to both sides. Shortest paths of
all pairs are found together, by Bellman and Ford's relaxation over the sixteen neighbours of every node.
"""

from dataclasses import dataclass
from functools import lru_cache

import torch
from torch import Tensor

from egregium.geodesics.metric_table import MetricTable
from egregium.numerics.derivatives import row_chunks
from egregium.numerics.splines import resampled

BEYOND, BESIDE = 0.25, 0.75  # of the distance of the ends
OFFSETS = ((0, 1), (1, 0), (1, 1), (1, -1), (1, 2), (2, 1), (1, -2), (2, -1))
CACHED = 1 << 22


@dataclass(frozen=True)
class LatticeRoutes:
    """Latent polylines `curves` `(P, segments + 1, 2)` and their `lengths` `(P,)`, infinite where there is no route."""

    curves: Tensor
    lengths: Tensor


def lattice_routes(
    table: MetricTable, z0: Tensor, z1: Tensor, mean: Tensor, smallest: Tensor, cells: int, segments: int
) -> LatticeRoutes:
    """Shortest lattice paths from z0 to z1 `(P, 2)`, with `cells` between the ends, square in the metrics `mean` `(P, 2, 2)`.

    Cost: what the table decodes about the pairs.
    """
    parts = [
        _routes(table, z0[rows], z1[rows], mean[rows], smallest[rows], cells, segments)
        for rows in row_chunks(len(z0), 16 * 4 * cells**2, CACHED)
    ]
    return LatticeRoutes(torch.cat([part.curves for part in parts]), torch.cat([part.lengths for part in parts]))


def _routes(
    table: MetricTable, z0: Tensor, z1: Tensor, mean: Tensor, smallest: Tensor, cells: int, segments: int
) -> LatticeRoutes:
    grid, neighbours, source, goal = _lattice(cells)
    grid, neighbours = grid.to(z0), neighbours.to(z0.device)
    along = z1 - z0
    points = z0[:, None] + grid[:, :1] * along[:, None] + grid[:, 1:] * _normal(along, mean)[:, None]
    n = points.shape[1]
    squares = table.locate(points.flatten(0, 1), smallest.repeat_interleave(n))
    metric = table.values(squares, points.flatten(0, 1)).unflatten(0, (-1, n))
    weights = _weights(points, metric, neighbours)
    reached, before = _relaxed(weights, neighbours, source)
    return LatticeRoutes(_walked(points, before, source, goal, segments), reached[:, goal])


@lru_cache(maxsize=4)
def _lattice(cells: int) -> tuple[Tensor, Tensor, int, int]:
    """Coordinates `(n, 2)` along and across, neighbours `(n, 16)` with n for none, and the numbers of both ends."""
    beyond, beside = round(BEYOND * cells), round(BESIDE * cells)
    along, across = torch.arange(-beyond, cells + beyond + 1), torch.arange(-beside, beside + 1)
    i, j = torch.meshgrid(torch.arange(len(along)), torch.arange(len(across)), indexing="ij")
    offsets = torch.tensor([*OFFSETS, *((-a, -b) for a, b in OFFSETS)])
    to_i, to_j = (at.reshape(-1, 1) + offsets[:, k] for k, at in enumerate((i, j)))
    inside = (to_i >= 0) & (to_i < len(along)) & (to_j >= 0) & (to_j < len(across))
    neighbours = torch.where(inside, to_i * len(across) + to_j, i.numel())
    grid = torch.stack([along[i.flatten()], across[j.flatten()]], -1) / cells
    return grid, neighbours, beyond * len(across) + beside, (beyond + cells) * len(across) + beside


def _normal(along: Tensor, metric: Tensor) -> Tensor:
    """Vectors orthogonal to `along` `(P, 2)` and as long, both in `metric` `(P, 2, 2)`."""
    lowered = (metric @ along[..., None])[..., 0]
    normal = torch.stack([-lowered[:, 1], lowered[:, 0]], -1)
    sizes = [torch.einsum("pa,pab,pb->p", v, metric, v) for v in (along, normal)]
    return normal * (sizes[0] / sizes[1]).sqrt()[:, None]


def _weights(points: Tensor, metric: Tensor, neighbours: Tensor) -> Tensor:
    """Lengths `(P, n, 16)` of the steps to every neighbour, infinite where the metric is not known."""
    n = points.shape[1]
    here = neighbours.clamp_max(n - 1)
    step = points[:, here] - points[:, :, None]
    mean = 0.5 * (metric[:, here] + metric[:, :, None])
    weights = torch.einsum("pnsa,pnsab,pnsb->pns", step, mean, step).clamp_min(0).sqrt()
    return weights.masked_fill((neighbours == n) | weights.isnan(), torch.inf)


def _relaxed(weights: Tensor, neighbours: Tensor, source: int) -> tuple[Tensor, Tensor]:
    """Distances `(P, n)` from the source and the neighbour `(P, n)` that each node is reached from."""
    p, n, _ = weights.shape
    reached = weights.new_full((p, n + 1), torch.inf)
    reached[:, source] = 0
    before = torch.full((p, n), n, dtype=torch.long, device=weights.device)
    for _ in range(n):
        best, step = (reached[:, neighbours] + weights).min(-1)
        better = best < reached[:, :n]
        if not better.any():
            break
        reached[:, :n] = torch.where(better, best, reached[:, :n])
        before = torch.where(better, neighbours.expand(p, -1, -1).gather(-1, step[..., None])[..., 0], before)
    return reached, before


def _walked(points: Tensor, before: Tensor, source: int, goal: int, segments: int) -> Tensor:
    """Paths back from the goal, at uniform parameters."""
    p, n, _ = points.shape
    place, path = torch.full((p,), goal, device=points.device), []
    while len(path) < n:
        path.append(place)
        if bool((place == source).all()):
            break
        place = torch.where(place == source, source, before.gather(1, place.clamp_max(n - 1)[:, None])[:, 0])
        place = torch.where(place == n, source, place)
    nodes = torch.stack(path[::-1], 1)
    line = points.gather(1, nodes[..., None].expand(-1, -1, 2))
    moved = torch.linalg.vector_norm(line.diff(dim=1), dim=-1)
    at = torch.nn.functional.pad(moved.cumsum(1), (1, 0))
    at = at / at[:, -1:].clamp_min(torch.finfo(at.dtype).tiny)
    return resampled(line, at, segments)
