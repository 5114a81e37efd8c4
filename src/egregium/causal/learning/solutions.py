r"""Solution functions of all variables at once: each variable from its own noise, given all other noises.

Function i is a diffeomorphism :math:`z_i = s_i(e_i; e_{\setminus i})` of its own noise, with parameters from a network of the
others. The n networks are one batched product a layer, with a row of inputs for each of them: no loop over variables.
"""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from egregium.causal.learning.perceptrons import MaskedNetworks
from egregium.causal.zuko import MonotonicRQSTransform

BOUND = 6.0  # splines are the identity outside


class Solution(nn.Module, ABC):
    """How n variables come of n noises; of noise laws N(0, 1)."""

    def __init__(self, n: int) -> None:
        super().__init__()
        self.n = n

    @abstractmethod
    def forward(self, e: Tensor, own: Tensor, which: slice | None = None) -> tuple[Tensor, Tensor]:
        """Variables and `log |ds_i / de_i|`, both `(k, N)`, of all noises `(k, N, n)` and their own `(k, N)`."""

    @abstractmethod
    def invert(self, value: Tensor, e: Tensor, which: slice | None = None) -> Tensor:
        """Own noises `(k, N)` that give values `(k, N)` beside the others of `e (k, N, n)`."""

    def solve(self, e: Tensor) -> Tensor:
        """All variables `(N, n)` of noises `(N, n)`."""
        return self(e.expand(self.n, *e.shape), e.T)[0].T

    def value(self, i: int, e: Tensor) -> tuple[Tensor, Tensor]:
        """Variable i and its log-derivative, `(N,)`, of noises `(N, n)`."""
        value, slope = self(e[None], e[None, :, i], slice(i, i + 1))
        return value[0], slope[0]

    def noise(self, i: int, value: Tensor, e: Tensor) -> Tensor:
        """The noise `(N,)` of variable i that gives a value `(N,)` beside the others of `e (N, n)`."""
        return self.invert(value[None], e[None], slice(i, i + 1))[0]


class Identity(Solution):
    """`z_i = e_i`: variables without causes."""

    def forward(self, e: Tensor, own: Tensor, which: slice | None = None) -> tuple[Tensor, Tensor]:
        return own, torch.zeros_like(own)

    def invert(self, value: Tensor, e: Tensor, which: slice | None = None) -> Tensor:
        return value


class Affine(Solution):
    r""":math:`z_i = (e_i + a(e_{\setminus i})) \exp(b(e_{\setminus i}))`."""

    def __init__(self, n: int, hidden: Sequence[int], generator: torch.Generator) -> None:
        super().__init__(n)
        self.networks = MaskedNetworks(n, hidden, 2, generator)

    def forward(self, e: Tensor, own: Tensor, which: slice | None = None) -> tuple[Tensor, Tensor]:
        shift, log_scale = self.networks(e, which).unbind(-1)
        return (own + shift) * log_scale.exp(), log_scale

    def invert(self, value: Tensor, e: Tensor, which: slice | None = None) -> Tensor:
        shift, log_scale = self.networks(e, which).unbind(-1)
        return value * torch.exp(-log_scale) - shift


class Spline(Solution):
    r""":math:`z_i = (h(e_i) + a) \exp(b)`, h an increasing rational-quadratic spline; all of it of :math:`e_{\setminus i}`.

    References: Durkan et al. 2019, arXiv 1906.04032.
    """

    def __init__(self, n: int, hidden: Sequence[int], generator: torch.Generator, bins: int) -> None:
        super().__init__(n)
        self.bins = bins
        self.networks = MaskedNetworks(n, hidden, 3 * bins + 1, generator)

    def forward(self, e: Tensor, own: Tensor, which: slice | None = None) -> tuple[Tensor, Tensor]:
        shift, log_scale, spline = self._given(e, which)
        bent, slope = spline.call_and_ladj(own)
        return (bent + shift) * log_scale.exp(), slope + log_scale

    def invert(self, value: Tensor, e: Tensor, which: slice | None = None) -> Tensor:
        shift, log_scale, spline = self._given(e, which)
        return spline.inv(value * torch.exp(-log_scale) - shift)

    def _given(self, e: Tensor, which: slice | None) -> tuple[Tensor, Tensor, Any]:
        found = self.networks(e, which)
        shift, log_scale, *shape = found.split([1, 1, self.bins, self.bins, self.bins - 1], -1)
        return shift[..., 0], log_scale[..., 0], MonotonicRQSTransform(*shape, bound=BOUND)
