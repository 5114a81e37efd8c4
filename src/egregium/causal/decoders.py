"""Injective decoders that know their inverse: from causal variables to observations and back."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Protocol, runtime_checkable

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from egregium.causal.zuko import GeneralCouplingTransform, MonotonicAffineTransform
from egregium.errors import OptionError, ShapeError, TensorError
from egregium.models.randomness import seeded

OFF = 1e-3  # by which columns may be off from being orthonormal
STRETCH = partial(MonotonicAffineTransform, slope=0.5)  # by at most two, either way


@runtime_checkable
class Decoder(Protocol):
    """A map of causal variables `(N, n)` to observations `(N, *out)`, injective."""

    def __call__(self, z: Tensor) -> Tensor: ...


@runtime_checkable
class InvertibleDecoder(Decoder, Protocol):
    """A decoder that knows its inverse on its image."""

    def inverse(self, x: Tensor) -> Tensor: ...


@dataclass(frozen=True, eq=False)
class Orthogonal:
    """`x = R z` with orthonormal columns: R `(D, n)`, D >= n.

    >>> decoder = Orthogonal.random(2, 5, generator=torch.Generator().manual_seed(0))
    >>> decoder(torch.randn(3, 2).double()).shape
    torch.Size([3, 5])
    """

    matrix: Tensor

    def __post_init__(self) -> None:
        R = self.matrix
        if R.ndim != 2 or R.shape[0] < R.shape[1]:
            raise ShapeError(f"Orthogonal(matrix) expects (D, n) with D >= n; got {tuple(R.shape)}.")
        if not bool((R.T @ R - torch.eye(R.shape[1]).to(R)).abs().max() < OFF):
            raise TensorError("Orthogonal(matrix) expects orthonormal columns; torch.linalg.qr(matrix).Q has them.")

    @classmethod
    def random(
        cls, n: int, width: int | None = None, *, generator: torch.Generator | None = None, dtype: torch.dtype = torch.float64
    ) -> "Orthogonal":
        """Uniform over rotations of R^n, or over frames of n vectors in R^width."""
        return cls(rotation(width or n, generator).to(dtype)[:, :n])

    def __call__(self, z: Tensor) -> Tensor:
        return z @ self.matrix.to(z).T

    def inverse(self, x: Tensor) -> Tensor:
        return x @ self.matrix.to(x)


class Flow(nn.Module):
    """`x = h(z, 0)`, h a flow on R^D of affine coupling layers with rotations between them; its random weights do not change.

    Args:
        n: causal variables.
        width: D >= n, the observations' numbers.
        layers: coupling layers.
        hidden: widths of the perceptrons in them.
        strength: by which their weights are multiplied: 0 is a rotation.
        seed: of weights and rotations.

    References:
        Dinh et al. 2017, arXiv 1605.08803; used as mixing by Brehmer et al. 2022, arXiv 2203.16437.
    """

    def __init__(
        self, n: int, width: int, *, layers: int = 4, hidden: Sequence[int] = (64, 64), strength: float = 2.0, seed: int = 0
    ) -> None:
        super().__init__()
        if not 2 <= width >= n >= 1 or layers < 1:
            raise OptionError(f"Flow expects 1 <= n <= width, width >= 2 and layers >= 1; got {n}, {width} and {layers}.")
        self.n, self.width = n, width
        generator = torch.Generator().manual_seed(seed)
        self.rotations = nn.ParameterList(rotation(width, generator) for _ in range(layers + 1))
        mask: Any = torch.arange(width) % 2 == 0
        with seeded(seed):
            self.couplings = nn.ModuleList(
                GeneralCouplingTransform(width, mask=mask, univariate=STRETCH, hidden_features=hidden, activation=nn.SiLU)
                for _ in range(layers)
            )
        for weight in self.couplings.parameters():
            weight.data *= strength if weight.ndim == 2 else 1.0
        self.double().requires_grad_(False)

    def forward(self, z: Tensor) -> Tensor:
        x = F.pad(z, (0, self.width - self.n))
        for rotated, coupled in zip(self.rotations, self._transforms(), strict=False):
            x = coupled(x @ rotated.T)
        return x @ self.rotations[-1].T

    def inverse(self, x: Tensor) -> Tensor:
        """The causal variables of observations; of others, those of the leaf of the flow that they lie on."""
        x = x @ self.rotations[-1]
        for rotated, coupled in reversed(list(zip(self.rotations, self._transforms(), strict=False))):
            x = coupled.inv(x) @ rotated
        return x[..., : self.n]

    def _transforms(self) -> list[Any]:
        return [coupling() for coupling in self.couplings]


def rotation(n: int, generator: torch.Generator | None = None) -> Tensor:
    """A uniform rotation `(n, n)` in float64."""
    q, r = torch.linalg.qr(torch.randn(n, n, generator=generator, dtype=torch.float64))
    q = q * r.diagonal().sign()
    q[:, 0] *= torch.linalg.det(q)  # of determinant 1
    return q
