r"""Geodesics of a tabulated metric: Newton's method on the energy of latent polygons, all pairs and all starts at once.

A polygon of T segments has the energy `E = T sum_i D_i^T G(m_i) D_i`, `D_i` its segments and `m_i` their middles. With the
table's derivatives of G the Hessian H is exact and costs no more than the energy; its part M without derivatives of G is a
metric of curves. Steps solve `(H + w M) d = -g`, so that they are damped alike in all coordinates and at all wavelengths; w is
0 unless H is not positive definite or a step before did not do.
"""

from dataclasses import dataclass, replace
from functools import lru_cache

import torch
import torch.nn.functional as F
from torch import Tensor

from egregium.geodesics.metric_table import MetricTable, bends, slopes
from egregium.numerics.rows import Rows
from egregium.numerics.tridiagonal import BlockTridiagonal

MAX_STEPS = 20
REACH = 0.25  # of the length: longest step in M
SHIFT, SHIFTED, SHIFTS = 0.5, 2.5, 3  # first w where H is not definite, what it is multiplied by, and how often at most
RAISED, LOWERED = 6.0, 0.2  # times the damping after a step that did not do, and after one that did
LEAST, MOST = 0.3, 1e4  # damping after a first step that did not do, and where pairs are given up
FORGOTTEN = 0.1  # damping that is as good as none
SOFT = 0.06  # as in `certificate`
KEPT = 0.25  # of the decrease promised: steps that keep less do not lower the damping
UNEVEN = 0.04  # of the table's tolerance: patches beside each other differ by no more, as a rule
NEAR = 10  # times the tolerance: steps so small do what they promise
KNOWN = 0.04  # of the length: distance in M from a minimum to which an undamped step leads; nodes are within half of it


@dataclass(frozen=True)
class Quadratic(Rows):
    """Energies `(P,)`, gradients `(P, T - 1, d)`, Hessians, and twice T times the metric on each segment `(P, T, d, d)`."""

    energy: Tensor
    gradient: Tensor
    hessian: BlockTridiagonal
    stretch: Tensor

    @property
    def metric(self) -> BlockTridiagonal:
        """The part of the Hessian without derivatives of the metric."""
        return BlockTridiagonal(self.stretch[:, :-1] + self.stretch[:, 1:], -self.stretch[:, 1:-1])

    def square(self, v: Tensor) -> Tensor:
        """`<v, M v>` `(P,)` of variations `(P, T - 1, d)` in that part."""
        step = F.pad(v, (0, 0, 1, 1)).diff(dim=1)
        return ((self.stretch @ step[..., None])[..., 0] * step).sum((-2, -1)).double()


@dataclass(frozen=True)
class Relaxed(Rows):
    """Polygons `nodes` `(P, T + 1, d)` with their energies; whether each is critical (`ok`), and a minimum, and a `soft` one: H
    is less than SOFT of M somewhere, so that none may be left with more segments; `steps` taken."""

    nodes: Tensor
    energy: Tensor
    ok: Tensor
    minimum: Tensor
    soft: Tensor
    steps: Tensor

    @property
    def settled(self) -> Tensor:
        """Whether each is a minimum, `(P,)`."""
        return self.ok & self.minimum


def quadratic(table: MetricTable, nodes: Tensor, extent: Tensor) -> Quadratic:
    """The energy to second order about polygons `nodes` `(P, T + 1, d)`; NaN where the table has no metric."""
    p, segments = len(nodes), nodes.shape[1] - 1
    middles, step = 0.5 * (nodes[:, 1:] + nodes[:, :-1]), nodes.diff(dim=1)
    squares = table.locate(middles.flatten(0, 1), extent.repeat_interleave(segments))
    jet = table.jets(squares, middles.flatten(0, 1))
    jets = torch.cat([jet.along(step.flatten(0, 1)).flatten(1), jet.table[..., 0]], 1)
    local = (jets @ (segments * _segment(jets.dtype, jets.device))).unflatten(0, (p, segments))
    energy, (first, last, *blocks) = local[..., 0], local[..., 1:].split([2, 2, 4, 4, 4, 4], -1)
    left, right, beside, stretch = (block.unflatten(-1, (2, 2)) for block in blocks)
    hessian = BlockTridiagonal(right[:, :-1] + left[:, 1:], beside[:, 1:-1])
    return Quadratic(energy.double().sum(-1), last[:, :-1] + first[:, 1:], hessian, stretch)


