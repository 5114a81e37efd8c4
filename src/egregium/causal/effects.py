r"""What an intervention does to observations: the curve that it moves them along, and its length in data space.

Decoder after solution, :math:`g \circ s`, is one decoder of a latent space whose coordinates are the noises, with the metric
:math:`G(e) = J_s^T J_g^T J_g J_s`. A perfect intervention that moves one variable and keeps all other noises moves the
observation along the image of a coordinate line of that space.

Isomorphic models draw the same observations in other coordinates: variables and noises are renamed, and each goes through a
diffeomorphism of its own.

- The same in all of them: the curve of an effect as a set of observations, hence its length, its chord, and its direct share;
  the geodesic distance of its ends in the set of all observations that the model makes, and the ratio of both, the detour;
  volumes of sets of observations; the metric as a tensor, `G_a = J_A^T G_b J_A`.
- Not the same: the value of a variable, the components of G, `dz / de`, differences `z_after - z` and their norm, and with
  them every effect size that is a slope or a difference of latents.

An end of an effect is named in all models alike by an observation: its value is `model.encode(x_after)[..., target]`. A
quantile q of the law of the variable under intervention is the same end where the map between the models increases in that
variable, and is to be called `1 - q` where it decreases, because that turns the law around: `eg.indeterminacy` says which.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from egregium.causal.interventions import Perfect
from egregium.causal.lcm import LatentCausalModel
from egregium.errors import NotConvergedError, OptionError, ShapeError, TensorError
from egregium.geodesics.connect import OnFail, connect
from egregium.geodesics.geodesic import Geodesic
from egregium.geodesics.options import require_on_fail, require_tolerance
from egregium.geodesics.problem import rounded_down
from egregium.numerics.cubature import Integrals, over_unit_interval
from egregium.numerics.derivatives import jvp, row_chunks
from egregium.spaces.decoder import Decoder
from egregium.spaces.points import flat, require_points
from egregium.spaces.pullback import Pullback
from egregium.status import Status, counts, describe, span

Chart = Callable[[Tensor], Tensor]
HELD = 1 << 24  # numbers of observations at a time


@dataclass(frozen=True, eq=False)
class NoiseDecoder:
    r"""Decoder after solution, :math:`e \mapsto g(s(e))`, of noises `(N, n)`: one decoder, fit for `eg.Pullback`.

    Its indeterminacy is that of the noises: renamed, and each through a diffeomorphism of its own.

    Cost: one solution and one decoder call.

    >>> from egregium.causal import SCM, Orthogonal
    >>> model = LatentCausalModel(SCM.linear(torch.tensor([[0.0, 2.0], [0.0, 0.0]])), Orthogonal(torch.eye(2)))
    >>> NoiseDecoder(model)(torch.tensor([[1.0, 0.5]])).tolist()
    [[1.0, 2.5]]
    """

    model: LatentCausalModel
    decoder: Decoder = field(init=False, repr=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "decoder", Decoder(self.model.decoder))

    def __call__(self, noise: Tensor) -> Tensor:
        return self.decoder.raw(self.model.scm.solve(noise))

    def inverse(self, x: Tensor) -> Tensor:
        """The noises of which observations come; `ModelError` where the model's decoder has no `inverse`."""
        return self.model.scm.abduct(self.model.encode(x))


def noise_space(model: LatentCausalModel, *, chart: Chart | None = None) -> Pullback:
    """Noises `(*batch, n)` with the metric that decoder after solution pulls back: every verb of geometry takes it.

    Distances, angles, volumes and curvature on it are invariant under isomorphism of latent causal models.

    Args:
        chart: coordinates of data space, from `eg.charts`.

    Raises: as `Pullback`.

    References: Brehmer et al. 2022, arXiv 2203.16437; Syrota et al. 2025, arXiv 2502.13757.

    >>> from egregium.causal import SCM, Orthogonal
    >>> model = LatentCausalModel(SCM.linear(torch.tensor([[0.0, 2.0], [0.0, 0.0]])), Orthogonal(torch.eye(2)))
    >>> noise_space(model).metric(torch.zeros(2)).tolist()
    [[5.0, 2.0], [2.0, 1.0]]
    """
    return Pullback(NoiseDecoder(model), dim=model.n, chart=chart)


