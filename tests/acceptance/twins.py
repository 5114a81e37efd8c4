"""One decoder in several parametrisations, which every identifiable number must agree on."""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from egregium.spaces import Pullback
from egregium.testing.twins import Diffeomorphism, StandardNormalImage, random_decoder, twin

CASES = [(d, D) for d in (2, 5) for D in (10, 784)]
SAME_CURVE = 0.02


@dataclass(frozen=True)
class Twins:
    """One decoder in M parametrisations, the first its own: spaces, the maps to them, and the seed that drew it."""

    spaces: list[Pullback]
    maps: list[Callable[[Tensor], Tensor]]
    priors: list[torch.distributions.Distribution | StandardNormalImage]
    d: int
    seed: int

    @staticmethod
    def drawn(d: int, ambient: int, seed: int, count: int, dtype: torch.dtype) -> "Twins":
        decoder = random_decoder(d, ambient, seed).to(dtype)
        drawn = [Diffeomorphism(d, seed=100 * seed + k) for k in range(count)]
        normal = torch.distributions.MultivariateNormal(torch.zeros(d, dtype=dtype), torch.eye(d, dtype=dtype))
        return Twins(
            [Pullback(decoder, dim=d), *(Pullback(twin(decoder, a), dim=d) for a in drawn)],
            [lambda z: z, *(a.forward for a in drawn)],
            [normal, *(StandardNormalImage(a) for a in drawn)],
            d, seed,
        )  # fmt: skip

    def points(self, *shape: int) -> Tensor:
        """Standard normal points `(*shape, d)` in the first parametrisation."""
        return torch.randn(*shape, self.d, generator=torch.Generator().manual_seed(self.seed), dtype=torch.float64)
