"""Flat space: the closed forms that everything else is compared with."""

from collections.abc import Sequence
from dataclasses import dataclass

from torch import Tensor

from egregium.errors import OptionError
from egregium.spaces.immersed import Immersed
from egregium.spaces.points import require_points


@dataclass(frozen=True)
class Euclidean(Immersed):
    """`R^n` with the standard inner product.

    >>> import torch
    >>> Euclidean(2).dist(torch.zeros(2), torch.tensor([3.0, 4.0])).item()
    5.0
    """

    n: int

    def __post_init__(self) -> None:
        if self.n < 1:
            raise OptionError(f"Euclidean(n): n must be at least 1; got {self.n}.")

    @property
    def dim(self) -> int:
        return self.n

    @property
    def width(self) -> int:
        return self.n

    def prepare(self, *points: Tensor, names: Sequence[str] = ()) -> tuple[Tensor, ...]:
        require_points(*points, width=self.n, names=names)
        return points

    def immerse(self, z: Tensor) -> Tensor:
        return z.clone()

    def embed(self, z: Tensor) -> Tensor:
        """The coordinates themselves."""
        return z

    def decode(self, z: Tensor) -> Tensor:
        """The coordinates themselves."""
        return z

    def dist(self, z0: Tensor, z1: Tensor) -> Tensor:
        """`|z1 - z0|`, `(*batch)`."""
        z0, z1 = self.prepare(z0, z1)
        return (z1 - z0).norm(dim=-1)

    def exp(self, z: Tensor, v: Tensor) -> Tensor:
        """`z + v`, `(*batch, n)`."""
        z, v = self.prepare(z, v, names=("z", "v"))
        return z + v

    def log(self, z0: Tensor, z1: Tensor) -> Tensor:
        """`z1 - z0`, `(*batch, n)`."""
        z0, z1 = self.prepare(z0, z1)
        return z1 - z0

    def transport(self, z0: Tensor, z1: Tensor, v: Tensor) -> Tensor:
        """`v` itself: transport in flat space does not depend on the path."""
        return self.prepare(z0, z1, v, names=("z0", "z1", "v"))[2]
