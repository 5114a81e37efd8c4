"""The seam between a problem and what minimises it: solver, termination and solution are separate things."""

from dataclasses import dataclass
from typing import Protocol

from torch import Tensor

from egregium.geodesics.problem import Problem
from egregium.geodesics.second_order import SecondOrder


@dataclass(frozen=True)
class Termination:
    """When a curve is finished: its relative metric step `sqrt(T sum |J dz_{i+1} - J dz_i|^2 / E)` is at most `tolerance`,
    or `max_steps` steps were used up."""

    tolerance: float
    max_steps: int


@dataclass(frozen=True)
class Solution:
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

    def __getitem__(self, rows: Tensor) -> "Solution":
        model = None if self.model is None else self.model[rows]
        return Solution(*(value[rows] for value in self.tensors), model=model)

    @property
    def tensors(self) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:
        """All but the model."""
        return self.vertices, self.x, self.energy, self.steps, self.status

    def updated(self, rows: Tensor, other: "Solution") -> "Solution":
        """This solution with `rows` replaced by those of `other`."""
        pairs = zip(self.tensors, other.tensors, strict=True)
        model = None if self.model is None or other.model is None else self.model.updated(rows, other.model)
        return Solution(*(mine.index_copy(0, rows, theirs) for mine, theirs in pairs), model=model)


class Solver(Protocol):
    """Minimises the discrete energy of a problem from given vertices.

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
