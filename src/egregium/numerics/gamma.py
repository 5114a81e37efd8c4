r"""Ratios of gamma functions, which keep their digits where `lgamma` itself is large.

.. math:: \log \frac{\Gamma(a + b)}{\Gamma(a)}, \qquad \psi(a + b) - \psi(a),

by the differences of Stirling's series, term by term, after an upward shift by the recurrence where a is small.

References: NIST Digital Library of Mathematical Functions, 5.11.1 and 5.11.2; Didonato and Morris 1992
(doi 10.1145/131766.131776).
"""

import math

import torch
from torch import Tensor

SHIFT = 12  # steps of the recurrence, after which eight terms of Stirling's series are right to rounding
_BERNOULLI = [1 / 6, -1 / 30, 1 / 42, -1 / 30, 5 / 66, -691 / 2730, 7 / 6, -3617 / 510]
_STIRLING = [b / (2 * k * (2 * k - 1)) for k, b in enumerate(_BERNOULLI, 1)]


def log_gamma_ratio(a: Tensor, b: float) -> Tensor:
    """`log Gamma(a + b) - log Gamma(a)`, a positive, of any shape, b not negative; right to 1e-13 of `max(1, itself)`.

    >>> log_gamma_ratio(torch.tensor(1e6).double(), 1.0)  # log(1e6)
    tensor(13.8155..., dtype=torch.float64)
    """
    steps = _steps(a)
    down = torch.log1p(b / (a[..., None] + steps)).sum(-1)
    low = a + SHIFT
    high = low + b
    rise = (low - 0.5) * torch.log1p(b / low) + b * high.log() - b
    return rise + _correction(high) - _correction(low) - down


def digamma_difference(a: Tensor, b: float) -> Tensor:
    """`psi(a + b) - psi(a)`, the derivative of `log_gamma_ratio` in a, right to 1e-13 of itself.

    >>> digamma_difference(torch.tensor(4.0).double(), 1.0)  # 1 / 4
    tensor(0.2500, dtype=torch.float64)
    """
    steps = a[..., None] + _steps(a)
    down = (b / (steps * (steps + b))).sum(-1)
    low = a + SHIFT
    high = low + b
    rise = torch.log1p(b / low) + 0.5 * b / (low * high)
    return rise + _correction_slope(high) - _correction_slope(low) + down


def log_sphere_area(n: int) -> float:
    """Logarithm of the area of the unit sphere of dimension n, that is of n + 1 numbers.

    >>> round(math.exp(log_sphere_area(2)) / math.pi, 12)
    4.0
    """
    return math.log(2) + 0.5 * (n + 1) * math.log(math.pi) - math.lgamma(0.5 * (n + 1))


def _steps(a: Tensor) -> Tensor:
    return torch.arange(SHIFT, dtype=a.dtype, device=a.device)


def _correction(x: Tensor) -> Tensor:
    return sum((c / x ** (2 * k + 1) for k, c in enumerate(_STIRLING)), torch.zeros_like(x))


def _correction_slope(x: Tensor) -> Tensor:
    return sum((-(2 * k + 1) * c / x ** (2 * k + 2) for k, c in enumerate(_STIRLING)), torch.zeros_like(x))
