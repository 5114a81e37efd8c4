"""Routes over a lattice about each pair of ends: where a tabulated metric lets shorter curves run than the one found.

The lattice is square in the metric's mean over the latent line and reaches beyond the ends and to both sides. Shortest paths of
all pairs are found together, over the sixteen neighbours of every node, by sweeps in four directions in turn: each settles
all paths that run on in its direction (Zhao 2005, A fast sweeping method for Eikonal equations, Math. Comp. 74).
"""

from dataclasses import dataclass, replace
from functools import lru_cache

import torch
from torch import Tensor

from egregium.geodesics.metric_table import MetricTable
from egregium.numerics.rows import Rows
from egregium.numerics.splines import resampled

BEYOND, BESIDE = 0.17, 0.5  # of the distance of the ends
EIGHT = ((0, 1), (1, 0), (1, 1), (1, -1), (1, 2), (2, 1), (1, -2), (2, -1))
SIXTEEN = (*EIGHT, *((-a, -b) for a, b in EIGHT))
BACKWARDS, FORWARDS = (
    tuple([k for k, offset in enumerate(SIXTEEN) if side * offset[axis] > 0] for axis in range(2)) for side in (-1, 1)
)
ADJACENT = [k for k, offset in enumerate(SIXTEEN) if max(map(abs, offset)) == 1]
SWEEPS = 6
PENALTY = 1.3


@dataclass(frozen=True)
class Lattice(Rows):
    """Nodes `points` `(P, n, 2)` about P pairs of ends, with the lengths `weights` `(P, n, 16)` of the steps to neighbours.

    A path is the shorter the less it `costs`; at first that is its length.
    """

    cells: int
    points: Tensor
    weights: Tensor
    costs: Tensor

    @staticmethod
    def about(table: MetricTable, z0: Tensor, z1: Tensor, mean: Tensor, extent: Tensor, cells: int) -> "Lattice":
        """With `cells` between z0 and z1 `(P, 2)`, square in the metrics `mean` `(P, 2, 2)`."""
        plan, along = _plan(cells), z1 - z0
        grid = plan.grid.to(z0)
        points = z0[:, None] + grid[:, :1] * along[:, None] + grid[:, 1:] * _normal(along, mean)[:, None]
        n = points.shape[1]
        squares = table.locate(points.flatten(0, 1), extent.repeat_interleave(n))
        metric = table.values(squares, points.flatten(0, 1)).unflatten(0, (-1, n))
        weights = _weights(points, metric, plan.neighbours.to(z0.device))
        return Lattice(cells, points, weights, weights)

    def shortest(self) -> tuple[Tensor, Tensor]:
        """Paths of least cost `(P, k)`, the first node repeated, and their lengths `(P,)`, infinite where there is none."""
        plan = _plan(self.cells)
        neighbours = plan.neighbours.to(self.points.device)
        reached = _swept(self.costs, neighbours, plan)
        before = (reached[:, neighbours] + self.costs).argmin(-1)
        return _walked(self.weights, before, neighbours, plan)

    def avoiding(self, path: Tensor) -> "Lattice":
        """The same lattice, on which what lies about paths `(P, k)` costs more."""
        neighbours = _plan(self.cells).neighbours.to(path.device)[:, ADJACENT]
        taken = torch.zeros_like(self.points[..., 0], dtype=torch.bool).scatter(1, path, True)
        about = torch.nn.functional.pad(taken, (0, 1))[:, neighbours].any(-1)
        return replace(self, costs=torch.where(about[:, :, None], PENALTY * self.costs, self.costs))

    def curves(self, path: Tensor, segments: int) -> Tensor:
        """Polylines `(P, segments + 1, 2)` through the nodes of paths `(P, k)`, at uniform parameters."""
        line = self.points.gather(1, path[..., None].expand(-1, -1, 2))
        moved = torch.linalg.vector_norm(line.diff(dim=1), dim=-1)
        at = torch.nn.functional.pad(moved.cumsum(1), (1, 0))
        return resampled(line, at / at[:, -1:].clamp_min(torch.finfo(at.dtype).tiny), segments)


@dataclass(frozen=True)
class _Plan:
    """Coordinates `grid` `(n, 2)` along and across, `neighbours` `(n, 16)` with n for none, nodes by `lines`, both ends."""

    grid: Tensor
    neighbours: Tensor
    lines: Tensor
    source: int
    goal: int


@lru_cache(maxsize=4)
def _plan(cells: int) -> _Plan:
    beyond, beside = round(BEYOND * cells), round(BESIDE * cells)
    along, across = torch.arange(-beyond, cells + beyond + 1), torch.arange(-beside, beside + 1)
    i, j = torch.meshgrid(torch.arange(len(along)), torch.arange(len(across)), indexing="ij")
    to_i, to_j = (at.reshape(-1, 1) + torch.tensor(SIXTEEN)[:, k] for k, at in enumerate((i, j)))
    inside = (to_i >= 0) & (to_i < len(along)) & (to_j >= 0) & (to_j < len(across))
    neighbours = torch.where(inside, to_i * len(across) + to_j, i.numel())
    grid = torch.stack([along[i.flatten()], across[j.flatten()]], -1) / cells
    lines = torch.arange(i.numel()).reshape(i.shape)
    return _Plan(grid, neighbours, lines, int(lines[beyond, beside]), int(lines[beyond + cells, beside]))


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


def _swept(costs: Tensor, neighbours: Tensor, plan: _Plan) -> Tensor:
    """Least costs `(P, n + 1)` from the source to every node, infinite for the node that stands for none."""
    p, n, _ = costs.shape
    nodes = plan.lines.to(costs.device)
    reached = costs.new_full((n + 1, p), torch.inf)
    reached[plan.source] = 0
    ordered = costs.permute(1, 2, 0).contiguous()  # (n, 16, P)
    lines = [(nodes, BACKWARDS[0]), (nodes.flip(0), FORWARDS[0]), (nodes.mT, BACKWARDS[1]), (nodes.mT.flip(0), FORWARDS[1])]
    for _ in range(SWEEPS):
        settled = reached.clone()
        for rows, slots in lines:
            before, steps = neighbours[:, slots], ordered[:, slots]
            for row in rows[1:]:
                reached[row] = torch.minimum(reached[row], (reached[before[row]] + steps[row]).amin(1))
        if torch.equal(settled, reached):
            break
    return reached.mT


def _walked(weights: Tensor, before: Tensor, neighbours: Tensor, plan: _Plan) -> tuple[Tensor, Tensor]:
    """Paths `(P, k)` back from the goal through the neighbours in the slots `before` `(P, n)`, and their lengths `(P,)`."""
    p, n = before.shape
    place = torch.full((p,), plan.goal, device=before.device)
    rows, length, path = torch.arange(p, device=before.device), weights.new_zeros(p), [place]
    while bool((place != plan.source).any()) and len(path) < n:
        step = before[rows, place]
        length = length + torch.where(place == plan.source, 0.0, weights[rows, place, step])
        there = (place == plan.source) | torch.isinf(length)
        place = torch.where(there, plan.source, neighbours[place, step].clamp_max(n - 1))
        path.append(place)
    return torch.stack(path[::-1], 1), torch.where(place == plan.source, length, torch.inf)
