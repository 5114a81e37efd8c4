"""Whether a variable depends on another one given others: many such tests from one matrix of moments, calibrated together."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations

import torch
from torch import Tensor

from egregium.causal.normal_scores import hermite

RESPONSES = 2  # Hermite polynomials of the child: its location and its scale
DEGREE = 3  # Hermite polynomials of each variable; products of these are the interactions
KNOTS = (-1.5, -0.75, 0.0, 0.75, 1.5)  # of the piecewise cubic functions beside them
BLOCKS = 4096  # sums over so many blocks of rows have their signs flipped
ROWS = 10  # for each function of the variables
RANK = 1e-10  # share of the variance of all functions below which a direction of theirs is rounding

Question = tuple[int, int, tuple[int, ...]]  # child, parent, given


@dataclass(frozen=True, eq=False)
class Answers:
    """What the tests found, `(number of questions,)` each: see `conditional_dependence`."""

    strength: Tensor
    p_values: Tensor


@dataclass(frozen=True, eq=False)
class Functions:
    """Functions `values` `(N, m)` of the variables, centred, which variables each `uses` `(m, n)`, and their `moments`."""

    values: Tensor
    uses: Tensor
    moments: Tensor

    @classmethod
    def of(cls, scores: Tensor) -> "Functions":
        """Of normal scores `(N, n)`: of one variable, and products of two, where there are rows enough for them."""
        number, n = scores.shape
        single = torch.cat([hermite(scores, DEGREE), (scores[..., None] - scores.new_tensor(KNOTS)).relu() ** 3], -1)
        values, uses = [single.reshape(number, -1)], [torch.eye(n, dtype=torch.bool).repeat_interleave(single.shape[-1], 0)]
        pairs = list(combinations(range(n), 2))
        if number >= ROWS * (len(uses[0]) + DEGREE**2 * len(pairs)):
            for a, b in pairs:
                values.append((single[:, a, :DEGREE, None] * single[:, b, None, :DEGREE]).reshape(number, -1))
                uses.append(torch.eye(n, dtype=torch.bool)[[a, b]].any(0).expand(DEGREE**2, n))
        every = torch.cat(values, 1)
        every = every - every.mean(0)
        every = every / every.square().mean(0).sqrt()
        return cls(every, torch.cat(uses), every.T @ every / number)

    def among(self, variables: Sequence[int], using: int | None = None) -> Tensor:
        """Which functions are of some variables only, and use one of them."""
        others = torch.ones(self.uses.shape[1], dtype=torch.bool)
        others[list(variables)] = False
        inside = ~self.uses[:, others].any(1)
        return (inside if using is None else inside & self.uses[:, using]).nonzero()[:, 0]


def conditional_dependence(scores: Tensor, questions: Sequence[Question], flips: int, generator: torch.Generator) -> Answers:
    r"""For each (i, j, given): does variable i depend on variable j given others?

    Let y be `H_1(z_i)` or `H_2(z_i)` (location and scale), F all functions of the given variables, G those of z_j and of it and
    one given variable: piecewise cubics and products. With both y and G replaced by what their regressions on F leave, and Q an
    orthonormal basis of the latter, the statistics are

    .. math:: T = \sum_q \bigl( \sum_{rows} y \, Q_q \bigr)^2 / \sum_{rows} y^2,

    of all of Q, and of the functions of z_j alone. As both sides are residuals, what F cannot express does harm only where it
    hits y and G at once (the generalised covariance measure of Shah and Peters 2020). Where z_i does not depend on z_j given
    the others, products `y Q` have mean 0, and random signs of them leave the law of their sum as it is to second moments:
    signs rather than permutations, because with these the variance of y would have to be the same in all rows, as it is not
    where a parent changes the scale of a child. p-values hold for all questions together, by the largest statistic. They are
    not exact: at level 0.1 they reject 0.08 to 0.15 of the time for an ancestor that is no parent (docs/results/graphs.md).

    Returns:
        Answers: strength, the largest share of the variance of y left by F that z_j explains, chance taken off; and p-values.
    """
    functions = Functions.of(scores)
    signs = torch.randint(2, (flips, min(BLOCKS, len(scores))), generator=generator).double() * 2 - 1
    strength, found, null = [], [], []
    for child, parent, given in questions:
        explained = _explained(functions, child, parent, given, signs)  # (1 + flips, statistics)
        chance = explained[1:].mean(0)
        strength.append(((explained[0] - chance) / len(scores)).amax().clamp_min(0))
        standard = (explained / chance) ** (1 / 3)  # Wilson and Hilferty: nearly normal
        standard = (standard - standard[1:].mean(0)) / standard[1:].std(0)
        found.append(standard[0].amax())
        null.append(standard[1:].amax(1))
    largest = torch.stack(null).amax(0)
    p_values = (1 + (largest >= torch.stack(found)[:, None]).sum(1)).double() / (flips + 1)
    return Answers(torch.stack(strength), p_values)


def _explained(functions: Functions, child: int, parent: int, given: tuple[int, ...], signs: Tensor) -> Tensor:
    """T of all rows first, then with each row of signs; for each response of the functions of the parent alone, and of all."""
    known, of_parent = functions.among(given), functions.among([*given, parent], parent)
    responses = functions.among([child])[:RESPONSES]
    alone = len(functions.among([parent]))
    wanted = torch.cat([of_parent, responses])
    slopes = _slopes(functions.moments, known, wanted)
    rest = functions.values[:, wanted] - functions.values[:, known] @ slopes
    left, y = rest[:, : len(of_parent)], rest[:, len(of_parent) :]
    basis, alone = _orthonormal(left, alone)
    blocks = signs.shape[1]
    used = len(y) // blocks * blocks
    found = []
    for r in range(RESPONSES):
        products = y[:, r : r + 1] * basis / y[:, r].square().mean().sqrt()
        sums = products[:used].reshape(-1, blocks, basis.shape[1]).sum(0)
        sums[: len(y) - used] += products[used:]
        squares = torch.cat([sums.sum(0, keepdim=True), signs @ sums]).square() / len(y)
        found += [squares[:, :alone].sum(1), squares.sum(1)]
    return torch.stack(found, 1)


def _slopes(moments: Tensor, known: Tensor, wanted: Tensor) -> Tensor:
    """Of regressions on functions, those that others express left out."""
    values, vectors = torch.linalg.eigh(moments[known][:, known])
    kept = values > RANK * values.sum() if len(values) else values > 0
    vectors = vectors[:, kept]
    return vectors @ ((vectors.T @ moments[known][:, wanted]) / values[kept][:, None])


def _orthonormal(left: Tensor, alone: int) -> tuple[Tensor, int]:
    """A basis with mean square 1 of the columns' span, that of the first ones first, and the number of these."""
    first = _whitened(left[:, :alone])
    rest = left[:, alone:]
    rest = _whitened(rest - first @ (first.T @ rest / len(left)))
    return torch.cat([first, rest], 1), first.shape[1]


def _whitened(columns: Tensor) -> Tensor:
    if not columns.shape[1]:
        return columns
    values, vectors = torch.linalg.eigh(columns.T @ columns / len(columns))
    kept = values > RANK
    return columns @ (vectors[:, kept] / values[kept].sqrt())
