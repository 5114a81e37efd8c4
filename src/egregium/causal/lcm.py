"""Latent causal models: a structural causal model seen through a decoder, in pairs before and after an intervention."""

import math
from dataclasses import dataclass, fields

import torch
from torch import Tensor

from egregium.causal.decoders import Decoder, Flow, InvertibleDecoder, Orthogonal
from egregium.causal.interventions import Intervention, InterventionLaw
from egregium.causal.mechanisms import log_density
from egregium.causal.scm import SCM
from egregium.errors import ModelError, OptionError, ShapeError
from egregium.numerics.derivatives import jacobian
from egregium.spaces.points import require_points


@dataclass(frozen=True, eq=False)
class Pairs:
    """Observations before and after an intervention, and all that made them; a row a pair.

    Attributes:
        x, x_after: observations `(N, *out)`.
        z, z_after: causal variables `(N, n)`.
        noise: noises of z.
        intervention_noise: noises of which z_after comes in the changed model: drawn anew for targets, the same for others.
        noise_encoding: noises of which z_after would come in the model as it was, `s^-1(z_after)`. By the lemma of Brehmer et
            al. 2022 it differs from `noise` in the targets alone.
        intervention: which of the law's interventions happened, `(N,)`.
        targets: `(N, n)` bool.
    """

    x: Tensor
    x_after: Tensor
    z: Tensor
    z_after: Tensor
    noise: Tensor
    intervention_noise: Tensor
    noise_encoding: Tensor
    intervention: Tensor
    targets: Tensor

    def __len__(self) -> int:
        return len(self.x)

    def __getitem__(self, rows: slice | Tensor) -> "Pairs":
        return Pairs(*(getattr(self, one.name)[rows] for one in fields(self)))

    def to(self, dtype: torch.dtype) -> "Pairs":
        """The same in another real dtype."""
        found = (getattr(self, one.name) for one in fields(self))
        return Pairs(*(one.to(dtype) if one.is_floating_point() else one for one in found))


