"""Whether the variables of a model depend on each other where its graph says that they do."""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import combinations

import torch
from torch import Tensor

from egregium.causal.scm import SCM
from egregium.errors import OptionError

NUMBER = 20_000  # draws: correlations of 0.03 are seen
SEEN = 4.0  # standard errors from which a correlation counts
LEAST = 100  # draws, of which six regressors leave enough
LARGEST = 2  # most variables that are conditioned on


@dataclass(frozen=True)
class Unfaithful:
    """Variables i and j that no test told to depend on each other given others, though the graph connects them."""

    i: int
    j: int
    given: tuple[int, ...]
    correlation: float


def unfaithful(scm: SCM, *, number: int = NUMBER, largest: int = LARGEST) -> tuple[Unfaithful, ...]:
    """All pairs of variables that are d-connected in the graph and yet show no dependence: empty for a faithful model.

    Paths of the graph may cancel, as in `z1 = z0 + e1`, `z2 = z1 - z0 + e2`, where z2 does not depend on z0. Dependence is
    looked for in draws, as the largest canonical correlation of the variables and their squares, after a regression on the
    variables that are given, with their squares and products. So the answer is about what can be seen in so many draws: weaker
    dependence is reported too, and one that has neither correlation nor correlation of squares.

    Variables that were set by `Do` do not vary: questions are asked of the others alone, given those.

    Args:
        number: draws, with a fixed seed.
        largest: most variables that are conditioned on.

    Raises: `OptionError`; `ModelError`, see `SCM.solve`.

    Cost: `number` draws and some `n^(2 + largest)` regressions.

    >>> from egregium.causal import SCM
    >>> [(one.i, one.j, one.given) for one in unfaithful(SCM.linear(torch.tensor([[0.0, 1, -1], [0, 0, 1], [0, 0, 0]])))]
    [(0, 2, ())]
    """
    if number < LEAST or largest < 0:
        raise OptionError(f"unfaithful expects number >= {LEAST} draws and largest >= 0; got {number} and {largest}.")
    z = scm.sample(number, generator=torch.Generator().manual_seed(0))
    fixed = (z == z[0]).all(0)
    still, varied = (torch.nonzero(one)[:, 0].tolist() for one in (fixed, ~fixed))
    z = (z - z.mean(0)) / z.std(0)
    found = []
    for i, j, given in _questions(varied, largest):
        if not scm.graph.d_separated(i, j, (*given, *still)):
            conditions = _polynomials(z[:, given])
            correlation = _canonical(_rest(_powers(z[:, i]), conditions), _rest(_powers(z[:, j]), conditions))
            if correlation < SEEN / number**0.5:
                found.append(Unfaithful(i, j, given, correlation))
    return tuple(found)


def _questions(variables: list[int], largest: int) -> Iterator[tuple[int, int, tuple[int, ...]]]:
    for i, j in combinations(variables, 2):
        others = [k for k in variables if k not in (i, j)]
        for size in range(min(largest, len(others)) + 1):
            for given in combinations(others, size):
                yield i, j, given


def _powers(z: Tensor) -> Tensor:
    return torch.stack([z, z.square()], -1)


def _polynomials(z: Tensor) -> Tensor:
    """1, the variables, and their products, `(N, m)`."""
    ones = torch.ones(len(z), 1, dtype=z.dtype)
    products = [z[:, a, None] * z[:, b, None] for a in range(z.shape[1]) for b in range(a + 1)]
    return torch.cat([ones, z, *products], -1)


def _rest(values: Tensor, conditions: Tensor) -> Tensor:
    """What regression on the conditions leaves, `(N, k)`, orthonormal."""
    rest = values - conditions @ torch.linalg.lstsq(conditions, values).solution
    return torch.linalg.qr(rest).Q


def _canonical(a: Tensor, b: Tensor) -> float:
    return float(torch.linalg.svdvals(a.T @ b)[0])
