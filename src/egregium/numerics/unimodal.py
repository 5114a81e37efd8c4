r"""Unimodal densities on a line, known up to a factor: where they end, integrals over them, and how their quantiles move.

A draw r of a density `q(r) = exp(eta T(r)) b(r) / Z(eta)` with cumulative distribution F moves with the parameter as

.. math:: \frac{dr}{d\eta} = -\frac{\partial_\eta F(r)}{q(r)}
    = \int_r^{e} (T(s) - E\,T) \frac{q(s)}{q(r)} ds, \qquad e \text{ either end},

with which gradients of expectations are unbiased. With T monotone and the end on r's side of `E T` nothing in it cancels.

References: Figurnov, Mohamed, Mnih 2018 (arXiv 1805.08498).
"""

from collections.abc import Callable
from functools import lru_cache

import numpy as np
import torch
from torch import Tensor

DROP = 42.0  # in nats: what lies beyond is less than rounding
SECTIONS, ROUNDS = 16, 8  # of the search for an edge
NODES = 48

LogDensity = Callable[[Tensor], Tensor]  # of `(*any)`, and of several such side by side, `(K, *any)`


def edge(log_density: LogDensity, start: Tensor, end: Tensor, drop: float = DROP) -> Tensor:
    """The point between start and end `(*any)` where the density has fallen by `drop` nats from its value at start, or the end.

    The density falls from start to end, but for a rise next to start. Takes `ROUNDS` evaluations at `SECTIONS` points each, and
    is right to `SECTIONS^-ROUNDS` of the way.
    """
    level = log_density(start) - drop
    near, far = start, end
    shares = torch.arange(1, SECTIONS).to(start).reshape(-1, *[1] * start.ndim) / SECTIONS
    for _ in range(ROUNDS):
        width = (far - near) / SECTIONS
        inside = (log_density(near + (far - near) * shares) > level).sum(0)
        near, far = near + inside * width, torch.where(inside == SECTIONS - 1, far, near + (inside + 1) * width)
    return far


def quantile_slope(
    log_density: LogDensity, statistic: LogDensity, mean: Tensor, r: Tensor, lower: Tensor, upper: Tensor
) -> Tensor:
    """`dr / d eta` of draws r `(*any)` between lower and upper; the mean is that of the statistic T, monotone."""
    with torch.no_grad():
        down = (statistic(r) - mean) * (statistic(lower) - mean) > 0
        last = edge(log_density, r, torch.where(down, lower, upper))
        nodes, weights = panel(r, last)
        return (weights * (log_density(nodes) - log_density(r)).exp() * (statistic(nodes) - mean)).sum(0)


def panel(start: Tensor, end: Tensor) -> tuple[Tensor, Tensor]:
    """Nodes and weights `(NODES, *any)` of integrals from start to end, denser towards the end, which may be a singularity."""
    nodes, weights = (part.to(start).reshape(-1, *[1] * start.ndim) for part in _legendre())
    return start + (end - start) * nodes, (end - start) * weights


@lru_cache(maxsize=1)
def _legendre() -> tuple[Tensor, Tensor]:
    """On `[0, 1]`: Gauss's rule in y, where `x = y (2 - y)`."""
    nodes, weights = np.polynomial.legendre.leggauss(NODES)
    left = torch.from_numpy(0.5 * (1 - nodes))
    return 1 - left**2, torch.from_numpy(weights) * left


def moving(r: Tensor, slope: Tensor, parameter: Tensor) -> Tensor:
    """`r` with `slope` as its derivative in the parameter."""
    return r.detach() + slope.detach() * (parameter - parameter.detach())
