"""The beta-VAE of single observations, which knows of no pairs."""

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from egregium.causal.learning.autoencoder import Autoencoder, divergence
from egregium.causal.learning.method import Method
from egregium.causal.learning.solutions import Identity


@dataclass(frozen=True)
class BetaVAE(Method):
    r"""A variational autoencoder of observations before and after alike, whose divergence from the prior has a weight:

    .. math:: E_{q(z \mid x)} [-\log p(x \mid z)] + \beta \, KL(q(z \mid x) \,\|\, N(0, I)).

    The decoder's width is learned, so that beta weighs against the best reconstruction that it leaves. Nothing but the
    coordinates' independence under the prior tells them apart, which identifies nothing: the objective sees no rotation of
    the prior that the networks undo. Targets are the coordinates that two posteriors place apart.

    Args:
        n: latent variables.
        beta: weight of the divergence.

    Cost of a step: two decodings a pair.

    Raises:
        OptionError: a value out of its range.

    References:
        Higgins et al. 2017 (OpenReview Sy2fzU9gl); Locatello et al. 2019, arXiv 1811.12359, for what it cannot identify.

    >>> BetaVAE(4, beta=2.0).to_json()["beta"]
    2.0
    """

    beta: float = 1.0

    name: ClassVar[str] = "beta-vae"

    def build(self, width: int, generator: torch.Generator) -> "BetaModel":
        return BetaModel(self, width, generator)


class BetaModel(Autoencoder):
    """The objective of `BetaVAE`."""

    def __init__(self, method: BetaVAE, width: int, generator: torch.Generator) -> None:
        super().__init__(Identity(method.n), method.hidden, width, generator)
        self.beta = method.beta

    def objective(self, x: Tensor, y: Tensor, targets: Tensor | None, share: float, generator: torch.Generator) -> Tensor:
        seen = torch.cat([x, y])
        mean, spread = self.posterior(seen)
        return (self.misfit(mean, spread, seen, generator) + self.beta * divergence(mean, spread)).mean()
