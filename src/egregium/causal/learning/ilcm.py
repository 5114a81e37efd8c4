"""Implicit latent causal models: noises and solution functions from pairs, without a graph."""

import math
from dataclasses import dataclass
from typing import ClassVar, Literal, get_args

import torch
import torch.nn.functional as F
from torch import Tensor

from egregium.causal.learning.autoencoder import Autoencoder, divergences
from egregium.causal.learning.axes import bends, regressed, still_coordinates
from egregium.causal.learning.schedule import Phase, Schedule, Targeted
from egregium.causal.learning.solutions import Affine, Identity, Solution, Spline
from egregium.causal.learning.standardisation import WIDE
from egregium.errors import OptionError

FOLLOWING = 0.01
BENT = 0.3  # mean squared sine of moves with their axis, from which on lines may turn back
RAREST = 1e-4

SolutionKind = Literal["affine", "spline"]


@dataclass(frozen=True)
class ILCM(Targeted):
    r"""An implicit latent causal model: a variational autoencoder of pairs in the space of noise encodings.

    An encoder gives Gaussian posteriors of the noise encodings e of x and :math:`\tilde e` of :math:`\tilde x`, a decoder the
    mean of a Gaussian of learned width. Under an atomic intervention on i nothing moves but coordinate i, so that for each
    target I in {none, 1, ..., n} the posterior is projected: coordinates that are no target are one variable, whose mean is
    that of both means. The prior is N(0, I) on e, and on the target's coordinate the intervened variable is N(0, 1), whatever
    its causes were:

    .. math:: p(\tilde e_i \mid e, I = i) = N(s_i(\tilde e_i; e_{\setminus i}); 0, 1) \; |\partial s_i / \partial \tilde e_i|.

    With :math:`L_I` the negative ELBO of a pair under target I, the objective is the exact sum over targets,
    :math:`-\log \sum_I p(I) \exp(-L_I)`, so that the posterior of targets is exact and needs no network. `p(I)` is learned.
    Alone it has many local optima, where two variables share a coordinate. So targets are found first, from the directions in
    which observations move (`targets_by_direction`); they are held while beta rises and causes are let in, and then believed
    with a probability of 99 %, so that wrong ones are mended. The same is done with targets that are known, if they are given
    (`fit(..., targets=)`).

    What is found is identified up to order and, since interventions are N(0, 1), sign (up to elementwise diffeomorphism where
    they have another law). `solution` is "affine", or "spline" for mechanisms that bend their noise.

    Args:
        n: causal variables.
        solution: form of the solution functions.
        bins: of splines.
        first_beta: weight of divergences, at first.
        held: share of the steps in which the targets are held.

    Cost of a step: `2 n + 1` decodings a pair and one batched product a layer of the solution functions.

    Raises:
        OptionError: a value out of its range.

    References:
        Brehmer, de Haan, Lippe, Cohen 2022, arXiv 2203.16437, section 4; the exact sum over targets and the way
        in which they are found first are ours.

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
        return NoiseModel(self._solution(generator), self.hidden, width, self.schedule(), generator)

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
    """Encoder, decoder and solution functions on noise encodings; the objective of `ILCM`.

    Of a pair, three encodings are drawn: one of what both share, one of x, one of y. Under target I the encodings before and
    after are the first, but for coordinate I, which is that of the second before and that of the third after.
    """

    log_prior: Tensor
    views: Tensor
    numbers: Tensor
    sides: Tensor
    terms: Tensor

    def __init__(
        self, solution: Solution, hidden: tuple[int, ...], width: int, schedule: Schedule, generator: torch.Generator
    ) -> None:
        super().__init__(solution, hidden, width, generator)
        self.schedule, n = schedule, solution.n
        self.register_buffer("log_prior", torch.full((n + 1,), -math.log(n + 1)))
        for name, one in _hypotheses(n).items():
            self.register_buffer(name, one, persistent=False)

    @torch.no_grad()
    def start(self, x: Tensor, y: Tensor, targets: Tensor) -> None:
        """Straight maps along the lines of the targets, where these are nearly straight: all there is where mixing is linear.

        Without, some trainings end with a variable folded: from one order and orientation of the coordinates to another all
        ways lead through singular maps. But where lines turn back, straight maps are folded themselves; and of wide
        observations they would take hours.
        """
        n, moved = self.solution.n, (targets > 0) & (x != y).any(1)
        move, kind = (y - x)[moved], targets[moved] - 1
        if x.shape[1] > WIDE or len(kind.unique()) < n or bool((bends(F.normalize(move, dim=1), kind, n) > BENT).any()):
            return
        maps = still_coordinates(move, kind, n)
        maps = maps / (x @ maps).std(0)
        offset = -x.mean(0) @ maps
        (matrix, centre), (back, place) = self.encoder.straight, self.decoder.straight
        matrix[:, :n], centre[:n] = maps, offset
        back[:], place[:] = regressed(x, x @ maps + offset)

    def objective(self, x: Tensor, y: Tensor, targets: Tensor | None, share: float, generator: torch.Generator) -> Tensor:
        phase = self.schedule.at(share)
        logits = self._logits(x, y, phase, generator)
        if targets is not None:
            logits = logits + self._trust(targets, phase.doubt)
        self._follow(logits.detach())
        return -torch.logsumexp(logits, 1).mean() + self.solution.penalty()

    def found_targets(self, x: Tensor, y: Tensor) -> Tensor:
        return self._logits(x, y, self.schedule.at(1.0), None).argmax(1)

    def _trust(self, targets: Tensor, doubt: float) -> Tensor:
        """Log-probabilities `(B, n + 1)` of targets that are told `(B,)`, -1 where they are not."""
        n = self.solution.n
        told = targets[:, None] == torch.arange(n + 1)
        trust = torch.where(told, 1 - doubt, doubt / n).log()
        return torch.where(targets[:, None] < 0, 0.0, trust)

    def _logits(self, x: Tensor, y: Tensor, phase: Phase, generator: torch.Generator | None) -> Tensor:
        """`log p(I) - L_I`, `(B, n + 1)`; at the posteriors' means where there is no generator."""
        mean, log_spread = self._posteriors(x, y)
        spread = log_spread.exp()
        draw = None if generator is None else torch.randn(mean.shape, generator=generator, dtype=mean.dtype)
        e = mean if draw is None else torch.addcmul(mean, spread, draw)
        shared, before, _ = divergences(mean, spread, log_spread).chunk(3, 1)
        moved = self._surprise(e, phase.blend) - log_spread.chunk(3, 1)[2] - 0.5
        surplus = shared.sum(1, keepdim=True) + F.pad(before - shared + moved, (1, 0))
        return self.log_prior - self._misfit(e, x, y) - phase.beta * surplus

    def _posteriors(self, x: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
        """Means and logarithms of standard deviations `(B, 3 n)`: of what a pair shares, of x, of y."""
        both = self.encoder(torch.stack([x, y], 1).flatten(0, 1)).view(len(x), 4 * self.solution.n)
        mean, log_spread = torch.mm(both, self.views).chunk(2, 1)
        return mean, log_spread

    def _misfit(self, e: Tensor, x: Tensor, y: Tensor) -> Tensor:
        r"""Negative log-likelihood `(B, n + 1)` under each target, without constants, of encodings `(B, 3 n)`.

        Without a target both encodings are one, and :math:`|d - x|^2 + |d - y|^2 = 2 |d - (x + y)/2|^2 + |x - y|^2 / 2`.
        """
        seen = torch.stack([(x + y) / 2, x, y], 1).index_select(1, self.sides)  # (B, 2 n + 1, width)
        decoded = self.decoder(e.index_select(1, self.numbers).view(-1, self.solution.n)).view_as(seen)
        none = F.pad(0.5 * (x - y).square().sum(1, keepdim=True), (0, self.solution.n))
        square = torch.addmm(none, (decoded - seen).square().sum(-1), self.terms)
        return 0.5 * square * (-2 * self.log_sigma).exp() + 2 * x.shape[1] * self.log_sigma

    def _surprise(self, e: Tensor, blend: float) -> Tensor:
        """Negative log-density `(B, n)`, without constants, of each coordinate after an intervention on it."""
        n = self.solution.n
        shared, _, after = e.chunk(3, 1)
        variable, slope = self.solution(shared.expand(n, *shared.shape), after.T)
        caused = (0.5 * variable.square() - slope).T
        return caused if blend == 1 else torch.lerp(0.5 * after.square(), caused, blend)

    def _follow(self, logits: Tensor) -> None:
        """The law of targets a step nearer to what the batch says."""
        usage = torch.softmax(logits, 1).mean(0).clamp_min(RAREST).log()
        self.log_prior.copy_(torch.log_softmax(torch.lerp(self.log_prior, usage, FOLLOWING), 0))


def _hypotheses(n: int) -> dict[str, Tensor]:
    """What turns posteriors of x and y into encodings under each target: none, before on 1 to n, after on 1 to n.

    Returns:
        views: `(4 n, 6 n)`, from means and log-spreads of x, then of y, to means, then log-spreads, of shared, x and y.
        numbers: `((2 n + 1) n,)`, which of `3 n` coordinates an encoding has.
        sides: `(2 n + 1,)`, whether an encoding is held against the mean of x and y (0), x (1) or y (2).
        terms: `(2 n + 1, n + 1)`, how often an encoding's squared error counts under each target.
    """
    weights = torch.tensor([[0.5, 1.0, 0.0], [0.5, 0.0, 1.0]])  # of x and y in shared, x, y
    kinds = torch.eye(2)  # mean, log-spread
    views = torch.einsum("sv,kl,ij->skilvj", weights, kinds, torch.eye(n)).reshape(4 * n, 6 * n)
    sides = torch.tensor([0] + [1] * n + [2] * n)
    own = torch.cat([torch.zeros(1, n), torch.eye(n), torch.eye(n)]).long()
    terms = torch.cat([2 * F.one_hot(torch.zeros(1, dtype=torch.long), n + 1), *[torch.eye(n, n + 1).roll(1, 1)] * 2])
    return {"views": views, "numbers": (own * sides[:, None] * n + torch.arange(n)).flatten(), "sides": sides, "terms": terms}
