r"""Charts of observation models: isometric maps after the decoder that turn its output into Fisher-Rao coordinates.

For a likelihood `P(x | eta)` whose Fisher information is diagonal in `eta`, the coordinate `phi` with
`phi'(eta)^2 = I(eta)` makes the information metric Euclidean, so that the pullback of `phi o f` is the Fisher-Rao metric
of the model (Rao 1945; Arvanitidis et al. 2022, arXiv 2106.05367). Two parameters of one observation need not be flat together;
Gaussians whose variance the decoder gives too are half-planes, which `egregium.spaces.half_plane` immerses.

A chart may have a method `distance(x0, x1)` of decoder outputs, the Fisher-Rao distance of the distributions that they are:
where that is more than the straight distance of its coordinates, it is the better lower bound of distances on a decoder. And it
may have a method `expected(x)`, the mean of the observation, where the decoder's output is not that itself.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from egregium.errors import DecoderError, OptionError
from egregium.spaces import half_plane

Coordinates = Callable[[Tensor], Tensor]


@dataclass(frozen=True)
class Gaussian:
    """`x / sigma`: unit-free coordinates of a Gaussian likelihood with known standard deviation `sigma`.

    >>> Gaussian(sigma=0.5)(torch.tensor([1.0])).item()
    2.0
    """

    sigma: float = 1.0

    def __post_init__(self) -> None:
        if not self.sigma > 0:
            raise OptionError(f"Gaussian(sigma): sigma must be positive; got {self.sigma}.")

    def __call__(self, x: Tensor) -> Tensor:
        return x / self.sigma


@dataclass(frozen=True)
class Bernoulli:
    """`2 arcsin sqrt p`, from probabilities or, better, from logits `l` as `2 arctan exp(l / 2)`.

    Logits keep full precision at both ends; probabilities that are rounded to exactly 0 or 1 have derivative zero.

    >>> Bernoulli(logits=True)(torch.tensor([0.0, 90.0])).tolist()
    [1.5707963705062866, 3.1415927410125732]
    """

    logits: bool = False

    def __call__(self, x: Tensor) -> Tensor:
        if self.logits:
            return _from_logits(x)
        with torch.no_grad():
            if bool(((x < 0) | (x > 1)).any()):
                raise DecoderError(
                    "Bernoulli() expects probabilities in [0, 1] from the decoder; got values outside. "
                    "If it returns logits use Bernoulli(logits=True)."
                )
        inside = (x > 0) & (x < 1)
        angle = 2 * torch.asin(torch.sqrt(torch.where(inside, x, 0.5)))
        return torch.where(inside, angle, torch.pi * x.detach())

    def expected(self, x: Tensor) -> Tensor:
        """Probabilities."""
        return torch.sigmoid(x) if self.logits else x


def _from_logits(logits: Tensor) -> Tensor:
    positive = logits > 0
    angle = 2 * torch.atan(torch.exp(0.5 * torch.where(positive, -logits, logits)))
    return torch.where(positive, torch.pi - angle, angle)


@dataclass(frozen=True)
class Categorical:
    """`2 sqrt p` over the last axis, from probabilities or, better, from logits.

    Its image lies on spheres of radius 2, one for each distribution, where the Fisher-Rao distance is the great circle.

    >>> Categorical()(torch.tensor([0.25, 0.75])).tolist()
    [1.0, 1.7320507764816284]
    """

    logits: bool = False

    def __call__(self, x: Tensor) -> Tensor:
        if self.logits:
            return 2 * torch.exp(0.5 * torch.log_softmax(x, -1))
        with torch.no_grad():
            if bool((x < 0).any()) or bool(((x.sum(-1) - 1).abs() > 1e-3).any()):
                raise DecoderError(
                    "Categorical() expects probabilities from the decoder that sum to 1 over its last axis; got others. "
                    "If it returns logits use Categorical(logits=True)."
                )
        return 2 * _sqrt(x)

    def expected(self, x: Tensor) -> Tensor:
        """Probabilities."""
        return torch.softmax(x, -1) if self.logits else x

    def distance(self, x0: Tensor, x1: Tensor) -> Tensor:
        """Great circles of radius 2, one for each distribution: `sqrt sum (4 asin(c / 4))^2` of their chords c, `(N,)`."""
        chords = torch.linalg.vector_norm(self(x1) - self(x0), dim=-1)
        return torch.linalg.vector_norm((4 * torch.asin(0.25 * chords)).reshape(len(x0), -1), dim=-1)


@dataclass(frozen=True)
class GaussianWithScale:
    """Gaussians whose mean `m` and standard deviation `s` the decoder both gives, with the metric `(dm^2 + 2 ds^2) / s^2`.

    The last axis of the decoder's output `(N, ..., 2 k)` holds k means, then their k standard deviations, or the logarithms of
    these with `log_scale=True` (half the logarithms of variances). Of a decoder with two heads it is
    `lambda z: torch.cat(heads(z), -1)`.

    Each pair is a half-plane of curvature -1/2, so that no flat coordinates exist; it is immersed in 65 numbers, isometrically
    to 1e-11 at every s (`egregium.spaces.half_plane`), so that ambient space is 65 times as wide as the observation.

    References: Atkinson and Mitchell 1981; Costa, Santos, Strapasson 2015 (arXiv 1210.2354).

    >>> chart = GaussianWithScale()
    >>> round(chart.distance(torch.tensor([[0.0, 1.0]]), torch.tensor([[0.0, 2.0]])).item(), 4)  # sqrt(2) log 2
    0.9803
    """

    log_scale: bool = False

    def __call__(self, x: Tensor) -> Tensor:
        return half_plane.immersed(*self._parameters(x)).flatten(1)

    def expected(self, x: Tensor) -> Tensor:
        """Means, `(N, ..., k)`."""
        return self._parameters(x)[0]

    def distance(self, x0: Tensor, x1: Tensor) -> Tensor:
        """Fisher-Rao distance `sqrt sum d^2` over the half-planes, `(N,)`."""
        apart = half_plane.distance(*self._parameters(x0), *self._parameters(x1))
        return torch.linalg.vector_norm(apart.reshape(len(x0), -1), dim=-1)

    def _parameters(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Means and logarithms of standard deviations, `(N, ..., k)` each."""
        if x.shape[-1] % 2:
            raise DecoderError(
                "GaussianWithScale expects means, then as many standard deviations, in the last axis of the decoder's output; "
                f"got shape {tuple(x.shape)}, whose last axis is odd."
            )
        mean, scale = x.chunk(2, -1)
        if self.log_scale:
            return mean, scale
        with torch.no_grad():
            if bool((scale <= 0).any()):
                raise DecoderError(
                    "GaussianWithScale() expects positive standard deviations in the second half of the decoder's last axis; "
                    "got others. If they are logarithms use GaussianWithScale(log_scale=True)."
                )
        return mean, scale.log()


