"""Nonlinear independent components of two views, by telling true pairs from shuffled ones."""

from dataclasses import dataclass
from typing import ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from egregium.causal.learning.method import Method, PairModel
from egregium.causal.learning.perceptrons import Bent
from egregium.causal.learning.solutions import Identity

FOLLOWING = 0.01


@dataclass(frozen=True)
class Contrastive(Method):
    r"""A discriminator of true pairs from shuffled ones that compares coordinates one by one:

    .. math:: r(x, \tilde x) = \sum_i \psi_i(h_i(x), h_i(\tilde x)), \qquad
        E_{true} [\log (1 + e^{-r})] + E_{shuffled} [\log (1 + e^{r})],

    with one encoder h of both views and n small networks psi. At the optimum r is the logarithm of the ratio of the densities
    of both kinds of pairs. If that is a sum over independent components, h finds these, each up to a diffeomorphism. Pairs of
    atomic interventions are not quite of that kind, since one component at a time moves; and of one that does not, the ratio
    would be infinite, so that the views are seen with Gaussian noise. Noise encodings are found at best, not causes.

    A decoder is trained along, by least squares on encodings that it does not change. Targets are the coordinates whose psi
    is nearer to its mean over shuffled pairs than to that over true ones, and nearest.

    Args:
        n: latent variables.
        noise: standard deviation of what is added to standardised observations in training.
        units: hidden numbers in a psi.
        negatives: shuffled pairs for each true one.

    Cost of a step: `2 + negatives` encodings or comparisons and two decodings a pair.

    Raises:
        OptionError: a value out of its range.

    References:
        Gresele, Rubenstein, Mehrjou, Locatello, Schoelkopf 2020, arXiv 1905.06642, theorem 1.

    >>> Contrastive(4).to_json()["negatives"]
    4
    """

    noise: float = 0.1
    units: int = 32
    negatives: int = 4

    name: ClassVar[str] = "contrastive"

    def build(self, width: int, generator: torch.Generator) -> "ContrastiveModel":
        return ContrastiveModel(self, width, generator)


class ContrastiveModel(PairModel):
    """The objective of `Contrastive`; `near` and `far` `(n,)` are means of psi over true and shuffled pairs."""

    near: Tensor
    far: Tensor

    def __init__(self, method: Contrastive, width: int, generator: torch.Generator) -> None:
        super().__init__(Identity(method.n))
        self.encoder = Bent(width, method.hidden, method.n, generator)
        self.compare = Comparisons(method.n, method.units, generator)
        self.decoder = Bent(method.n, method.hidden, width, generator)
        self.noise, self.negatives = method.noise, method.negatives
        self.register_buffer("near", torch.ones(method.n))
        self.register_buffer("far", torch.zeros(method.n))

    def objective(self, x: Tensor, y: Tensor, targets: Tensor | None, share: float, generator: torch.Generator) -> Tensor:
        seen = torch.cat([x, y])
        code = self.encoder(seen + self.noise * torch.randn(seen.shape, generator=generator))
        before, after = code.chunk(2)
        turns = torch.randint(1, max(2, len(x)), (self.negatives,), generator=generator)
        others = torch.cat([after.roll(int(turn), 0) for turn in turns])
        true, shuffled = self.compare(before, after), self.compare(before.repeat(self.negatives, 1), others)
        self._follow(true.detach(), shuffled.detach())
        told = F.softplus(-true.sum(-1)).mean() + F.softplus(shuffled.sum(-1)).mean()
        return told + (self.decoder(self.encoder(seen).detach()) - seen).square().mean()

    def encode(self, x: Tensor) -> Tensor:
        return self.encoder(x)

    def decode(self, e: Tensor) -> Tensor:
        return self.decoder(e)

    def found_targets(self, x: Tensor, y: Tensor) -> Tensor:
        like = (self.compare(self.encoder(x), self.encoder(y)) - self.far) / (self.near - self.far)  # 1 near, 0 far
        return torch.cat([torch.full_like(like[:, :1], 0.5), like], 1).argmin(1)

    def _follow(self, true: Tensor, shuffled: Tensor) -> None:
        self.near.lerp_(true.mean(0), FOLLOWING)
        self.far.lerp_(shuffled.mean(0), FOLLOWING)


class Comparisons(nn.Module):
    """n functions psi_i of two numbers a and b: perceptrons of `a, b, (a - b)^2` with one hidden layer, in one product."""

    def __init__(self, n: int, units: int, generator: torch.Generator) -> None:
        super().__init__()
        self.inner = nn.Parameter(torch.randn(n, 3, units, generator=generator) / 3**0.5)
        self.offset = nn.Parameter(torch.zeros(n, 1, units))
        self.outer = nn.Parameter(torch.randn(n, units, 1, generator=generator) / units**0.5)
        self.level = nn.Parameter(torch.zeros(n))

    def forward(self, a: Tensor, b: Tensor) -> Tensor:
        """`(N, n), (N, n) -> (N, n)`."""
        seen = torch.stack([a, b, (a - b).square()], -1).transpose(0, 1)  # (n, N, 3)
        h = F.silu(torch.baddbmm(self.offset, seen, self.inner))
        return (h @ self.outer)[..., 0].T + self.level