@dataclass(frozen=True, eq=False)
class LatentCausalModel:
    r"""A structural causal model with solution s, a decoder g, and a law of interventions.

    A pair is :math:`x = g(s(e))` and :math:`\tilde x = g(s_I(\tilde e))`, where I is drawn from the law, and :math:`\tilde e`
    is e but for the targets of I, whose noise is drawn anew.

    Two models with the same law of pairs are isomorphic, that is equal up to the order of the variables and a
    diffeomorphism of each, if both have all atomic perfect interventions, real variables and injective decoders.

    Args:
        scm: of n variables.
        decoder: callable `(N, n) -> (N, *out)`, injective; with a method `inverse` where densities are wanted.
        interventions: their law; by default nothing and all atomic perfect ones, equally likely, drawn from N(0, 1).

    Raises: `ModelError` for what is no model, decoder or law, or a decoder of another number of variables; `OptionError` for
    interventions on variables that the model does not have.

    References:
        Brehmer, de Haan, Lippe, Cohen 2022, arXiv 2203.16437.

    >>> from egregium.causal import Orthogonal
    >>> model = LatentCausalModel(SCM.linear(torch.tensor([[0.0, 1.0], [0.0, 0.0]])), Orthogonal(torch.eye(2)))
    >>> pairs = model.sample(5, generator=torch.Generator().manual_seed(0))
    >>> bool(((pairs.noise - pairs.noise_encoding).abs() > 1e-9).eq(pairs.targets).all())
    True
    """

    scm: SCM
    decoder: Decoder
    interventions: InterventionLaw

    def __init__(self, scm: SCM, decoder: Decoder, interventions: InterventionLaw | None = None) -> None:
        if not isinstance(scm, SCM) or not callable(decoder):
            raise ModelError(f"LatentCausalModel expects an SCM and a decoder to call; got {scm!r} and {decoder!r}.")
        if isinstance(decoder, Orthogonal | Flow) and decoder.n != scm.n:
            raise ModelError(f"the model has {scm.n} variables and its decoder {decoder.n}: make one of {scm.n}.")
        interventions = InterventionLaw.atomic(scm.n) if interventions is None else interventions
        if not isinstance(interventions, InterventionLaw):
            raise ModelError(f"LatentCausalModel(interventions=) expects an InterventionLaw; got {interventions!r}.")
        for targets in interventions.targets():
            if targets and targets[-1] >= scm.n:
                raise OptionError(f"there are the variables 0 to {scm.n - 1}; got an intervention on {targets[-1]}.")
        for name, value in {"scm": scm, "decoder": decoder, "interventions": interventions}.items():
            object.__setattr__(self, name, value)

    @property
    def n(self) -> int:
        """Number of causal variables."""
        return self.scm.n

    def identifiable(self) -> str:
        """What the theorem says of this model: the empty string where it holds, otherwise what it misses."""
        if missing := self.interventions.missing(self.n):
            named = ", ".join("nothing" if not one else f"a perfect one on {self.scm.names[one[0]]}" for one in missing)
            return f"the theorem needs all atomic perfect interventions; missing: {named}"
        if bounded := self.interventions.bounded():
            named = ", ".join(self.scm.names[i] for i in bounded)
            return f"the theorem needs laws of intervened variables with full support on the line; those of {named} have none"
        return ""

    def sample(self, number: int, *, generator: torch.Generator | None = None, dtype: torch.dtype = torch.float64) -> Pairs:
        """Draw pairs; equal generators give equal pairs. Raises: `OptionError`; `ModelError`, see `SCM.solve`."""
        if not isinstance(number, int) or number < 1:
            raise OptionError(f"sample expects a number of pairs, 1 or more; got {number!r}.")
        noise = self.scm.sample_noise(number, generator=generator, dtype=dtype)
        z, index = self.scm.solve(noise), self.interventions.sample(number, generator=generator)
        z_after, intervention_noise = z.clone(), noise.clone()
        targets = torch.zeros(number, self.n, dtype=torch.bool)
        for k, intervention in enumerate(self.interventions.interventions):
            rows = torch.nonzero(index == k)[:, 0]
            if intervention is not None and len(rows):
                changed = self.scm.intervene(intervention)
                drawn, _ = changed.redrawn(noise[rows], intervention.fresh, generator)
                z_after[rows], intervention_noise[rows] = changed.resolved(z[rows], drawn, intervention.targets), drawn
                targets[rows[:, None], torch.tensor(intervention.targets)] = True
        encoding = self.scm.abduct(z_after)
        x, x_after = self.decoder(z), self.decoder(z_after)
        return Pairs(x, x_after, z, z_after, noise, intervention_noise, encoding, index, targets)

    def encode(self, x: Tensor) -> Tensor:
        """The causal variables of observations.

        Raises: `ModelError` where the decoder has no `inverse`.
        """
        if not isinstance(self.decoder, InvertibleDecoder):
            raise ModelError("this needs a decoder with a method `inverse`: Orthogonal and Flow have one.")
        return self.decoder.inverse(x)

    def strata(self, x: Tensor, x_after: Tensor, *, rtol: float | None = None) -> Tensor:
        """Which noises moved between the observations of each pair, `(N, n)` bool.

        A noise has moved if it differs by more than `rtol` of itself or of 1; by default the root of the rounding error.

        Raises: `ShapeError`, `TensorError`, `ModelError`; `OptionError` for an `rtol` that is no finite positive number.
        """
        least = _least(x, x_after, rtol)
        before, after = (self.scm.abduct(self.encode(one)) for one in (x, x_after))
        return (after - before).abs() > least * (1 + before.abs())

    def log_prob(self, x: Tensor, x_after: Tensor, *, rtol: float | None = None) -> Tensor:
        r"""Exact log-density `(N,)` of pairs of observations.

        The law of pairs lives on strata, named by the set I of the noises that moved. On each the density is against
        the volume of the decoder's image, for x, times the volume, of as many dimensions as I has, of the set that
        :math:`\tilde x` sweeps out while the noises in I vary:

        .. math:: p(x) \; p(I) \; \prod_{i \in I} \tilde p_i(\tilde e_i) \; / \sqrt{\det K^T K}, \qquad
            K = \partial (g \circ s_I) / \partial \tilde e_I.

        Both measures hang on data space alone, so that isomorphic models give equal numbers. Pairs that no intervention
        makes have density 0, and so have observations off the decoder's image, by more than `rtol` of themselves or of 1.

        Cost: Jacobians of the decoder at all points, some `8 + 4 n` calls. Raises: see `strata`; `ModelError` where the
        decoder has no `inverse`, or an intervention draws no fresh noise (`Do`, `Shift`), so that pairs have no density.
        """
        moved, least = self.strata(x, x_after, rtol=rtol), _least(x, x_after, rtol)
        z, z_after = self.encode(x), self.encode(x_after)
        before = self.scm.log_prob(z) - _log_volume(jacobian(self._flat, z))
        after = torch.full_like(before, -torch.inf)
        for intervention, probability in zip(self.interventions.interventions, self.interventions.probabilities, strict=True):
            targets = intervention.targets if intervention else ()
            of = torch.tensor([i in targets for i in range(self.n)])
            rows = (moved == of).all(-1)
            if bool(rows.any()):
                found = torch.tensor(probability).log() + self._log_prob_after(intervention, z_after[rows])
                after[rows] = torch.logaddexp(after[rows], found)
        off = _off(x, self.decoder(z), least) | _off(x_after, self.decoder(z_after), least)
        return torch.where(off, -torch.inf, before + after)

    def _log_prob_after(self, intervention: Intervention | None, z_after: Tensor) -> Tensor:
        """Of what the targets became, on the set that they sweep out."""
        if intervention is None:
            return torch.zeros_like(z_after[:, 0])
        if intervention.fresh != intervention.targets:
            raise ModelError("pairs have a density only under interventions that draw the noise of all their targets anew.")
        changed, targets = self.scm.intervene(intervention), list(intervention.targets)
        noise = changed.abduct(z_after)
        swept = jacobian(lambda e: self._flat(changed.solve(e)), noise)[..., targets]
        laws = torch.stack([log_density(changed.noise[i], noise[:, i]) for i in targets], -1)
        return laws.sum(-1) - _log_volume(swept)

    def _flat(self, z: Tensor) -> Tensor:
        return self.decoder(z).flatten(1)


