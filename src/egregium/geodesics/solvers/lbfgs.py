"""L-BFGS on the vertices: second-order information from gradients alone."""

from dataclasses import dataclass

from torch import Tensor

from egregium.geodesics.path_metric import PathMetric
from egregium.geodesics.problem import Evaluation, Problem
from egregium.geodesics.second_order import SecondOrder
from egregium.geodesics.solvers.base import Solution, Termination
from egregium.geodesics.solvers.descent import Backtracking, descend
from egregium.geodesics.solvers.secant import Secants
from egregium.numerics.rows import Rows


@dataclass(frozen=True)
class LBFGS:
    """Limited-memory quasi-Newton descent on the free vertices, without a Jacobian; each pair has its own history.

    The initial matrix is the inverse of the metric `2 T D^T G D`, G known at both ends and in the middle of the curve as it
    starts and interpolated between: the inverse path Laplacian, which does for the number of segments, and three inverse
    metrics, which do for the shape of the latent space. It is scaled by the last step and change, without which steps were too
    long by two to eight. Each pair searches by backtracking (pairs of step and change that would spoil definiteness are left
    out), forgets its history where the search fails, and stops for itself. Scaling the decoder changes nothing.

    Cost: some d decoder calls a pair at each number of segments, 4 d at first, and 3 a vertex and step.

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
        history = _History(Secants.empty(vertices, self.history), problem.path_metric(vertices))
        return descend(problem, vertices, termination, history, Backtracking())


@dataclass(frozen=True)
class _History(Rows):
    """Secant pairs about the metric of the curves as they started."""

    secants: Secants
    near: PathMetric

    def direction(self, problem: Problem, vertices: Tensor, now: Evaluation) -> Tensor:
        """Minus the inverse Hessian's estimate times the gradient."""
        unit = self.secants.unit(self.near.inverse)[:, None, None]
        return -self.secants.inverse(now.gradient, lambda q: unit * self.near.inverse(q))

    def learned(self, moved: Tensor, step: Tensor, change: Tensor) -> "_History":
        return _History(self.secants.learned(moved, step, change), self.near)

    def forgotten(self, failed: Tensor) -> "tuple[_History, Tensor]":
        forgot = failed & (self.secants.rho > 0).any(-1)
        return _History(self.secants.forgotten(failed), self.near), forgot
