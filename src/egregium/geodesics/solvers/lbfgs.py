"""L-BFGS on the vertices: second-order information from gradients alone."""

from dataclasses import dataclass

import torch
from torch import Tensor

from egregium.geodesics.problem import Evaluation, Problem
from egregium.geodesics.second_order import SecondOrder
from egregium.geodesics.solvers.base import Solution, Termination
from egregium.geodesics.solvers.descent import Backtracking, descend
from egregium.geodesics.solvers.secant import Secants, dot


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

    def minimise(
        self, problem: Problem, vertices: Tensor, termination: Termination, model: SecondOrder | None = None
    ) -> Solution:
        return descend(problem, vertices, termination, _History(Secants.empty(vertices, self.history)), Backtracking())


@dataclass(frozen=True)
class _History:
    """Secant pairs about the flat space's Hessian times a scalar."""

    secants: Secants

    def __getitem__(self, rows: Tensor) -> "_History":
        return _History(self.secants[rows])

    def direction(self, problem: Problem, vertices: Tensor, now: Evaluation) -> Tensor:
        """Minus the inverse Hessian's estimate times the gradient."""
        scale = self._scale(problem, vertices, now)[:, None, None]
        return -self.secants.inverse(now.gradient, lambda q: scale * smoothed(q))

    def _scale(self, problem: Problem, vertices: Tensor, now: Evaluation) -> Tensor:
        """Inverse of the mean squared stretch of the immersion, `(P,)`: by the last pair, else along the whole curve."""
        latent = (problem.nodes(vertices).diff(dim=1).double() ** 2).sum((-2, -1)) * (vertices.shape[1] + 1)
        last, rho = self.secants.changes[:, -1], self.secants.rho[:, -1]
        fitted = 1 / (rho * dot(last, smoothed(last)))
        return torch.where(rho > 0, fitted, (latent / now.energy).to(fitted))

    def learned(self, moved: Tensor, step: Tensor, change: Tensor) -> "_History":
        return _History(self.secants.learned(moved, step, change))

    def forgotten(self, failed: Tensor) -> "tuple[_History, Tensor]":
        forgot = failed & (self.secants.rho > 0).any(-1)
        return _History(self.secants.forgotten(failed)), forgot


def smoothed(gradient: Tensor) -> Tensor:
    """The solution x `(P, T - 1, d)` of `2 T D^T D x = gradient`, D the first difference of a curve with fixed ends."""
    slope = torch.nn.functional.pad(gradient.cumsum(1), (0, 0, 1, 0))
    slope = (slope.mean(1, keepdim=True) - slope) / (2 * slope.shape[1])
    return slope[:, :-1].cumsum(1)