@dataclass(frozen=True)
class Poisson:
    """`2 sqrt mu` of a mean `mu`, or from its logarithm `l`: `2 exp(l / 2)`.

    >>> Poisson()(torch.tensor([4.0])).item()
    4.0
    """

    log_rate: bool = False

    def __call__(self, x: Tensor) -> Tensor:
        if self.log_rate:
            return 2 * torch.exp(0.5 * x)
        _require_means(x, "Poisson")
        return 2 * _sqrt(x)

    def expected(self, x: Tensor) -> Tensor:
        """Means."""
        return x.exp() if self.log_rate else x


@dataclass(frozen=True)
class NegativeBinomial:
    """`2 sqrt(theta) asinh sqrt(mu / theta)` of a mean `mu` at fixed dispersion `theta`, variance `mu + mu^2 / theta`.

    >>> round(NegativeBinomial(theta=2.0)(torch.tensor([2.0])).item(), 4)
    2.4929
    """

    theta: float
    log_rate: bool = False

    def __post_init__(self) -> None:
        if not 0 < self.theta < math.inf:
            raise OptionError(f"NegativeBinomial(theta): the dispersion must be positive and finite; got {self.theta}.")

    def __call__(self, x: Tensor) -> Tensor:
        root = math.sqrt(self.theta)
        if self.log_rate:
            return 2 * root * _asinh_exp(0.5 * (x - math.log(self.theta)))
        _require_means(x, "NegativeBinomial")
        return 2 * root * torch.asinh(_sqrt(x / self.theta))

    def expected(self, x: Tensor) -> Tensor:
        """Means."""
        return x.exp() if self.log_rate else x