def _log_volume(J: Tensor) -> Tensor:
    """`log sqrt det J^T J` of Jacobians `(N, D, k)`."""
    return torch.linalg.qr(J, mode="r").R.diagonal(dim1=-2, dim2=-1).abs().log().sum(-1)


def _least(x: Tensor, x_after: Tensor, rtol: float | None) -> float:
    """From which relative difference on numbers of pairs `(N, *out)` differ."""
    for name, one in (("x", x), ("x_after", x_after)):
        if isinstance(one, Tensor) and one.ndim < 2:
            raise ShapeError(f"{name} must be observations (N, *out), a row a pair; got {tuple(one.shape)}.")
    if isinstance(x, Tensor) and isinstance(x_after, Tensor) and x.shape != x_after.shape:
        raise ShapeError(f"pairs have equal shapes; got {tuple(x.shape)} before and {tuple(x_after.shape)} after.")
    require_points(x, x_after, width=None, names=("x", "x_after"))
    if rtol is not None and not 0 < rtol < math.inf:
        raise OptionError(f"rtol is a finite positive number, by default the root of the rounding error; got {rtol}.")
    return math.sqrt(torch.finfo(x.dtype).eps) if rtol is None else rtol


def _off(x: Tensor, decoded: Tensor, least: float) -> Tensor:
    """Which observations are off the decoder's image, where these are what it makes of their causal variables."""
    return (decoded - x).flatten(1).norm(dim=-1) > least * (1 + x.flatten(1).norm(dim=-1))
