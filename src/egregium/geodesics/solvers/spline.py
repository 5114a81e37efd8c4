"""The published way: a straight line plus a cubic spline, its coefficients found by Adam."""

from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Literal

import torch
from torch import Tensor

from egregium.errors import OptionError
from egregium.geodesics.problem import Problem
from egregium.geodesics.second_order import SecondOrder
from egregium.geodesics.solvers.adam import Moments
from egregium.geodesics.solvers.base import Solution, Termination
from egregium.geodesics.solvers.first_order import judged
from egregium.numerics.rows import Rows
from egregium.status import Status


@dataclass(frozen=True)
class Spline:
    r"""Curves `(1 - t) z_0 + t z_1 + s(t)` with a C^2 piecewise cubic `s`, zero at both ends; Adam on its coefficients.

    With n pieces `s` has n + 1 free coefficients per latent dimension (it is no natural spline): coordinates in the
    orthonormal null space of the constraints on the 4 n polynomial coefficients, as published. Adam depends on that choice
    of coordinates, and on how the latent space is drawn. The energy is that of 256 segments at uniform t (published: 256
    points). As published, the coefficients of the last energy that was lower by `decrease` are returned.

    Published is a stop on the energy summed over a batch of 10 or 20 pairs. The default here asks it of each pair, so that
    results do not depend on batch mates: at the same `decrease` that stops earlier; `stop="batch"` is the published sum,
    over the pairs that are solved together. Both are absolute: they mean something else for a decoder in other units.

    A spline of few pieces is no critical curve among free vertices, so that its status is STALLED (or MAX_STEPS) wherever
    its metric step stays above the tolerance, which is the rule: this solver is for comparison.

    Cost: 3 decoder calls a vertex and step, some 10^5 a pair.

    Args:
        pieces: number of cubic pieces.
        lr: Adam's learning rate.
        patience, decrease: stop when the energy has not fallen by `decrease` for `patience` steps.
        stop: "pair" or "batch".
        segments: segments of the discretised energy.
        max_steps: steps allowed.

    Raises: `OptionError`.

    References: Syrota et al. 2025 (arXiv 2502.13757), with the settings of its published code; Yang et al. 2018
    (arXiv 1805.07632); Kingma and Ba 2015 (arXiv 1412.6980).
    """

    pieces: int = 10
    lr: float = 0.01
    patience: int = 100
    decrease: float = 1.0
    stop: Literal["pair", "batch"] = "pair"
    segments: tuple[int, ...] | None = (256,)
    max_steps: int = 4096

    def __post_init__(self) -> None:
        if self.stop not in ("pair", "batch"):
            raise OptionError(f'Spline(stop=...) must be "pair" or "batch"; got {self.stop!r}.')
        if self.pieces < 1:
            raise OptionError(f"Spline(pieces=...) must be at least 1; got {self.pieces}.")

    def minimise(
        self, problem: Problem, vertices: Tensor, termination: Termination, model: SecondOrder | None = None
    ) -> Solution:
        basis = spline_basis(self.pieces, vertices.shape[1] + 1).to(vertices)
        line = problem.straight(vertices.shape[1] + 1)
        state = _State.start(problem, line, torch.linalg.pinv(basis) @ (vertices - line))
        kept, steps, status = state.kept, state.since, torch.zeros_like(state.since, dtype=torch.int8)
        count = 0
        while len(state.rows):
            count += 1
            state, broken = state.moved(count, basis, self)
            stalled = state.since > self.patience
            finished = broken | stalled | (count >= termination.max_steps)
            if finished.any():
                rows = state.rows[finished]
                code = torch.where(stalled, int(Status.STALLED), int(Status.MAX_STEPS))
                code = torch.where(broken, int(Status.NONFINITE), code).to(torch.int8)
                status = status.index_copy(0, rows, code[finished])
                kept, steps = kept.index_copy(0, rows, state.kept[finished]), steps.index_fill(0, rows, count)
                state = state[~finished]
        return _measured(problem, line + basis @ kept, steps, status, termination)


def _measured(problem: Problem, vertices: Tensor, steps: Tensor, status: Tensor, termination: Termination) -> Solution:
    now = problem.evaluate(vertices)
    sound = status != Status.NONFINITE
    if sound.any():
        status[sound] = judged(problem[sound], vertices[sound], now[sound], termination, status[sound])
    return Solution(vertices, now.x, now.energy, steps, status)


@dataclass(frozen=True)
class _State(Rows):
    """Everything that belongs to the pairs still at work: coefficients `(P, n + 1, d)` with Adam's moments, and `kept`, the
    coefficients of the last energy, `least`, that was lower by the amount asked for, `since` steps ago."""

    problem: Problem
    rows: Tensor
    line: Tensor
    coefficients: Tensor
    moments: Moments
    kept: Tensor
    least: Tensor
    since: Tensor

    @staticmethod
    def start(problem: Problem, line: Tensor, coefficients: Tensor) -> "_State":
        rows = torch.arange(len(problem), device=line.device)
        least = torch.full_like(rows, torch.inf, dtype=torch.float64)
        since = torch.zeros_like(rows, dtype=torch.int32)
        return _State(problem, rows, line, coefficients, Moments.zero(coefficients), coefficients, least, since)

    def moved(self, count: int, basis: Tensor, settings: Spline) -> "tuple[_State, Tensor]":
        """One step of Adam from an evaluation at the coefficients; the state, and which pairs have no usable energy."""
        now = self.problem.evaluate(self.line + basis @ self.coefficients)
        energy = now.energy if settings.stop == "pair" else now.energy.sum().expand_as(now.energy)
        fell = self.least - energy > settings.decrease
        moments, change = self.moments.after(basis.mT @ now.gradient, count, settings.lr, (0.9, 0.999))
        state = replace(
            self, coefficients=self.coefficients + change, moments=moments,
            kept=torch.where(fell[:, None, None], self.coefficients, self.kept),
            least=torch.where(fell, energy, self.least), since=torch.where(fell, 0, self.since + 1),
        )  # fmt: skip
        return state, ~(torch.isfinite(now.energy) & (now.energy > 0))


@lru_cache(maxsize=16)
def spline_basis(pieces: int, segments: int) -> Tensor:
    """Values `(T - 1, n + 1)` at inner uniform t of a basis of the C^2 cubics in n pieces with zero ends, float64."""
    conditions = [_row(pieces, 0, _powers(0.0, 0)), _row(pieces, pieces - 1, _powers(1.0, 0))]
    for knot in range(1, pieces):
        for order in range(3):
            jet = _powers(knot / pieces, order)
            conditions.append(_row(pieces, knot - 1, jet) - _row(pieces, knot, jet))
    free = torch.linalg.svd(torch.stack(conditions)).Vh[len(conditions) :].mT.unflatten(0, (pieces, 4))
    t = torch.arange(1, segments, dtype=torch.float64) / segments
    piece = (t * pieces).long().clamp_max(pieces - 1)
    return torch.einsum("tk,tkc->tc", t[:, None] ** torch.arange(4), free[piece])


def _powers(t: float, order: int) -> Tensor:
    """The derivative of that order of `1, t, t^2, t^3`."""
    factors = {0: [1.0, t, t**2, t**3], 1: [0.0, 1.0, 2 * t, 3 * t**2], 2: [0.0, 0.0, 2.0, 6 * t]}
    return torch.tensor(factors[order], dtype=torch.float64)


def _row(pieces: int, piece: int, jet: Tensor) -> Tensor:
    row = torch.zeros(4 * pieces, dtype=torch.float64)
    row[4 * piece : 4 * piece + 4] = jet
    return row