@dataclass(frozen=True)
class Columns:
    """Charts side by side: of a decoder's output `(N, D)` the first columns to the first chart, and so on.

    Independent observations of several kinds: their information adds, so that the charts' coordinates stand side by side.

    Args:
        parts: pairs of a chart and the number of columns that it takes; the numbers must add up to D.

    >>> Columns((Gaussian(0.5), 1), (Poisson(), 2))(torch.tensor([[1.0, 4.0, 9.0]])).tolist()
    [[2.0, 4.0, 6.0]]
    """

    parts: tuple[tuple[Coordinates, int], ...]

    def __init__(self, *parts: tuple[Coordinates, int]) -> None:
        sound = all(isinstance(part, tuple) and len(part) == 2 and callable(part[0]) and part[1] >= 1 for part in parts)
        if not parts or not sound:
            raise OptionError(f"Columns takes pairs (chart, number of columns), such as (Poisson(), 20); got {parts!r}.")
        object.__setattr__(self, "parts", parts)

    def __call__(self, x: Tensor) -> Tensor:
        return torch.cat([chart(y).flatten(1) for (chart, _), y in zip(self.parts, self._split(x), strict=True)], 1)

    def expected(self, x: Tensor) -> Tensor:
        """Means of the parts side by side."""
        return torch.cat([expected(chart, y).flatten(1) for (chart, _), y in zip(self.parts, self._split(x), strict=True)], 1)

    def distance(self, x0: Tensor, x1: Tensor) -> Tensor:
        """`sqrt sum d^2` over the charts, `(N,)`."""
        pairs = zip(self.parts, self._split(x0), self._split(x1), strict=True)
        return torch.linalg.vector_norm(torch.stack([distance(chart, y0, y1) for (chart, _), y0, y1 in pairs]), dim=0)

    def _split(self, x: Tensor) -> tuple[Tensor, ...]:
        widths = [width for _, width in self.parts]
        if x.ndim != 2 or x.shape[1] != sum(widths):
            raise DecoderError(f"Columns of widths {widths} expect decoder outputs (N, {sum(widths)}); got {tuple(x.shape)}.")
        return x.split(widths, 1)


def _sqrt(x: Tensor) -> Tensor:
    """Square roots whose derivative at exactly 0 is 0, where the true one is infinite."""
    inside = x > 0
    return torch.where(inside, torch.sqrt(torch.where(inside, x, 1.0)), 0.0)


def _asinh_exp(a: Tensor) -> Tensor:
    """`asinh(exp(a))` at every size of a."""
    large = a > 0
    small = torch.asinh(torch.exp(torch.where(large, 0.0, a)))
    return torch.where(large, a + torch.log1p(torch.sqrt(1 + torch.exp(-2 * torch.where(large, a, 0.0)))), small)


def _require_means(x: Tensor, chart: str) -> None:
    with torch.no_grad():
        if bool((x < 0).any()):
            raise DecoderError(
                f"{chart} expects means, not negative, from the decoder; got negative values. "
                f"If it returns their logarithms use log_rate=True."
            )


@dataclass(frozen=True)
class Chart:
    """Any smooth function of the decoder's output `(N, *out)` as coordinates of data space."""

    fn: Coordinates

    def __call__(self, x: Tensor) -> Tensor:
        return self.fn(x)


def distance(chart: Coordinates, x0: Tensor, x1: Tensor) -> Tensor:
    """Distance of decoder outputs `(N, *out)` by the chart's own method, or else straight in its coordinates, `(N,)`."""
    own = getattr(chart, "distance", None)
    return torch.linalg.vector_norm((chart(x1) - chart(x0)).flatten(1), dim=-1) if own is None else own(x0, x1)


def expected(chart: Coordinates | None, x: Tensor) -> Tensor:
    """Mean observations by the chart's own method, or else the decoder's output `(N, *out)` itself."""
    own = getattr(chart, "expected", None)
    return x if own is None else own(x)
