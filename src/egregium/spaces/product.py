"""Products of spaces, explicit or learned, in their coordinates side by side."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product
from typing import Any

import torch
from torch import Tensor

from egregium.errors import OptionError, ShapeError
from egregium.numerics.blocks import block_diagonal
from egregium.protocols import Composite
from egregium.spaces.explicit import SHORT, Explicit, by_coordinate
from egregium.spaces.points import require_points

MOST_WAYS = 8  # round the circles of a product, that are tried together


class Factored:
    """What products have whether or not they know their geodesics."""

    factors: tuple[Any, ...]
    p: int

    def _set(self, spaces: tuple[Any, ...], p: int) -> None:
        if not spaces or not all(hasattr(space, "prepare") for space in spaces):
            raise OptionError(f"Product takes spaces, such as Product(Sphere(2), Euclidean(1)); got {spaces!r}.")
        if p not in (1, 2):
            raise OptionError(f"Product(p=...) is 2, the Riemannian product, or 1, the sum of distances; got {p!r}.")
        object.__setattr__(self, "factors", spaces)
        object.__setattr__(self, "p", p)

    def __repr__(self) -> str:
        return f"Product({', '.join(map(repr, self.factors))}{'' if self.p == 2 else ', p=1'})"

    @property
    def dim(self) -> int:
        return sum(space.dim for space in self.factors)

    @property
    def width(self) -> int:
        return sum(space.width for space in self.factors)

    def split(self, z: Tensor) -> tuple[Tensor, ...]:
        """Coordinates `(*batch, width)`, of points or of tangent vectors, factor by factor."""
        return z.split([space.width for space in self.factors], -1)

    def combined(self, lengths: Sequence[Tensor]) -> Tensor:
        """The length of a curve whose factors have these lengths."""
        if len(lengths) == 1:
            return lengths[0]
        stacked = torch.stack(list(lengths)).movedim(0, -1)
        return stacked.sum(-1) if self.p == 1 else _norm(stacked)

    def prepare(self, *points: Tensor, names: Sequence[str] = ()) -> tuple[Tensor, ...]:
        """`points` checked, of one shape `(*batch, width)`, in the dtype in which the factors work."""
        require_points(*points, width=self.width, names=names)
        parts = [space.prepare(*some, names=names) for space, some in self._each(*points)]
        if len({part[0].dtype for part in parts}) > 1:
            raise OptionError(f"the factors of {self} work in different dtypes: convert their decoders to one.")
        return tuple(torch.cat(part, -1) for part in zip(*parts, strict=True))

    def metric(self, z: Tensor) -> Tensor:
        """Block diagonal, `(*batch, width, width)`.

        Raises: `OptionError` with `p=1`.
        """
        require_riemannian(self)
        return block_diagonal([space.metric(part) for space, (part,) in self._each(z)], z.ndim - 1)

    def inner(self, z: Tensor, u: Tensor, v: Tensor) -> Tensor:
        """Sum over the factors, `(*batch)`.

        Raises: `OptionError` with `p=1`.
        """
        require_riemannian(self)
        return torch.stack([space.inner(*parts) for space, parts in self._each(z, u, v)]).sum(0)

    def norm(self, z: Tensor, v: Tensor) -> Tensor:
        """Length of tangent vectors, `(*batch)`; with `p=1` the sum of their lengths."""
        return self.combined([space.norm(*parts) for space, parts in self._each(z, v)])

    def frame(self, z: Tensor) -> Tensor:
        """Orthonormal frame, `(*batch, width, dim)`, one factor after the other.

        Raises: `OptionError` with `p=1`.
        """
        require_riemannian(self)
        return block_diagonal([space.frame(part) for space, (part,) in self._each(z)], z.ndim - 1)

    def embed(self, z: Tensor) -> Tensor:
        """Coordinates that a decoder receives, those of the factors side by side."""
        return torch.cat([space.embed(part) for space, (part,) in self._each(z)], -1)

    def decode(self, z: Tensor) -> Tensor:
        """What the factors observe, flattened and side by side, `(*batch, D)`."""
        parts = [space.decode(part).reshape(*part.shape[:-1], -1) for space, (part,) in self._each(z)]
        return torch.cat(parts, -1)

    def _each(self, *points: Tensor) -> list[tuple[Any, tuple[Tensor, ...]]]:
        """Every factor with its part of the points."""
        for z in points:
            if z.shape[-1] != self.width:
                raise ShapeError(f"coordinates on {self} have {self.width} numbers a point; got {tuple(z.shape)}.")
        return list(zip(self.factors, zip(*(self.split(z) for z in points), strict=True), strict=True))


@dataclass(frozen=True, repr=False, init=False)
class Product(Factored, Explicit):
    r"""The product of spaces: points are tuples, their coordinates side by side, and all geometry goes by factor.

    .. math:: d(x, y)^2 = \sum_i d_i(x_i, y_i)^2 .

    With `p=1` distances add instead. In that length space the factors' geodesics together are shortest too, so that `dist, exp,
    log, transport` remain, but it has no inner product: all that needs one refuses, as angles, volumes, curvatures, means.

    Of explicit spaces it is one itself, with `dist, exp, log, transport` and the rest; with a learned factor `eg.distance`,
    `eg.connect`, `eg.exp`, `eg.log`, `eg.transport` and others go by factor. All factors work in one dtype.

    Args:
        spaces: the factors; products too.
        p: 2, or 1 for the sum of distances.

    References: Gu, Sala, Gunel, Re 2019 (Learning mixed-curvature representations in product spaces).

    >>> from egregium.spaces import Euclidean, Sphere
    >>> space = Product(Sphere(2), Euclidean(1))
    >>> space, space.dim, space.width
    (Product(Sphere(n=2, curvature=1.0), Euclidean(n=1)), 3, 4)
    >>> round(space.dist(torch.tensor([1.0, 0.0, 0.0, 0.0]), torch.tensor([0.0, 1.0, 0.0, 1.0])).item(), 6)
    1.862096
    """

    factors: tuple[Explicit, ...]
    p: int

    def __new__(cls, *spaces: Any, p: int = 2) -> "Product":
        if all(isinstance(space, Explicit) for space in spaces):
            return object.__new__(cls)
        return LearnedProduct(*spaces, p=p)  # type: ignore[return-value]

    def __init__(self, *spaces: Any, p: int = 2) -> None:
        self._set(spaces, p)

    @property
    def injectivity_radius(self) -> float:
        return min(space.injectivity_radius for space in self.factors)

    def prepare(self, *points: Tensor, names: Sequence[str] = ()) -> tuple[Tensor, ...]:
        """`points` checked to be tensors `(*batch, width)` of one shape, dtype and device."""
        require_points(*points, width=self.width, names=names)
        return points

    def require_inside(self, *points: Tensor) -> None:
        for space, parts in self._each(*points):
            space.require_inside(*parts)

    def project(self, x: Tensor) -> Tensor:
        return torch.cat([space.project(part) for space, (part,) in self._each(x)], -1)

    def tangent(self, z: Tensor, v: Tensor) -> Tensor:
        return torch.cat([space.tangent(*parts) for space, parts in self._each(z, v)], -1)

    def retracted(self, z: Tensor) -> Tensor:
        return torch.cat([space.retracted(part) for space, (part,) in self._each(z)], -1)

    def off(self, z: Tensor) -> Tensor:
        return torch.cat([space.off(part) for space, (part,) in self._each(z)], -1)

    def turns(self, z0: Tensor, z1: Tensor) -> list[Tensor]:
        """The factors' ways in all combinations while these are few, else with one factor at a time not the nearest way."""
        ways = [space.turns(*parts) for space, parts in self._each(z0, z1)]
        if math.prod(map(len, ways)) <= MOST_WAYS:
            return [torch.cat(parts, -1) for parts in product(*ways)]
        nearest = [way[0] for way in ways]
        others = [[*nearest[:k], one, *nearest[k + 1 :]] for k, way in enumerate(ways) for one in way[1:]]
        return [torch.cat(parts, -1) for parts in (nearest, *others)]

    def random(self, *batch: int, **options: Any) -> Tensor:
        """Random points of all factors, `(*batch, width)`; options as theirs."""
        return torch.cat([space.random(*batch, **options) for space in self.factors], -1)

    def _metric(self, z: Tensor) -> Tensor:
        require_riemannian(self)
        return block_diagonal([space._metric(part) for space, (part,) in self._each(z)])

    def _inner(self, z: Tensor, u: Tensor, v: Tensor) -> Tensor:
        require_riemannian(self)
        return torch.stack([space._inner(*parts) for space, parts in self._each(z, u, v)]).sum(0)

    def _frame(self, z: Tensor) -> Tensor:
        require_riemannian(self)
        return block_diagonal([space._frame(part) for space, (part,) in self._each(z)])

    def _dist(self, z0: Tensor, z1: Tensor) -> Tensor:
        return self.combined([space._dist(*parts) for space, parts in self._apart(z0, z1)])

    def _exp(self, z: Tensor, v: Tensor) -> Tensor:
        return _beside([space._exp(*parts) for space, parts in self._apart(z, v)])

    def _log(self, z0: Tensor, z1: Tensor) -> Tensor:
        return _beside([space._log(*parts) for space, parts in self._apart(z0, z1)])

    def _transport(self, z0: Tensor, z1: Tensor, v: Tensor) -> Tensor:
        return _beside([space._transport(*parts) for space, parts in self._apart(z0, z1, v)])

    def _log_volume(self, z: Tensor) -> Tensor:
        require_riemannian(self)
        return torch.stack([space._log_volume(part) for space, (part,) in self._each(z)]).sum(0)

    def _riemann(self, z: Tensor) -> Tensor:
        require_riemannian(self)
        return block_diagonal([space._riemann(part) for space, (part,) in self._each(z)])

    def _ricci(self, z: Tensor) -> Tensor:
        require_riemannian(self)
        return block_diagonal([space._ricci(part) for space, (part,) in self._each(z)])

    def _jacobi_operator(self, z: Tensor, v: Tensor, u: Tensor) -> Tensor:
        require_riemannian(self)
        return torch.cat([space._jacobi_operator(*parts) for space, parts in self._each(z, v, u)], -1)

    def _apart(self, *points: Tensor) -> list[tuple[Explicit, list[Tensor]]]:
        """Every factor with its part of the rows, arranged for it."""
        return [(space, [by_coordinate(part) for part in parts]) for space, parts in self._each(*points)]


@dataclass(frozen=True, repr=False, init=False)
class LearnedProduct(Factored):
    """A product with learned factors, which `Product(...)` makes: verbs measure it factor by factor."""

    factors: tuple[Any, ...]
    p: int

    def __init__(self, *spaces: Any, p: int = 2) -> None:
        self._set(spaces, p)


def require_riemannian(space: object) -> None:
    """Check that a space has an inner product, as products with `p=1` have not, nor products of those.

    Raises: `OptionError`.
    """
    if isinstance(space, Composite):
        if space.p == 1:
            raise OptionError(f"{space!r} adds distances, so that it has no inner product; p=2 is the Riemannian product.")
        for factor in space.factors:
            require_riemannian(factor)


def _norm(lengths: Tensor) -> Tensor:
    """`sqrt sum l^2` over the last axis, subgradient 0 at 0, without overflow."""
    largest = lengths.detach().amax(-1, keepdim=True)
    scale = torch.where(largest > 0, largest, 1.0)
    squares = (lengths / scale).square().sum(-1)
    positive = squares > 0
    return scale[..., 0] * torch.where(positive, torch.where(positive, squares, 1.0).sqrt(), 0.0)


def _beside(parts: Sequence[Tensor]) -> Tensor:
    """Rows `(N, *)` side by side, arranged as these are."""
    wide = sum(part.shape[-1] for part in parts) > SHORT
    return torch.cat(list(parts), -1) if wide else torch.cat([part.T for part in parts]).T
