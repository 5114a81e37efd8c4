"""Exact twins: one random decoder drawn in two latent spaces, which every identifiable number must agree on.

With a random decoder `f` and a random diffeomorphism `A`, the decoders `f` and `f o A^{-1}` have the same image, and `A` is
the indeterminacy transformation between them, known exactly.

>>> f, a = random_decoder(2, 10, seed=0), Diffeomorphism(2, seed=0)
>>> z = torch.zeros(1, 2, dtype=torch.float64)
>>> bool((twin(f, a)(a.forward(z)) - f(z)).abs().max() < 1e-12)
True
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from zlib import crc32

import torch
import torch.nn.functional as F
from torch import Tensor, nn

HIDDEN = 24
FOLDING = 1.8
FLOOR = 0.2
_ONE = torch.Size()


def generator_of(purpose: str, seed: int) -> torch.Generator:
    """A generator seeded by a word and a number, so that equal seeds for different purposes are unrelated."""
    return torch.Generator().manual_seed((crc32(purpose.encode()) << 20) + seed)


class RandomDecoder(nn.Module):
    """`z -> W z + f(z)`: two hidden layers of tanh over a small linear map.

    The linear map keeps the metric complete. Without it the decoder saturates, far away points are close to each other, and
    for some pairs the infimum of length is approached by curves that run off to infinity and is not a geodesic.
    """

    def __init__(self, d: int, D: int, seed: int) -> None:
        super().__init__()
        generator = generator_of("decoder", seed)

        def linear(columns: int, rows: int, gain: float, shift: float) -> nn.Linear:
            layer = nn.Linear(columns, rows, dtype=torch.float64, device="meta").to_empty(device="cpu")
            with torch.no_grad():
                layer.weight.copy_(gain * torch.randn(rows, columns, generator=generator, dtype=torch.float64) / columns**0.5)
                layer.bias.copy_(shift * torch.randn(rows, generator=generator, dtype=torch.float64))
            return layer

        self.folds = nn.Sequential(
            linear(d, HIDDEN, FOLDING, 0.5), nn.Tanh(),
            linear(HIDDEN, HIDDEN, 1.5, 0.3), nn.Tanh(),
            linear(HIDDEN, D, 1.0, 0.0),
        )  # fmt: skip
        self.floor = linear(d, D, FLOOR, 0.0)
        self.requires_grad_(False)

    def forward(self, z: Tensor) -> Tensor:
        return self.floor(z) + self.folds(z)


def random_decoder(d: int, D: int, seed: int) -> RandomDecoder:
    """A smooth generic decoder `(N, d) -> (N, D)` in float64, injective in practice and mildly folded.

    Between standard normal points geodesics are some 1.1 to 1.4 times as long as their decoded chords (median).
    """
    return RandomDecoder(d, D, seed)


@dataclass(frozen=True, eq=False)
class Diffeomorphism:
    """A random nonlinear diffeomorphism of `R^d`, with its inverse and the logarithm of its Jacobian determinant.

    Rotations alternate with affine couplings, `(a, c) -> (a, c exp(s(a)) + t(a))` with bounded `s`, and a last stretch along
    the axes, so that it is smooth and invertible everywhere. Computed in the dtype of its argument.

    Args:
        d: dimension.
        seed: of the generator that draws it.
        strength: size of its nonlinear part; 0 leaves a linear map.

    >>> a = Diffeomorphism(3, seed=1)
    >>> z = torch.linspace(-2, 2, 12, dtype=torch.float64).reshape(4, 3)
    >>> bool((a.inverse(a.forward(z)) - z).abs().max() < 1e-12)
    True
    """

    d: int
    seed: int
    strength: float = 0.4
    layers: tuple["_Coupling", ...] = field(init=False, repr=False)
    stretch: Tensor = field(init=False, repr=False)

    def __post_init__(self) -> None:
        generator = generator_of("diffeomorphism", self.seed)
        layers = tuple(_Coupling.drawn(self.d, self.strength, generator) for _ in range(4))
        object.__setattr__(self, "layers", layers)
        object.__setattr__(self, "stretch", (0.4 * torch.randn(self.d, generator=generator, dtype=torch.float64)).exp())

    def forward(self, z: Tensor) -> Tensor:
        """`A(z)`, `(*batch, d)`."""
        for layer in self.layers:
            z = layer.forward(z)
        return z * self.stretch.to(z)

    def inverse(self, y: Tensor) -> Tensor:
        """`A^{-1}(y)`, `(*batch, d)`."""
        z = y / self.stretch.to(y)
        for layer in reversed(self.layers):
            z = layer.inverse(z)
        return z

    def log_det(self, z: Tensor) -> Tensor:
        """`log |det DA(z)|`, `(*batch)`."""
        total = self.stretch.to(z).log().sum().expand(z.shape[:-1])
        for layer in self.layers:
            total = total + layer.log_det(z)
            z = layer.forward(z)
        return total


@dataclass(frozen=True, eq=False)
class _Coupling:
    """`y = z' exp(s(z')) + t(z')` of rotated `z'`: s and t read the first half of it, and are zero there.

    The zeros stand in the weights, not in slices of z, which would make derivatives several times as dear.
    """

    rotation: Tensor
    inner: Tensor
    bias: Tensor
    scales: Tensor
    shifts: Tensor

    @staticmethod
    def drawn(d: int, strength: float, generator: torch.Generator) -> "_Coupling":
        def normal(*shape: int) -> Tensor:
            return torch.randn(*shape, generator=generator, dtype=torch.float64)

        kept, hidden = d // 2, 8
        rotation = torch.linalg.qr(normal(d, d)).Q
        inner, bias = F.pad(normal(kept, hidden), (0, 0, 0, d - kept)), normal(hidden)
        scales, shifts = (F.pad(w, (kept, 0)) for w in (strength * normal(hidden, 2 * (d - kept)) / 2).chunk(2, -1))
        return _Coupling(rotation, inner, bias, scales, shifts)

    def _shift(self, z: Tensor) -> tuple[Tensor, Tensor]:
        read = torch.tanh(F.linear(z, self.inner.to(z).mT, self.bias.to(z)))
        return torch.tanh(read @ self.scales.to(z)), read @ self.shifts.to(z)

    def forward(self, z: Tensor) -> Tensor:
        z = z @ self.rotation.to(z)
        scale, shift = self._shift(z)
        return z * scale.exp() + shift

    def inverse(self, y: Tensor) -> Tensor:
        scale, shift = self._shift(y)
        return ((y - shift) * (-scale).exp()) @ self.rotation.to(y).mT

    def log_det(self, z: Tensor) -> Tensor:
        return self._shift(z @ self.rotation.to(z))[0].sum(-1)


def twin(decoder: Callable[[Tensor], Tensor], a: Diffeomorphism) -> Callable[[Tensor], Tensor]:
    """`f o A^{-1}`: the same image as `decoder`, drawn in other coordinates."""
    return lambda y: decoder(a.inverse(y))


@dataclass(frozen=True, eq=False)
class StandardNormalImage:
    """The law of `A(z)` for `z ~ N(0, I)`: the prior of a twin."""

    a: Diffeomorphism

    def log_prob(self, value: Tensor) -> Tensor:
        """`log p(A^{-1} y) - log |det DA|`, `(*batch)`."""
        z = self.a.inverse(value)
        base = torch.distributions.Normal(z.new_zeros(()), z.new_ones(()))
        return base.log_prob(z).sum(-1) - self.a.log_det(z)

    def sample(self, sample_shape: torch.Size = _ONE) -> Tensor:
        """Points `(*sample_shape, d)` in float64, drawn with torch's global generator."""
        return self.a.forward(torch.randn(*sample_shape, self.a.d, dtype=torch.float64))
