"""Routes over a lattice about each pair of ends: where a tabulated metric lets shorter curves run than the one found.

The lattice is square in the metric's mean over the latent line and reaches beyond the ends and to both sides. Shortest paths of
all pairs, of those that do not turn too often, are found together over the sixteen neighbours of every node, by sweeps in four
directions in turn: each settles all that run on in its direction (Zhao 2005, A fast sweeping method for Eikonal equations,
Math. Comp. 74).
"""

from dataclasses import dataclass, replace
from functools import lru_cache

import torch
import torch.nn.functional as F
from torch import Tensor

from egregium.geodesics.metric_table import MetricTable
from egregium.numerics.splines import resampled

BEYOND, BESIDE = 0.17, 0.5  # of the distance of the ends
EIGHT = ((0, 1), (1, 0), (1, 1), (1, -1), (1, 2), (2, 1), (1, -2), (2, -1))
SIXTEEN = (*EIGHT, *((-a, -b) for a, b in EIGHT))
BACKWARDS, FORWARDS = (
    tuple([k for k, offset in enumerate(SIXTEEN) if side * offset[axis] > 0] for axis in range(2)) for side in (-1, 1)
)
ADJACENT = [k for k, offset in enumerate(SIXTEEN) if max(map(abs, offset)) == 1]
SWEEPS = 2  # rounds of four: more made none of 3,923 paths over MNIST's latent plane shorter, 2 % of those on strong folds
PENALTY = 1.3


@dataclass(frozen=True)
class Lattice:
    """Nodes `points` `(P, n, 2)` about P pairs of ends, with the lengths `weights` `(n, 16, all)` of the steps to neighbours,
    of which those of these pairs are in the `columns` `(P,)`.

    A path is the shorter the less it `costs` `(n, 16, P)`; at first that is its length. Pairs come last where sweeps run over
    all of them.
    """

    cells: int
    points: Tensor
    weights: Tensor
    columns: Tensor
    costs: Tensor

    @staticmethod
    def about(table: MetricTable, z0: Tensor, z1: Tensor, mean: Tensor, extent: Tensor, cells: int) -> "Lattice":
        """With `cells` between z0 and z1 `(P, 2)`, square in the metrics `mean` `(P, 2, 2)`."""
        plan, along = _plan(cells, z0.device), z1 - z0
        axes = torch.stack([along, _normal(along, mean)], 1)  # (P, 2, 2), a vector a row
        points = z0[:, None] + plan.grid.to(z0) @ axes
        n = points.shape[1]
        squares = table.locate(points.flatten(0, 1), extent.repeat_interleave(n))
        metric = table.components(squares, points.flatten(0, 1)).unflatten(0, (-1, n))
        weights = _weights(torch.tensor(EIGHT).to(z0) / cells @ axes, metric, plan.neighbours)
        return Lattice(cells, points, weights, torch.arange(len(points), device=points.device), weights)

    def of(self, rows: Tensor) -> "Lattice":
        """These pairs alone, distinct and in order; all of them are the lattice itself."""
        if len(rows) == len(self.points):
            return self
        return replace(self, points=self.points[rows], columns=self.columns[rows], costs=self.costs[..., rows])

    def shortest(self) -> tuple[Tensor, Tensor]:
        """Paths of least cost `(P, k)`, the first node repeated, and their lengths up to each node; infinite: there is none."""
        plan = _plan(self.cells, self.points.device)
        return self._walked(_swept(self.costs, plan), plan)

    def _walked(self, reached: Tensor, plan: "_Plan") -> tuple[Tensor, Tensor]:
        """Paths back from the goal to which `reached` `(n + 1, P)` are the least costs."""
        n, _, p = self.costs.shape
        rows, place = torch.arange(p, device=reached.device), torch.full((p,), plan.goal, device=reached.device)
        path, pieces = [place], [self.weights.new_zeros(p)]
        while bool((place != plan.source).any()) and len(path) < n:
            ahead = plan.neighbours[place]
            step = (reached[ahead, rows[:, None]] + self.costs[place, :, rows]).argmin(-1)
            pieces.append(torch.where(place == plan.source, 0.0, self.weights[place, step, self.columns]))
            there = (place == plan.source) | torch.isinf(pieces[-1])
            place = torch.where(there, plan.source, ahead[rows, step].clamp_max(n - 1))
            path.append(place)
        walked = torch.stack([pieces[0], *pieces[:0:-1]], 1).cumsum(1)
        return torch.stack(path[::-1], 1), torch.where((place == plan.source)[:, None], walked, torch.inf)

    def avoiding(self, path: Tensor) -> "Lattice":
        """The same lattice, on which what lies about paths `(P, k)` costs more."""
        n, _, p = self.costs.shape
        taken = torch.zeros(n + 1, p, dtype=torch.bool, device=path.device).scatter(0, path.mT, True)
        about = taken[_plan(self.cells, path.device).neighbours[:, ADJACENT]].any(1)
        factor = 1 + (PENALTY - 1) * about.to(self.costs)
        return replace(self, costs=self.costs * factor[:, None])

    def curves(self, path: Tensor, walked: Tensor, segments: int) -> Tensor:
        """Polylines `(P, segments + 1, 2)` through the nodes of paths `(P, k)` of finite length, in equally long pieces."""
        line = self.points.gather(1, path[..., None].expand(-1, -1, 2))
        return resampled(line, walked / walked[:, -1:].clamp_min(torch.finfo(walked.dtype).tiny), segments)


