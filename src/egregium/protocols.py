"""What a space, a model, a relation and a support are: the seams at which the floors of the house meet.

Shapes, here and everywhere: `d` numbers per latent point, `D` ambient numbers, `T` segments of a curve, `S` ensemble
members, `P` pairs, `R` trainings, `N` points, `*batch` leading dimensions.
"""

from collections.abc import Callable, Sequence
from typing import Any, Literal, NamedTuple, Protocol, runtime_checkable

import torch
from torch import Tensor

Scale = Literal["ratio", "interval", "circular", "signed"]


@runtime_checkable
class Space(Protocol):
    """A manifold with an inner product at each point, in coordinates of `width` numbers."""

    @property
    def dim(self) -> int: ...
    @property
    def width(self) -> int: ...
    def metric(self, z: Tensor) -> Tensor: ...
    def inner(self, z: Tensor, u: Tensor, v: Tensor) -> Tensor: ...
    def norm(self, z: Tensor, v: Tensor) -> Tensor: ...
    def frame(self, z: Tensor) -> Tensor: ...
    def embed(self, z: Tensor) -> Tensor: ...


@runtime_checkable
class ImmersedSpace(Space, Protocol):
    """A space whose metric is induced by a smooth map into a Euclidean ambient space; solvers work on that map."""

    def prepare(self, *points: Tensor, names: Sequence[str] = ()) -> tuple[Tensor, ...]: ...
    def immerse(self, z: Tensor) -> Tensor: ...
    def least_distance(self, z0: Tensor, z1: Tensor) -> Tensor: ...
    def economical(self) -> "ImmersedSpace": ...
    def decode(self, z: Tensor) -> Tensor: ...


@runtime_checkable
class ClosedForm(Protocol):
    """A space that knows its own geodesics."""

    def dist(self, z0: Tensor, z1: Tensor) -> Tensor: ...
    def exp(self, z: Tensor, v: Tensor) -> Tensor: ...
    def log(self, z0: Tensor, z1: Tensor) -> Tensor: ...
    def transport(self, z0: Tensor, z1: Tensor, v: Tensor) -> Tensor: ...


@runtime_checkable
class LatentDensity(Protocol):
    """A prior on latent points; every `torch.distributions.Distribution` with event shape `(d,)` is one."""

    def log_prob(self, value: Tensor) -> Tensor: ...
    def sample(self, sample_shape: torch.Size = ...) -> Tensor: ...


@runtime_checkable
class Model(Protocol):
    """A trained model with a latent space: `encode` observations to latent points, `decoders` to map them back."""

    @property
    def name(self) -> str: ...
    @property
    def decoders(self) -> tuple[Callable[[Tensor], Tensor], ...]: ...
    @property
    def prior(self) -> LatentDensity: ...
    @property
    def chart(self) -> Callable[[Tensor], Tensor] | None: ...

    def encode(self, x: Tensor) -> Tensor: ...


class Measured(NamedTuple):
    """What a relation returns: a value with bounds and a `Status` for every row, all of shape `(*batch)`."""

    value: Tensor
    lower: Tensor
    upper: Tensor
    status: Tensor


@runtime_checkable
class Relation(Protocol):
    """A number read off one, two or three points of a space, with its scale type and what leaves it unchanged."""

    @property
    def name(self) -> str: ...
    @property
    def arity(self) -> int: ...
    @property
    def scale(self) -> Scale: ...
    @property
    def invariant_under(self) -> str: ...

    def __call__(self, space: Any, *points: Tensor) -> Measured: ...


@runtime_checkable
class Support(Protocol):
    """A weighted graph over points of a space: where the data lies, and routes along it."""

    @property
    def points(self) -> Tensor: ...
    @property
    def edges(self) -> Tensor: ...
    @property
    def lengths(self) -> Tensor: ...
    @property
    def radius(self) -> float | None: ...
