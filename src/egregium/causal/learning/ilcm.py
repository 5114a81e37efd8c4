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
    is found and no two directions share one; before, the autoencoder is trained alone. Where targets are known (`fit(...,
    targets=)`) the sum has one term and there is nothing to find: neither is needed, and strongly bent mixings are undone that
    are not without them.

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
    uses_targets: ClassVar[bool] = True

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
        phase, known = self.schedule.at(share), targets is not None
        if phase.alone and not known:
            return self._alone(torch.cat([x, y]), phase.beta, generator)
        logits = self._logits(x, y, phase, generator)
        if known:
            logits = torch.where(targets == torch.arange(len(logits))[:, None], logits, -torch.inf)
        self._follow(logits.detach(), balanced=phase.cooling and not known)
        return -phase.temperature * torch.logsumexp(logits, 0).mean() + self.solution.penalty()

    def found_targets(self, x: Tensor, y: Tensor) -> Tensor:
        return self._logits(x, y, self.schedule.at(1.0), None).argmax(0)

    def _logits(self, x: Tensor, y: Tensor, phase: Phase, generator: torch.Generator | None) -> Tensor:
        """`log p(I) - L_I / temperature`, `(n + 1, B)`; at the posteriors' means where there is no generator."""
        mean, spread = (each.unflatten(0, (2, 1, -1)) for each in self.posterior(torch.cat([x, y])))
        mean, spread = (torch.lerp(each.mean(0), each, self.own) for each in (mean, spread))  # (2, n + 1, B, n)
        e, e_after = (mean if generator is None else mean + spread * self._draw(mean.shape, generator)).unbind(0)
        (mean, _), (spread, spread_after) = mean.unbind(0), spread.unbind(0)
        surplus = divergence(mean, spread) + self._moved(e_after[1:], spread_after[1:], phase.blend)
        return self.log_prior[:, None] - (self._misfit(e, e_after[1:], x, y) + phase.beta * surplus) / phase.temperature

    def _draw(self, shape: torch.Size, generator: torch.Generator) -> Tensor:
        """N(0, 1) for encodings before and after `(2, n + 1, B, n)`: one draw for both but for the target's coordinate."""
        draw, fresh = torch.randn(shape, generator=generator, dtype=self.own.dtype).unbind(0)
        return torch.stack([draw, torch.lerp(draw, fresh, self.own)])

    def _misfit(self, e: Tensor, e_after: Tensor, x: Tensor, y: Tensor) -> Tensor:
        r"""Negative log-likelihood `(n + 1, B)`, without constants, of encodings `(n + 1, B, n)` before and `(n, B, n)` after.

        Without a target both encodings are one, and :math:`|d - x|^2 + |d - y|^2 = 2 |d - (x + y)/2|^2 + |x - y|^2 / 2`.
        """
        n = self.solution.n
        decoded = self.decoder(torch.cat([e, e_after]).flatten(0, 1)).unflatten(0, (2 * n + 1, len(x)))
        wanted = torch.cat([((x + y) / 2)[None], x.expand(n, *x.shape), y.expand(n, *y.shape)])
        square = (decoded - wanted).square().sum(-1)
        none = 2 * square[:1] + 0.5 * (x - y).square().sum(-1)
        total = torch.cat([none, square[1 : n + 1] + square[n + 1 :]])
        return 0.5 * total * (-2 * self.log_sigma).exp() + 2 * x.shape[1] * self.log_sigma

    def _moved(self, e_after: Tensor, spread: Tensor, blend: float) -> Tensor:
        """Divergence `(n + 1, B)` of the target's coordinate after the intervention, of `(n, B, n)`; 0 without a target."""
        own, narrow = (each.diagonal(dim1=0, dim2=2).T for each in (e_after, spread))  # (n, B)
        variable, slope = self.solution(e_after, own)
        surprise = blend * (0.5 * variable.square() - slope)
        if blend < 1:
            surprise = surprise + (1 - blend) * 0.5 * own.square()
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
