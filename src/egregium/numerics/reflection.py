"""Reflections of vectors, without matrices."""

import torch
from torch import Tensor

from egregium.numerics.compensated import dot


def mirrored(u: Tensor, v: Tensor) -> Tensor:
    """Vectors v `(*batch, n)` reflected as the first axis is to the unit vectors u `(*batch, n)` or to -u, the farther of both.

    So that nothing cancels. The first axis goes to `u` where u has a negative first coordinate, else to `-u`.

    References: Householder 1958 (doi 10.1145/320941.320947).

    >>> mirrored(torch.tensor([0.0, 1.0]), torch.eye(2)[0]).tolist()
    [0.0, -1.0]
    """
    first = torch.zeros_like(u)
    first[..., 0] = torch.where(u[..., 0] < 0, -1.0, 1.0)
    normal = u + first
    return v - normal * (2 * dot(normal, v) / dot(normal, normal))
