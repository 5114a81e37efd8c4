r"""The angle to the axis of a von Mises-Fisher law: draws that move with the concentration.

On the n-sphere the angle has the density `q(t) = sin(t)^(n-1) exp(-2 kappa sin^2(t / 2))`, unimodal on `[0, pi]`. `n = 1` is
von Mises' law on the circle, without the sign.

References: Wood 1994 (doi 10.1080/03610919408813161); Davidson et al. 2018 (arXiv 1804.00891).
"""

import math

import torch
from torch import Tensor
from torch.distributions import Beta

from egregium.numerics.bessel import mean_deficit
from egregium.numerics.unimodal import moving, quantile_slope


def draw_angles(n: int, kappa: Tensor) -> Tensor:
    """An angle for each concentration, of the same shape, in float64, with its derivative in the concentration."""
    with torch.no_grad():
        angle = 2 * torch.asin(_half_versines(n, kappa.flatten()).sqrt()).reshape(kappa.shape)
    if not (torch.is_grad_enabled() and kappa.requires_grad):
        return angle
    fixed = kappa.detach()

    def log_density(t: Tensor) -> Tensor:
        return log_width(n, t) - 2 * fixed * (0.5 * t).sin() ** 2

    def statistic(t: Tensor) -> Tensor:
        return -2 * (0.5 * t).sin() ** 2

    ends = torch.zeros_like(angle), torch.full_like(angle, math.pi)
    return moving(angle, quantile_slope(log_density, statistic, -mean_deficit(n + 1, fixed), angle, *ends), kappa)


def log_width(n: int, angle: Tensor) -> Tensor:
    """Logarithm of `sin(angle)^(n-1)`, the volume of a sphere of points at this angle."""
    return (n - 1) * angle.sin().log() if n > 1 else torch.zeros_like(angle)


def _half_versines(n: int, kappa: Tensor) -> Tensor:
    """`sin^2(angle / 2)` for each concentration `(N,)`, by Wood's rejection, in terms that do not cancel next to the axis."""
    drawn, left = torch.empty_like(kappa), torch.arange(len(kappa), device=kappa.device)
    half = torch.full_like(kappa[:1], 0.5 * n)
    while len(left):
        k = kappa[left]
        b = n / (2 * k + torch.hypot(2 * k, torch.full_like(k, n)))
        z = Beta(half, half).sample(k.shape)[:, 0]
        u = b * z / (1 - (1 - b) * z)
        ahead = 2 * b / (1 + b)  # 1 - x, x the centre of the envelope
        gain = k * (ahead - 2 * u) + n * ((1 + b) * (0.5 + (1 - b) * u / (2 * b))).log()
        good = ~(gain < torch.rand_like(k).log())  # so that NaN ends
        drawn[left[good]] = u[good].clamp(0, 1)
        left = left[~good]
    return drawn
