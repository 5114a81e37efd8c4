"""How smooth a map is, by what it does: whether its derivative is the integral of its second derivative."""

from enum import IntEnum

import torch
from torch import Tensor

from egregium.numerics.cubature import gauss_legendre
from egregium.numerics.derivatives import Map, jacobian_and_acceleration, jvp

PANELS = 8
FINER = 4
NODES = 4
ROUNDING = {torch.float64: 1e-6, torch.float32: 1e-4}
KEPT, HALVED = 0.6, 0.08  # of the defect, with FINER times as many panels: what kinks leave, and jumps of f''


class Smoothness(IntEnum):
    """What the derivatives of a map do along a line: `f'` jumps, `f''` jumps, or neither."""

    KINKED = 0
    ONCE = 1
    SMOOTH = 2


def smoothness(f: Map, start: Tensor, end: Tensor) -> Smoothness:
    """Judge `f` along segments from `start` to `end` `(N, d)`, a dozen or more of them.

    Over a segment the change of `f'` differs from the integral of `f''` by the jumps of `f'` that lie on it. A quadrature that
    jumps of `f''` spoil misses them too, but less with more nodes; smooth maps it misses by rounding. Cost: 160 second
    derivatives a segment.
    """
    coarse, fine = (_defect(f, start, end, panels) for panels in (PANELS, PANELS * FINER))
    floor = ROUNDING[start.dtype]
    if fine <= floor:
        return Smoothness.SMOOTH
    if fine > KEPT * coarse:
        return Smoothness.KINKED
    return Smoothness.ONCE if fine > HALVED * coarse else Smoothness.SMOOTH


def _defect(f: Map, start: Tensor, end: Tensor, panels: int) -> float:
    """Change of `f'` less the integral of `f''` on all segments, relative to the change of `f'`."""
    along = end - start
    nodes, weights = gauss_legendre(NODES, start)
    total = 0
    for k in range(panels):
        t = (k + nodes) / panels
        z = start[:, None] + t[:, None] * along[:, None]
        bend = jacobian_and_acceleration(f, z.flatten(0, 1), along.repeat_interleave(NODES, 0))[1]
        total = total + (weights[:, None] * bend.unflatten(0, (-1, NODES))).sum(1) / panels
    change = jvp(f, end, along)[1] - jvp(f, start, along)[1]
    return float((change - total).norm() / change.norm().clamp_min(torch.finfo(change.dtype).tiny))
