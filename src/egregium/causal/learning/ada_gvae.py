"""Disentanglement from pairs that share most of their factors, without knowing which."""

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from egregium.causal.learning.autoencoder import Autoencoder, divergence
from egregium.causal.learning.method import Method
from egregium.causal.learning.solutions import Identity


@dataclass(frozen=True)
class AdaGVAE(Method):
    r"""The adaptive group VAE: coordinates that a pair seems to share are given one posterior.

    With q, q' the posteriors of x and :math:`\tilde x`, and :math:`\delta_i = KL(q_i \,\|\, q'_i)` the divergence of coordinate
    i, a pair shares those with :math:`\delta_i < (\max_j \delta_j + \min_j \delta_j) / 2`. Theirs becomes the Gaussian with the
    means of both means and variances, and the objective is the sum of the negative ELBOs of both observations,

    .. math:: \sum_{o \in \{x, \tilde x\}} E_{\hat q_o} [-\log p(o \mid z)] + \beta \, KL(\hat q_o \,\|\, N(0, I)).

    The method knows of no causes. Under an atomic intervention all effects of the target move with it, while of the noise
    encodings one alone moves: sharing draws the coordinates to these. Targets are the coordinates that two posteriors place
    apart.

    Where the decoder's width is learned, divergences of full weight keep posteriors wide and what is shared blurred: on pairs
    of two variables the noise encodings were found at a beta of 0.1, seldom at 1, and at 4 the posteriors collapsed.

    Args:
        n: latent variables.
        beta: weight of the divergences.

    Cost of a step: two decodings a pair.

    Raises:
        OptionError: a value out of its range.

    References:
        Locatello et al. 2020, arXiv 2002.02886, section 4; Hosoya 2019, arXiv 1809.02383, for the mean of posteriors.

    >>> AdaGVAE(4).to_json()["method"]
    'ada-gvae'
    """

    beta: float = 0.1

    name: ClassVar[str] = "ada-gvae"

    def build(self, width: int, generator: torch.Generator) -> "AdaptiveModel":
        return AdaptiveModel(self, width, generator)


class AdaptiveModel(Autoencoder):
    """The objective of `AdaGVAE`."""

    def __init__(self, method: AdaGVAE, width: int, generator: torch.Generator) -> None:
        super().__init__(Identity(method.n), method.hidden, width, generator)
        self.beta = method.beta

    def objective(self, x: Tensor, y: Tensor, targets: Tensor | None, share: float, generator: torch.Generator) -> Tensor:
        seen = torch.cat([x, y])
        mean, spread = shared(*self.posterior(seen))
        return 2 * (self.misfit(mean, spread, seen, generator) + self.beta * divergence(mean, spread)).mean()


def shared(mean: Tensor, spread: Tensor) -> tuple[Tensor, Tensor]:
    """Posteriors `(2 B, n)` of B pairs, those before first, with one in place of two where a pair shares a coordinate."""
    both = mean.unflatten(0, (2, -1)), spread.square().unflatten(0, (2, -1))
    apart = _divergences(*both)
    threshold = (apart.amax(1, keepdim=True) + apart.amin(1, keepdim=True)) / 2
    alike = apart < threshold  # (B, n)
    merged, variance = (torch.where(alike, one.mean(0), one).flatten(0, 1) for one in both)
    return merged, variance.sqrt()


def _divergences(mean: Tensor, variance: Tensor) -> Tensor:
    """Of the Gaussians before from those after, coordinate by coordinate: `(2, B, n) -> (B, n)`."""
    ratio = variance[0] / variance[1]
    return 0.5 * (ratio - 1 - ratio.log() + (mean[0] - mean[1]).square() / variance[1])
