r"""GEORCE: geodesics as a discrete control problem, whose update has a closed form."""

from dataclasses import dataclass
from typing import Self

import torch
import torch.nn.functional as F
from torch import Tensor

from egregium.geodesics.problem import Evaluation, Problem
from egregium.geodesics.second_order import SecondOrder
from egregium.geodesics.solvers.base import Solution, Termination
from egregium.geodesics.solvers.descent import Backtracking, descend
from egregium.numerics.derivatives import jacobian, row_chunks
from egregium.numerics.rows import Rows

# An exact model would halve what the slope promises. The frozen metric leaves out the decoder's curvature, so that full
# steps can cross the valley from side to side with little gain: asking for most of that half shortens these.
DECREASE = 0.4


@dataclass(frozen=True)
class Georce:
    r"""Energy minimised over the controls `u_i = z_{i+1} - z_i`, with `sum u_i` fixed; batched over pairs.

    With the metrics `G_i = J^T J` at the left end of each segment frozen, the conditions of optimality are linear: the
    costate runs backwards along the curve and the new controls are its images under `G_i^{-1}`. As the costate is the
    running sum of the energy's gradient `g_j` up to a constant, one sweep gives

    .. math:: \Delta u_i = \frac{1}{2T} G_i^{-1} \Bigl(\sum_{1 \le j \le i} g_j - c\Bigr), \qquad
        c = \Bigl(\sum_i G_i^{-1}\Bigr)^{-1} \sum_i G_i^{-1} \sum_{1 \le j \le i} g_j,

    followed by a backtracking line search. The paper discretises the energy as `sum <u_i, G_i u_i>`; here it is that of the
    decoded polygon, which all solvers share, so that their results are comparable; for the paper's energy the same sweep
    gives the paper's update. Each pair searches and stops for itself, by the relative metric step, which does not change
    when the decoder is scaled (the paper stops on the norm of the gradient).

    Cost: 6 + 2 d decoder calls a vertex and step.

    Args:
        shrink: factor of the line search.
        segments: numbers of segments, coarse to fine; None: chosen from the tolerance.
        max_steps: steps allowed at each number of segments.

    References: Rygaard and Hauberg 2025 (arXiv 2505.05961).
    """

    shrink: float = 0.5
    segments: tuple[int, ...] | None = None
    max_steps: int = 1000

    def minimise(
        self, problem: Problem, vertices: Tensor, termination: Termination, model: SecondOrder | None = None
    ) -> Solution:
        return descend(problem, vertices, termination, _Metrics.of(problem), Backtracking(self.shrink, DECREASE))


def sweep(gradient: Tensor, inverse: Tensor) -> Tensor:
    """The change `(P, T - 1, d)` of the vertices that solves `2 T D^T G D dz = -gradient`, given `G^{-1}` `(P, T, d, d)`."""
    total = F.pad(gradient.cumsum(1), (0, 0, 1, 0))[..., None]
    shift = torch.linalg.solve_ex(inverse.sum(1), (inverse @ total).sum(1))[0]
    controls = (inverse @ (total - shift[:, None]))[..., 0] / (2 * total.shape[1])
    return controls[:, :-1].cumsum(1)


@dataclass(frozen=True)
class _Metrics(Rows):
    """The metric `(P, 1, d, d)` at the first end, which does not move; the others are taken afresh at each step."""

    first: Tensor

    @classmethod
    def of(cls, problem: Problem) -> "_Metrics":
        return cls(_metrics(problem, problem.z0[:, None]))

    @property
    def near(self) -> None:
        return None

    def direction(self, problem: Problem, vertices: Tensor, now: Evaluation) -> Tensor:
        metrics = torch.cat([self.first, _metrics(problem, vertices)], 1)
        inverse, _ = torch.linalg.inv_ex(metrics)
        return sweep(now.gradient, inverse)

    def learned(self, moved: Tensor, step: Tensor, change: Tensor) -> Self:
        return self

    def forgotten(self, failed: Tensor) -> tuple[Self, Tensor]:
        return self, torch.zeros_like(failed)


def _metrics(problem: Problem, z: Tensor) -> Tensor:
    """Metrics `(P, n, d, d)` at points `(P, n, d)`."""
    p, n, d = z.shape
    parts = []
    for rows in row_chunks(p, n * d * problem.x0.shape[-1]):
        block = jacobian(problem.immerse, z[rows].reshape(-1, d))
        parts.append((block.mT @ block).unflatten(0, (-1, n)))
    return torch.cat(parts)