@dataclass(frozen=True, eq=False, repr=False)
class CausalEffect:
    """What moving one variable does to observations, the other noises kept, `*batch` times.

    All numbers are invariant under isomorphism of latent causal models; the noises are not.

    Attributes:
        target: the variable that is moved.
        length: `(*batch)`, of the curve that the observation moves along, descendants following: the total effect.
        lower, upper: `(*batch)`, the chord between the observations before and after, and the length with its error; they
            enclose the length, and the geodesic distance of its ends.
        direct: `(*batch)`, length of the curve with all descendants held where they are: the direct effect. It ends elsewhere.
        share: `(*batch)`, of the total effect that is direct. The velocity v of the observation is a sum of what the target
            itself moves, u, and of what its descendants move; this is the mean of `<u, v> / |v|^2` over the curve's length. 1
            where the rest is nothing, negative or above 1 where one counteracts the other; NaN where nothing moves.
        status: `(*batch)` int8, see `eg.Status`; `ok` where CONVERGED.
        noise, noise_after: `(*batch, n)`, ends of the curve, a straight line in noises.
        space: of all noises, with the metric that the curve is measured in.
    """

    target: int
    length: Tensor
    lower: Tensor
    upper: Tensor
    direct: Tensor
    share: Tensor
    status: Tensor
    noise: Tensor
    noise_after: Tensor
    space: Pullback

    @property
    def ok(self) -> Tensor:
        """Where CONVERGED, `(*batch)`."""
        return self.status == Status.CONVERGED

    def __repr__(self) -> str:
        return (
            f"CausalEffect(of variable {self.target}, batch {tuple(self.length.shape)}, length {span(self.length)}, "
            f"direct {span(self.direct)}, share {span(self.share)}: {counts(self.status)})"
        )

    def decode(self, t: Tensor | float) -> Tensor:
        """Observations at t in [0, 1], from before to after: scalar t `(*batch, *out)`, t `(K,)` `(*batch, K, *out)`.

        In between t goes by the target's noise, which other models count otherwise.
        """
        t = torch.as_tensor(t).to(self.noise)
        path = self.noise[..., None, :] + t.reshape(-1, 1) * (self.noise_after - self.noise)[..., None, :]
        return self.space.decode(path.reshape(*self.noise.shape[:-1], *t.shape, path.shape[-1]))

    def geodesic(self, **options: Any) -> Geodesic:
        """The geodesic between both ends; `effect.length / effect.geodesic().length` is the detour, 1 or more.

        Takes the keywords of `connect`, costs what it costs and raises what it raises.
        """
        return connect(self.space, self.noise, self.noise_after, **options)


