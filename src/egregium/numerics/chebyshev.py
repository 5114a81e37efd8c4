"""Chebyshev interpolation on [-1, 1]: matrices between values at Lobatto's nodes, coefficients and derivatives."""

from functools import lru_cache

import torch
from torch import Tensor


@lru_cache(maxsize=8)
def nodes(degree: int) -> Tensor:
    """Lobatto's nodes `(degree + 1,)`, ascending, both ends among them."""
    return -torch.cos(torch.pi * torch.arange(degree + 1, dtype=torch.float64) / degree)


@lru_cache(maxsize=8)
def to_coefficients(degree: int) -> Tensor:
    """Matrix `(n, n)` from values at the nodes to the coefficients of `T_0 .. T_degree`."""
    return torch.linalg.inv(basis(nodes(degree), degree))


@lru_cache(maxsize=16)
def to_slopes(degree: int, kept: int | None = None) -> Tensor:
    """Matrix `(n, n)` from values at the nodes to those of the derivative, of the terms up to a degree `kept` if given."""
    below = torch.arange(degree + 1) <= (degree if kept is None else kept)
    return basis(nodes(degree), degree) @ _lowered(degree).mT @ (below[:, None] * to_coefficients(degree))


@lru_cache(maxsize=8)
def to_integral(degree: int) -> Tensor:
    """Weights `(n,)` of the values at the nodes in the integral (Clenshaw and Curtis 1960, Numer. Math. 2)."""
    order = torch.arange(degree + 1, dtype=torch.float64)
    moments = torch.where(order % 2 == 0, 2 / (1 - order**2), 0.0)
    return moments @ to_coefficients(degree)


def basis(u: Tensor, degree: int) -> Tensor:
    """`T_0(u) .. T_degree(u)`, `(*batch, degree + 1)`."""
    order = torch.arange(degree + 1, dtype=u.dtype, device=u.device)
    return torch.cos(order * torch.acos(u.clamp(-1, 1))[..., None])


def _lowered(degree: int) -> Tensor:
    """Coefficients `(n, n)` of `T_k'` in row k: `T_k' = 2 k (T_{k-1} + T_{k-3} + ...)`, the last halved if it is `T_0`."""
    table = torch.zeros(degree + 1, degree + 1, dtype=torch.float64)
    for k in range(1, degree + 1):
        table[k, (k - 1) % 2 : k : 2] = 2 * k
        if k % 2:
            table[k, 0] = k
    return table
