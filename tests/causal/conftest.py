"""Pairs of a linear model for all tests of this folder."""

from collections.abc import Callable
from dataclasses import dataclass

import pytest
import torch
from torch import Tensor

from egregium.causal import DAG

CHAIN = ((0.0, 0, 0), (1.2, 0, 0), (0, -0.8, 0))


@dataclass(frozen=True)
class Pairs:
    """Causal variables before and after, and targets (0: none)."""

    z: Tensor
    z_after: Tensor
    targets: Tensor
    weights: Tensor

    @property
    def graph(self) -> DAG:
        return DAG.from_adjacency(self.weights.T != 0)


def _pairs(weights: object = CHAIN, number: int = 4000, seed: int = 0, law: Callable[[Tensor], Tensor] = torch.clone) -> Pairs:
    """From a model with lower triangular weights; `law` turns standard normal numbers into noises and intervened values."""
    matrix = torch.as_tensor(weights, dtype=torch.float64)
    n, generator = len(matrix), torch.Generator().manual_seed(seed)
    noise, fresh = law(torch.randn(2, number, n, generator=generator, dtype=torch.float64))
    targets = torch.randint(n + 1, (number,), generator=generator)
    z, z_after = torch.zeros_like(noise), torch.zeros_like(noise)
    for i, row in enumerate(matrix):
        z[:, i] = z @ row + noise[:, i]
        z_after[:, i] = torch.where(targets == i + 1, fresh[:, i], z_after @ row + noise[:, i])
    return Pairs(z, z_after, targets, matrix)


@pytest.fixture(scope="session")
def pairs() -> Callable[..., Pairs]:
    """Draws pairs of a linear model: `pairs(weights, number, seed, law)`."""
    return _pairs
