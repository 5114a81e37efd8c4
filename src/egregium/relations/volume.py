"""Riemannian volume."""

from dataclasses import dataclass

import torch
from torch import Tensor

from egregium.geodesics.options import require_immersed
from egregium.numerics.derivatives import jacobian, row_chunks
from egregium.protocols import ClosedForm, Composite, Measured, Scale, Space
from egregium.relations.verbs import exact, factored
from egregium.spaces.points import flat
from egregium.spaces.product import require_riemannian


def log_volume(space: Space, z: Tensor) -> Tensor:
    """Log of the volume element, `log sqrt(det G(z)) = sum log |diag R|` with `J = Q R`, `(*batch)`; -inf where rank is lost.

    A density: under `z -> A(z)` it changes by `-log |det DA|`, so that only differences to other log-densities in the same
    coordinates are invariant. From the QR of J, never from `J^T J`; of explicit spaces in closed form, of spheres against the
    area of the unit sphere. Cost: 2 d decoder calls a point.

    >>> from egregium.spaces import Euclidean
    >>> log_volume(Euclidean(3), torch.zeros(2, 3)).tolist()
    [0.0, 0.0]
    """
    (z,) = space.prepare(z)
    if isinstance(space, ClosedForm):
        return space.log_volume(z)
    if isinstance(space, Composite):
        require_riemannian(space)
        return torch.stack([log_volume(factor, part) for factor, part in factored(space, z)]).sum(0)
    space = require_immersed(space)
    points = flat(z)
    with torch.no_grad():
        width = space.immerse(points[:1]).shape[-1]
    parts = []
    for rows in row_chunks(len(points), width * z.shape[-1]):
        r = torch.linalg.qr(jacobian(space.immerse, points[rows]), mode="r").R
        parts.append(r.diagonal(dim1=-2, dim2=-1).abs().log().sum(-1))
    return torch.cat(parts).reshape(z.shape[:-1])


@dataclass(frozen=True)
class LogVolume:
    """`log_volume` as a relation."""

    name: str = "log_volume"
    arity: int = 1
    scale: Scale = "interval"
    invariant_under: str = "isometries, as a density"

    def __call__(self, space: Space, *points: Tensor) -> Measured:
        with torch.no_grad():
            return exact(log_volume(space, *points))
