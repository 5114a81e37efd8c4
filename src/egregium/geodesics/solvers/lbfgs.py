"""L-BFGS on the vertices: second-order information from gradients alone."""

from dataclasses import dataclass

import torch
from torch import Tensor

from egregium.geodesics.problem import Evaluation, Problem
from egregium.geodesics.solvers.base import Solution, Termination
from egregium.geodesics.solvers.descent import Backtracking, descend

CURVATURE = 1e-8


@dataclass(frozen=True)
class LBFGS:
    """Limited-memory quasi-Newton descent on the free vertices; batched over pairs, each with its own history.

    The initial matrix is the inverse of the second difference along the curve, which is the Hessian for a flat space, times
    a scalar fitted to the last step: so the number of steps does not grow with the number of segments. Each pair searches by
    backtracking (pairs of step and change that would spoil definiteness are left out), forgets its history where the search
    fails, and stops for itself. Scaling the decoder changes nothing.

    Cost: 3 decoder calls a vertex and step.

    Args:
        history: number of steps remembered.
        segments: numbers of segments, coarse to fine; None: chosen from the tolerance.
        max_steps: steps allowed at each number of segments.

    References: Nocedal 1980 (Math. Comp. 35); Liu and Nocedal 1989 (Math. Program. 45).
    """

    history: int = 10
    segments: tuple[int, ...] | None = None
    max_steps: int = 1000

    def minimise(self, problem: Problem, vertices: Tensor, termination: Termination) -> Solution:
        return descend(problem, vertices, termination, _History.empty(vertices, self.history), Backtracking())


@dataclass(frozen=True)
class _History:
    """Steps and changes of gradient `(P, m, T - 1, d)`, oldest first; `rho = 1 / <step, change>` `(P, m)`, 0 where unused."""

    steps: Tensor
    changes: Tensor
    rho: Tensor

    @staticmethod
    def empty(vertices: Tensor, size: int) -> "_History":
        blank = torch.zeros_like(vertices)[:, None].expand(-1, size, -1, -1)
        return _History(blank, blank, vertices.new_zeros(len(vertices), size))

    def __getitem__(self, rows: Tensor) -> "_History":
        return _History(self.steps[rows], self.changes[rows], self.rho[rows])

    def direction(self, problem: Problem, vertices: Tensor, now: Evaluation) -> Tensor:
        """Minus the inverse Hessian's estimate times the gradient, by the two-loop recursion."""
        q, weights = now.gradient, []
        for k in reversed(range(self.rho.shape[1])):
            weights.append(self.rho[:, k] * _dot(self.steps[:, k], q))
            q = q - _times(weights[-1], self.changes[:, k])
        r = _times(self._scale(problem, vertices, now), smoothed(q))
        for k, weight in enumerate(reversed(weights)):
            r = r + _times(weight - self.rho[:, k] * _dot(self.changes[:, k], r), self.steps[:, k])
        return -r

    def _scale(self, problem: Problem, vertices: Tensor, now: Evaluation) -> Tensor:
        """Inverse of the mean squared stretch of the immersion, `(P,)`: by the last pair, else along the whole curve."""
        latent = (problem.nodes(vertices).diff(dim=1).double() ** 2).sum((-2, -1)) * (vertices.shape[1] + 1)
        last = self.changes[:, -1]
        fitted = 1 / (self.rho[:, -1] * _dot(last, smoothed(last)))
        return torch.where(self.rho[:, -1] > 0, fitted, (latent / now.energy).to(fitted))

    def learned(self, moved: Tensor, step: Tensor, change: Tensor) -> "_History":
        product = _dot(step, change)
        sound = moved & (product > CURVATURE * _dot(step, step).sqrt() * _dot(change, change).sqrt())
        rho = torch.where(sound, 1 / product, 0.0)
        return _History(
            _appended(self.steps, step, sound), _appended(self.changes, change, sound), _appended(self.rho, rho, sound)
        )

    def forgotten(self, failed: Tensor) -> "tuple[_History, Tensor]":
        forgot = failed & (self.rho > 0).any(-1)
        return _History(self.steps, self.changes, torch.where(failed[:, None], 0.0, self.rho)), forgot


def smoothed(gradient: Tensor) -> Tensor:
    """The solution x `(P, T - 1, d)` of `2 T D^T D x = gradient`, D the first difference of a curve with fixed ends."""
    slope = torch.nn.functional.pad(gradient.cumsum(1), (0, 0, 1, 0))
    slope = (slope.mean(1, keepdim=True) - slope) / (2 * slope.shape[1])
    return slope[:, :-1].cumsum(1)


def _appended(stored: Tensor, new: Tensor, rows: Tensor) -> Tensor:
    shape = (-1, *[1] * (stored.ndim - 1))
    return torch.where(rows.reshape(shape), torch.cat([stored[:, 1:], new[:, None]], 1), stored)


def _dot(a: Tensor, b: Tensor) -> Tensor:
    return (a * b).sum((-2, -1))


def _times(weight: Tensor, vectors: Tensor) -> Tensor:
    return weight[:, None, None] * vectors
