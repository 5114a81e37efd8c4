"""Implicit latent causal models: noises and solution functions from pairs, without a graph."""

from dataclasses import dataclass
from functools import cache
from typing import ClassVar, Literal, get_args

import torch
import torch.nn.functional as F
from torch import Tensor

from egregium.causal.learning.autoencoder import Autoencoder
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

    Cost of a step: one batched product a layer of the solution functions and `2 n + 1` decodings a pair; two while targets are
    held, if none is open.

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

    law: Tensor
    views: Tensor
    numbers: Tensor
    sides: Tensor
    errors: Tensor
    nats: Tensor
    constants: Tensor

    def __init__(
        self, solution: Solution, hidden: tuple[int, ...], width: int, schedule: Schedule, generator: torch.Generator
    ) -> None:
        super().__init__(solution, hidden, width, generator)
        self.schedule, n = schedule, solution.n
        self.register_buffer("law", torch.full((n + 1,), 1 / (n + 1)))
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
        phase, shared = self.schedule.at(share), 2 * x.shape[1] * self.log_sigma
        if targets is not None and phase.doubt == 0 and bool((targets >= 0).all()):
            return self._held(x, y, targets, phase, generator).mean() + shared
        logits = self._logits(x, y, phase, generator)
        if targets is not None:
            logits = logits + _beliefs(self.solution.n, phase.doubt).to(logits).index_select(0, targets + 1)
        self._follow(torch.softmax(logits.detach(), 1))
        return shared - torch.logsumexp(logits, 1).mean()

    def found_targets(self, x: Tensor, y: Tensor) -> Tensor:
        return self._logits(x, y, self.schedule.at(1.0), None).argmax(1)

    def _logits(self, x: Tensor, y: Tensor, phase: Phase, generator: torch.Generator | None) -> Tensor:
        """`log p(I) - L_I`, `(B, n + 1)`, without what all have in common; at the posteriors' means without a generator."""
        e, surplus = self._encoded(x, y, phase, generator)
        fit = torch.addcmul(self._log_law(), self._squares(e, x, y), self._precision(), value=-1)
        return torch.sub(fit, surplus, alpha=phase.beta)

    def _held(self, x: Tensor, y: Tensor, targets: Tensor, phase: Phase, generator: torch.Generator) -> Tensor:
        """`L_I - log p(I)`, `(B,)`, of targets without doubt: two decodings a pair instead of `2 n + 1`."""
        e, surplus = self._encoded(x, y, phase, generator)
        told = F.one_hot(targets, self.solution.n + 1).to(e)
        (shared, before, after), own = e.chunk(3, 1), told[:, 1:] > 0
        decoded = self.decoder(torch.cat([torch.where(own, before, shared), torch.where(own, after, shared)]))
        square = F.mse_loss(decoded, torch.cat([x, y]), reduction="none").view(2, *x.shape).sum((0, 2))
        rest = told * torch.sub(self._log_law(), surplus, alpha=phase.beta)
        self._follow(told)
        return torch.addcmul(-rest.sum(1), square, self._precision(), value=0.5)

    def _encoded(self, x: Tensor, y: Tensor, phase: Phase, generator: torch.Generator | None) -> tuple[Tensor, Tensor]:
        """Encodings `(B, 3 n)`, drawn, and the posteriors' divergence from the prior under each target `(B, n + 1)`."""
        mean, log_spread = self._posteriors(x, y)
        spread = log_spread.exp()
        draw = None if generator is None else torch.randn(mean.shape, generator=generator, dtype=mean.dtype)
        e = mean if draw is None else torch.addcmul(mean, spread, draw)
        pieces = [torch.addcmul(spread.square(), mean, mean), log_spread, self._density(e, phase.blend)]
        return e, torch.addmm(self.constants, torch.cat(pieces, 1), self.nats)

    def _posteriors(self, x: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
        """Means and logarithms of standard deviations `(B, 3 n)`: of what a pair shares, of x, of y."""
        both = self.encoder(torch.stack([x, y], 1).flatten(0, 1)).view(len(x), 4 * self.solution.n)
        mean, log_spread = torch.mm(both, self.views).chunk(2, 1)
        return mean, log_spread

    def _squares(self, e: Tensor, x: Tensor, y: Tensor) -> Tensor:
        r"""Half the squared error of both observations `(B, n + 1)` under each target, of encodings `(B, 3 n)`.

        Without a target both encodings are one, and with m halfway :math:`|d - x|^2 + |d - y|^2 = 2 |d - m|^2 + 2 |x - m|^2`.
        """
        middle = torch.lerp(x, y, 0.5)
        seen = torch.stack([middle, x, y], 1).index_select(1, self.sides)  # (B, 2 n + 1, width)
        decoded = self.decoder(e.index_select(1, self.numbers).view(-1, self.solution.n)).view_as(seen)
        apart = F.mse_loss(x, middle, reduction="none").sum(1, keepdim=True) * self.errors[0]
        return torch.addmm(apart, F.mse_loss(decoded, seen, reduction="none").sum(-1), self.errors)

    def _density(self, e: Tensor, blend: float) -> Tensor:
        """Log-density `(B, n)`, without constants, of each coordinate after an intervention on it."""
        shared, _, after = e.chunk(3, 1)
        if blend == 0:
            return -0.5 * after.square()
        variable, slope = self.solution(shared.expand(self.solution.n, *shared.shape), after.T)
        caused = torch.addcmul(slope, variable, variable, value=-0.5).T
        return caused if blend == 1 else torch.lerp(-0.5 * after.square(), caused, blend)

    def _precision(self) -> Tensor:
        return (-2 * self.log_sigma).exp()

    def _log_law(self) -> Tensor:
        return self.law.clamp_min(RAREST).log()

    @torch.no_grad()
    def _follow(self, shares: Tensor) -> None:
        """The law of targets a step nearer to their shares `(B, n + 1)` in the pairs of the batch."""
        self.law.lerp_(shares.mean(0), FOLLOWING)


@cache
def _beliefs(n: int, doubt: float) -> Tensor:
    """Log-probabilities of targets that are told `(n + 2, n + 1)`, -1 (not told) in the first row, 0 in the second."""
    told = torch.eye(n + 1, dtype=torch.float32)
    return F.pad(((1 - doubt) * told + doubt / n * (1 - told)).log(), (0, 0, 1, 0))


def _hypotheses(n: int) -> dict[str, Tensor]:
    """What turns posteriors of x and y into encodings under each target: none, before on 1 to n, after on 1 to n.

    Returns:
        views: `(4 n, 6 n)`, from means and log-spreads of x, then of y, to means, then log-spreads, of shared, x and y.
        numbers: `((2 n + 1) n,)`, which of `3 n` coordinates an encoding has.
        sides: `(2 n + 1,)`, whether an encoding is held against the mean of x and y (0), x (1) or y (2).
        errors: `(2 n + 1, n + 1)`, half of how often an encoding's squared error counts under each target.
        nats: `(7 n, n + 1)`, how second moments and log-spreads of shared, x and y, and log-densities of y after an
            intervention, enter the divergence under each target; constants: `(n + 1,)`, what they leave of it.
    """
    weights = torch.tensor([[0.5, 1.0, 0.0], [0.5, 0.0, 1.0]])  # of x and y in shared, x, y
    kinds = torch.eye(2)  # mean, log-spread
    views = torch.einsum("sv,kl,ij->skilvj", weights, kinds, torch.eye(n)).reshape(4 * n, 6 * n)
    sides = torch.tensor([0] + [1] * n + [2] * n)
    own = torch.eye(n, n + 1).roll(1, 1)
    copied = torch.cat([torch.zeros(1, n), torch.eye(n), torch.eye(n)]).long()
    none, still = F.one_hot(torch.zeros(1, dtype=torch.long), n + 1), 1 - own
    return {
        "views": views,
        "numbers": (copied * sides[:, None] * n + torch.arange(n)).flatten(),
        "sides": sides,
        "errors": torch.cat([none, 0.5 * own, 0.5 * own]),
        "nats": torch.cat([0.5 * still, 0.5 * own, 0 * own, -still, -own, -own, -own]),
        "constants": -0.5 * (n + own.sum(0)),
    }
