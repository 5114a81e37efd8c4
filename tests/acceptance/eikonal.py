"""Distances on decoders of two dimensions, from the eikonal equation on a grid.

`|du|_{G^-1} = 1` with `u = 0` at the source, by a semi-Lagrangian scheme: at each node x the least, over points y of its ring
of eight neighbours, of `u(y) + d(x, y)`. Between neighbours u is the cubic that fits their values and gradients, or linear
across a shock (the cut locus); d is the length of the short segment less what bending it along the geodesic saves. Nodes are
visited in bands of growing u, those of all sources at once. The error is of second order in the cell, so that two
grids bound it. Nothing of `egregium.geodesics` is used: the metric is all that the oracle knows.

References: Bornemann, Rasch 2006 (doi 10.1007/s00791-006-0016-y), for the discretisation; Potter, Cameron 2021 (arXiv
2005.02442), for gradients carried along; Sethian, Vladimirsky 2003 (doi 10.1137/S0036142901392742), for the order.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from numpy.polynomial.legendre import leggauss
from scipy.interpolate import RectBivariateSpline
from torch import Tensor

from egregium.numerics.derivatives import jacobian, row_chunks

Array = np.ndarray
RING = np.array([(1, 0), (1, 1), (0, 1), (-1, 1), (-1, 0), (-1, -1), (0, -1), (1, -1)])
EDGES = np.roll(RING, -1, 0) - RING
BAND = 1.0  # width of a band of u, in cells
SMOOTH = 0.3  # of an edge's length: by how much slopes at its ends may miss the difference of u
SETTLED = 1e-5  # of a cell's length
ROUNDS = 2
NEWTON = 3
PATIENCE = 60  # visits of a node after which it only descends
FAR = 1e12
PICARD = 6
TIMES, WEIGHTS = 0.5 * (leggauss(8)[0] + 1), 0.5 * leggauss(8)[1]
PRIMITIVE = np.stack([t * np.vander(t * TIMES, 8) @ np.linalg.inv(np.vander(TIMES, 8)) for t in TIMES])
PRIMITIVE = np.einsum("q,iqj->ij", WEIGHTS, PRIMITIVE)


@dataclass(frozen=True)
class Table:
    """The metric `G = J^T J` on the box from `low` to `high`, as bicubic splines of its three entries `G11, G12, G22`."""

    low: Array
    high: Array
    splines: tuple[RectBivariateSpline, ...]

    @staticmethod
    def of(decode: Callable[[Tensor], Tensor], low: Array, high: Array, cells: int) -> "Table":
        """From Jacobians at the `(cells + 1)^2` nodes of a grid."""
        axes = [np.linspace(a, b, cells + 1) for a, b in zip(low, high, strict=True)]
        z = torch.as_tensor(np.stack(np.meshgrid(*axes, indexing="ij"), -1).reshape(-1, 2))
        parts = []
        for rows in row_chunks(len(z), 1, 2000):
            block = jacobian(lambda z: decode(z).flatten(1), z[rows])
            parts.append((block.mT @ block).double())
        metric = torch.cat(parts).reshape(cells + 1, cells + 1, 2, 2).numpy()
        return Table(
            low, high, tuple(RectBivariateSpline(axes[0], axes[1], metric[..., i, j]) for i, j in ((0, 0), (0, 1), (1, 1)))
        )

    def metric(self, z: Array) -> Array:
        """`(..., 3)` at points `(..., 2)`."""
        return np.stack([spline.ev(z[..., 0], z[..., 1]) for spline in self.splines], -1)

    def christoffel(self, z: Array) -> Array:
        """`Gamma^k_ij` at points `(..., 2)` as `(..., k, ij)` with ij = 11, 12, 22."""
        g11, g12, g22 = np.moveaxis(self.metric(z), -1, 0)
        dx, dy = (np.stack([s.ev(z[..., 0], z[..., 1], dx=1 - k, dy=k) for s in self.splines], -1) for k in (0, 1))
        first = np.stack([0.5 * dx[..., 0], 0.5 * dy[..., 0], dy[..., 1] - 0.5 * dx[..., 2]], -1)
        second = np.stack([dx[..., 1] - 0.5 * dy[..., 0], 0.5 * dx[..., 2], 0.5 * dy[..., 2]], -1)
        det = (g11 * g22 - g12**2)[..., None]
        return np.stack(
            [
                (g22[..., None] * first - g12[..., None] * second) / det,
                (g11[..., None] * second - g12[..., None] * first) / det,
            ],
            -2,
        )

    def short(self, y: Array, x: Array) -> tuple[Array, Array]:
        """Distance of near points and its gradient at x, along `y + t (x - y) + q(t)` with `q'' = -Gamma(c', c')`."""
        v = (x - y)[..., None, :]
        line, slope, end = y[..., None, :] + TIMES[:, None] * v, np.zeros_like(v), 0.0
        on = line
        for _ in range(PICARD):
            bend = accelerated(self.christoffel(on), v + slope)
            end = -(WEIGHTS * TIMES) @ bend
            slope = ((1 - TIMES) * WEIGHTS @ bend)[..., None, :] - PRIMITIVE @ bend
            on = line + PRIMITIVE @ slope
        return norm(self.metric(on), v + slope) @ WEIGHTS, covector(self.metric(x), v[..., 0, :] + end)


def inner(metric: Array, u: Array, v: Array) -> Array:
    mixed = metric[..., 1] * (u[..., 0] * v[..., 1] + u[..., 1] * v[..., 0])
    return metric[..., 0] * u[..., 0] * v[..., 0] + mixed + metric[..., 2] * u[..., 1] * v[..., 1]


def norm(metric: Array, v: Array) -> Array:
    return np.sqrt(inner(metric, v, v))


def covector(metric: Array, v: Array) -> Array:
    """`G v / |v|`, zero for zero v."""
    lowered = np.stack(
        [metric[..., 0] * v[..., 0] + metric[..., 1] * v[..., 1], metric[..., 1] * v[..., 0] + metric[..., 2] * v[..., 1]], -1
    )
    return lowered / np.maximum(norm(metric, v), 1e-300)[..., None]


def accelerated(gamma: Array, v: Array) -> Array:
    """`Gamma(v, v)`."""
    return gamma[..., 0] * v[..., :1] ** 2 + 2 * gamma[..., 1] * v[..., :1] * v[..., 1:] + gamma[..., 2] * v[..., 1:] ** 2


@dataclass(frozen=True)
class Grid:
    """Nodes of a table's box at so many cells a side, with a frame of nodes that stay FAR; lengths in units of cells."""

    table: Table
    cells: int
    metric: Array  # (N, 3)
    halfway: Array  # (8, N, 3), between a node and each neighbour
    gamma: Array  # (N, 2, 3)
    inside: Array  # (N,)

    @staticmethod
    def of(table: Table, cells: int) -> "Grid":
        step = (table.high - table.low) / cells
        index = np.stack(np.meshgrid(*[np.arange(-1, cells + 2)] * 2, indexing="ij"), -1).reshape(-1, 2)
        scale = np.array([step[0] ** 2, step[0] * step[1], step[1] ** 2])

        def clipped(index: Array) -> Array:
            return table.low + step * index.clip(0, cells)

        gamma = table.christoffel(clipped(index)) * scale / step[:, None]
        halfway = np.stack([table.metric(clipped(index + 0.5 * o)) * scale for o in RING])
        inside = np.asarray(((index >= 0) & (index <= cells)).all(-1))
        metric = table.metric(clipped(index)) * scale
        if not all((g[..., 0] * g[..., 2] > g[..., 1] ** 2).all() and np.isfinite(g).all() for g in (metric, halfway)):
            raise ValueError("the table's splines are not positive definite: tabulate the metric more finely")
        return Grid(table, cells, metric, halfway, gamma, inside)

    @property
    def width(self) -> int:
        return self.cells + 3

    @property
    def step(self) -> Array:
        return (self.table.high - self.table.low) / self.cells

    @property
    def neighbours(self) -> Array:
        return RING[:, 0] * self.width + RING[:, 1]

    @property
    def points(self) -> Array:
        index = np.stack(np.meshgrid(*[np.arange(-1, self.cells + 2)] * 2, indexing="ij"), -1).reshape(-1, 2)
        return self.table.low + self.step * index


