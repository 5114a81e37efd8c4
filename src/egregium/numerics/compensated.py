"""Sums and products with their rounding errors, so that differences of nearly equal products keep their digits.

Everything here is for float64. Rounding errors carry no gradient, since what they mend has none.

References: Dekker 1971 (doi 10.1007/BF01397083); Ogita, Rump, Oishi 2005 (doi 10.1137/030601818).
"""

import torch
from torch import Tensor

from egregium.numerics.refined import refined

SPLITTER = 2.0**27 + 1
STEEP = 1 / 16  # square of the sine from which on nothing cancels in a rejection


def two_sum(a: Tensor, b: Tensor) -> tuple[Tensor, Tensor]:
    """`a + b` rounded, and what rounding took away, exactly."""
    total = a + b
    with torch.no_grad():
        second = total - a
        return total, (a - (total - second)) + (b - second)


def two_product(a: Tensor, b: Tensor) -> tuple[Tensor, Tensor]:
    """`a b` rounded, and what rounding took away, exactly where nothing over- or underflows."""
    product = a * b
    with torch.no_grad():
        (a_high, a_low), (b_high, b_low) = _halves(a), _halves(b)
        error = a_high * b_high - product
        return product, error.addcmul_(a_high, b_low).addcmul_(a_low, b_high).addcmul_(a_low, b_low)


def rejection(v: Tensor, z: Tensor) -> Tensor:
    """The part of each of `v` `(N, n)` orthogonal to `z` `(N, n)`, not zero; right to a few roundings of its own size."""
    return refined(_steep_rejection, _any_rejection, v, z)


def dot(a: Tensor, b: Tensor) -> Tensor:
    """Inner products of rows, `(N, 1)`; times ones, since of short rows torch is slow at sums but not at products."""
    return ((a * b) @ a.new_ones(a.shape[-1]))[..., None]


def _steep_rejection(v: Tensor, z: Tensor) -> tuple[Tensor, Tensor]:
    rest = v - z * (dot(v, z) / dot(z, z))
    return rest, dot(rest, rest) > STEEP * dot(v, v)


def _any_rejection(v: Tensor, z: Tensor) -> Tensor:
    """First what rounding leaves of it when a multiple of z is taken away exactly, then the rest of that along z."""
    square = dot(z, z)
    along, lost = two_product(dot(v, z).detach() / square.detach(), z)
    rest = (v - along) - lost
    return rest - z * (dot(z, rest) / square)


def _halves(a: Tensor) -> tuple[Tensor, Tensor]:
    scaled = SPLITTER * a
    high = scaled - (scaled - a)
    return high, a - high
