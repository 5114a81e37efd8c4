r"""Orthonormal frames along curves, and parallel transport by projection from each tangent space to the next.

With `J_i = Q_i R_i` at nodes along a curve, the orthogonal part of `Q_{i+1}^T Q_i` carries coefficients from one frame to the
next. The scheme is symmetric, so that its error is a series in even powers of the step; it is orthogonal, so that inner
products are kept to rounding; and it knows the tangent spaces alone, so that it is exactly invariant under
reparametrisation.
"""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from egregium.numerics.derivatives import jacobian, row_chunks
from egregium.numerics.rows import Rows

CACHED = 1 << 22


@dataclass(frozen=True)
class Frames(Rows):
    """Frames `q` `(P, n, A, d)` and `r` `(P, n, d, d)` at n nodes of P curves, `J = q r`."""

    q: Tensor
    r: Tensor

    @staticmethod
    def along(immerse: Callable[[Tensor], Tensor], nodes: Tensor) -> "Frames":
        """Frames at `nodes` `(P, n, d)`. Cost: 3 + 2 d decoder calls a node."""
        p, n, d = nodes.shape
        width = immerse(nodes[:1, 0]).shape[-1]
        parts = [
            Frames(*torch.linalg.qr(jacobian(immerse, nodes[rows].flatten(0, 1)).unflatten(0, (-1, n))))
            for rows in row_chunks(p, n * d * width, CACHED)
        ]
        return Frames.stack(parts)

    def every(self, stride: int) -> "Frames":
        """The frames at every so many nodes."""
        return Frames(self.q[:, ::stride], self.r[:, ::stride])

    def coefficients(self, node: int, v: Tensor) -> Tensor:
        """Tangent vectors v `(P, d)` at a node in its frame."""
        return (self.r[:, node] @ v[..., None])[..., 0]

    def projected(self, node: int, x: Tensor) -> Tensor:
        """Coefficients `(P, d)` of the tangent parts of ambient vectors x `(P, A)` at a node."""
        return (self.q[:, node].mT @ x[..., None])[..., 0]

    def vectors(self, node: int, coefficients: Tensor) -> Tensor:
        """Inverse of `coefficients`."""
        return torch.linalg.solve_triangular(self.r[:, node], coefficients[..., None], upper=True)[..., 0]

    @property
    def turns(self) -> Tensor:
        """Orthogonal matrices `(P, n, d, d)` that carry coefficients in the first frame to those at each node."""
        between = orthogonal(self.q[:, 1:].mT @ self.q[:, :-1])
        turns = [torch.eye(self.r.shape[-1], dtype=self.r.dtype, device=self.r.device).expand(len(self.r), -1, -1)]
        for k in range(between.shape[1]):
            turns.append(between[:, k] @ turns[-1])
        return torch.stack(turns, 1)


def orthogonal(a: Tensor) -> Tensor:
    """The orthogonal matrix nearest to each `a` `(*batch, d, d)`."""
    u, _, vh = torch.linalg.svd(a)
    return u @ vh
