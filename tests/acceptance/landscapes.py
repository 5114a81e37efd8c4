"""Decoders of two dimensions that are hard: hills with ways around them, and strongly folded random decoders."""

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from egregium.testing.twins import random_decoder


@dataclass(frozen=True)
class Hills:
    """A plane with Gaussian hills, `z -> (z, sum_k h_k exp(-|(z - c_k) / w_k|^2 / 2))`; each hill `(c1, c2, h, w1, w2)`."""

    hills: tuple[tuple[float, float, float, float, float], ...]

    def __call__(self, z: Tensor) -> Tensor:
        c1, c2, height, w1, w2 = torch.tensor(self.hills, dtype=z.dtype, device=z.device).unbind(-1)
        square = ((z[:, :1] - c1) / w1) ** 2 + ((z[:, 1:] - c2) / w2) ** 2
        return torch.cat([z, (height * (-0.5 * square).exp()).sum(-1, keepdim=True)], -1)


OFF_CENTRE = Hills(((0.0, 0.15, 2.0, 0.4, 0.4),))
"""The line from (-1.5, 0) to (1.5, 0) passes below the top: the way below is the shorter one."""
DECEIVING = Hills(((0.0, -0.1, 2.0, 0.35, 0.35), (0.0, 1.1, 1.5, 0.5, 0.5)))
"""The line passes above the first top, but there a second hill closes the way: the way below is the shorter one."""
NARROW = Hills(((0.0, 0.0, 3.0, 0.12, 0.12),))
"""The line is a critical curve by symmetry, and a saddle."""
RANGE = Hills(((-0.7, 0.5, 1.5, 0.3, 0.3), (0.1, -0.5, 2.5, 0.4, 0.3), (0.8, 0.4, 1.0, 0.25, 0.4), (-0.1, 1.3, 2.0, 0.3, 0.3)))
RIDGE = Hills(((0.0, 0.4, 2.5, 0.15, 1.2),))
"""A long wall across the line, whose lower end is the nearer one."""

LANDSCAPES = {"off centre": OFF_CENTRE, "deceiving": DECEIVING, "narrow": NARROW, "range": RANGE, "ridge": RIDGE}


def folded_decoder(D: int, seed: int, factor: float) -> nn.Module:
    """`random_decoder(2, D, seed)` with its first layer scaled, so that it folds `factor` times as often."""
    decoder = random_decoder(2, D, seed)
    with torch.no_grad():
        first = decoder.folds[0]
        assert isinstance(first, nn.Linear)
        first.weight.mul_(factor)
    return decoder
