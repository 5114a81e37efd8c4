"""Implicit latent causal models: noises and solution functions from pairs, without a graph."""

import math
from dataclasses import dataclass
from typing import ClassVar, Literal, get_args

import torch
from torch import Tensor

from egregium.causal.learning.autoencoder import Autoencoder, divergence
from egregium.causal.learning.schedule import Cooled, Phase, Schedule
from egregium.causal.learning.solutions import Affine, Identity, Solution, Spline
from egregium.errors import OptionError

BALANCING = 0.1  # share by which the law of targets is corrected in a step
FOLLOWING = 0.01
RAREST = 1e-4

SolutionKind = Literal["affine", "spline"]


@dataclass(frozen=True)
class ILCM(Cooled):
    r"""An implicit latent causal model: a variational autoencoder of pairs in the space of noise encodings.

    An encoder gives Gaussian posteriors of the noise encodings e of x and :math:`\tilde e` of :math:`\tilde x`, a decoder the
    mean of a Gaussian of learned width. Under an atomic intervention on i nothing moves but coordinate i, so that for each
    target I in {none, 1, ..., n} the posterior is projected: coordinates that are no target are one variable, whose mean is
    that of both means. The prior is N(0, I) on e, and on the target's coordinate the intervened variable is N(0, 1), whatever
    its causes were:

    .. math:: p(\tilde e_i \mid e, I = i) = N(s_i(\tilde e_i; e_{\setminus i}); 0, 1) \; |\partial s_i / \partial \tilde e_i|.

    With :math:`L_I` the negative ELBO of a pair under target I, the objective is the exact sum over targets,
    :math:`-\log \sum_I p(I) \exp(-L_I)`, so that the posterior of targets is exact and needs no network. `p(I)` is learned.
    Training cools: the sum is taken at a temperature that falls to 1, while p(I) is balanced, so that no target dies before it
    is found and no two directions share one; before, the autoencoder is trained alone.

    What is found is identified up to order and, since interventions are N(0, 1), sign (up to elementwise diffeomorphism where
    they have another law). `solution` is "affine", or "spline" for mechanisms that bend their noise.

    Args:
        n: causal variables.
        solution: form of the solution functions.
        bins: of splines.
        temperature: in nats a number of an observation, at first.
        first_beta: weight of divergences, at first.
        warmup: share of the steps in which the autoencoder is trained alone.
        cooled: share of the steps after which temperature and weight are 1.

    Cost of a step: `2 n + 1` decodings a pair and one batched product a layer of the solution functions.

    Raises:
        OptionError: a value out of its range.

    References:
        Brehmer, de Haan, Lippe, Cohen 2022, arXiv 2203.16437, section 4; the exact sum over targets and the cooling are ours.

    >>> ILCM(4, steps=6000).to_json()["solution"]
    'affine'
    """

    solution: SolutionKind = "affine"
    bins: int = 8

    name: ClassVar[str] = "ilcm"

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.solution not in get_args(SolutionKind):
            raise OptionError(f"ilcm(solution=) expects one of {', '.join(get_args(SolutionKind))}; got {self.solution!r}.")

    def build(self, width: int, generator: torch.Generator) -> "NoiseModel":
        return NoiseModel(self._solution(generator), self.hidden, width, self.schedule(width), generator)

    def _solution(self, generator: torch.Generator) -> Solution:
        if self.solution == "spline":
            return Spline(self.n, self.hidden, generator, self.bins)
        return Affine(self.n, self.hidden, generator)


@dataclass(frozen=True)
class DisentanglementVAE(ILCM):
    """The same without solution functions, `z_i = e_i`: pairs of variables that are independent of each other (dVAE).

    References: Brehmer et al. 2022, arXiv 2203.16437, who compare with it; after Locatello et al. 2020, arXiv 2002.02886.
    """

    name: ClassVar[str] = "dvae"

    def _solution(self, generator: torch.Generator) -> Solution:
        return Identity(self.n)


