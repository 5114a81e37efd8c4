r"""Means of exponentials over spheres: modified Bessel functions of the first kind, scaled so that nothing overflows.

With x uniform on the unit sphere of d numbers, mu a unit vector and `nu = d / 2 - 1`,

.. math:: M_d(\kappa) = E\, e^{\kappa \mu^T x} = \Gamma(\nu + 1) (2 / \kappa)^\nu I_\nu(\kappa)
    = {}_0F_1(; \nu + 1; \kappa^2 / 4), \quad \frac{M_d'}{M_d} = \frac{I_{\nu + 1}(\kappa)}{I_\nu(\kappa)} = A_d(\kappa).

Both functions here are plain sums of tensors, so that autograd differentiates them as often as one likes: the power series
where `s = sqrt(nu^2 + kappa^2)` is small, which has positive terms alone, elsewhere Olver's uniform expansion in 1 / s. That
one holds at small orders as well if it is written in `1 / s` and `nu / s`: at `nu = 0` it is Hankel's expansion.

References: NIST Digital Library of Mathematical Functions, chapter 10, equations 25.2, 41.3, 41.9 and 41.10; Olver 1954.
"""

import math
from collections.abc import Callable
from fractions import Fraction
from functools import lru_cache

import torch
from torch import Tensor

LEAST = 30.0  # of s, from where the expansion is right to rounding
ORDERS = 18  # of the expansion
TERMS = 75  # of the series: at kappa = 30 and nu = 0 the last is below 1e-60 of the sum

Rule = Callable[[float, Tensor], Tensor]


def log_mean_exp(d: int, kappa: Tensor) -> Tensor:
    r"""`log M_d(kappa) - kappa`, of any shape, for d of at least 2 and kappa of at least 0, in float64.

    Relative to `max(1, |log M - kappa|)` right to 1e-13 for d up to 500 and kappa up to 1e6.

    >>> log_mean_exp(3, torch.tensor(2.0).double()) + 2  # log(sinh(2) / 2)
    tensor(0.5952..., dtype=torch.float64)
    """
    return _by_size(d, kappa, _log_by_series, _log_by_expansion)


def mean_deficit(d: int, kappa: Tensor) -> Tensor:
    """`1 - A_d(kappa)`, right to 1e-13 of itself also where A is next to 1; minus the derivative of `log_mean_exp`.

    >>> 1 - mean_deficit(3, torch.tensor(2.0).double())  # coth(2) - 1 / 2
    tensor(0.5373..., dtype=torch.float64)
    """
    return _by_size(d, kappa, _deficit_by_series, _deficit_by_expansion)


def _by_size(d: int, kappa: Tensor, series: Rule, expansion: Rule) -> Tensor:
    """The series where it has few terms, else the expansion, each evaluated only where it is needed."""
    kappa, nu = kappa.double(), 0.5 * d - 1
    near = kappa.detach() ** 2 < max(4 * (nu + 1), LEAST**2 - nu**2)
    if bool(near.all()):
        return series(nu, kappa)
    if not bool(near.any()):
        return expansion(nu, kappa)
    return torch.where(near, series(nu, torch.where(near, kappa, 1.0)), expansion(nu, torch.where(near, LEAST, kappa)))


def _log_by_series(nu: float, kappa: Tensor) -> Tensor:
    return torch.log1p(_series_less_one(nu, kappa)) - kappa


def _log_by_expansion(nu: float, kappa: Tensor) -> Tensor:
    s = _hypotenuse(nu, kappa)
    main = nu**2 / (s + kappa) - nu * (0.5 * (nu + s)).log() - 0.5 * (2 * math.pi * s).log()
    return math.lgamma(nu + 1) + main + _expansion(nu, s)[0].log()


def _deficit_by_series(nu: float, kappa: Tensor) -> Tensor:
    ratio = (1 + _series_less_one(nu + 1, kappa)) / (1 + _series_less_one(nu, kappa))
    return 1 - kappa / (2 * nu + 2) * ratio


def _deficit_by_expansion(nu: float, kappa: Tensor) -> Tensor:
    s = _hypotenuse(nu, kappa)
    value, slope = _expansion(nu, s)
    return nu**2 / (s * (s + kappa)) + kappa / s * (nu / (nu + s) + 0.5 / s - slope / value)


def _hypotenuse(nu: float, kappa: Tensor) -> Tensor:
    return torch.hypot(torch.full_like(kappa, nu), kappa)


def _series_less_one(nu: float, kappa: Tensor) -> Tensor:
    """`0F1(; nu + 1; kappa^2 / 4) - 1`, positive terms alone."""
    x = 0.25 * kappa**2 / (nu + 1)
    orders = torch.arange(1.0, TERMS + 1, dtype=x.dtype, device=x.device)
    weights = torch.cumprod((nu + 1) / (orders * (nu + orders)), 0)
    return (x[..., None] ** orders * weights).sum(-1)


def _expansion(nu: float, s: Tensor) -> tuple[Tensor, Tensor]:
    """`sum_k U_k(nu / s) / nu^k` and its derivative in s."""
    coefficients = torch.tensor(_coefficients(nu), dtype=s.dtype, device=s.device)
    powers = torch.arange(float(len(coefficients)), dtype=s.dtype, device=s.device)
    terms = (LEAST / s)[..., None] ** powers * coefficients
    return terms.sum(-1), -(terms * powers).sum(-1) / s


@lru_cache(maxsize=64)
def _coefficients(nu: float) -> list[float]:
    """Of the powers of `LEAST / s`, all orders together."""
    powers = [Fraction(0)] * (3 * ORDERS + 1)
    for k, row in enumerate(_polynomials()):
        for j, c in enumerate(row):
            powers[k + 2 * j] += c * Fraction(nu) ** (2 * j)
    return [float(c / Fraction(LEAST) ** power) for power, c in enumerate(powers)]


@lru_cache(maxsize=1)
def _polynomials() -> list[list[Fraction]]:
    """Of `U_k(p) = p^k sum_j c_kj p^(2 j)`, by their recurrence."""
    table = [[Fraction(1)]]
    for k in range(ORDERS):
        row = [Fraction(0)] * (k + 2)
        for j, c in enumerate(table[k]):
            m = k + 2 * j
            row[j] += c * (Fraction(m, 2) + Fraction(1, 8 * (m + 1)))
            row[j + 1] -= c * (Fraction(m, 2) + Fraction(5, 8 * (m + 3)))
        table.append(row)
    return table