def update(grid: Grid, u: Array, p: Array, place: Array, node: Array) -> tuple[Array, Array]:
    """u and its gradient at nodes, from the best point on their rings; `place` where they stand in u, `node` in the grid."""
    around = place + grid.neighbours[:, None]
    ua, pa = u[around], p[around]
    ub, pb = np.roll(ua, -1, 0), np.roll(pa, -1, 0)
    e = EDGES[:, None, :].astype(float)
    slope_a, slope_b, rise = (pa * e).sum(-1), (pb * e).sum(-1), ub - ua
    here, middle, there = grid.metric[node], grid.halfway[:, node], grid.metric[node + grid.neighbours[:, None]]
    whole = (here + 4 * middle + there) / 6
    whole_b = np.roll(whole, -1, 0)
    along = norm(0.5 * (whole + whole_b), e)
    smooth = np.maximum(np.abs(rise - slope_a), np.abs(rise - slope_b)) <= SMOOTH * along
    slope_a, slope_b = np.where(smooth, slope_a, rise), np.where(smooth, slope_b, rise)
    c2, c3 = 3 * rise - 2 * slope_a - slope_b, slope_a + slope_b - 2 * rise
    back = -RING[:, None, :].astype(float)
    s = np.full_like(ua, 0.5)
    for _ in range(ROUNDS):
        s = nearest(whole + s[..., None] * (whole_b - whole), back, e, slope_a + s * (2 * c2 + 3 * s * c3))
    for _ in range(NEWTON):
        s = polished(whole, whole_b - whole, back, e, s, slope_a + s * (2 * c2 + 3 * s * c3), 2 * c2 + 6 * s * c3)
    v = back - s[..., None] * e
    blend = s[..., None]
    length = (
        norm(here, v)
        + 4 * norm(middle + blend * (np.roll(middle, -1, 0) - middle), v)
        + norm(there + blend * (np.roll(there, -1, 0) - there), v)
    ) / 6
    bend = accelerated(grid.gamma[node], v)
    area = here[..., 0] * here[..., 2] - here[..., 1] ** 2
    value = (
        ua
        + s * (slope_a + s * (c2 + s * c3))
        + length
        - area * (v[..., 0] * bend[..., 1] - v[..., 1] * bend[..., 0]) ** 2 / (24 * length**3)
    )
    value = np.where(ua < FAR, value, FAR)  # such an edge ends where the next one begins
    best, row = value.argmin(0), np.arange(len(place))
    return value[best, row], covector(here, v[best, row] - 0.5 * bend[best, row])


