"""What every verb that solves has in common: the keywords of `connect`, and NaN in rows that failed."""

from collections.abc import Iterator
from typing import Any, TypeGuard

import torch
from torch import Tensor

from egregium.geodesics.connect import connect
from egregium.geodesics.geodesic import Geodesic
from egregium.protocols import ClosedForm, Composite, Measured, Space
from egregium.status import Status


def joined(space: Space, z0: Tensor, z1: Tensor, options: dict[str, Any]) -> Geodesic:
    """`connect` with the keywords that the caller was given."""
    return connect(space, z0, z1, **options)


def where_ok(ok: Tensor, value: Tensor) -> Tensor:
    """`value` `(*batch, ...)` with NaN in rows that are not `ok` `(*batch)`."""
    return torch.where(ok.reshape(ok.shape + (1,) * (value.ndim - ok.ndim)), value, torch.nan)


def mixed(space: Space) -> TypeGuard[Composite]:
    """Whether it is a product with learned factors, which is measured factor by factor."""
    return isinstance(space, Composite) and not isinstance(space, ClosedForm)


def factored(space: Composite, *parts: Tensor) -> Iterator[tuple[Any, ...]]:
    """Every factor of a product, with its coordinates of points or vectors `(*batch, width)`."""
    return zip(space.factors, *(space.split(part) for part in parts), strict=True)


def coefficients(space: Space, z: Tensor, frames: Tensor, v: Tensor) -> Tensor:
    """Those `(*batch, d)` of tangent vectors v `(*batch, width)` at points z in orthonormal frames `(*batch, width, d)`."""
    if not isinstance(space, (ClosedForm, Composite)) and frames.shape[-1] == frames.shape[-2]:
        return torch.linalg.solve(frames, v[..., None])[..., 0]
    columns = frames.mT
    return space.inner(z[..., None, :].expand_as(columns), v[..., None, :].expand_as(columns), columns)  # type: ignore


def exact(value: Tensor) -> Measured:
    """A number without error: its bounds are itself; rows that are not finite are NONFINITE."""
    finite = torch.isfinite(value)
    status = torch.where(finite, int(Status.CONVERGED), int(Status.NONFINITE)).to(torch.int8)
    return Measured(value, value, value, status)
