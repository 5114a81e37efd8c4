"""Variational autoencoders of single observations: what the methods of pairs have in common."""

import math

import torch
from torch import Tensor, nn

from egregium.causal.learning.method import PairModel
from egregium.causal.learning.perceptrons import Bent
from egregium.causal.learning.solutions import Solution

FIRST_SIGMA = 0.1  # of standardised observations
FIRST_SPREAD = -3.0  # logarithm of the posteriors' standard deviation


class Autoencoder(PairModel):
    """Gaussian posteriors of latent variables with the prior N(0, I), and a decoder of Gaussians of one learned width.

    Args:
        solution: how variables come of what is encoded.
        hidden: widths of the perceptrons in encoder and decoder.
        width: of an observation.
        known: numbers that the encoder sees beside it.
    """

    def __init__(
        self, solution: Solution, hidden: tuple[int, ...], width: int, generator: torch.Generator, known: int = 0
    ) -> None:
        super().__init__(solution)
        n = solution.n
        self.encoder = Bent(width + known, hidden, 2 * n, generator)
        self.decoder = Bent(n, hidden, width, generator)
        self.log_sigma = nn.Parameter(torch.tensor(math.log(FIRST_SIGMA)))
        with torch.no_grad():
            matrix, offset = self.encoder.straight
            matrix[:, n:] *= 0.1
            offset[n:] = FIRST_SPREAD

    def encode(self, x: Tensor) -> Tensor:
        return self.encoder(x)[:, : self.solution.n]

    def decode(self, e: Tensor) -> Tensor:
        return self.decoder(e)

    def found_targets(self, x: Tensor, y: Tensor) -> Tensor:
        """By `likeliest_targets` of the posteriors of both."""
        return likeliest_targets(self.posterior(x), self.posterior(y))

    def posterior(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Means and standard deviations `(N, n)`."""
        mean, log_spread = self.encoder(x).chunk(2, -1)
        return mean, log_spread.exp()

    def misfit(self, mean: Tensor, spread: Tensor, x: Tensor, generator: torch.Generator) -> Tensor:
        """Negative log-likelihood `(N,)` of a draw from each posterior, without constants."""
        decoded = self.decoder(mean + spread * torch.randn(mean.shape, generator=generator))
        return 0.5 * (decoded - x).square().sum(-1) * (-2 * self.log_sigma).exp() + x.shape[1] * self.log_sigma


def divergence(mean: Tensor, spread: Tensor) -> Tensor:
    """Of N(mean, spread^2) from N(0, I), `(..., n) -> (...)`."""
    return (0.5 * (spread.square() + mean.square()) - spread.log() - 0.5).sum(-1)


def likeliest_targets(before: tuple[Tensor, Tensor], after: tuple[Tensor, Tensor]) -> Tensor:
    r"""The likeliest targets `(N,)` of pairs with posteriors `(N, n)`: 0, or i + 1 where coordinate i was drawn anew.

    With q, q' the posteriors and p = N(0, 1), that coordinate i is one variable seen twice is likelier than that it is two
    independent ones by the factor :math:`\int q(z_i) \, q'(z_i) / p(z_i) \, dz_i`. The target is the coordinate where this is
    least, if it is below 1.
    """
    (mean, spread), (mean_after, spread_after) = before, after
    precision, precision_after = spread.clamp(max=1.0) ** -2, spread_after.clamp(max=1.0) ** -2
    joint, pull = precision + precision_after - 1, mean * precision + mean_after * precision_after
    quadratic = pull.square() / joint - mean.square() * precision - mean_after.square() * precision_after
    once = 0.5 * ((precision * precision_after / joint).log() + quadratic)
    return torch.cat([torch.zeros_like(once[:, :1]), -once], 1).argmax(1)
