"""Targets of pairs by the directions in which observations move, before any latent space is learned."""

from collections.abc import Callable
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from egregium.causal.learning.axes import squared_cosines, trained_fields
from egregium.causal.learning.flat_adam import FlatAdam
from egregium.causal.learning.perceptrons import Bent
from egregium.models.optimisation import schedule
from egregium.numerics.derivatives import row_chunks

OPEN = -1
STILL = 1e-6  # of the longest move: those no longer are none
LOW, CLEAR = 0.05, 2.5  # moves longer than CLEAR times the quantile LOW are no noise, where as many pairs have no target
CERTAIN = 3.0  # noises that a move is longer than, where it has a target
FEWEST = 20  # moves a variable
SURE = 0.4  # of the moves nearest to each field, which are taken for certain
STEPS = 1000  # of the fields
ROUNDS, SHORTER = 6, 4  # of the classifier, each of so many times fewer steps
STEPS_IN_ALL = STEPS + ROUNDS * (STEPS // SHORTER)
BATCH, LR, WARMUP = 256, 2e-3, 20
HIDDEN = 64, 64
CONCENTRATION = 10.0  # with which fields have a say about moves that are not certain


@dataclass(frozen=True)
class _Moves:
    """Pairs `(M, k)` that are apart: unit directions from x to y and lengths."""

    x: Tensor
    y: Tensor
    direction: Tensor
    length: Tensor

    def __getitem__(self, rows: Tensor) -> "_Moves":
        return _Moves(self.x[rows], self.y[rows], self.direction[rows], self.length[rows])

    def __len__(self) -> int:
        return len(self.length)

    @property
    def back(self) -> "_Moves":
        """From y to x."""
        return _Moves(self.y, self.x, -self.direction, self.length)


def targets_by_direction(x: Tensor, y: Tensor, n: int, generator: torch.Generator, steps: int = STEPS) -> Tensor:
    """Targets `(N,)` of pairs `(N, k)`: 0 for none, i + 1 for variable i, in any order, -1 where it is left open.

    Fields of axes (`AxisFields`) tell the targets of moves that go along them. Long moves leave them: those targets are told by
    a classifier of a pair's beginning and direction, which learns from sure moves first and takes longer ones round by round.
    Moves that noise alone could make are left open; its size is seen across the shortest moves. Nothing is told where there
    are fewer than 20 moves a variable.
    """
    length = torch.linalg.vector_norm(y - x, dim=1)
    found = torch.where(length > STILL * length.max(), OPEN, 0)
    apart = found.nonzero()[:, 0]
    if len(apart) < FEWEST * n:
        return found
    moves = _Moves(x[apart], y[apart], (y - x)[apart] / length[apart, None], length[apart])
    clear = moves.length >= CLEAR * _quantile(moves.length, LOW)
    long = moves[clear]
    if len(long) < FEWEST * n:
        return found
    fields = trained_fields(long.x, long.y, long.direction, long.length.median() / long.length, n, generator, steps)
    cosines = _either_end(lambda some: squared_cosines(fields(some.x), some.direction), moves, n)
    targets = _grown(moves, cosines, clear, generator, max(1, steps // SHORTER))
    certain = moves.length > CERTAIN * _noise(moves[~clear], cosines[~clear])
    found[apart] = torch.where(certain, targets + 1, OPEN)
    return found


def _grown(moves: _Moves, cosines: Tensor, clear: Tensor, generator: torch.Generator, steps: int) -> Tensor:
    """Which field `(M,)` each move belongs to, given squared cosines with all `(M, n)`; learned from clear moves."""
    n = cosines.shape[1]
    fit, nearest = cosines.max(1)
    sure = clear & (_ranks(-fit.masked_fill(~clear, -1.0), nearest, n) < SURE)
    labels = torch.where(sure, nearest, OPEN)
    classifier = Bent(2 * moves.x.shape[1], HIDDEN, n, generator)
    told = nearest
    for part in range(1, ROUNDS + 1):
        _teach(classifier, moves, labels, generator, steps)
        with torch.no_grad():
            said = _either_end(lambda some: torch.log_softmax(classifier(_seen(some)), 1), moves, n)
        told = (said + CONCENTRATION * cosines).argmax(1)
        near = clear & (_ranks(moves.length, told, n) < SURE + (1 - SURE) * part / ROUNDS)
        labels = torch.where(sure, nearest, torch.where(near, told, OPEN))
    return told


def _teach(classifier: Bent, moves: _Moves, labels: Tensor, generator: torch.Generator, steps: int) -> None:
    """From moves that have a label, to and fro."""
    optimizer, labelled = FlatAdam(list(classifier.parameters())), (labels != OPEN).nonzero()[:, 0]
    for step in range(steps):
        rows = labelled[torch.randint(len(labelled), (BATCH,), generator=generator)]
        some = moves[rows]
        said = classifier(_seen(some.back if step % 2 else some))
        optimizer.step(F.cross_entropy(said, labels[rows]), LR * schedule(step, steps, WARMUP))


def _seen(moves: _Moves) -> Tensor:
    """What the classifier sees: where a move begins, and its direction in numbers of the size of 1."""
    return torch.cat([moves.x, moves.direction * moves.x.shape[1] ** 0.5], 1)


def _either_end(told: Callable[[_Moves], Tensor], moves: _Moves, n: int) -> Tensor:
    """The mean `(M, n)` of what is told of each move and of the way back."""
    pieces = [torch.arange(len(moves))[rows] for rows in row_chunks(len(moves), 2 * n * moves.x.shape[1])]
    return torch.cat([(told(moves[rows]) + told(moves[rows].back)) / 2 for rows in pieces])


def _ranks(of: Tensor, kind: Tensor, n: int) -> Tensor:
    """Rank of each number `(M,)` among those of its kind, from 0 to 1."""
    ranks = torch.zeros(len(of))
    for each in range(n):
        rows = (kind == each).nonzero()[:, 0]
        ranks[rows[of[rows].argsort()]] = torch.arange(len(rows)) / max(1, len(rows))
    return ranks


def _noise(moves: _Moves, cosines: Tensor) -> float:
    """The length of what short moves have across their axes, in the middle."""
    return float((moves.length * (1 - cosines.amax(1)).clamp_min(0).sqrt()).median()) if len(moves) else 0.0


def _quantile(of: Tensor, share: float) -> float:
    return float(of.kthvalue(max(1, round(share * len(of)))).values)
