"""Injective decoders that know their inverse: from causal variables to observations and back."""

import math
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

    Raises: `ShapeError`, `TensorError` for other matrices; calls raise them for what is not `(*batch, n)`, or `(*batch, D)`.

    >>> decoder = Orthogonal.random(2, 5, generator=torch.Generator().manual_seed(0))
    >>> decoder(torch.randn(3, 2).double()).shape
    torch.Size([3, 5])
    """

    matrix: Tensor

    def __post_init__(self) -> None:
        R = self.matrix
        if not isinstance(R, Tensor) or not R.is_floating_point():
            raise TensorError(f"Orthogonal(matrix) expects a tensor of real numbers (D, n); got {_kind(R)}.")
        if R.ndim != 2 or R.shape[0] < R.shape[1]:
            raise ShapeError(f"Orthogonal(matrix) expects (D, n) with D >= n; got {tuple(R.shape)}.")
        if not bool((R.T @ R - torch.eye(R.shape[1]).to(R)).abs().max() < OFF):
            raise TensorError("Orthogonal(matrix) expects orthonormal columns; torch.linalg.qr(matrix).Q has them.")

    @classmethod
    def random(
        cls, n: int, width: int | None = None, *, generator: torch.Generator | None = None, dtype: torch.dtype = torch.float64
    ) -> "Orthogonal":
        """Uniform over rotations of R^n, or over frames of n vectors in R^width. Raises: `OptionError`."""
        width = n if width is None else width
        if not (isinstance(n, int) and isinstance(width, int) and 1 <= n <= width):
            raise OptionError(f"Orthogonal.random expects whole numbers 1 <= n <= width; got {n!r} and {width!r}.")
        return cls(rotation(width, generator).to(dtype)[:, :n])

    @property
    def n(self) -> int:
        """Number of causal variables."""
        return self.matrix.shape[1]

    def __call__(self, z: Tensor) -> Tensor:
        _require_rows(z, self.n, "causal variables")
        return z @ self.matrix.to(z).T

    def inverse(self, x: Tensor) -> Tensor:
        _require_rows(x, self.matrix.shape[0], "observations")
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

    It computes in the dtype of its weights, float64, and answers in that of what it is given.

    Raises: `OptionError`; calls raise `TensorError` and `ShapeError` for what is not `(*batch, n)`, or `(*batch, width)`.

    References:
        Dinh et al. 2017, arXiv 1605.08803; used as mixing by Brehmer et al. 2022, arXiv 2203.16437.
    """

    def __init__(
        self, n: int, width: int, *, layers: int = 4, hidden: Sequence[int] = (64, 64), strength: float = 2.0, seed: int = 0
    ) -> None:
        super().__init__()
        if not 2 <= width >= n >= 1 or layers < 1:
            raise OptionError(f"Flow expects 1 <= n <= width, width >= 2 and layers >= 1; got {n}, {width} and {layers}.")
        if not math.isfinite(strength):
            raise OptionError(f"Flow expects a finite strength, 0 for a rotation; got {strength}.")
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
        _require_rows(z, self.n, "causal variables")
        x = F.pad(z.to(self.rotations[0].dtype), (0, self.width - self.n))
        for rotated, coupled in zip(self.rotations, self._transforms(), strict=False):
            x = coupled(x @ rotated.T)
        return (x @ self.rotations[-1].T).to(z.dtype)

    def inverse(self, x: Tensor) -> Tensor:
        """The causal variables of observations; of others, those of the leaf of the flow that they lie on."""
        _require_rows(x, self.width, "observations")
        z = x.to(self.rotations[0].dtype) @ self.rotations[-1]
        for rotated, coupled in reversed(list(zip(self.rotations, self._transforms(), strict=False))):
            z = coupled.inv(z) @ rotated
        return z[..., : self.n].to(x.dtype)

    def _transforms(self) -> list[Any]:
        return [coupling() for coupling in self.couplings]


def rotation(n: int, generator: torch.Generator | None = None) -> Tensor:
    """A uniform rotation `(n, n)` in float64."""
    q, r = torch.linalg.qr(torch.randn(n, n, generator=generator, dtype=torch.float64))
    q = q * r.diagonal().sign()
    q[:, 0] *= torch.linalg.det(q)  # of determinant 1
    return q


def _require_rows(points: Tensor, width: int, what: str) -> None:
    if not isinstance(points, Tensor) or not points.is_floating_point():
        raise TensorError(f"{what} must be a tensor of real numbers (*batch, {width}); got {_kind(points)}: call .double().")
    if points.ndim < 1 or points.shape[-1] != width:
        raise ShapeError(f"{what} of this decoder are (*batch, {width}); got {tuple(points.shape)}.")


def _kind(given: object) -> str:
    return str(given.dtype) if isinstance(given, Tensor) else type(given).__name__
