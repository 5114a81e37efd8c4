"""Latent curves for reading and drawing: piecewise cubics in a parameter proportional to arc length."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Self

import torch
from torch import Tensor

from egregium.numerics.rows import Rows


@dataclass(frozen=True)
class Curve(Rows):
    """P curves on [0, 1], each through its own `knots` `(P, n)` with `values` and `slopes` `(P, n, d)`.

    Curves with fewer knots are padded by repeating the last one.
    """

    knots: Tensor
    values: Tensor
    slopes: Tensor

    def __len__(self) -> int:
        return len(self.knots)

    @property
    def width(self) -> int:
        """Numbers per point."""
        return self.values.shape[-1]

    def to(self, *args: Any, **kwargs: Any) -> "Curve":
        """Moved or cast as by `Tensor.to`."""
        return Curve(*(part.to(*args, **kwargs) for part in (self.knots, self.values, self.slopes)))

    def padded(self, n: int) -> Self:
        """The same curves with at least `n` knots."""
        extra = n - self.knots.shape[1]
        if extra <= 0:
            return self

        def repeat(x: Tensor) -> Tensor:
            return torch.cat([x, x[:, -1:].expand(-1, extra, *x.shape[2:])], 1)

        return replace(self, knots=repeat(self.knots), values=repeat(self.values), slopes=repeat(self.slopes))

    @classmethod
    def alike(cls, parts: Sequence[Self]) -> Sequence[Self]:
        """The same curves, all with as many knots."""
        most = max(part.knots.shape[1] for part in parts)
        return [part.padded(most) for part in parts]

    def reversed(self) -> "Curve":
        """The same curves run backwards."""
        return Curve(1 - self.knots.flip(1), self.values.flip(1), -self.slopes.flip(1))

    def at(self, t: Tensor) -> tuple[Tensor, Tensor]:
        """Positions and velocities `(P, K, d)` at parameters t `(P, K)`, clamped to [0, 1]."""
        t = t.clamp(0, 1)
        right = torch.searchsorted(self.knots.contiguous(), t.contiguous()).clamp(1, self.knots.shape[1] - 1)
        t0, t1 = self.knots.gather(1, right - 1), self.knots.gather(1, right)
        index = right[..., None].expand(-1, -1, self.values.shape[-1])
        z0, z1 = self.values.gather(1, index - 1), self.values.gather(1, index)
        v0, v1 = self.slopes.gather(1, index - 1), self.slopes.gather(1, index)
        h = (t1 - t0).clamp_min(torch.finfo(t.dtype).tiny)[..., None]
        u = ((t - t0)[..., None] / h).clamp(0, 1)
        value = (1 + 2 * u) * (1 - u) ** 2 * z0 + u * (1 - u) ** 2 * h * v0
        value = value + u**2 * (3 - 2 * u) * z1 - u**2 * (1 - u) * h * v1
        slope = 6 * u * (1 - u) * (z1 - z0) / h + (1 - u) * (1 - 3 * u) * v0 + u * (3 * u - 2) * v1
        return value, slope