@dataclass(frozen=True)
class _Plan:
    """Coordinates `grid` `(n, 2)` along and across, `neighbours` `(n, 16)` with n for none, both ends, and the `sweeps`.

    Each sweep has lines of nodes `(m,)` in order, the neighbours that lie behind them, and the steps to these among all `16 n`.
    """

    grid: Tensor
    neighbours: Tensor
    source: int
    goal: int
    sweeps: list[list[tuple[Tensor, Tensor, Tensor]]]


@lru_cache(maxsize=8)
def _plan(cells: int, device: torch.device) -> _Plan:
    beyond, beside = round(BEYOND * cells), round(BESIDE * cells)
    along, across = torch.arange(-beyond, cells + beyond + 1), torch.arange(-beside, beside + 1)
    i, j = torch.meshgrid(torch.arange(len(along)), torch.arange(len(across)), indexing="ij")
    to_i, to_j = (at.reshape(-1, 1) + torch.tensor(SIXTEEN)[:, k] for k, at in enumerate((i, j)))
    inside = (to_i >= 0) & (to_i < len(along)) & (to_j >= 0) & (to_j < len(across))
    neighbours = torch.where(inside, to_i * len(across) + to_j, i.numel()).to(device)
    grid = torch.stack([along[i.flatten()], across[j.flatten()]], -1).double() / cells
    nodes = torch.arange(i.numel(), device=device).reshape(i.shape)
    orders = [(BACKWARDS[0], nodes), (FORWARDS[0], nodes.flip(0)), (BACKWARDS[1], nodes.mT), (FORWARDS[1], nodes.mT.flip(0))]
    sweeps = [[(line, *_behind(line, slots, neighbours)) for line in lines[1:]] for slots, lines in orders]
    return _Plan(grid, neighbours, int(nodes[beyond, beside]), int(nodes[beyond + cells, beside]), sweeps)


def _behind(line: Tensor, slots: list[int], neighbours: Tensor) -> tuple[Tensor, Tensor]:
    """Neighbours of the nodes of a `line` `(m,)` in these `slots`, and the places of the steps to them, `(m s,)`."""
    steps = (len(SIXTEEN) * line[:, None] + torch.tensor(slots, device=line.device)).flatten()
    return neighbours.flatten()[steps], steps


def _normal(along: Tensor, metric: Tensor) -> Tensor:
    """Vectors orthogonal to `along` `(P, 2)` and as long, both in `metric` `(P, 2, 2)`."""
    lowered = (metric @ along[..., None])[..., 0]
    normal = torch.stack([-lowered[:, 1], lowered[:, 0]], -1)
    sizes = [torch.einsum("pa,pab,pb->p", v, metric, v) for v in (along, normal)]
    return normal * (sizes[0] / sizes[1]).sqrt()[:, None]


def _weights(steps: Tensor, metric: Tensor, neighbours: Tensor) -> Tensor:
    """Lengths `(n, 16, P)` of `steps` `(P, 8, 2)` and back in the mean metric of their ends; infinite where it is not known.

    Of the `metric` components 11, 12, 22 are given, `(P, n, 3)`.
    """
    half, (x, y) = len(EIGHT), steps.unbind(-1)
    products = torch.stack([x * x, 2 * x * y, y * y], -1)
    here = F.pad((metric @ products.mT).permute(1, 2, 0), (0, 0, 0, 0, 0, 1), value=torch.nan)
    there, back = ((half * ends + torch.arange(half, device=metric.device)).flatten() for ends in neighbours.split(half, 1))
    squared = here[:-1] + here.flatten(0, 1).index_select(0, there).view_as(here[:-1])
    forth = (0.5 * squared).clamp_min(0).sqrt().nan_to_num(torch.inf, torch.inf)
    known = F.pad(forth, (0, 0, 0, 0, 0, 1), value=torch.inf)
    return torch.cat([forth, known.flatten(0, 1).index_select(0, back).view_as(forth)], 1)


def _swept(costs: Tensor, plan: _Plan) -> Tensor:
    """Least costs `(n + 1, P)` from the source to every node, infinite for the node that stands for none."""
    n, _, p = costs.shape
    reached = costs.new_full((n + 1, p), torch.inf)
    reached[plan.source] = 0
    slots = costs.flatten(0, 1)
    sweeps = [[(line, before, slots.index_select(0, steps)) for line, before, steps in lines] for lines in plan.sweeps]
    for lines in sweeps * SWEEPS:
        for line, before, steps in lines:
            over = reached.index_select(0, before).add_(steps).unflatten(0, (len(line), -1)).amin(1)
            reached[line] = over.minimum(reached.index_select(0, line))
    return reached
