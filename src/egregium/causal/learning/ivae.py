"""The identifiable VAE: latent variables whose law is known to change with the intervention."""

from dataclasses import dataclass
from typing import ClassVar

import torch
import torch.nn.functional as F
from scipy.optimize import linear_sum_assignment
from torch import Tensor, nn

from egregium.causal.learning.autoencoder import Autoencoder
from egregium.causal.learning.method import Method
from egregium.causal.learning.solutions import Identity


@dataclass(frozen=True)
class IVAE(Method):
    r"""A VAE of single observations that is told the intervention u of each, with a prior of independent variables given u:

    .. math:: p(z \mid u) = \prod_i N(z_i; m_i(u), s_i(u)^2), \qquad
        E_{q(z \mid x, u)} [-\log p(x \mid z)] + KL(q(z \mid x, u) \,\|\, p(z \mid u)).

    An observation before has u = 0, one after the target of its pair; means and widths are learned, for each u. What u
    changes in the law of a variable identifies it; where that is nothing, as for a cause without causes whose intervention
    has the law of its noise, this does not. Given u causal variables are not independent: the prior is wrong
    for most graphs. New observations are encoded as those before, with u = 0.

    The likeliest target of a pair is the u with the largest ELBO of the observation after. It is named after the coordinate
    that u belongs to: by the assignment with the largest sum of divergences of `p(z_i | u)` from `p(z_i | 0)`.

    Args:
        n: latent variables.
        beta: weight of the divergence; 1 in the paper.

    Cost of a step: two decodings a pair.

    Raises:
        OptionError: a value out of its range.

    References:
        Khemakhem, Kingma, Monti, Hyvarinen 2020, arXiv 1907.04809, section 4.

    >>> IVAE(4).needs_targets
    True
    """

    beta: float = 1.0

    name: ClassVar[str] = "ivae"
    needs_targets: ClassVar[bool] = True
    uses_targets: ClassVar[bool] = True

    def build(self, width: int, generator: torch.Generator) -> "ConditionalModel":
        return ConditionalModel(self, width, generator)


class ConditionalModel(Autoencoder):
    """The objective of `IVAE`; `centre` and `log_width` `(n + 1, n)` are those of the prior, given u."""

    def __init__(self, method: IVAE, width: int, generator: torch.Generator) -> None:
        n = method.n
        super().__init__(Identity(n), method.hidden, width, generator, known=n + 1)
        self.beta = method.beta
        self.centre = nn.Parameter(torch.zeros(n + 1, n))
        self.log_width = nn.Parameter(torch.zeros(n + 1, n))

    def objective(self, x: Tensor, y: Tensor, targets: Tensor | None, share: float, generator: torch.Generator) -> Tensor:
        assert targets is not None
        return self._loss(torch.cat([x, y]), torch.cat([torch.zeros_like(targets), targets]), generator).mean()

    def encode(self, x: Tensor) -> Tensor:
        return super().encode(self._with(x, torch.zeros(len(x), dtype=torch.long)))

    def found_targets(self, x: Tensor, y: Tensor) -> Tensor:
        given = torch.arange(self.solution.n + 1)
        losses = torch.stack([self._loss(y, u.expand(len(y))) for u in given], -1)
        return self.coordinates()[losses.argmin(1)]

    def coordinates(self) -> Tensor:
        """For each u `(n + 1,)` the coordinate that it belongs to, plus 1; 0 for u = 0."""
        changed = _divergences(self.centre[1:], self.log_width[1:], self.centre[:1], self.log_width[:1])
        _, found = linear_sum_assignment(-changed.detach().numpy())
        return torch.tensor([0, *(int(i) + 1 for i in found)])

    def _loss(self, x: Tensor, u: Tensor, generator: torch.Generator | None = None) -> Tensor:
        """Negative ELBO `(N,)`; at the posteriors' means where there is no generator."""
        mean, spread = self.posterior(self._with(x, u))
        drawn = mean if generator is None else mean + spread * torch.randn(mean.shape, generator=generator)
        misfit = 0.5 * (self.decoder(drawn) - x).square().sum(-1) * (-2 * self.log_sigma).exp() + x.shape[1] * self.log_sigma
        return misfit + self.beta * _divergences(mean, spread.log(), self.centre[u], self.log_width[u]).sum(-1)

    def _with(self, x: Tensor, u: Tensor) -> Tensor:
        return torch.cat([x, F.one_hot(u, self.solution.n + 1).to(x)], -1)


def _divergences(mean: Tensor, log_spread: Tensor, centre: Tensor, log_width: Tensor) -> Tensor:
    """Of N(mean, spread^2) from N(centre, width^2), number by number."""
    ratio = log_spread - log_width
    return 0.5 * ((2 * ratio).exp() - 1 + (mean - centre).square() * (-2 * log_width).exp()) - ratio
