"""What every verb that solves has in common: the keywords of `connect`, and NaN in rows that failed."""

from typing import Any

import torch
from torch import Tensor

from egregium.geodesics.connect import connect
from egregium.geodesics.geodesic import Geodesic
from egregium.protocols import ImmersedSpace, Measured
from egregium.status import Status


def joined(space: ImmersedSpace, z0: Tensor, z1: Tensor, options: dict[str, Any]) -> Geodesic:
    """`connect` with the keywords that the caller was given."""
    return connect(space, z0, z1, **options)


def where_ok(ok: Tensor, value: Tensor) -> Tensor:
    """`value` `(*batch, ...)` with NaN in rows that are not `ok` `(*batch)`."""
    return torch.where(ok.reshape(ok.shape + (1,) * (value.ndim - ok.ndim)), value, torch.nan)


def exact(value: Tensor) -> Measured:
    """A number without error: its bounds are itself; rows that are not finite are NONFINITE."""
    finite = torch.isfinite(value)
    status = torch.where(finite, int(Status.CONVERGED), int(Status.NONFINITE)).to(torch.int8)
    return Measured(value, value, value, status)
