"""What steps taken tell of the Hessian: secant pairs, and the quasi-Newton direction that they give."""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from egregium.numerics.rows import Rows

CURVATURE = 1e-8


@dataclass(frozen=True)
class Secants(Rows):
    """Steps and changes of gradient `(P, m, T - 1, d)`, oldest first; `rho = 1 / <step, change>` `(P, m)`, 0 where unused.

    References: Nocedal 1980 (Math. Comp. 35); Liu and Nocedal 1989 (Math. Program. 45).
    """

    steps: Tensor
    changes: Tensor
    rho: Tensor

    @staticmethod
    def empty(vertices: Tensor, size: int) -> "Secants":
        """Nothing known about curves `vertices` `(P, T - 1, d)`, with room for `size` pairs each."""
        blank = torch.zeros_like(vertices)[:, None].expand(-1, size, -1, -1)
        return Secants(blank, blank, vertices.new_zeros(len(vertices), size))

    def inverse(self, gradient: Tensor, initial: Callable[[Tensor], Tensor]) -> Tensor:
        """The inverse Hessian's estimate times the gradient, by the two-loop recursion about the estimate `initial`."""
        q, weights = gradient, []
        for k in reversed(range(self.rho.shape[1])):
            weights.append(self.rho[:, k] * dot(self.steps[:, k], q))
            q = q - _times(weights[-1], self.changes[:, k])
        r = initial(q)
        for k, weight in enumerate(reversed(weights)):
            r = r + _times(weight - self.rho[:, k] * dot(self.changes[:, k], r), self.steps[:, k])
        return r

    def unit(self, initial: Callable[[Tensor], Tensor]) -> Tensor:
        """What the estimate `initial` of the inverse is to be scaled by, to give the last change its step's product, `(P,)`."""
        change, step = self.changes[:, -1], self.steps[:, -1]
        known = self.rho[:, -1] > 0
        return torch.where(known, dot(step, change) / dot(change, initial(change)), 1.0)

    def learned(self, moved: Tensor, step: Tensor, change: Tensor) -> "Secants":
        """After the pairs `moved` `(P,)` took `step`, which changed the gradient by `change`; unsound pairs are left out."""
        product = dot(step, change)
        sound = moved & (product > CURVATURE * dot(step, step).sqrt() * dot(change, change).sqrt())
        rho = torch.where(sound, 1 / product, 0.0)
        return Secants(
            _appended(self.steps, step, sound), _appended(self.changes, change, sound), _appended(self.rho, rho, sound)
        )

    def forgotten(self, rows: Tensor) -> "Secants":
        """With nothing remembered where `rows` `(P,)`."""
        return Secants(self.steps, self.changes, torch.where(rows[:, None], 0.0, self.rho))


def dot(a: Tensor, b: Tensor) -> Tensor:
    """Inner products `(P,)` of `(P, T - 1, d)`."""
    return (a * b).sum((-2, -1))


def _appended(stored: Tensor, new: Tensor, rows: Tensor) -> Tensor:
    shape = (-1, *[1] * (stored.ndim - 1))
    return torch.where(rows.reshape(shape), torch.cat([stored[:, 1:], new[:, None]], 1), stored)


def _times(weight: Tensor, vectors: Tensor) -> Tensor:
    return weight[:, None, None] * vectors
