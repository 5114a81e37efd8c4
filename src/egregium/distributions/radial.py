r"""The distance from the centre of a Riemannian normal on the hyperbolic space of curvature -1.

Its density is `sinh(r)^(n-1) exp(-r^2 / (2 s^2))` up to a factor, log-concave on `r >= 0`. In closed form the factor is an
alternating sum of n terms that cancel; by quadrature between the points where the density ends it keeps all digits.

References: Said, Bombrun, Berthoumieu 2014 (arXiv 1401.8078); Devroye 1986 (Non-uniform Random Variate Generation, VII.2).
"""

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from egregium.numerics.unimodal import DROP, edge, moving, panel, quantile_slope

ROUNDS = 60  # of bisection for the mode
FAR = (2 * DROP) ** 0.5 + 1  # times s beyond the mode: there the density has ended


@dataclass(frozen=True)
class Radial:
    """The law in dimension n at scales s `(*any)`, in float64."""

    n: int
    s: Tensor

    def log_density(self, r: Tensor) -> Tensor:
        """Up to the factor; gradients flow to the scale."""
        return self._fixed(r, self.s)

    def mode(self) -> Tensor:
        """Where the density is greatest: `r tanh r = (n - 1) s^2`."""
        target = (self.n - 1) * self.s.detach() ** 2
        low, high = torch.maximum(target.sqrt(), target), target + target.sqrt()
        for _ in range(ROUNDS):
            middle = 0.5 * (low + high)
            below = middle * middle.tanh() < target
            low, high = torch.where(below, middle, low), torch.where(below, high, middle)
        return 0.5 * (low + high)

    def log_integral(self) -> Tensor:
        """Logarithm of `int sinh(r)^(n-1) exp(-r^2 / (2 s^2)) dr`, right to 1e-13; differentiable in s."""
        return torch.logsumexp(self._nodes()[1], 0)

    def mean_square(self) -> Tensor:
        """`E r^2`."""
        nodes, weighted = self._nodes()
        return (torch.softmax(weighted, 0) * nodes**2).sum(0)

    def draw(self) -> Tensor:
        """A distance for each scale, which moves with it."""
        fixed = Radial(self.n, self.s.detach())
        with torch.no_grad():
            r = Radial(self.n, fixed.s.flatten())._rejected().reshape(fixed.s.shape)
        if not (torch.is_grad_enabled() and self.s.requires_grad):
            return r
        top = torch.maximum(r, fixed.mode()) + FAR * fixed.s
        slope = quantile_slope(fixed.log_density, torch.square, fixed.mean_square(), r, torch.zeros_like(r), top)
        return moving(r, slope, -0.5 / self.s**2)

    def _fixed(self, r: Tensor, s: Tensor) -> Tensor:
        widths = (self.n - 1) * (r + (-torch.expm1(-2 * r)).log()) if self.n > 1 else 0.0
        return widths - 0.5 * (r / s) ** 2 - (self.n - 1) * math.log(2)

    def _nodes(self) -> tuple[Tensor, Tensor]:
        """Nodes below and above the mode, and the logarithms of density times weight there."""
        with torch.no_grad():
            s, mode = self.s.detach(), self.mode()
            ends = [edge(lambda r: self._fixed(r, s), mode, end) for end in (torch.zeros_like(s), mode + FAR * s)]
            parts = [panel(mode, end) for end in ends]
            nodes, weights = (torch.cat(part) for part in zip(*parts, strict=True))
        return nodes, self.log_density(nodes) + weights.abs().log()

    def _rejected(self) -> Tensor:
        """Draws for scales `(N,)` by rejection from the mode's level and the tangents where the density is `1 / e` of it."""
        mode = self.mode()
        level = self.log_density(mode)
        ends = [edge(self.log_density, mode, end, 1.0) for end in (torch.zeros_like(mode), mode + FAR * self.s)]
        rates = [self._slope(end).abs() for end in ends]
        heights = [(level - self.log_density(end)) / rate for end, rate in zip(ends, rates, strict=True)]
        low, high = (ends[0] + heights[0], ends[1] - heights[1]) if self.n > 1 else (mode, ends[1] - heights[1])
        left = 1 / rates[0] if self.n > 1 else torch.zeros_like(mode)
        table = torch.stack([self.s, level, low, high, left, 1 / rates[1]])
        drawn, rows = torch.empty_like(mode), torch.arange(len(mode), device=mode.device)
        while len(rows):
            s, top, low, high, below, above = table[:, rows]
            u = torch.rand_like(s) * (below + high - low + above)
            tail = torch.empty_like(s).exponential_()
            outside = torch.where(u < below, low - below * tail, high + above * tail)
            inside = (u >= below) & (u < below + high - low)
            r = torch.where(inside, low + u - below, outside)
            envelope = torch.where(inside, 0.0, -tail)
            gain = self._fixed(r.clamp_min(0), s) - top - envelope
            good = ~((r <= 0) | (gain < torch.rand_like(s).log()))  # so that NaN ends
            drawn[rows[good]] = r[good]
            rows = rows[~good]
        return drawn

    def _slope(self, r: Tensor) -> Tensor:
        """Derivative of the log-density."""
        widths = (self.n - 1) / r.tanh() if self.n > 1 else 0.0
        return widths - r / self.s**2
