"""The metric of whole curves from the metric at a few of their nodes: a preconditioner that costs few decoder calls."""

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from egregium.numerics.derivatives import Map, differences, row_chunks
from egregium.numerics.rows import Rows

NODES = 3
DAMPING = 0.1  # of each axis: a trained decoder of 64 latent dimensions took 130 steps with 1e-4, 60 with this, 100 with 1
STEP = 1e-2
HELD = 1 << 20  # numbers of output at a time: more leave the cache


@dataclass(frozen=True)
class PathMetric(Rows):
    """Stands for `2 T D^T G D`, D the first difference along a curve, with `G^-1` interpolated between NODES nodes.

    `factors` `(P, NODES, d, d)` are lower triangular, `G = L L^T`, `inverses` those of G. The inverse is a
    sweep along the curve and products with the `G^-1` of the nodes; no segment has a matrix of its own.
    """

    factors: Tensor
    inverses: Tensor

    @staticmethod
    def along(immerse: Map, nodes: Tensor, ends: Tensor) -> "PathMetric":
        """Of curves `(P, T + 1, d)` whose metrics at the `ends` `(P, 2, d, d)` are known. Cost: d + 1 decoder calls a pair.

        In the middle by finite differences, which cost a half to a quarter of derivatives: this is but an estimate.
        """
        z = nodes[:, (nodes.shape[1] - 1) // 2]
        middle = estimated(immerse, z, (nodes[:, -1] - nodes[:, 0]).abs().amax(-1))
        metric = torch.stack([ends[:, 0].to(z), middle, ends[:, 1].to(z)], 1)
        axis = metric.diagonal(dim1=-2, dim2=-1)
        floor = torch.finfo(z.dtype).eps * axis.amax(-1, keepdim=True)
        factors, _ = torch.linalg.cholesky_ex(metric + torch.diag_embed(DAMPING * axis + floor))
        return PathMetric(factors, torch.cholesky_inverse(factors))

    def inverse(self, gradient: Tensor) -> Tensor:
        """The solution `(P, T - 1, d)` of `2 T D^T G D x = gradient`, by a sweep: `G^-1` turns costates into controls."""
        total = F.pad(gradient.cumsum(1), (0, 0, 1, 0))
        weight = _weights(total.shape[1], total)
        mean = torch.einsum("k,pkde->pde", weight.sum(0), self.inverses)
        shift = torch.linalg.solve_ex(mean, self._interpolated(weight, total).sum(1))[0]
        controls = self._interpolated(weight, total - shift[:, None])
        return -controls[:, :-1].cumsum(1) / (2 * total.shape[1])

    def product(self, v: Tensor) -> Tensor:
        """`2 T D^T G D v` of variations v `(P, T - 1, d)`."""
        rise = F.pad(v, (0, 0, 1, 1)).diff(dim=1)
        force = torch.einsum("tk,pktd->ptd", _weights(rise.shape[1], rise), rise[:, None] @ self.factors @ self.factors.mT)
        return -2 * rise.shape[1] * force.diff(dim=1)

    def square(self, v: Tensor) -> Tensor:
        """`<v, 2 T D^T G D v>` `(P,)` of variations v `(P, T - 1, d)`."""
        return (v * self.product(v)).sum((-2, -1))

    def noise(self, like: Tensor, generator: torch.Generator) -> Tensor:
        """A random gradient, the shape of `like` `(P, T - 1, d)`, in which every direction has the same share.

        That is, its covariance is this metric. All curves have the same draw, so that none feels its batch mates.
        """
        n, d = like.shape[1:]
        draw = torch.randn(n + 1, NODES, d, generator=generator, dtype=torch.float64).to(like)
        weight = _weights(n + 1, like).sqrt()
        forces = torch.einsum("tk,pkde,tke->ptd", weight, self.factors, draw)
        return (2 * (n + 1)) ** 0.5 * (forces[:, :-1] - forces[:, 1:])

    def _interpolated(self, weight: Tensor, v: Tensor) -> Tensor:
        """`G^-1 v` in each segment, v `(P, T, d)`."""
        return torch.einsum("tk,pktd->ptd", weight, v[:, None] @ self.inverses)


def estimated(immerse: Map, z: Tensor, extent: Tensor) -> Tensor:
    """Metrics `(N, d, d)` at points `(N, d)` by differences over a small part of `extent` `(N,)`. Cost: d + 1 calls a point."""
    step = STEP * extent.clamp_min(torch.finfo(z.dtype).eps)
    metrics = []
    for rows in row_chunks(len(z), z.shape[-1] * immerse(z[:1]).shape[-1], HELD):
        block = differences(immerse, z[rows], step[rows])
        metrics.append(block.mT @ block)
    return torch.cat(metrics)


def _weights(segments: int, like: Tensor) -> Tensor:
    """Weights `(T, NODES)` of the nodes at the middle of each segment."""
    middle = (torch.arange(segments, dtype=like.dtype, device=like.device) + 0.5) / segments * (NODES - 1)
    return (1 - (middle[:, None] - torch.arange(NODES, device=like.device)).abs()).clamp_min(0)