def causal_effect(
    model: LatentCausalModel,
    z: Tensor,
    target: int,
    value: Tensor | float | None = None,
    *,
    quantile: Tensor | float | None = None,
    rtol: float = 1e-4,
    chart: Chart | None = None,
    on_fail: OnFail = "raise",
) -> CausalEffect:
    r"""The effect on observations of moving variable `target` of z to a value by a perfect intervention, all other noises kept.

    .. math:: L = \int_0^1 \Big| \frac{d}{dt} \, g\big(s(e + t (\tilde e_i - e_i) u_i)\big) \Big| \, dt

    with the i-th unit vector :math:`u_i`, the noises e of z, and the noise :math:`\tilde e_i` that gives the target its new
    value below the same parents. Invariant under isomorphism of latent causal models, if both ends are the same observations;
    the module's docstring says what else is, and what is not.

    Args:
        z: causal variables `(*batch, n)`, float32 or float64; of observations, `model.encode(x)`.
        target: the variable that is moved.
        value: what it is moved to, a number or `(*batch)`, in the model's own coordinates; of an observation after the
            intervention, `model.encode(x_after)[..., target]`.
        quantile: in the place of a value, a number in (0, 1) or `(*batch)`: the value is this quantile of the one law of
            perfect interventions on the target. Where a map between models decreases, q here is `1 - q` there.
        rtol: error of both lengths, relative to `length`, and of the share. What a curve does within less than 1/40 of itself
            may be missed.
        chart: coordinates of data space, from `eg.charts`.
        on_fail: "raise" `NotConvergedError`, whose `.result` is the result, or "mark" in `status`: MAX_STEPS where the error
            is above `rtol`, NONFINITE where the decoder gives NaN or infinity on the way.

    Cost: some 1,500 decoder calls an effect, more where curves bend sharply or rtol is small.

    Raises: `ShapeError`, `TensorError`, `OptionError`, `ToleranceError`, `DecoderError`, `NotConvergedError`; `ModelError` of
        models after `Do`, which leaves no noise to move.

    References: Pearl 2001, Direct and indirect effects; Brehmer et al. 2022, arXiv 2203.16437.

    >>> from egregium.causal import SCM, Orthogonal
    >>> model = LatentCausalModel(SCM.linear(torch.tensor([[0.0, 2.0], [0.0, 0.0]])), Orthogonal(torch.eye(2)))
    >>> effect = causal_effect(model, torch.zeros(2).double(), 0, 3.0)
    >>> round(effect.length.item() ** 2, 6), round(effect.direct.item(), 6), round(effect.share.item(), 6)
    (45.0, 3.0, 0.2)
    """
    require_on_fail(on_fail)
    if not 0 <= target < model.n:
        raise OptionError(f"there are the variables 0 to {model.n - 1}; got the target {target}.")
    require_points(z, width=model.n)
    space = Pullback(model.decoder, chart=chart)
    (z,) = space.prepare(z)
    require_tolerance(rtol, z.dtype)
    with torch.no_grad():
        goal = _goal(model, z, target, value, quantile)
        line = _Line.between(model, space, flat(z), target, goal.flatten())
        found = over_unit_interval(line.speeds, len(line.z), z, rtol=rtol)
        chord = torch.linalg.vector_norm(line.seen(1.0) - line.seen(0.0), dim=-1).double()
    result = _result(line, found, rounded_down(chord, z.dtype), z.shape[:-1], noise_space(model, chart=chart))
    if on_fail == "raise" and not bool(result.ok.all()):
        raise NotConvergedError(
            f"{int((~result.ok).sum())} of {result.ok.numel()} effects are not known to rtol = {rtol}: "
            f"{describe(result.status)}. "
            'Use on_fail="mark" to keep them with their status, or allow a larger rtol.',
            result,
        )
    return result


@dataclass(frozen=True, eq=False)
class _Line:
    """Coordinate lines of N effects in noises, from `noise` over `move`, below variables z before; all `(N, n)`."""

    model: LatentCausalModel
    space: Pullback
    target: int
    z: Tensor
    noise: Tensor
    move: Tensor

    @staticmethod
    def between(model: LatentCausalModel, space: Pullback, z: Tensor, target: int, goal: Tensor) -> "_Line":
        """From z to values `(N,)` of the target."""
        noise, parents = model.scm.abduct(z), z[:, model.scm.graph.parents[target]]
        after = model.scm.mechanisms[target].inverse(goal, parents)
        if not bool(torch.isfinite(after).all()):
            wrong = goal[~torch.isfinite(after)][0]
            raise OptionError(f"{model.scm.names[target]} takes no value {float(wrong)}: no noise gives it; choose another.")
        # Where nothing moves, nothing is to move by rounding either.
        step = torch.where(goal == z[:, target], 0.0, after - noise[:, target])
        return _Line(model, space, target, z, noise, _only(step, target, model.n))

    def seen(self, t: float) -> Tensor:
        """Observations `(N, D)` at t."""
        return self.space.immerse(self.model.scm.solve(self.noise + t * self.move))

    def speeds(self, row: Tensor, t: Tensor) -> Tensor:
        """Of the total effect the speed and the part of it that is direct, and the speed of the direct effect, `(M, 3)`."""
        here, all_move = jvp(self.model.scm.solve, self.noise[row] + t[:, None] * self.move[row], self.move[row])
        moves = _only(all_move[:, self.target], self.target, self.model.n)
        held = torch.where(torch.arange(self.model.n, device=t.device) == self.target, here, self.z[row])
        width, parts = self.space.immerse(here[:1]).shape[-1], []
        for rows in row_chunks(len(t), 6 * width, HELD):
            points = torch.cat([here[rows], here[rows], held[rows]])
            x, pushed = jvp(self.space.immerse, points, torch.cat([all_move[rows], moves[rows], moves[rows]]))
            v, u, alone = pushed.double().chunk(3)
            speed, direct = (torch.linalg.vector_norm(one, dim=-1) for one in (v, alone))
            along = torch.where(speed > 0, (u * v).sum(-1) / speed.where(speed > 0, 1.0), 0.0)
            # Where there is no observation there may yet be a derivative: the logarithm has one.
            sound = torch.isfinite(x).all(-1).unflatten(0, (3, -1)).all(0)
            parts.append(torch.where(sound[:, None], torch.stack([speed, along, direct], -1), torch.nan))
        return torch.cat(parts)


