"""Neighbour graphs over whole data sets, whose edges are lengths of geodesics."""

import sys
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from egregium.errors import DecoderError, NotConvergedError, OptionError
from egregium.geodesics.certificate import rank_lost
from egregium.geodesics.connect import connect
from egregium.geodesics.edges import near, short
from egregium.geodesics.options import Options, require_immersed, require_on_fail
from egregium.geodesics.problem import Problem, rounded_down
from egregium.geodesics.solvers import Solver
from egregium.geodesics.support import SupportGraph
from egregium.numerics.derivatives import mapped, row_chunks
from egregium.protocols import ClosedForm, ImmersedSpace, KnownSpace, Space
from egregium.relations.clouds import cloud
from egregium.status import Status, describe

AMPLE = 4
DECODED = 8192
BUDGET = 1 << 26


def neighbors(
    space: Space,
    points: Tensor,
    k: int = 10,
    *,
    radius: float | None = None,
    rtol: float = 1e-3,
    solver: Solver | None = None,
    max_steps: int | None = None,
    on_fail: str = "raise",
    progress: bool = False,
) -> SupportGraph:
    r"""Graph that joins each of `points` `(N, d)` to its k nearest by geodesic distance, edges weighted by that distance.

    Decoded chords `|f(z_i) - f(z_j)| <= d(z_i, z_j)` choose candidates: first the k nearest by chord, then all those among the
    4 k nearest whose chord is less than the k-th geodesic found so far; no other can come before it. Each edge has the
    certificate of `connect`: length, lower and upper bound, status. The graph is invariant under reparametrisation.

    Shortest paths on it bound distances from above (`graph.distances`), and are routes for `connect` (`support=`). Detached:
    nothing here carries gradients.

    Args:
        points: finite, on one device; equal points are neighbours at distance 0.
        k: neighbours of a point, from 1 to N - 1; a point has more edges where others count it among theirs.
        radius: decoded distance from the data beyond which curves are OUT_OF_SUPPORT in `connect`; None: no such test.
        rtol, solver, max_steps: as in `connect`.
        on_fail: "raise" `NotConvergedError`, whose `.result` is the graph, or "mark" failed edges in its `status`; no path uses
            them.
        progress: print how many edges are done, to standard error.

    Cost: some 30 decoder calls an edge for d = 2 and 55 for d = 8, as measured on trained MNIST decoders with 10,000 points,
    and several hundred where points are few or latent axes have collapsed; at d = 8 four edges are looked at for three kept.
    4 + 2 d calls a point, and N^2 chords, which bound what is feasible to some 1e5 points; explicit spaces take N^2 distances.

    Raises: `OptionError`, `ShapeError`, `TensorError`, `DecoderError`, `ToleranceError`, `NotConvergedError`.

    References: Tenenbaum, de Silva, Langford 2000 (doi 10.1126/science.290.5500.2319).

    >>> from egregium.spaces import Euclidean
    >>> graph = neighbors(Euclidean(1), torch.tensor([[0.0], [1.0], [3.0]]), k=1)
    >>> graph.edges.tolist(), graph.distances(torch.tensor([0])).tolist()
    ([[0, 1], [1, 2]], [[0.0, 1.0, 3.0]])
    """
    require_on_fail(on_fail)
    points = cloud(space, points)
    if not 1 <= k < len(points):
        raise OptionError(f"neighbors needs 1 <= k < number of points; got k = {k} for {len(points)} points.")
    options = Options.checked(solver, rtol, None, max_steps, points.dtype)
    with torch.no_grad():
        if isinstance(space, ClosedForm):
            return _nearest_known(space, points.detach(), k, radius)  # type: ignore[arg-type]
        edges = _Edges.between(require_immersed(space), points.detach(), min(AMPLE * k, len(points) - 1))
        graph = _nearest(edges, k, options, progress).graph(k, radius)
    if on_fail == "raise" and not bool(graph.ok.all()):
        raise NotConvergedError(
            f"{int((~graph.ok).sum())} of {len(graph.edges)} edges did not converge: {describe(graph.status[~graph.ok])}. "  # type: ignore[index]
            'Use on_fail="mark" to keep the graph without them, or change rtol or max_steps.',
            graph,
        )
    return graph


def _nearest_known(space: KnownSpace, points: Tensor, k: int, radius: float | None) -> SupportGraph:
    """By all distances, of spaces that know them."""
    n, pairs = len(points), []
    for rows in row_chunks(n, n * space.width, BUDGET):
        some = points[rows]
        distances = space.dist(some[:, None].expand(-1, n, -1), points.expand(len(some), -1, -1))
        here = torch.arange(rows.start, rows.stop, device=points.device)
        distances[here - rows.start, here] = torch.inf
        near = distances.topk(k, largest=False).indices
        pairs.append(torch.stack([here[:, None].expand_as(near), near], -1).flatten(0, 1))
    edges = torch.cat(pairs).sort(-1).values.unique(dim=0)
    length = space.dist(points[edges[:, 0]], points[edges[:, 1]])
    status = torch.where(torch.isfinite(length), int(Status.CONVERGED), int(Status.NONFINITE)).to(torch.int8)
    return SupportGraph(points, edges, length, radius, length, length, status)


def _nearest(edges: "_Edges", k: int, options: Options, progress: bool) -> "_Edges":
    """With geodesics for all candidates that may be among the k nearest of a point."""
    chords = edges.chord[edges.place]
    few = edges.place.gather(1, chords.topk(k, largest=False).indices)
    edges = edges.measured(few.unique(), options, progress)
    bound = edges.ranked(k)[0][:, -1:]
    rest = edges.place[chords < bound].unique()
    return edges.measured(rest[edges.status[rest] < 0], options, progress)


