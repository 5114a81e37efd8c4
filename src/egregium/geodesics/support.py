"""Support graphs: where the data lies, and the routes along it that curves may start from."""

from dataclasses import dataclass

import numpy as np
import torch
from scipy.sparse import coo_array
from scipy.sparse.csgraph import dijkstra
from torch import Tensor

from egregium.errors import OptionError, ShapeError, TensorError
from egregium.geodesics.problem import Problem
from egregium.numerics.splines import resampled
from egregium.protocols import ImmersedSpace
from egregium.spaces.points import require_points

ATTACHED = 8


@dataclass(frozen=True)
class SupportGraph:
    """An undirected graph over latent `points` `(N, d)`: `edges` `(E, 2)` of indices with positive `lengths` `(E,)`.

    Args:
        radius: decoded distance from the nearest point beyond which a curve is out of support; None: no such test.
    """

    points: Tensor
    edges: Tensor
    lengths: Tensor
    radius: float | None = None

    def __post_init__(self) -> None:
        require_points(self.points, width=None, names="support points")
        if self.points.ndim != 2 or self.edges.ndim != 2 or self.edges.shape[1:] != (2,):
            raise ShapeError(
                f"a support needs points (N, d) and edges (E, 2); got {tuple(self.points.shape)}, {tuple(self.edges.shape)}."
            )
        if self.edges.dtype not in (torch.int32, torch.int64):
            raise TensorError(f"edges of a support must be int64 indices of its points; got {self.edges.dtype}.")
        if self.lengths.shape != self.edges.shape[:1]:
            raise ShapeError(
                f"a support needs one length an edge; got {tuple(self.lengths.shape)} for {len(self.edges)} edges."
            )
        if len(self.edges) and not (int(self.edges.min()) >= 0 and int(self.edges.max()) < len(self.points)):
            raise OptionError(f"edges of a support must index its {len(self.points)} points.")
        if not (torch.isfinite(self.lengths).all() and (self.lengths >= 0).all()):
            raise OptionError("lengths of a support must be finite and not negative.")
        if self.radius is not None and not self.radius > 0:
            raise OptionError(f"the radius of a support must be positive, or None for no test; got {self.radius}.")


@dataclass(frozen=True)
class Routes:
    """Latent polylines along a support, `vertices` `(P, segments - 1, d)`, and which pairs it connects `(P,)`."""

    vertices: Tensor
    connected: Tensor

    def __getitem__(self, rows: Tensor) -> "Routes":
        return Routes(self.vertices[rows], self.connected[rows])


def routes(space: ImmersedSpace, problem: Problem, support: SupportGraph, segments: int) -> Routes:
    """Shortest paths between the ends of `problem` over the graph, each end attached to its decoded nearest points."""
    (points,) = space.prepare(support.points)
    images = space.immerse(points)
    n, p = len(points), len(problem)
    near0, far0 = _nearest(problem.x0, images)
    near1, far1 = _nearest(problem.x1, images)
    start, end = n + np.arange(p), n + p + np.arange(p)
    i = np.concatenate([support.edges[:, 0].cpu().numpy(), start.repeat(near0.shape[1]), end.repeat(near1.shape[1])])
    j = np.concatenate([support.edges[:, 1].cpu().numpy(), near0.ravel(), near1.ravel()])
    w = np.concatenate([support.lengths.double().cpu().numpy(), far0.ravel(), far1.ravel()])
    graph = coo_array((np.maximum(w, 1e-300), (i, j)), shape=(n + 2 * p, n + 2 * p)).tocsr()
    vertices, connected = problem.straight(segments).clone(), torch.zeros(p, dtype=torch.bool, device=points.device)
    for row in range(p):
        _, before = dijkstra(graph, directed=False, indices=int(start[row]), return_predecessors=True)
        path = _walk(before, int(start[row]), int(end[row]))
        if path is None:
            continue
        connected[row] = True
        inner = torch.as_tensor([k for k in path[1:-1] if k < n], dtype=torch.long, device=points.device)
        line = torch.cat([problem.z0[row : row + 1], points[inner], problem.z1[row : row + 1]])
        images_of_line = torch.cat([problem.x0[row : row + 1], images[inner], problem.x1[row : row + 1]])
        travelled = torch.linalg.vector_norm(images_of_line.diff(dim=0), dim=-1).cumsum(0)
        at = torch.cat([travelled.new_zeros(1), travelled]) / travelled[-1].clamp_min(torch.finfo(points.dtype).tiny)
        vertices[row] = resampled(line[None], at[None], segments)[0, 1:-1]
    return Routes(vertices, connected)


def out_of_support(space: ImmersedSpace, x: Tensor, support: SupportGraph) -> Tensor:
    """Whether a node of the curves `x` `(P, T + 1, A)` is farther than `radius` from every decoded support point, `(P,)`."""
    if support.radius is None:
        return torch.zeros(len(x), dtype=torch.bool, device=x.device)
    images = space.immerse(space.prepare(support.points)[0])
    return torch.cdist(x.flatten(0, 1), images).amin(-1).reshape(x.shape[:2]).amax(-1) > support.radius


def _nearest(x: Tensor, images: Tensor) -> tuple[np.ndarray, np.ndarray]:
    distance, index = torch.cdist(x, images).topk(min(ATTACHED, len(images)), largest=False)
    return index.cpu().numpy(), distance.double().cpu().numpy()


def _walk(before: np.ndarray, start: int, end: int) -> list[int] | None:
    path = [end]
    while path[-1] != start:
        path.append(int(before[path[-1]]))
        if path[-1] < 0:
            return None
    return path[::-1]
