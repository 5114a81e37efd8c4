"""Flat tori: products of circles, in angles."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product
from typing import Any

import torch
from torch import Tensor

from egregium.errors import OptionError
from egregium.numerics.compensated import dot, two_product, two_sum
from egregium.spaces.explicit import require_dimension, require_number, root
from egregium.spaces.immersed import Immersed
from egregium.spaces.space_form import Flat

FEW = 2
TURN, TURN_REST = 2 * math.pi, 2.4492935982947064e-16  # together 2 pi to 32 digits


@dataclass(frozen=True)
class Torus(Flat, Immersed):
    """The product of n circles in n angles, any real numbers; flat. `T^1` is the circle.

    `embed` gives the cosines of all angles, then their sines, 2 n numbers. At the cut locus, where an angle differs by pi, one
    of the shortest geodesics is taken.

    Args:
        n: dimension.
        radii: of the circles, one number for all or one each.

    >>> Torus(2).dist(torch.tensor([0.1, 0.0]), torch.tensor([6.2, 0.0])).item()
    0.1831...
    """

    n: int
    radii: float | Sequence[float] = 1.0

    def __post_init__(self) -> None:
        require_dimension("Torus", self.n)
        given = self.radii.tolist() if isinstance(self.radii, Tensor) else self.radii
        radii: list[Any] = list(given) if isinstance(given, Sequence) and not isinstance(given, str) else [given] * self.n
        for radius in radii:
            require_number("each of Torus(radii)", radius)
        if len(radii) != self.n or not all(radius > 0 for radius in radii):
            raise OptionError(f"Torus({self.n}, radii): one positive number, or {self.n} of them; got {self.radii!r}.")
        object.__setattr__(self, "radii", tuple(float(radius) for radius in radii))

    @property
    def injectivity_radius(self) -> float:
        return math.pi * min(self._each)

    def immerse(self, z: Tensor) -> Tensor:
        radii = self._scale(z)
        return torch.cat([radii * z.cos(), radii * z.sin()], -1)

    def embed(self, z: Tensor) -> Tensor:
        return torch.cat([z.cos(), z.sin()], -1)

    def project(self, x: Tensor) -> Tensor:
        """The same angles in `[-pi, pi]`."""
        (x,) = self.prepare(x, names=("x",))
        return _wrapped(x.double(), torch.zeros_like(x, dtype=torch.float64)).to(x.dtype)

    def turns(self, z0: Tensor, z1: Tensor) -> list[Tensor]:
        """Nearest first, then round each circle the other way; all circles together while these are few."""
        near = z0 + _wrapped(z1.double(), z0.double()).to(z1)
        back = torch.where(near >= z0, near - TURN, near + TURN)
        chosen = list(product((False, True), repeat=self.n)) if self.n <= FEW else [(False,) * self.n, *_each_alone(self.n)]
        return [torch.where(torch.tensor(turned, device=near.device), back, near) for turned in chosen]

    def random(
        self,
        *batch: int,
        generator: torch.Generator | None = None,
        dtype: torch.dtype = torch.float32,
        device: torch.device | str | None = None,
    ) -> Tensor:
        """Uniform points `(*batch, n)`, angles in `[-pi, pi)`."""
        return math.pi * (2 * torch.rand(*batch, self.n, generator=generator, dtype=dtype, device=device) - 1)

    def _metric(self, z: Tensor) -> Tensor:
        return torch.diag(self._scale(z) ** 2).expand(len(z), -1, -1)

    def _frame(self, z: Tensor) -> Tensor:
        return torch.diag(1 / self._scale(z)).expand(len(z), -1, -1)

    def _inner(self, z: Tensor, u: Tensor, v: Tensor) -> Tensor:
        radii = self._scale(z)
        return dot(radii * u, radii * v)[:, 0]

    def _dist(self, z0: Tensor, z1: Tensor) -> Tensor:
        way = self._scale(z0) * _wrapped(z1, z0)
        return root(dot(way, way))[:, 0]

    def _log(self, z0: Tensor, z1: Tensor) -> Tensor:
        return _wrapped(z1, z0)

    def _log_volume(self, z: Tensor) -> Tensor:
        return torch.full_like(z[:, 0], sum(math.log(radius) for radius in self._each))

    @property
    def _each(self) -> tuple[float, ...]:
        return self.radii  # type: ignore[return-value]

    def _scale(self, z: Tensor) -> Tensor:
        return torch.tensor(self._each, dtype=z.dtype, device=z.device)


def _each_alone(n: int) -> list[tuple[bool, ...]]:
    return [tuple(k == place for k in range(n)) for place in range(n)]


def _wrapped(a: Tensor, b: Tensor) -> Tensor:
    """`a - b` less full turns, in `[-pi, pi]`, with all digits of the difference also next to whole turns."""
    way, lost = two_sum(a, -b)
    with torch.no_grad():
        turns = (way / TURN).round()
        whole, rest = two_product(turns, torch.full_like(turns, TURN))
    return (way - whole) + (lost - rest - turns * TURN_REST)
