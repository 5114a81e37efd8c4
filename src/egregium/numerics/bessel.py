r"""Means of exponentials over spheres: modified Bessel functions of the first kind, scaled so that nothing overflows.

With x uniform on the unit sphere of d numbers, mu a unit vector and `nu = d / 2 - 1`,

.. math:: M_d(\kappa) = E\, e^{\kappa \mu^T x} = \Gamma(\nu + 1) (2 / \kappa)^\nu I_\nu(\kappa)
    = {}_0F_1(; \nu + 1; \kappa^2 / 4), \quad \frac{M_d'}{M_d} = \frac{I_{\nu + 1}(\kappa)}{I_\nu(\kappa)} = A_d(\kappa).

Both functions here are plain sums of tensors, so that autograd differentiates them as often as one likes: the power series
where `s = sqrt(nu^2 + kappa^2)` is small, which has positive terms alone, elsewhere Olver's uniform expansion in 1 / s. That
one holds at small orders as well if it is written in `1 / s` and `nu / s`: at `nu = 0` it is Hankel's expansion.

References: NIST Digital Library of Mathematical Functions, 10.25.2, 10.41.3 and 10.41.10; Olver 1954.
"""

import math
from fractions import Fraction
from functools import lru_cache

import torch
from torch import Tensor

LEAST = 30.0  # of s, from where the expansion is right to rounding
ORDERS = 18  # of the expansion
TERMS = 75  # of the series: at kappa = 30 and nu = 0 the last is below 1e-60 of the sum


def log_mean_exp(d: int, kappa: Tensor) -> Tensor:
    r"""`log M_d(kappa) - kappa`, of any shape, for d of at least 2 and kappa of at least 0, in float64.

    Relative to `max(1, |log M - kappa|)` right to 1e-13 for d up to 500 and kappa up to 1e6.

    >>> log_mean_exp(3, torch.tensor(2.0).double()) + 2  # log(sinh(2) / 2)
    tensor(0.5952..., dtype=torch.float64)
    """
    kappa, nu = kappa.double(), 0.5 * d - 1
    near = _near(nu, kappa)
    series = torch.log1p(_series_less_one(nu, torch.where(near, kappa, 1.0))) - kappa
    far = torch.where(near, LEAST, kappa)
    s = torch.hypot(torch.full_like(far, nu), far)
    turned = math.lgamma(nu + 1) + nu**2 / (s + far) - nu * (0.5 * (nu + s)).log() - 0.5 * (2 * math.pi * s).log()
    return torch.where(near, series, turned + _expansion(nu, s)[0].log())


def mean_deficit(d: int, kappa: Tensor) -> Tensor:
    """`1 - A_d(kappa)`, right to 1e-13 of itself also where A is next to 1; minus the derivative of `log_mean_exp`.

    >>> 1 - mean_deficit(3, torch.tensor(2.0).double())  # coth(2) - 1 / 2
    tensor(0.5373..., dtype=torch.float64)
    """
    kappa, nu = kappa.double(), 0.5 * d - 1
    near = _near(nu, kappa)
    small = torch.where(near, kappa, 1.0)
    ratio = (1 + _series_less_one(nu + 1, small)) / (1 + _series_less_one(nu, small))
    far = torch.where(near, LEAST, kappa)
    s = torch.hypot(torch.full_like(far, nu), far)
    value, slope = _expansion(nu, s)
    turned = nu**2 / (s * (s + far)) + far / s * (nu / (nu + s) + 0.5 / s - slope / value)
    return torch.where(near, 1 - small / d * ratio, turned)


def _near(nu: float, kappa: Tensor) -> Tensor:
    """Where the series has few terms."""
    return (kappa**2 < max(4 * (nu + 1), LEAST**2 - nu**2)).detach()


def _series_less_one(nu: float, kappa: Tensor) -> Tensor:
    """`0F1(; nu + 1; kappa^2 / 4) - 1`, positive terms alone."""
    x = 0.25 * kappa**2
    total = torch.zeros_like(x)
    for k in range(TERMS, 0, -1):
        total = x / (k * (nu + k)) * (1 + total)
    return total


def _expansion(nu: float, s: Tensor) -> tuple[Tensor, Tensor]:
    """`sum_k U_k(nu / s) / nu^k` and its derivative in s."""
    squared, value, slope = (nu / s) ** 2, torch.zeros_like(s), torch.zeros_like(s)
    for k in range(ORDERS, -1, -1):
        inner, rate = torch.zeros_like(s), torch.zeros_like(s)
        for j in range(k, -1, -1):
            inner = inner * squared + _coefficients()[k][j]
            rate = rate * squared - (k + 2 * j) * _coefficients()[k][j]
        value, slope = value / s + inner, slope / s + rate
    return value, slope / s


@lru_cache(maxsize=1)
def _coefficients() -> list[list[float]]:
    """Of `U_k(p) = p^k sum_j c_kj p^(2 j)`, by DLMF 10.41.9, in fractions."""
    table = [[Fraction(1)]]
    for k in range(ORDERS):
        row = [Fraction(0)] * (k + 2)
        for j, c in enumerate(table[k]):
            m = k + 2 * j
            row[j] += c * (Fraction(m, 2) + Fraction(1, 8 * (m + 1)))
            row[j + 1] -= c * (Fraction(m, 2) + Fraction(5, 8 * (m + 3)))
        table.append(row)
    return [[float(c) for c in row] for row in table]
