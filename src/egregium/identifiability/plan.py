"""Which test points a study measures: the same for every training."""

from dataclasses import dataclass

import torch
from torch import Tensor

from egregium.errors import OptionError


@dataclass(frozen=True)
class Triples:
    """P triples of distinct test points: pairs `(i, j)`, and a third point k for relations of three."""

    index: Tensor

    @staticmethod
    def draw(n_points: int, pairs: int, seed: int) -> "Triples":
        """`pairs` seeded draws of three distinct points out of `n_points`."""
        if n_points < 3:
            raise OptionError(f"a study needs at least 3 test points; got {n_points}.")
        if pairs < 1:
            raise OptionError(f"a study needs at least one pair (--pairs); got pairs={pairs}.")
        if pairs > n_points * (n_points - 1) // 2:
            most = n_points * (n_points - 1) // 2
            raise OptionError(f"{n_points} test points make only {most} pairs; got pairs={pairs}: ask for fewer (--pairs).")
        generator = torch.Generator().manual_seed(seed)
        rows = [torch.randperm(n_points, generator=generator)[:3] for _ in range(pairs)]
        return Triples(torch.stack(rows))

    def __len__(self) -> int:
        return len(self.index)

    @property
    def used(self) -> Tensor:
        """Sorted test points that occur."""
        return self.index.unique()

    def points(self, z: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """First, second and third points `(P, ...)` out of the values `z` at `used`."""
        place = torch.searchsorted(self.used, self.index)
        return z[place[:, 0]], z[place[:, 1]], z[place[:, 2]]
