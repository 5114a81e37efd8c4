r"""Charts of observation models: isometric maps after the decoder that turn its output into Fisher-Rao coordinates.

For a likelihood `P(x | eta)` whose Fisher information is diagonal in `eta`, the coordinate `phi` with
`phi'(eta)^2 = I(eta)` makes the information metric Euclidean, so that the pullback of `phi o f` is the Fisher-Rao metric
of the model (Rao 1945; Arvanitidis et al. 2022, arXiv 2106.05367).
"""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from egregium.errors import DecoderError, OptionError


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


def _from_logits(logits: Tensor) -> Tensor:
    positive = logits > 0
    angle = 2 * torch.atan(torch.exp(0.5 * torch.where(positive, -logits, logits)))
    return torch.where(positive, torch.pi - angle, angle)


@dataclass(frozen=True)
class Chart:
    """Any smooth function of the decoder's output `(N, *out)` as coordinates of data space."""

    fn: Callable[[Tensor], Tensor]

    def __call__(self, x: Tensor) -> Tensor:
        return self.fn(x)