def energy(table: MetricTable, nodes: Tensor, extent: Tensor) -> Tensor:
    """The energy alone, `(P,)`."""
    p, segments = len(nodes), nodes.shape[1] - 1
    middles, (x, y) = 0.5 * (nodes[:, 1:] + nodes[:, :-1]).flatten(0, 1), nodes.diff(dim=1).flatten(0, 1).unbind(-1)
    squares = table.locate(middles, extent.repeat_interleave(segments))
    g11, g12, g22 = table.components(squares, middles).unbind(-1)
    return segments * (g11 * x * x + 2 * g12 * x * y + g22 * y * y).double().view(p, segments).sum(-1)


@lru_cache(maxsize=8)
def _segment(dtype: torch.dtype, device: torch.device) -> Tensor:
    """Matrix `(21, 21)` from the jet along a segment and its metric to its energy, over T, and the derivatives of that: by
    its first and its last vertex, twice by either, by the first and the last; and twice the metric."""
    one = torch.eye(21, dtype=dtype, device=device)
    along, (g11, g12, g22) = one[:, :18].unflatten(-1, (3, 6)), one[:, 18:].split(1, -1)
    lowered, square = along[:, :2], along[:, 2]  # G D and D^T G D, with their derivatives
    pulled, pushed, bend = 2 * lowered[..., 0], 0.5 * slopes(square), 0.25 * bends(square)
    twist, stretch = slopes(lowered), 2 * torch.cat([g11, g12, g12, g22], -1).unflatten(-1, (2, 2))
    blocks = [stretch + bend - twist - twist.mT, stretch + bend + twist + twist.mT, bend - stretch + twist.mT - twist, stretch]
    return torch.cat([square[:, :1], pushed - pulled, pushed + pulled, *(block.flatten(1) for block in blocks)], 1)


def end_momenta(table: MetricTable, nodes: Tensor, extent: Tensor) -> Tensor:
    """Momenta `G c'` at both ends `(P, 2, d)` of critical polygons: the energy's derivatives there, less a half with its sign.

    Their error is a series in `1 / T^2` (Marsden and West 2001), which that of a spline's slopes is not.
    """
    segments = nodes.shape[1] - 1
    first, last = nodes[:, :2], nodes[:, -2:]
    step = torch.stack([first.diff(dim=1), last.diff(dim=1)], 1)[:, :, 0]
    middles = torch.stack([first.mean(1), last.mean(1)], 1).flatten(0, 1)
    jet = table.jets(table.locate(middles, extent.repeat_interleave(2)), middles)
    along = jet.along(step.flatten(0, 1)).unflatten(0, (-1, 2))
    sign = torch.tensor([-1.0, 1.0], dtype=nodes.dtype, device=nodes.device)[:, None]
    return segments * (along[..., :2, 0] + 0.25 * sign * slopes(along[..., 2, :]))


def relax(
    table: MetricTable, nodes: Tensor, extent: Tensor, tolerance: float, known: Tensor | None = None, softness: bool = False
) -> Relaxed:
    """Critical polygons near `nodes` `(P, T + 1, d)`, by Newton's method with damping.

    A pair stops after an undamped step whose metric size, relative to the length, is at most `tolerance`, times what is known
    to follow: nothing after Newton's, a third of it and more after others. Each pair takes its own steps. Those on their way to
    the minima `known` `(P, T + 1, d)` between the same ends are left and not `ok`; which are `soft` is told for `softness`.
    """
    state = _State.start(table, nodes, extent, known)
    flags = torch.zeros_like(state.rows, dtype=torch.bool)
    result = Relaxed(nodes, state.now.energy, flags, flags, flags, torch.zeros_like(state.rows))
    state = state[torch.isfinite(state.now.energy) & (state.now.energy > 0)]
    for _ in range(MAX_STEPS):
        if not len(state.rows):
            break
        step = state.step(tolerance)
        on = ~step.known
        last = (step.last & on).nonzero().flatten()
        if len(last):
            ended, found = state[last].ended(table, step[last], softness)
            on[last[ended]] = False
            result = result.updated(state.rows[last[ended]], found)
        state, step = state[on], step[on]
        if len(state.rows):
            state = state.after(table, step, tolerance)
            state = state[state.damping < MOST]
    return result


@dataclass(frozen=True)
class _Step(Rows):
    """Steps to the `nodes` `(P, T + 1, d)`, a `share` of directions of a metric `size`, found at a `shift` and `promised` to
    lower the energy; whether they are Newton's, the `last`, and lead to what is `known`; all `(P,)`."""

    nodes: Tensor
    share: Tensor
    size: Tensor
    shift: Tensor
    promised: Tensor
    newton: Tensor
    last: Tensor
    known: Tensor


