"""A space with all distances multiplied by one number."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from egregium.errors import OptionError
from egregium.spaces.explicit import Explicit, plain, require_number
from egregium.spaces.immersed import Immersed


class Rescaled:
    """What scaled spaces have whether or not they know their geodesics."""

    space: Any
    s: float | Tensor

    def __post_init__(self) -> None:
        require_number("Scaled(s)", self.s, learned=True)
        if not plain(self.s) > 0:
            raise OptionError(f"Scaled(space, s): the scale must be positive; got {plain(self.s):g}.")

    def __repr__(self) -> str:
        return f"Scaled({self.space!r}, {plain(self.s):g})"

    @property
    def dim(self) -> int:
        return self.space.dim

    @property
    def width(self) -> int:
        return self.space.width

    def prepare(self, *points: Tensor, names: Sequence[str] = ()) -> tuple[Tensor, ...]:
        return self.space.prepare(*points, names=names)

    def embed(self, z: Tensor) -> Tensor:
        return self.space.embed(z)

    def decode(self, z: Tensor) -> Tensor:
        return self.space.decode(z)


@dataclass(frozen=True, repr=False)
class Scaled(Rescaled, Explicit):
    """`space` with its distances times s, in the same coordinates: curvatures are divided by `s^2`.

    The same geodesics, exponentials and angles. Of an explicit space it is one itself, of a learned one (`Pullback`) it is
    learned; factors of a product are scaled one by one. The scale of an explicit space may be a tensor `()` that is learned.

    >>> from egregium.spaces import Sphere
    >>> Scaled(Sphere(2), 2.0).dist(torch.tensor([1.0, 0.0, 0.0]), torch.tensor([0.0, 1.0, 0.0])).item()
    3.1415...
    """

    space: Any
    s: float | Tensor

    def __new__(cls, space: Any, s: float | Tensor) -> "Scaled":
        if isinstance(space, Explicit):
            return object.__new__(cls)
        if isinstance(space, Immersed):
            return ScaledImmersed(space, s)  # type: ignore[return-value]
        raise OptionError(f"Scaled takes an explicit space or a Pullback; got {space!r}: scale the factors of a product.")

    @property
    def injectivity_radius(self) -> float:
        return plain(self.s) * self.space.injectivity_radius

    def require_inside(self, *points: Tensor) -> None:
        self.space.require_inside(*points)

    def project(self, x: Tensor) -> Tensor:
        return self.space.project(x)

    def tangent(self, z: Tensor, v: Tensor) -> Tensor:
        return self.space.tangent(z, v)

    def retracted(self, z: Tensor) -> Tensor:
        return self.space.retracted(z)

    def off(self, z: Tensor) -> Tensor:
        return self.space.off(z)

    def turns(self, z0: Tensor, z1: Tensor) -> list[Tensor]:
        return self.space.turns(z0, z1)

    def random(self, *batch: int, **options: Any) -> Tensor:
        """Random points as the space draws them."""
        return self.space.random(*batch, **options)

    def _metric(self, z: Tensor) -> Tensor:
        return self.s**2 * self.space._metric(z)

    def _inner(self, z: Tensor, u: Tensor, v: Tensor) -> Tensor:
        return self.s**2 * self.space._inner(z, u, v)

    def _frame(self, z: Tensor) -> Tensor:
        return self.space._frame(z) / self.s

    def _dist(self, z0: Tensor, z1: Tensor) -> Tensor:
        return self.s * self.space._dist(z0, z1)

    def _exp(self, z: Tensor, v: Tensor) -> Tensor:
        return self.space._exp(z, v)

    def _log(self, z0: Tensor, z1: Tensor) -> Tensor:
        return self.space._log(z0, z1)

    def _transport(self, z0: Tensor, z1: Tensor, v: Tensor) -> Tensor:
        return self.space._transport(z0, z1, v)

    def _log_volume(self, z: Tensor) -> Tensor:
        return self.space._log_volume(z) + self.dim * torch.as_tensor(self.s, dtype=z.dtype).log()

    def _riemann(self, z: Tensor) -> Tensor:
        return self.s**2 * self.space._riemann(z)

    def _ricci(self, z: Tensor) -> Tensor:
        return self.space._ricci(z)

    def _jacobi_operator(self, z: Tensor, v: Tensor, u: Tensor) -> Tensor:
        return self.space._jacobi_operator(z, v, u)


@dataclass(frozen=True, repr=False)
class ScaledImmersed(Rescaled, Immersed):
    """A learned space, scaled, which `Scaled(...)` makes: its immersion times s."""

    space: Any
    s: float | Tensor

    def immerse(self, z: Tensor) -> Tensor:
        return self.s * self.space.immerse(z)

    def least_distance(self, z0: Tensor, z1: Tensor) -> Tensor:
        return self.s * self.space.least_distance(z0, z1)

    def economical(self) -> "Immersed":
        return ScaledImmersed(self.space.economical(), self.s)
