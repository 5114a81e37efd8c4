"""The quadratic model of the energy about a discrete curve, and how it is carried to a finer one."""

from dataclasses import dataclass, replace

import torch
from torch import Tensor

from egregium.numerics.rows import Rows
from egregium.numerics.tridiagonal import BlockTridiagonal

SHARES = (0.65, 0.4, 0.25, 0.0)  # of the curvature, tried in turn where all of it leaves the model indefinite


@dataclass(frozen=True)
class SecondOrder(Rows):
    """Gauss-Newton `metric` `2 T D^T J^T J D`, what the Hessian adds, the decoder's `curvature` `(P, T - 1, d, d)`, and the
    `share` `(P,)` of it that is taken; 0 where nothing is known of it."""

    metric: BlockTridiagonal
    curvature: Tensor
    share: Tensor

    @staticmethod
    def whole(metric: BlockTridiagonal, curvature: Tensor) -> "SecondOrder":
        """With all of the curvature."""
        return SecondOrder(metric, curvature, torch.ones_like(curvature[:, 0, 0, 0]))

    @staticmethod
    def flat(metric: BlockTridiagonal) -> "SecondOrder":
        """With none."""
        return SecondOrder(metric, torch.zeros_like(metric.diagonal), torch.zeros_like(metric.diagonal[:, 0, 0, 0]))

    @property
    def hessian(self) -> BlockTridiagonal:
        """The Hessian of the energy, or what stands for it."""
        return BlockTridiagonal(self.metric.diagonal + self.share[:, None, None, None] * self.curvature, self.metric.upper)

    def exceeds(self, least: float) -> Tensor:
        """Whether the Hessian is more than so much of the metric in all directions, `(P,)`; decided in float64.

        All of the curvature that is known counts, whatever share of it is taken.
        """
        diagonal, upper, curvature = self.metric.diagonal.double(), self.metric.upper.double(), self.curvature.double()
        rest = BlockTridiagonal((1 - least) * diagonal + curvature, (1 - least) * upper)
        return rest.solve(torch.zeros_like(curvature[..., 0]))[1]

    def convex(self, gradient: Tensor) -> "SecondOrder":
        """With less of the curvature in rows whose Hessian is not positive definite; any `gradient` `(P, T - 1, d)` will do.

        Up to its scale, `M + s K` is `H + w M` with `w = 1 / s - 1`.
        """
        model = self
        for share in SHARES:
            rows = (~model.hessian.solve(gradient)[1]).nonzero().flatten()
            if not len(rows):
                break
            model = replace(model, share=model.share.index_fill(0, rows, share))
        return model

    def prolonged(self) -> "SecondOrder":
        """The model of curves with every segment halved, without a decoder call: Jacobians interpolated linearly.

        With `G_i = J_i^T J_i` and `C_i = J_i^T J_{i+1}` the new vertex between has `(G_i + G_{i+1} + C_i + C_i^T) / 4`; beyond
        the outermost vertices the Jacobian is continued as it is.
        """
        g, c = self.metric.diagonal, self.metric.upper
        between = 0.5 * (g[:, :-1] + g[:, 1:]) - c - c.mT
        odd = torch.cat([2 * g[:, :1], between, 2 * g[:, -1:]], 1)
        from_odd = torch.cat([-g[:, :1], c - 0.5 * g[:, 1:]], 1)
        from_even = torch.cat([c - 0.5 * g[:, :-1], -g[:, -1:]], 1)
        k = 0.5 * self.curvature
        bent = torch.cat([k[:, :1], 0.5 * (k[:, :-1] + k[:, 1:]), k[:, -1:]], 1)
        metric = BlockTridiagonal(_interleaved(odd, 2 * g), _interleaved(from_odd, from_even))
        return SecondOrder(metric, _interleaved(bent, k), self.share)


def _interleaved(odd: Tensor, even: Tensor) -> Tensor:
    """Blocks `(P, n + 1 or n, d, d)` and `(P, n, d, d)` in turn, the first of `odd` first."""
    n = even.shape[1]
    return torch.cat([torch.stack([odd[:, :n], even], 2).flatten(1, 2), odd[:, n:]], 1)