class NoiseModel(Autoencoder):
    """Encoder, decoder and solution functions on noise encodings; the objective of `ILCM`."""

    log_prior: Tensor
    own: Tensor

    def __init__(
        self, solution: Solution, hidden: tuple[int, ...], width: int, schedule: Schedule, generator: torch.Generator
    ) -> None:
        super().__init__(solution, hidden, width, generator)
        self.schedule, n = schedule, solution.n
        self.register_buffer("log_prior", torch.full((n + 1,), -math.log(n + 1)))
        self.register_buffer("own", torch.cat([torch.zeros(1, n), torch.eye(n)])[:, None])

    def objective(self, x: Tensor, y: Tensor, targets: Tensor | None, share: float, generator: torch.Generator) -> Tensor:
        phase = self.schedule.at(share)
        if phase.alone:
            return self._alone(torch.cat([x, y]), phase.beta, generator)
        logits = self._logits(x, y, phase, generator)
        self._follow(logits.detach(), balanced=phase.cooling)
        return -phase.temperature * torch.logsumexp(logits, 0).mean() + self.solution.penalty()

    def found_targets(self, x: Tensor, y: Tensor) -> Tensor:
        return self._logits(x, y, self.schedule.at(1.0), None).argmax(0)

    def _logits(self, x: Tensor, y: Tensor, phase: Phase, generator: torch.Generator | None) -> Tensor:
        """`log p(I) - L_I / temperature`, `(n + 1, B)`; at the posteriors' means where there is no generator."""
        mean, spread = self.posterior(torch.cat([x, y]))
        (before, after), (narrow, narrow_after) = mean.chunk(2), spread.chunk(2)
        shared, width = (before + after) / 2, (narrow + narrow_after) / 2
        means = shared + self.own * (before - shared), shared + self.own * (after - shared)  # (n + 1, B, n)
        spreads = width + self.own * (narrow - width), width + self.own * (narrow_after - width)
        e, e_after = self._drawn(means, spreads, generator)
        misfit = self._misfit(e, e_after, x, y)
        surplus = divergence(means[0], spreads[0]) + self._moved(e_after, spreads[1], phase.blend)
        return self.log_prior[:, None] - (misfit + phase.beta * surplus) / phase.temperature

    def _drawn(
        self, means: tuple[Tensor, Tensor], spreads: tuple[Tensor, Tensor], generator: torch.Generator | None
    ) -> tuple[Tensor, Tensor]:
        """Noise encodings before and after `(n + 1, B, n)`, equal but for the target's."""
        if generator is None:
            return means
        draw, fresh = torch.randn(2, *means[0].shape, generator=generator).unbind(0)
        return means[0] + spreads[0] * draw, means[1] + spreads[1] * torch.where(self.own > 0, fresh, draw)

    def _misfit(self, e: Tensor, e_after: Tensor, x: Tensor, y: Tensor) -> Tensor:
        """Negative log-likelihood `(n + 1, B)` without constants; without a target both encodings are one."""
        targets, batch, _ = e.shape
        decoded = self.decoder(torch.cat([e, e_after[1:]]).flatten(0, 1)).unflatten(0, (2 * targets - 1, batch))
        after = torch.cat([decoded[:1], decoded[targets:]])
        square = (decoded[:targets] - x).square().sum(-1) + (after - y).square().sum(-1)
        return 0.5 * square * (-2 * self.log_sigma).exp() + 2 * x.shape[1] * self.log_sigma

    def _moved(self, e_after: Tensor, spreads: Tensor, blend: float) -> Tensor:
        """Divergence `(n + 1, B)` of the target's coordinate after the intervention; 0 without a target."""
        own, narrow = (one[1:].diagonal(dim1=0, dim2=2).T for one in (e_after, spreads))  # (n, B)
        variable, slope = self.solution(e_after[1:], own)
        surprise = (1 - blend) * 0.5 * own.square() + blend * (0.5 * variable.square() - slope)
        return torch.cat([torch.zeros_like(own[:1]), surprise - narrow.log() - 0.5])

    def _alone(self, x: Tensor, beta: float, generator: torch.Generator) -> Tensor:
        """Negative ELBO of single observations."""
        mean, spread = self.posterior(x)
        return (self.misfit(mean, spread, x, generator) + beta * divergence(mean, spread)).mean()

    def _follow(self, logits: Tensor, *, balanced: bool) -> None:
        """The law of targets a step nearer to what the batch says; or corrected until all are equally frequent."""
        usage = torch.softmax(logits, 0).mean(1).clamp_min(RAREST).log()
        if balanced:
            self.log_prior.sub_(BALANCING * usage)
        else:
            self.log_prior.lerp_(usage, FOLLOWING)
        self.log_prior.sub_(self.log_prior.logsumexp(0))
