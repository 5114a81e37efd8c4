"""Curves on explicit spaces: their own geodesics, exact at every time, those of products, and those of decoders on them."""

from dataclasses import dataclass, replace
from typing import Any, Protocol, Self

import torch
from torch import Tensor

from egregium.numerics.derivatives import jvp
from egregium.numerics.rows import Rows
from egregium.protocols import ClosedForm
from egregium.spaces.points import flat


class Drawn(Protocol):
    """P curves on [0, 1] at uniform speed, in coordinates of `width` numbers."""

    @property
    def width(self) -> int: ...
    def __len__(self) -> int: ...
    def __getitem__(self, rows: Any) -> Self: ...
    def at(self, t: Tensor) -> tuple[Tensor, Tensor]: ...
    def reversed(self) -> Any: ...
    def updated(self, rows: Tensor, other: Any) -> Any: ...
    def where(self, choose: Tensor, other: Any) -> Any: ...
    def to(self, *args: Any, **kwargs: Any) -> Any: ...


@dataclass(frozen=True)
class Ray(Rows):
    """Shortest geodesics from `start` `(P, w)` with initial velocities `(P, w)`."""

    space: ClosedForm
    start: Tensor
    velocity: Tensor

    def __len__(self) -> int:
        return len(self.start)

    @property
    def width(self) -> int:
        """Numbers per point."""
        return self.start.shape[-1]

    def at(self, t: Tensor) -> tuple[Tensor, Tensor]:
        """Positions and velocities `(P, K, w)` at parameters t `(P, K)`, clamped to [0, 1].

        The velocity is read off a point half the curve away, which is neither near nor beyond the cut locus.
        """
        t = t.clamp(0, 1)
        back = t >= 0.5
        here, there = self._moved(t), self._moved(torch.where(back, t - 0.5, t + 0.5))
        way = self.space.log(here, there)
        return here, 2 * torch.where(back[..., None], -way, way)

    def reversed(self) -> "Ray":
        """The same curves run backwards."""
        z, v = self.at(torch.ones_like(self.start[:, :1]))
        return replace(self, start=z[:, 0], velocity=-v[:, 0])

    def to(self, *args: Any, **kwargs: Any) -> "Ray":
        """Moved or cast as by `Tensor.to`."""
        return replace(self, start=self.start.to(*args, **kwargs), velocity=self.velocity.to(*args, **kwargs))

    def _moved(self, t: Tensor) -> Tensor:
        steps = t[..., None] * self.velocity[:, None]
        return self.space.exp(self.start[:, None].expand_as(steps), steps)


@dataclass(frozen=True)
class SideBySide(Rows):
    """Curves of two factors as curves of their product."""

    first: Any
    second: Any

    def __len__(self) -> int:
        return len(self.first)

    @property
    def width(self) -> int:
        """Numbers per point."""
        return self.first.width + self.second.width

    def at(self, t: Tensor) -> tuple[Tensor, Tensor]:
        """Positions and velocities `(P, K, w)` at parameters t `(P, K)`."""
        (z, v), (y, w) = self.first.at(t), self.second.at(t)
        return torch.cat([z, y], -1), torch.cat([v, w], -1)

    def reversed(self) -> "SideBySide":
        """The same curves run backwards."""
        return SideBySide(self.first.reversed(), self.second.reversed())

    def to(self, *args: Any, **kwargs: Any) -> "SideBySide":
        """Moved or cast as by `Tensor.to`."""
        return SideBySide(self.first.to(*args, **kwargs), self.second.to(*args, **kwargs))


@dataclass(frozen=True)
class Wrapped(Rows):
    """Base of curves that are read off others, row by row."""

    drawn: Any

    def __len__(self) -> int:
        return len(self.drawn)

    def reversed(self) -> Self:
        """The same curves run backwards."""
        return replace(self, drawn=self.drawn.reversed())

    def to(self, *args: Any, **kwargs: Any) -> Self:
        """Moved or cast as by `Tensor.to`."""
        return replace(self, drawn=self.drawn.to(*args, **kwargs))


@dataclass(frozen=True)
class Columns(Wrapped):
    """Curves in some of their coordinates."""

    place: slice

    @property
    def width(self) -> int:
        """Numbers per point."""
        return len(range(self.drawn.width)[self.place])

    def at(self, t: Tensor) -> tuple[Tensor, Tensor]:
        """Positions and velocities `(P, K, w)` at parameters t `(P, K)`."""
        z, v = self.drawn.at(t)
        return z[..., self.place], v[..., self.place]


@dataclass(frozen=True)
class OnBase(Wrapped):
    """Curves that are drawn next to an explicit space, put onto it, with the velocities that they then have."""

    base: Any

    @property
    def width(self) -> int:
        """Numbers per point."""
        return self.drawn.width

    def at(self, t: Tensor) -> tuple[Tensor, Tensor]:
        """Positions and velocities `(P, K, w)` at parameters t `(P, K)`."""
        z, v = self.drawn.at(t)
        x, y = jvp(self.base.retracted, flat(z), flat(v))
        return x.reshape(z.shape), y.reshape(v.shape)
