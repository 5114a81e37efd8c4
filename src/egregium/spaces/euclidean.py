"""Flat space: the closed forms that everything else is compared with."""

from dataclasses import dataclass

import torch
from torch import Tensor

from egregium.numerics.compensated import dot
from egregium.spaces.explicit import require_dimension, root
from egregium.spaces.immersed import Immersed
from egregium.spaces.space_form import Flat


@dataclass(frozen=True)
class Euclidean(Flat, Immersed):
    """`R^n` with the standard inner product.

    >>> Euclidean(2).dist(torch.zeros(2), torch.tensor([3.0, 4.0])).item()
    5.0
    """

    n: int

    def __post_init__(self) -> None:
        require_dimension("Euclidean", self.n)

    @property
    def injectivity_radius(self) -> float:
        return torch.inf

    def immerse(self, z: Tensor) -> Tensor:
        return z.clone()

    def _metric(self, z: Tensor) -> Tensor:
        return torch.eye(self.n, dtype=z.dtype, device=z.device).expand(len(z), -1, -1)

    def _frame(self, z: Tensor) -> Tensor:
        return self._metric(z)

    def _inner(self, z: Tensor, u: Tensor, v: Tensor) -> Tensor:
        return dot(u, v)[:, 0]

    def _dist(self, z0: Tensor, z1: Tensor) -> Tensor:
        way = z1 - z0
        return root(dot(way, way))[:, 0]

    def exp(self, z: Tensor, v: Tensor) -> Tensor:
        """`z + v`, which no detour through float64 makes exacter."""
        z, v = self.prepare(z, v, names=("z", "v"))
        return z + v

    def log(self, z0: Tensor, z1: Tensor) -> Tensor:
        """`z1 - z0`, which no detour through float64 makes exacter."""
        z0, z1 = self.prepare(z0, z1)
        return z1 - z0

    def _log(self, z0: Tensor, z1: Tensor) -> Tensor:
        return z1 - z0

    def _log_volume(self, z: Tensor) -> Tensor:
        return torch.zeros_like(z[:, 0])