@dataclass(frozen=True)
class _Edges:
    """E candidate edges `pairs` `(E, 2)` over points `z` with images `x`, and `place` `(N, m)` of each point's own.

    `cheap` is the space that x are images of; `regular` `(N,)` are points where it keeps its rank. `chord`, `length`, `upper`
    `(E,)` are in float64; a status of -1 says that nobody has looked yet, and length and upper are NaN.
    """

    space: ImmersedSpace
    cheap: ImmersedSpace
    z: Tensor
    x: Tensor
    regular: Tensor
    place: Tensor
    pairs: Tensor
    chord: Tensor
    length: Tensor
    upper: Tensor
    status: Tensor

    @staticmethod
    def between(space: ImmersedSpace, z: Tensor, m: int) -> "_Edges":
        """Each point's m nearest by decoded chord as candidates."""
        cheap = space.economical()
        x = mapped(cheap.immerse, z)
        bad = (~torch.isfinite(x).all(-1)).nonzero().flatten()
        if len(bad):
            raise DecoderError(
                f"the decoder gives NaN or infinity at {len(bad)} of {len(z)} points, first row {int(bad[0])}: leave them out."
            )
        index = _by_chord(x, m)
        source = torch.arange(len(x), device=x.device)[:, None].expand_as(index)
        keys = torch.minimum(source, index) * len(x) + torch.maximum(source, index)
        keys, place = keys.unique(return_inverse=True)
        pairs = torch.stack([keys // len(x), keys % len(x)], -1)
        chords = [torch.linalg.vector_norm(x[i] - x[j], dim=-1) for i, j in (p.unbind(-1) for p in pairs.split(DECODED))]
        unknown = torch.full((len(pairs),), torch.nan, dtype=torch.float64, device=x.device)
        status = torch.full((len(pairs),), -1, dtype=torch.int8, device=x.device)
        regular = ~rank_lost(cheap.immerse, z, x.shape[-1])
        return _Edges(space, cheap, z, x, regular, place, pairs, torch.cat(chords).double(), unknown, unknown, status)

    def ranked(self, k: int) -> tuple[Tensor, Tensor]:
        """Lengths of each point's k shortest CONVERGED edges `(N, k)`, infinite where there are fewer, and which edges."""
        known = self.length.where(self.status == Status.CONVERGED, torch.inf)
        lengths, which = known[self.place].topk(k, largest=False)
        return lengths, self.place.gather(1, which)

    def measured(self, which: Tensor, options: Options, progress: bool) -> "_Edges":
        """With geodesics along the edges `which`, found `short` or by `connect`."""
        length, upper, status = self.length.clone(), self.upper.clone(), self.status.clone()
        d = self.z.shape[-1]
        for rows in row_chunks(len(which), self.x.shape[-1] * 16 * (d + 4), BUDGET):
            some = which[rows]
            length[some], upper[some], status[some] = _lengths(self, some, options)
            if progress:
                print(f"neighbors: {rows.stop} of {len(which)} edges", file=sys.stderr, flush=True)
        return replace(self, length=length, upper=upper, status=status)

    def graph(self, k: int, radius: float | None) -> SupportGraph:
        """Each point's k shortest edges, and those that failed."""
        lengths, which = self.ranked(k)
        which = torch.cat([which[torch.isfinite(lengths)], (self.status > 0).nonzero().flatten()]).unique()
        lower = rounded_down(self.chord[which], self.z.dtype).to(self.z.dtype)
        length, upper = self.length[which].to(self.z.dtype), self.upper[which].to(self.z.dtype)
        return SupportGraph(self.z, self.pairs[which], length, radius, torch.minimum(lower, length), upper, self.status[which])


def _by_chord(x: Tensor, m: int) -> Tensor:
    """Indices `(N, m)` of the m nearest others of each of `x` `(N, A)`."""
    near, centred = [], x - x.mean(0)
    for rows in row_chunks(len(x), len(x)):
        distance = torch.cdist(centred[rows], centred)
        distance[torch.arange(len(distance)), torch.arange(rows.start, rows.stop)] = torch.inf
        near.append(distance.topk(m, largest=False).indices)
    return torch.cat(near)


def _lengths(edges: _Edges, which: Tensor, options: Options) -> tuple[Tensor, Tensor, Tensor]:
    """Length, upper bound and status of the edges `which` `(E,)`."""
    i, j = edges.pairs[which].unbind(-1)
    z0, z1 = edges.z[i], edges.z[j]
    equal = (z0 == z1).all(-1)
    length = torch.where(equal, 0.0, torch.nan).double()
    upper, status = length.clone(), torch.where(equal, int(Status.CONVERGED), -1).to(torch.int8)
    rows = (edges.regular[i] & edges.regular[j] & (edges.chord[which] > 0)).nonzero().flatten()
    if len(rows) and options.solver.segments is None:
        problem = Problem(edges.cheap.immerse, z0[rows], z1[rows], edges.x[i[rows]], edges.x[j[rows]], edges.chord[which][rows])
        found = short(problem, options)
        left = (~found.certified).nonzero().flatten()
        if len(left):
            found = found.updated(left, near(problem[left], options.rtol))
        rows, found = rows[found.certified], found[found.certified]
        length[rows], upper[rows], status[rows] = found.length, found.upper, int(Status.CONVERGED)
    rows = (status < 0).nonzero().flatten()
    if len(rows):
        chosen = {} if options.automatic else {"solver": options.solver, "max_steps": options.max_steps}
        g = connect(edges.space, z0[rows], z1[rows], rtol=options.rtol, on_fail="mark", **chosen)
        length[rows], upper[rows], status[rows] = g.length.double(), g.upper.double(), g.status
    return length, upper, status