def nearest(metric: Array, back: Array, e: Array, slope: Array) -> Array:
    """Where on an edge `slope s + |back - s e|` is least, s in [0, 1]."""
    g11, g12, g22 = metric[..., 0], metric[..., 1], metric[..., 2]
    edge = g11 * e[..., 0] ** 2 + 2 * g12 * e[..., 0] * e[..., 1] + g22 * e[..., 1] ** 2
    cross = (
        g11 * back[..., 0] * e[..., 0]
        + g12 * (back[..., 0] * e[..., 1] + back[..., 1] * e[..., 0])
        + g22 * back[..., 1] * e[..., 1]
    )
    foot = cross / edge
    height = np.sqrt(g11 * g22 - g12**2) / np.sqrt(edge)  # an edge and a node span half a cell
    room = edge - slope**2
    s = foot - slope * height / np.sqrt(np.maximum(room, 1e-12 * edge)) / np.sqrt(edge)
    return np.where(room > 0, s, np.where(slope > 0, 0.0, 1.0)).clip(0, 1)


def polished(metric: Array, change: Array, back: Array, e: Array, s: Array, slope: Array, bend: Array) -> Array:
    """A Newton step of `h(s) + |back - s e|` in the metric `metric + s change`, h with this slope and second derivative."""
    v, metric = back - s[..., None] * e, metric + s[..., None] * change
    square = inner(metric, v, v)
    first = inner(change, v, v) - 2 * inner(metric, e, v)
    second = 2 * inner(metric, e, e) - 4 * inner(change, e, v)
    length = np.sqrt(square)
    convex = bend + 0.5 * second / length - 0.25 * first**2 / (length * square)
    step = (slope + 0.5 * first / length) / np.where(convex > 0, convex, np.inf)
    return (s - step).clip(0, 1)


@dataclass(frozen=True)
class Field:
    """Distances u `(S, N)` from S sources to the nodes of a grid, with gradients `(S, N, 2)`, both in cells' coordinates."""

    grid: Grid
    sources: Array
    u: Array
    p: Array
    level: float

    @property
    def border(self) -> tuple[Array, Array]:
        """Nodes `(B, 2)` on the border of the box, and distances `(S, B)` there, or how far was looked without reaching."""
        index = np.rint((self.grid.points - self.grid.table.low) / self.grid.step)
        edge = ((index == 0) | (index == self.grid.cells)).any(-1) & self.grid.inside
        cell = np.sqrt(self.grid.metric[edge][:, [0, 2]].max(-1))  # curves may pass between two nodes
        return self.grid.points[edge], np.minimum(self.u[:, edge], self.level) - cell

    def at(self, targets: Array, disc: float) -> Array:
        """Distances `(S, K)` to targets `(S, K, 2)`, by the same scheme on the ring of the cell that holds each."""
        grid = self.grid
        cell = np.floor((targets - grid.table.low) / grid.step).astype(int).clip(0, grid.cells - 1)
        corners = np.array([(0, 0), (1, 0), (1, 1), (0, 1)])
        s = np.linspace(0, 1, 65)
        best = np.full(targets.shape[:-1], np.inf)
        row = np.arange(len(targets))[:, None]
        for a, b in zip(corners, np.roll(corners, -1, 0), strict=True):
            first, second = (((cell + c + 1) * [grid.width, 1]).sum(-1) for c in (a, b))
            ua, ub = self.u[row, first], self.u[row, second]
            slope_a, slope_b = ((self.p[row, node] * (b - a)).sum(-1) for node in (first, second))
            smooth = np.maximum(abs(ub - ua - slope_a), abs(ub - ua - slope_b)) <= SMOOTH * norm(grid.metric[first], b - a)
            slope_a, slope_b = np.where(smooth, slope_a, ub - ua), np.where(smooth, slope_b, ub - ua)
            c2, c3 = 3 * (ub - ua) - 2 * slope_a - slope_b, slope_a + slope_b - 2 * (ub - ua)
            u = ua[..., None] + s * (slope_a[..., None] + s * (c2[..., None] + s * c3[..., None]))
            y = grid.table.low + grid.step * ((cell + a)[..., None, :] + s[:, None] * (b - a))
            rest = grid.table.short(y, np.broadcast_to(targets[..., None, :], y.shape))[0]
            best = np.minimum(best, (u + np.nan_to_num(rest)).min(-1))
        sources = np.broadcast_to(self.sources[:, None], targets.shape)
        close = (np.abs((targets - sources) / grid.step) <= disc - 1).all(-1)
        direct = np.where((targets == sources).all(-1), 0.0, np.nan_to_num(grid.table.short(sources, targets)[0]))
        return np.where(close, direct, best)


