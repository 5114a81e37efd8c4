"""Planes that two vectors span."""

from collections.abc import Callable

import torch
from torch import Tensor

PARALLEL = 64  # roundings of a vector that the part of it across another may be


def plane(u: Tensor, v: Tensor, inner: Callable[[Tensor, Tensor], Tensor]) -> tuple[Tensor, Tensor, Tensor]:
    """Orthonormal bases of the planes of u and v `(*batch, n)` by an inner product `(*batch)`, and where these are parallel.

    There, in a mask `(*batch)`, the second vector is what rounding left; where u is zero both are NaN. Along u and across it,
    by the steps of Gram and Schmidt, the second of them twice.

    >>> first, second, parallel = plane(torch.tensor([2.0, 0.0]), torch.tensor([1.0, 3.0]), lambda a, b: (a * b).sum(-1))
    >>> first.tolist(), second.tolist(), parallel.item()
    ([1.0, 0.0], [0.0, 1.0], False)
    """
    u = u / inner(u, u).sqrt()[..., None]
    size = inner(v, v).sqrt()
    for _ in range(2):
        v = v - inner(u, v)[..., None] * u
    across = inner(v, v).sqrt()
    parallel = across <= PARALLEL * torch.finfo(v.dtype).eps * size
    return u, v / torch.where(parallel, 1.0, across)[..., None], parallel
