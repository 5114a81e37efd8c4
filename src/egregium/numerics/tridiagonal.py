"""Symmetric block-tridiagonal systems, one for each curve, solved together.

A system of `n` blocks of size `d` is held as `diagonal (P, n, d, d)` and `upper (P, n - 1, d, d)`, block `(i, i + 1)`.
"""

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from egregium.numerics.rows import Rows

DENSE = 32  # below this size whole matrices are factored faster than reduced
MANY, NARROW = 256, 2  # from so many matrices on, of blocks no larger, they are faster factored a column of all at a time


@dataclass(frozen=True)
class BlockTridiagonal(Rows):
    """A batch of symmetric block-tridiagonal matrices.

    >>> one = torch.eye(1, dtype=torch.float64)
    >>> laplacian = BlockTridiagonal(2 * one.expand(1, 3, 1, 1), -one.expand(1, 2, 1, 1))
    >>> x, definite = laplacian.solve(torch.ones(1, 3, 1, dtype=torch.float64))
    >>> [round(value, 9) for value in x.flatten().tolist()], definite.item()
    ([1.5, 2.0, 1.5], True)
    """

    diagonal: Tensor
    upper: Tensor

    def damped(self, weight: Tensor) -> "BlockTridiagonal":
        """The same matrices with `weight` `(P,)` times their diagonal blocks added to these blocks."""
        return BlockTridiagonal(self.diagonal * (1 + weight[:, None, None, None]), self.upper)

    def plus(self, weight: Tensor, other: "BlockTridiagonal") -> "BlockTridiagonal":
        """The same matrices with `weight` `(P,)` times others added."""
        scale = weight[:, None, None, None]
        return BlockTridiagonal(self.diagonal + scale * other.diagonal, self.upper + scale * other.upper)

    def matvec(self, v: Tensor) -> Tensor:
        """Products with vectors `(P, n, d)`."""
        out = (self.diagonal @ v[..., None])[..., 0]
        above = (self.upper @ v[:, 1:, :, None])[..., 0]
        below = (self.upper.mT @ v[:, :-1, :, None])[..., 0]
        return out + F.pad(above, (0, 0, 0, 1)) + F.pad(below, (0, 0, 1, 0))

    def quadratic(self, v: Tensor) -> Tensor:
        """`<v, M v>` of each system, `(P,)`."""
        return (v * self.matvec(v)).sum((-2, -1))

    def solve(self, b: Tensor) -> tuple[Tensor, Tensor]:
        """Solutions `(P, n, d)`, and which of the matrices are positive definite `(P,)`.

        By block cyclic reduction, down to matrices so small that they are factored whole; from MANY narrow ones on by another
        algorithm, so that rounding, and the verdict on matrices that are singular up to it, may depend on P.
        Rows of matrices that are not definite hold NaN. Not differentiable. Cost: O(P n d^3) in O(log n) batched steps.

        References: Heller 1976, SIAM J. Numer. Anal. 13(4).
        """
        solution, definite = _reduce(self.diagonal, self.upper, b[..., None])
        return torch.where(definite[:, None, None], solution[..., 0], torch.nan), definite

    def dense(self) -> Tensor:
        """The matrices written out, `(P, n d, n d)`."""
        p, n, d, _ = self.diagonal.shape
        full = self.diagonal.new_zeros(p, n, d, n, d)
        for offset, blocks in ((0, self.diagonal), (1, self.upper), (-1, self.upper.mT)):
            full.diagonal(offset, 1, 3).copy_(blocks.permute(0, 2, 3, 1))
        return full.reshape(p, n * d, n * d)


def _reduce(diagonal: Tensor, upper: Tensor, b: Tensor) -> tuple[Tensor, Tensor]:
    """Eliminate every second block, solve what is left, substitute back."""
    n, d = diagonal.shape[1], diagonal.shape[-1]
    if len(b) >= MANY and d <= NARROW:
        return _by_columns(diagonal, upper, b)
    if n == 1 or n * d <= DENSE:
        factor, info = torch.linalg.cholesky_ex(BlockTridiagonal(diagonal, upper).dense())
        return torch.cholesky_solve(b.reshape(-1, n * d, b.shape[-1]), factor).reshape(b.shape), info == 0
    left, right = upper[:, ::2], upper[:, 1::2]  # blocks (2k, 2k + 1) and (2k + 1, 2k + 2)
    factor, info = torch.linalg.cholesky_ex(diagonal[:, 1::2])
    right_padded = right if right.shape[1] == left.shape[1] else F.pad(right, (0, 0, 0, 0, 0, 1))
    solved = torch.cholesky_solve(torch.cat([left.mT, right_padded, b[:, 1::2]], -1), factor)
    to_left, to_right, y = solved.split([d, d, 1], -1)
    kept, rhs = diagonal[:, ::2].clone(), b[:, ::2].clone()
    m, r = left.shape[1], right.shape[1]
    kept[:, :m] -= left @ to_left
    rhs[:, :m] -= left @ y
    kept[:, 1 : r + 1] -= right.mT @ to_right[:, :r]
    rhs[:, 1 : r + 1] -= right.mT @ y[:, :r]
    even, definite = _reduce(kept, -left[:, :r] @ to_right[:, :r], rhs)
    odd = y - to_left @ even[:, :m]
    odd[:, :r] -= to_right[:, :r] @ even[:, 1 : r + 1]
    solution = torch.empty_like(b)
    solution[:, ::2], solution[:, 1::2] = even, odd
    return solution, definite & (info == 0).all(-1)


def _by_columns(diagonal: Tensor, upper: Tensor, b: Tensor) -> tuple[Tensor, Tensor]:
    """`L D L^T` of the bands, for one right-hand side: one column of all matrices after the other, matrices last."""
    p, n, d, _ = b.shape
    size, width = n * d, 2 * d
    beside = F.pad(upper, (0, 0, 0, 0, 0, 1))
    columns = [F.pad(torch.cat([diagonal[:, :, k:, k], beside[:, :, k]], -1), (0, k)) for k in range(d)]
    band = F.pad(torch.stack(columns, 2).flatten(1, 2).permute(1, 2, 0), (0, 0, 0, 0, 0, width))  # (column, below, P)
    x = F.pad(b.reshape(p, size).mT, (0, 0, 0, width))
    lower = torch.empty_like(band[:size, 1:])
    for j in range(size):
        torch.div(band[j, 1:], band[j, 0], out=lower[j])
        for k in range(1, width):
            band[j + k, : width - k].addcmul_(lower[j, k - 1 :], band[j, k], value=-1)
        x[j + 1 : j + width].addcmul_(lower[j], x[j], value=-1)
    pivots = band[:size, 0]
    x[:size] /= pivots
    for j in reversed(range(size)):
        x[j] -= (lower[j] * x[j + 1 : j + width]).sum(0)
    return x[:size].mT.reshape(b.shape), (pivots > 0).all(0)
