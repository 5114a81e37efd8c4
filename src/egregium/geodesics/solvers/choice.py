"""Which solver a problem is given to, where the user has not chosen one."""

from dataclasses import dataclass

from torch import Tensor

from egregium.geodesics.problem import Problem
from egregium.geodesics.second_order import SecondOrder
from egregium.geodesics.solvers.base import Solution, Solver, Termination
from egregium.geodesics.solvers.gauss_newton import GaussNewton
from egregium.geodesics.solvers.lbfgs import LBFGS


@dataclass(frozen=True)
class Automatic:
    """`GaussNewton` for fewer than WIDE (24) latent dimensions, `LBFGS` from there on.

    A model of the first costs `3 + 2 d` to `3 + 4 d` decoder calls a vertex, a step of the second 3, at any d; the ambient
    dimension counts in both alike. What they need beside decoder calls decides no case: `docs/choosing-a-solver.md` has the
    measurement. Memory does not enter, since both hold a bounded number of decoded vertices at a time.
    """

    segments: tuple[int, ...] | None = None
    max_steps: int = 200

    def minimise(
        self, problem: Problem, vertices: Tensor, termination: Termination, model: SecondOrder | None = None
    ) -> Solution:
        return chosen(problem).minimise(problem, vertices, termination, model)


def chosen(problem: Problem) -> Solver:
    """The solver for a problem, by its number of latent dimensions."""
    return LBFGS() if problem.wide else GaussNewton()
