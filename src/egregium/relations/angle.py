"""Angles between geodesics that leave one point."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from egregium.geodesics.geodesic import Geodesic
from egregium.protocols import Measured, Scale, Space
from egregium.relations.verbs import joined, where_ok
from egregium.spaces.product import require_riemannian
from egregium.status import worst


def angle(space: Space, z: Tensor, z1: Tensor, z2: Tensor, **options: Any) -> Tensor:
    """Angle at `z` between the geodesics to `z1` and to `z2`, `(*batch)` radians in [0, pi]; NaN where one has length 0.

    Invariant under isometries and under scaling of the metric. Takes the keywords of `connect`, which is called twice.

    >>> from egregium.spaces import Euclidean
    >>> corner = torch.zeros(2), torch.tensor([1.0, 0.0]), torch.tensor([0.0, 2.0])
    >>> round(angle(Euclidean(2), *corner).item(), 4)
    1.5708
    """
    first, second = joined(space, z, z1, options), joined(space, z, z2, options)
    return where_ok(first.ok & second.ok, between(space, z, first, second))


def between(space: Space, z: Tensor, first: Geodesic, second: Geodesic) -> Tensor:
    """Angle `2 atan2(|a - b|, |a + b|)` of the unit tangents a, b of two geodesics that start at `z`, `(*batch)`."""
    require_riemannian(space)
    (z,) = space.prepare(z)
    a, b = (g.initial_velocity / space.norm(z, g.initial_velocity)[..., None] for g in (first, second))
    defined = torch.isfinite(a + b).all(-1)
    a, b = (torch.where(defined[..., None], v, 0.0) for v in (a, b))
    return where_ok(defined, 2 * torch.atan2(space.norm(z, a - b), space.norm(z, a + b)))


def measured(space: Space, z: Tensor, first: Geodesic, second: Geodesic) -> Measured:
    """That angle with bounds that allow each direction its `direction_error`."""
    with torch.no_grad():
        value = between(space, z, first, second)
    margin = first.direction_error + second.direction_error + 8 * torch.finfo(value.dtype).eps
    return Measured(value, (value - margin).clamp_min(0), value + margin, worst(first.status, second.status))


@dataclass(frozen=True)
class Angle:
    """`angle` as a relation; its bounds allow each direction its `direction_error`."""

    name: str = "angle"
    options: Mapping[str, Any] = field(default_factory=dict)
    arity: int = 3
    scale: Scale = "circular"
    invariant_under: str = "isometries and scaling"

    def __call__(self, space: Space, *points: Tensor) -> Measured:
        options = {**self.options, "on_fail": "mark"}
        z, z1, z2 = points
        first, second = joined(space, z, z1, options), joined(space, z, z2, options)
        return measured(space, z, first, second)