@dataclass(frozen=True)
class _State(Rows):
    """Everything that belongs to the pairs still at work; `rows` are their places among all."""

    rows: Tensor
    nodes: Tensor
    extent: Tensor
    known: Tensor | None
    now: Quadratic
    damping: Tensor
    size: Tensor
    steps: Tensor

    @staticmethod
    def start(table: MetricTable, nodes: Tensor, extent: Tensor, known: Tensor | None) -> "_State":
        rows = torch.arange(len(nodes), device=nodes.device)
        now, zero = quadratic(table, nodes, extent), torch.zeros_like(extent)
        return _State(rows, nodes, extent, known, now, zero, zero + torch.inf, torch.zeros_like(rows))

    def step(self, tolerance: float) -> _Step:
        """The next step of each pair."""
        delta, shift = self._direction()
        newton, square = shift == self.damping, self.now.square(delta)
        size = (0.5 * square / self.now.energy).clamp_min(0).sqrt().to(self.size)
        share = (REACH / size).clamp_max(1).nan_to_num(0.0)
        moved = self.nodes.clone()
        moved[:, 1:-1] += share[:, None, None] * delta
        slope = (self.now.gradient * delta).sum((-2, -1))
        promised = 0.5 * share * (shift * share * square - (2 - share) * slope)
        rate = torch.where(torch.isfinite(self.size), size / self.size, 1.0).clamp(0, 0.95).nan_to_num(0.0)
        left = size * torch.where(newton, size.clamp_max(1), rate / (1 - rate))
        small = (left <= tolerance) & (size <= NEAR * tolerance) | (size <= 0.01 * tolerance)
        undamped = newton & (shift == 0) & (share == 1)
        last, known = (self.damping == 0) & small, undamped & self._known(moved)
        return _Step(moved, share, size, shift, promised, newton, last, known)

    def _known(self, nodes: Tensor) -> Tensor:
        """Whether `nodes` are close to what is known, `(P,)`."""
        if self.known is None:
            return torch.zeros_like(self.rows, dtype=torch.bool)
        return 0.5 * self.now.square((nodes - self.known)[:, 1:-1]) < KNOWN**2 * self.now.energy

    def ended(self, table: MetricTable, step: _Step, softness: bool) -> tuple[Tensor, Relaxed]:
        """Which pairs their last steps end, as the energy does not grow, and what they lead to."""
        reached, critical = energy(table, step.nodes, self.extent), step.last
        soft = ~critical
        if softness:
            soft = ~self.now.hessian.plus(torch.full_like(self.size, -SOFT), self.now.metric).solve(self.now.gradient)[1]
        ended = (reached <= self._bound(table)).nonzero().flatten()
        return ended, Relaxed(step.nodes, reached, critical, step.newton, soft, self.steps + 1)[ended]

    def after(self, table: MetricTable, step: _Step, tolerance: float) -> "_State":
        """After steps that are kept where the energy does not grow."""
        trial = quadratic(table, step.nodes, self.extent)
        accept = torch.isfinite(step.size) & (trial.energy <= self._bound(table))
        good = (step.size <= NEAR * tolerance) | (self.now.energy - trial.energy > KEPT * step.promised)
        lowered = torch.where(good, LOWERED * self.damping, self.damping)
        raised = (RAISED * torch.maximum(self.damping, step.shift)).clamp_min(LEAST)
        return replace(
            self,
            nodes=torch.where(accept[:, None, None], step.nodes, self.nodes),
            now=trial.where(accept, self.now),
            damping=torch.where(accept, torch.where(lowered > FORGOTTEN, lowered, 0.0), raised),
            size=torch.where(accept, step.size, self.size),
            steps=self.steps + 1,
        )

    def _bound(self, table: MetricTable) -> Tensor:
        """What the energy may come to in a step that does not let it grow, by the table's digits."""
        return self.now.energy * (1 + max(UNEVEN * table.tolerance, 16 * torch.finfo(self.size.dtype).eps))

    def _direction(self) -> tuple[Tensor, Tensor]:
        """Steps `(P, T - 1, d)`, and the w `(P,)` at which they were found: the damping where that will do."""
        hessian, metric, push, shift = self.now.hessian, self.now.metric, -self.now.gradient, self.damping
        delta, definite = (hessian.plus(shift, metric) if shift.any() else hessian).solve(push)
        for _ in range(SHIFTS):
            rows = (~definite).nonzero().flatten()
            if not len(rows):
                break
            shift = shift.index_copy(0, rows, (SHIFTED * shift[rows]).clamp_min(SHIFT))
            instead, found = hessian[rows].plus(shift[rows], metric[rows]).solve(push[rows])
            delta, definite = delta.index_copy(0, rows, instead), definite.index_copy(0, rows, found)
        return delta, shift
