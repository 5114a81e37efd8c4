"""Support graphs: where the data lies, and the routes along it that curves may start from."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from scipy.sparse import csr_array, issparse, triu
from scipy.sparse.csgraph import connected_components, dijkstra
from torch import Tensor

from egregium.errors import OptionError, ShapeError, TensorError
from egregium.geodesics.problem import Problem
from egregium.numerics.derivatives import mapped, row_chunks
from egregium.numerics.graphs import adjacency, mirrored, shortest_paths
from egregium.numerics.rows import Rows
from egregium.numerics.splines import resampled
from egregium.protocols import ImmersedSpace
from egregium.spaces.points import require_points
from egregium.status import Status, counts

ATTACHED = 8


@dataclass(frozen=True, repr=False)
class SupportGraph:
    """An undirected graph over latent `points` `(N, d)`: `edges` `(E, 2)` of indices with `lengths` `(E,)`, not negative.

    Where the lengths are those of curves on the manifold, as `eg.neighbors` finds them, paths bound the distance from above.
    Edges that are not CONVERGED are kept in the list and are no part of any path.

    Args:
        radius: decoded distance from the nearest point beyond which a curve is out of support; None: no such test.
        lower, upper: bounds of the distance of each edge's ends, `(E,)`, where known.
        status: `(E,)` int8, see `eg.Status`; None: all CONVERGED.
    """

    points: Tensor
    edges: Tensor
    lengths: Tensor
    radius: float | None = None
    lower: Tensor | None = None
    upper: Tensor | None = None
    status: Tensor | None = None

    def __post_init__(self) -> None:
        require_points(self.points, width=None, names="support points")
        if self.points.ndim != 2 or self.edges.ndim != 2 or self.edges.shape[1:] != (2,):
            raise ShapeError(
                f"a support needs points (N, d) and edges (E, 2); got {tuple(self.points.shape)}, {tuple(self.edges.shape)}."
            )
        if self.edges.dtype not in (torch.int32, torch.int64):
            raise TensorError(f"edges of a support must be int64 indices of its points; got {self.edges.dtype}.")
        for name, value in {"length": self.lengths, "lower": self.lower, "upper": self.upper, "status": self.status}.items():
            if value is not None and value.shape != self.edges.shape[:1]:
                raise ShapeError(f"a support needs one {name} an edge; got {tuple(value.shape)} for {len(self.edges)} edges.")
        if len(self.edges) and not (int(self.edges.min()) >= 0 and int(self.edges.max()) < len(self.points)):
            raise OptionError(f"edges of a support must index its {len(self.points)} points.")
        lengths = self.lengths[self.ok]
        if not (torch.isfinite(lengths).all() and (lengths >= 0).all()):
            raise OptionError("lengths of a support must be finite and not negative.")
        if self.radius is not None and not self.radius > 0:
            raise OptionError(f"the radius of a support must be positive, or None for no test; got {self.radius}.")

    def __repr__(self) -> str:
        status = "" if self.status is None else f": {counts(self.status)}"
        return f"SupportGraph({len(self.points)} points, d = {self.points.shape[1]}, {len(self.edges)} edges{status})"

    @staticmethod
    def from_matrix(points: Tensor, matrix: csr_array, radius: float | None = None) -> "SupportGraph":
        """The graph of a symmetric sparse matrix `(N, N)` of lengths; zeros that it stores are edges too."""
        n = len(points)
        if not issparse(matrix) or matrix.shape != (n, n):
            found = f"{type(matrix).__name__} {getattr(matrix, 'shape', '')}"
            raise ShapeError(f"a support of {n} points needs a sparse matrix ({n}, {n}); got {found}.")
        if abs(matrix - matrix.T).max() > 0:
            raise OptionError("the matrix of a support must be symmetric: take the lesser of both directions.")
        half = triu(matrix, k=1, format="coo")
        edges = torch.as_tensor(np.stack([half.row, half.col], -1), dtype=torch.int64, device=points.device)
        return SupportGraph(points, edges, torch.as_tensor(half.data, device=points.device).to(points), radius)

    @property
    def ok(self) -> Tensor:
        """Which edges are CONVERGED, `(E,)`."""
        if self.status is None:
            return torch.ones(len(self.edges), dtype=torch.bool, device=self.edges.device)
        return self.status == Status.CONVERGED

    def matrix(self) -> csr_array:
        """Symmetric sparse matrix `(N, N)` of the CONVERGED lengths, in float64; edges of length 0 are stored zeros."""
        i, j = self.edges[self.ok].cpu().numpy().T
        return mirrored(i, j, self.lengths[self.ok].double().cpu().numpy(), len(self.points))

    def components(self) -> Tensor:
        """The connected component of every point, `(N,)`, numbered from 0."""
        labels = connected_components(self.matrix(), directed=False)[1]
        return torch.as_tensor(labels, dtype=torch.int64, device=self.points.device)

    def distances(self, sources: Tensor | None = None) -> Tensor:
        """Lengths of the shortest paths from the points `sources` `(S,)`, by default all, to every point, `(S, N)`.

        Infinite between components. Cost: one Dijkstra a source, no decoder call, and memory for S N numbers.
        """
        sources = torch.arange(len(self.points)) if sources is None else self._indices(sources)
        found = dijkstra(self.matrix(), indices=sources.cpu().numpy())
        return torch.as_tensor(found, device=self.points.device).to(self.points.dtype)

    def between(self, i: Tensor, j: Tensor) -> Tensor:
        """Lengths of the shortest paths between the points `i` and `j` `(P,)`, infinite between components, `(P,)`.

        Cost: one Dijkstra for each distinct i, no decoder call.
        """
        i, j = self._ends(i, j)
        sources, row = i.unique(return_inverse=True)
        found = torch.empty(len(i), dtype=torch.float64, device=self.points.device)
        graph = self.matrix()
        for part in row_chunks(len(sources), len(self.points)):
            rows = ((row >= part.start) & (row < part.stop)).nonzero().flatten()
            reached = torch.as_tensor(dijkstra(graph, indices=sources[part].cpu().numpy()), device=found.device)
            found[rows] = reached[row[rows] - part.start, j[rows]]
        return found.to(self.points.dtype)

    def paths(self, i: Tensor, j: Tensor) -> list[Tensor | None]:
        """Shortest paths between the points `i` and `j` `(P,)`, as indices of points; None between components.

        Cost: one Dijkstra for each distinct i, no decoder call.
        """
        i, j = self._ends(i, j)
        found: list[Tensor | None] = [None] * len(i)
        for row, path in shortest_paths(self.matrix(), i.cpu().numpy(), j.cpu().numpy()):
            found[row] = None if path is None else torch.as_tensor(path, dtype=torch.int64, device=self.points.device)
        return found

    def _ends(self, i: Tensor, j: Tensor) -> tuple[Tensor, Tensor]:
        i, j = self._indices(i), self._indices(j)
        if i.shape != j.shape:
            raise ShapeError(f"i and j must have equal shapes, an end each of P pairs; got {tuple(i.shape)}, {tuple(j.shape)}.")
        return i, j

    def _indices(self, of: Tensor) -> Tensor:
        of = torch.as_tensor(of, device=self.points.device)
        if of.ndim != 1 or of.dtype not in (torch.int32, torch.int64):
            raise ShapeError(f"points of a support are told by int64 indices (S,); got {tuple(of.shape)} {of.dtype}.")
        if len(of) and not (int(of.min()) >= 0 and int(of.max()) < len(self.points)):
            raise OptionError(f"indices must lie in 0 to {len(self.points) - 1}, the points of the support.")
        return of


@dataclass(frozen=True)
class Routes(Rows):
    """Latent polylines along a support, `vertices` `(P, segments - 1, d)`, and which pairs it connects `(P,)`."""

    vertices: Tensor
    connected: Tensor


def routes(space: ImmersedSpace, problem: Problem, support: SupportGraph, segments: int) -> Routes:
    """Shortest paths between the ends of `problem` over the graph, each end attached to its decoded nearest points.

    An end that is a point of the graph is attached to that alone: its edges know more than chords through the air. Starts may
    only be left and ends only be reached, so that no pair travels by the ends of another.
    """
    (points,) = space.prepare(support.points)
    images = mapped(space.immerse, points)
    n, p = len(points), len(problem)
    starts, start = problem.z0.unique(dim=0, return_inverse=True)
    chosen = torch.empty(len(starts), dtype=torch.int64, device=start.device).index_copy(
        0, start, torch.arange(p, device=start.device)
    )
    leaving, near0, far0 = _nearest(problem.x0[chosen], images, starts, points)
    arriving, near1, far1 = _nearest(problem.x1, images, problem.z1, points)
    source, target = n + np.arange(len(starts)), n + len(starts) + np.arange(p)
    known = support.matrix().tocoo()
    i = np.concatenate([known.row, source[leaving], near1])
    j = np.concatenate([known.col, near0, target[arriving]])
    graph = adjacency(i, j, np.concatenate([known.data, far0, far1]), n + len(starts) + p)
    vertices, connected = problem.straight(segments).clone(), torch.zeros(p, dtype=torch.bool, device=points.device)
    for row, path in shortest_paths(graph, source[start.cpu().numpy()], target, problem.chord.cpu().numpy()):
        if path is not None:
            inner = torch.as_tensor(path[1:-1], device=points.device)
            line = torch.cat([problem.z0[row : row + 1], points[inner], problem.z1[row : row + 1]])
            x = torch.cat([problem.x0[row : row + 1], images[inner], problem.x1[row : row + 1]])
            connected[row], vertices[row] = True, _evenly(line, x, segments)[1:-1]
    return Routes(vertices, connected)


def along(space: ImmersedSpace, points: Tensor, paths: Sequence[Tensor | None], segments: int) -> Tensor:
    """Polylines through `points` `(N, d)` as `paths` list them, each of two or more, as curves `(P, segments + 1, d)`."""
    return torch.stack([_evenly(points[path], space.immerse(points[path]), segments) for path in paths])


def _evenly(line: Tensor, x: Tensor, segments: int) -> Tensor:
    """Nodes `(segments + 1, d)` on a latent polyline `(n, d)`, at equal distances along the one through the images `x`."""
    travelled = torch.linalg.vector_norm(x.diff(dim=0), dim=-1).cumsum(0)
    at = torch.cat([travelled.new_zeros(1), travelled]) / travelled[-1].clamp_min(torch.finfo(line.dtype).tiny)
    return resampled(line[None], at[None], segments)[0]


def out_of_support(space: ImmersedSpace, x: Tensor, support: SupportGraph) -> Tensor:
    """Whether a node of the curves `x` `(P, T + 1, A)` is farther than `radius` from every decoded support point, `(P,)`."""
    if support.radius is None:
        return torch.zeros(len(x), dtype=torch.bool, device=x.device)
    images = mapped(space.immerse, space.prepare(support.points)[0])
    nodes = x.flatten(0, 1)
    far = [torch.cdist(nodes[rows], images).amin(-1) for rows in row_chunks(len(nodes), len(images))]
    return torch.cat(far).reshape(x.shape[:2]).amax(-1) > support.radius


def _nearest(x: Tensor, images: Tensor, z: Tensor, points: Tensor) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Attachments of ends z with images x to the graph's points: rows of z, indices of points, and chords between them."""
    near, far, kept = [], [], []
    for rows in row_chunks(len(x), len(images)):
        index = torch.cdist(x[rows], images).topk(min(ATTACHED, len(images)), largest=False).indices
        same = (z[rows, None] == points[index]).all(-1)
        near.append(index)
        far.append(torch.linalg.vector_norm(x[rows, None] - images[index], dim=-1).double())  # cdist errs where points are near
        kept.append(same | ~same.any(-1, keepdim=True))
    keep = torch.cat(kept)
    return keep.nonzero()[:, 0].cpu().numpy(), torch.cat(near)[keep].cpu().numpy(), torch.cat(far)[keep].cpu().numpy()
