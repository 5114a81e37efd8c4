"""The seam between a problem and what minimises it: solver, termination and solution are separate things."""

from dataclasses import dataclass
from typing import Protocol

from torch import Tensor

from egregium.geodesics.problem import Problem
from egregium.geodesics.second_order import SecondOrder
from egregium.numerics.rows import Rows


@dataclass(frozen=True)
class Termination:
    """When a curve is finished: its relative metric step `sqrt(T sum |J dz_{i+1} - J dz_i|^2 / E)` is at most `tolerance`,
    or `max_steps` steps were used up. `Shooting` holds what its geodesics miss the end by, relative to the length, to it."""

    tolerance: float
    max_steps: int


@dataclass(frozen=True)
class Solution(Rows):
    """What a solver reached: `vertices` `(P, T - 1, d)`, images `x` `(P, T + 1, A)`, `energy`, `steps`, `status` `(P,)`.

    `status` is CONVERGED (first order only), MAX_STEPS, STALLED or NONFINITE. `model` is the solver's last quadratic model
    of the energy, where it keeps one: a finer level may start from it.
    """

    vertices: Tensor
    x: Tensor
    energy: Tensor
    steps: Tensor
    status: Tensor
    model: SecondOrder | None = None


class Solver(Protocol):
    """Minimises the discrete energy of a problem from given vertices, or finds the geodesic near them otherwise.

    `segments` lists the numbers of segments the solver is run at, coarse to fine, each started from the one before;
    None lets `connect` choose them from the tolerance. `model` is the coarser level's, prolonged, for solvers that use one.
    """

    @property
    def segments(self) -> tuple[int, ...] | None: ...
    @property
    def max_steps(self) -> int: ...
    def minimise(
        self, problem: Problem, vertices: Tensor, termination: Termination, model: SecondOrder | None = None
    ) -> Solution: ...
