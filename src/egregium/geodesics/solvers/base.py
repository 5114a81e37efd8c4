"""The seam between a problem and what minimises it: solver, termination and solution are separate things."""

from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor

from egregium.geodesics.problem import Problem


@dataclass(frozen=True)
class Termination:
    """When a curve is finished: its relative metric step `sqrt(T sum |J dz_{i+1} - J dz_i|^2 / E)` is at most `tolerance`,
    or `max_steps` steps were used up."""

    tolerance: float
    max_steps: int


@dataclass(frozen=True)
class Solution:
    """What a solver reached: `vertices` `(P, T - 1, d)`, images `x` `(P, T + 1, A)`, `energy`, `steps`, `status` `(P,)`.

    `status` is CONVERGED (first order only), MAX_STEPS, STALLED or NONFINITE.
    """

    vertices: Tensor
    x: Tensor
    energy: Tensor
    steps: Tensor
    status: Tensor

    def __getitem__(self, rows: Tensor) -> "Solution":
        return Solution(*(value[rows] for value in vars(self).values()))

    def updated(self, rows: Tensor, other: "Solution") -> "Solution":
        """This solution with `rows` replaced by those of `other`."""
        pairs = zip(vars(self).values(), vars(other).values(), strict=True)
        return Solution(*(mine.index_copy(0, rows, theirs) for mine, theirs in pairs))

    @staticmethod
    def stack(parts: "list[Solution]") -> "Solution":
        """Solutions one after the other along the rows."""
        return Solution(*(torch.cat(values) for values in zip(*(vars(part).values() for part in parts), strict=True)))


class Solver(Protocol):
    """Minimises the discrete energy of a problem from given vertices.

    `segments` lists the numbers of segments the solver is run at, coarse to fine, each started from the one before;
    None lets `connect` choose them from the tolerance.
    """

    @property
    def segments(self) -> tuple[int, ...] | None: ...
    @property
    def max_steps(self) -> int: ...
    def minimise(self, problem: Problem, vertices: Tensor, termination: Termination) -> Solution: ...
