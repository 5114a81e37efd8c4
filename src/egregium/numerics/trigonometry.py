r"""Sine and cosine of a space of constant curvature `kappa`, smooth through zero.

.. math:: s(r) = \frac{\sin \sqrt\kappa r}{\sqrt\kappa}, \quad c(r) = \cos \sqrt\kappa r,

which are `sinh` and `cosh` where the curvature is negative, and `r` and 1 where it is zero. The curvature is a number, or a
tensor `()` through which gradients flow, also where it is zero: then power series take over where `|kappa| r^2` is small.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from egregium.numerics.refined import tracked

SMALL = 0.02
_SINE = [(-1) ** k / math.factorial(2 * k + 1) for k in range(8)]
_COSINE = [(-1) ** k / math.factorial(2 * k) for k in range(8)]
_ARCSINE = [math.comb(2 * k, k) / (4**k * (2 * k + 1)) for k in range(9)]


@dataclass(frozen=True)
class Trigonometry:
    """That of one curvature, in units of length; r `(*any)`, not negative unless said."""

    curvature: float | Tensor

    def sine(self, r: Tensor) -> Tensor:
        """`s(r)`, odd in r of either sign."""
        if isinstance(self.curvature, Tensor):
            return r * self.sinc(r)
        if self.curvature == 0:
            return r
        root = math.sqrt(abs(self.curvature))
        return (torch.sin if self.curvature > 0 else torch.sinh)(root * r) / root

    def cosine(self, r: Tensor) -> Tensor:
        """`c(r)`, even in r."""
        if isinstance(self.curvature, Tensor):
            return _chosen(self.curvature * r * r, _COSINE, torch.cos, torch.cosh)
        if self.curvature == 0:
            return torch.ones_like(r)
        root = math.sqrt(abs(self.curvature))
        return (torch.cos if self.curvature > 0 else torch.cosh)(root * r)

    def sinc(self, r: Tensor) -> Tensor:
        """`s(r) / r`, 1 at 0."""
        if isinstance(self.curvature, Tensor):
            return _chosen(self.curvature * r * r, _SINE, lambda a: a.sin() / a, lambda a: a.sinh() / a)
        if self.curvature == 0:
            return torch.ones_like(r)
        unit = 1 / math.sqrt(abs(self.curvature))
        if not tracked(r):
            away = r.clamp_min(1e-9 * unit)
            return self.sine(away) / away
        away = r.clamp_min(1e-5 * unit)  # before that, two terms are all that matters
        return self.sine(away) / away + self.curvature / 6 * (away - r) * (away + r)

    def arc(self, sine: Tensor, cosine: Tensor) -> Tensor:
        """The r in `[0, pi / sqrt(kappa)]` of which these are s and c; subgradient 0 at 0."""
        if isinstance(self.curvature, Tensor):
            return _arc(self.curvature, sine, cosine)
        if self.curvature == 0:
            return sine
        root = math.sqrt(abs(self.curvature))
        return (torch.atan2(root * sine, cosine) if self.curvature > 0 else _asinh(root * sine)) / root


def _asinh(x: Tensor) -> Tensor:
    """Of x that are not negative, in a third of torch's time."""
    return torch.log1p(x + x * x / (1 + (1 + x * x).sqrt()))


def _chosen(x: Tensor, series: list[float], circular: Callable, hyperbolic: Callable) -> Tensor:
    """An entire function of x: its series near 0, else a function of `sqrt(x)`, or of `sqrt(-x)` where x is negative."""
    near, positive = x.abs() < SMALL, x > 0
    root = torch.where(near, 1.0, x.abs()).sqrt()
    far = torch.where(positive, circular(root), hyperbolic(torch.where(positive, 1.0, root)))
    return torch.where(near, _polynomial(torch.where(near, x, 0.0), series), far)


def _arc(curvature: Tensor, sine: Tensor, cosine: Tensor) -> Tensor:
    x = curvature * sine * sine
    near, positive = (x.abs() < SMALL) & (cosine > 0), curvature > 0
    root = torch.where(near, 1.0, curvature.abs()).sqrt()
    far = sine.where(~near, 0.5) * root
    angle = torch.where(positive, torch.atan2(far, torch.where(near, 1.0, cosine)), torch.asinh(far)) / root
    return torch.where(near, sine * _polynomial(torch.where(near, x, 0.0), _ARCSINE), angle)


def _polynomial(x: Tensor, coefficients: list[float]) -> Tensor:
    value = torch.full_like(x, coefficients[-1])
    for coefficient in reversed(coefficients[:-1]):
        value = value * x + coefficient
    return value
