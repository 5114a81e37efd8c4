r"""The hyperbolic half-plane, isometrically immersed in a Euclidean space, so that solvers treat it as any other surface.

The half-plane of curvature -1/2 has the metric `(dm^2 + 2 ds^2) / s^2`; with `t = log s`, `e^{-2t} dm^2 + 2 dt^2`. The map

.. math:: (m, s) \mapsto \left(t,\; B(t - j h) \cos(m / k_j),\; B(t - j h) \sin(m / k_j)\right)_{j \in Z},
    \qquad B(u) = a e^{-u^2}, \quad k_j = e^{1/4} e^{j h}

pulls the Euclidean metric back to `sum_j B_j^2 / k_j^2 dm^2 + (1 + sum_j B_j'^2) dt^2`. Sums of a Gaussian over a lattice are
its integrals, up to `exp(-pi^2 / (2 h^2))`, which is `1e-13` at h = 0.4, so that the amplitude a makes both coefficients
right. It looks the same at every scale s: shifts of m are rotations and, up to that rounding, dilations are isometries of its
image, whose second fundamental form is therefore of one size everywhere. B is below rounding for |u| > 6.4: the
32 terms nearest to t are all that there are, and of those that differ by 32 in j one place is enough.

References: Hilbert 1901 (no surface in R^3); Blanusa 1955 (a smooth one in R^6); Nash 1956 (doi 10.2307/1969989).
"""

import math

import torch
from torch import Tensor

SPACING = 0.4
TERMS = 32
AMPLITUDE = (2 * SPACING / math.sqrt(2 * math.pi)) ** 0.5
FREQUENCY = math.exp(-0.25)
NUMBERS = 1 + 2 * TERMS


def immersed(mean: Tensor, log_scale: Tensor) -> Tensor:
    """The immersion of points `(*batch)` with coordinates m and `log s`, `(*batch, NUMBERS)`."""
    with torch.no_grad():
        middle = (log_scale / SPACING).round()[..., None]
        place = torch.arange(TERMS, dtype=middle.dtype, device=middle.device)
        level = middle + torch.remainder(place - middle + TERMS // 2, TERMS) - TERMS // 2
    height = AMPLITUDE * torch.exp(-((log_scale[..., None] - SPACING * level) ** 2))
    phase = mean[..., None] * (FREQUENCY * torch.exp(-SPACING * level))
    return torch.cat([log_scale[..., None], height * phase.cos(), height * phase.sin()], -1)


def distance(mean0: Tensor, log_scale0: Tensor, mean1: Tensor, log_scale1: Tensor) -> Tensor:
    r"""`2 sqrt2 asinh sqrt(sinh^2(log(s1/s0) / 2) + (m1 - m0)^2 / (8 s0 s1))`, `(*batch)`."""
    apart = (mean1 - mean0) * torch.exp(-0.5 * (log_scale0 + log_scale1)) / math.sqrt(8)
    return math.sqrt(8) * torch.asinh(torch.hypot(apart, torch.sinh(0.5 * (log_scale1 - log_scale0))))