def march(grid: Grid, sources: Array, targets: Array, disc: float) -> Field:
    """Solve from S sources `(S, 2)` until the targets `(S, K, 2)` are reached; `disc` in cells."""
    count, nodes = len(sources), len(grid.inside)
    u, p = np.full((count, nodes), FAR), np.zeros((count, nodes, 2))
    apart = (grid.points[None] - sources[:, None]) / grid.step
    start = (np.hypot(apart[..., 0], apart[..., 1]) <= disc) & grid.inside
    source, node = np.nonzero(start)
    u[start], gradient = grid.table.short(sources[source], grid.points[node])
    p[start] = gradient * grid.step
    u[start & (apart == 0).all(-1)] = 0.0
    cell = (np.floor((targets - grid.table.low) / grid.step).astype(int).clip(0, grid.cells - 1) + 1) @ [grid.width, 1]
    last = np.unique((cell + nodes * np.arange(count)[:, None]).ravel()[:, None] + [0, 1, grid.width, grid.width + 1])
    u, p, level = spread(grid, u, p, start, last)
    return Field(grid, sources, u, p, level)


def from_frame(grid: Grid) -> Field:
    """Distances from the border of the box, as from one source."""
    index = np.rint((grid.points - grid.table.low) / grid.step)
    start = grid.inside & ((index == 0) | (index == grid.cells)).any(-1)
    normal = (index == 0).astype(float) - (index == grid.cells)
    det = grid.metric[:, 0] * grid.metric[:, 2] - grid.metric[:, 1] ** 2
    size = np.sqrt(inner(grid.metric[:, ::-1] * [1, -1, 1], normal, normal) / det)
    p = np.where(start[:, None], normal / np.maximum(size, 1e-300)[:, None], 0.0)
    u, p, level = spread(grid, np.where(start, 0.0, FAR)[None], p[None], start[None], np.flatnonzero(grid.inside))
    return Field(grid, np.full((1, 2), np.nan), u, p, level)


def spread(grid: Grid, u: Array, p: Array, start: Array, last: Array) -> tuple[Array, Array, float]:
    """Solve away from the nodes of `start` `(S, N)`, in bands of growing u, up to all nodes `last` or where all are reached."""
    shape, nodes = u.shape, u.shape[1]
    u, p, pending = u.ravel(), p.reshape(-1, 2), start.ravel().copy()
    fixed, visits = pending | np.tile(~grid.inside, len(start)), np.zeros(u.size, dtype=int)
    band, level = BAND * float(np.median(np.sqrt(grid.metric[:, [0, 2]])[grid.inside])), 0.0
    while pending.any():
        waiting = np.flatnonzero(pending)
        fired = waiting[u[waiting] <= level]
        if not len(fired):
            if level > u[last].max():
                break
            level = max(level, u[waiting].min()) + band
            continue
        pending[fired] = False
        touched = np.zeros_like(pending)
        touched[(fired + grid.neighbours[:, None]).ravel()] = True
        place = np.flatnonzero(touched & ~fixed)
        value, gradient = update(grid, u, p, place, place % nodes)
        size = norm(grid.metric[place % nodes], np.ones(2))
        moved = (np.abs(value - u[place]) > SETTLED * size) | (np.abs(gradient - p[place]).max(-1) > 100 * SETTLED * size)
        visits[place] += 1
        moved &= (visits[place] < PATIENCE) | (value < u[place] - SETTLED * size)
        place = place[moved]
        u[place], p[place], pending[place] = value[moved], gradient[moved], True
    return u.reshape(shape), p.reshape(*shape, 2), level