def _only(values: Tensor, target: int, n: int) -> Tensor:
    """Vectors `(N, n)` with values `(N,)` in one place."""
    return F.pad(values[:, None], (target, n - 1 - target))


def _result(line: _Line, found: Integrals, chord: Tensor, batch: torch.Size, space: Pullback) -> CausalEffect:
    length, along, direct = found.value.unbind(-1)
    upper = (length + found.error[:, 0]) * (1 + 8 * torch.finfo(line.z.dtype).eps)
    share = torch.where(length > 0, along / length, torch.nan)

    def shaped(values: Tensor) -> Tensor:
        return (values.to(line.z) if values.is_floating_point() else values).reshape((*batch, *values.shape[1:]))

    return CausalEffect(
        target=line.target, length=shaped(length), lower=shaped(torch.minimum(chord, length)), upper=shaped(upper),
        direct=shaped(direct), share=shaped(share), status=shaped(found.status),
        noise=shaped(line.noise), noise_after=shaped(line.noise + line.move), space=space,
    )  # fmt: skip


def _goal(
    model: LatentCausalModel, z: Tensor, target: int, value: Tensor | float | None, quantile: Tensor | float | None
) -> Tensor:
    """The target's values `(*batch)` after the intervention."""
    if (value is None) == (quantile is None):
        raise OptionError("an effect ends at a value of the target or at a quantile: give one of them.")
    name, given = ("value", value) if quantile is None else ("quantile", quantile)
    found = torch.as_tensor(given, dtype=z.dtype, device=z.device)
    if found.ndim and found.shape != z.shape[:-1]:
        raise ShapeError(f"{name} must be a number, or {tuple(z.shape[:-1])} as the points are; got {tuple(found.shape)}.")
    if not bool(torch.isfinite(found).all()):
        raise TensorError(f"{name} holds NaN or infinity.")
    found = found.expand(z.shape[:-1])
    return found if quantile is None else _at_quantile(model, target, found)


def _at_quantile(model: LatentCausalModel, target: int, q: Tensor) -> Tensor:
    if not bool(((q > 0) & (q < 1)).all()):
        raise OptionError(f"quantiles lie between 0 and 1, and not at these; got {span(q)}.")
    atomic = [one for one in model.interventions.interventions if isinstance(one, Perfect) and one.targets == (target,)]
    if len(atomic) != 1:
        raise OptionError(
            f"a quantile is of the law of one perfect intervention on {model.scm.names[target]} alone; this model has "
            f"{len(atomic)}: give a value."
        )
    law = atomic[0].laws[target]
    try:
        return law.icdf(q).to(q)
    except NotImplementedError as error:
        raise OptionError(f"torch knows no quantiles (icdf) of {law}: give a value.") from error
