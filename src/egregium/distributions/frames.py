"""Orthonormal frames in which densities have their scales: tangent vectors as `dim` numbers, and back, without matrices.

On spheres and tori the frame is `space.frame`: on a sphere the first axis' frame, carried along the great circle from whichever
pole of that axis is nearer. In normal coordinates it is the axes' frame at the origin, carried along the geodesic from there,
because that, unlike the radial one, is smooth at the origin. Of products it is the factors' frames, one after the other.
"""

import torch
from torch import Tensor

from egregium.errors import OptionError
from egregium.numerics.reflection import mirrored
from egregium.spaces import ConstantCurvature, Euclidean, Explicit, Product, Scaled, Sphere, Torus


def from_frame(space: Explicit, z: Tensor, c: Tensor) -> Tensor:
    """The tangent vectors `(*batch, width)` at z whose components are c `(*batch, dim)`.

    Raises: `OptionError` for a space without such a frame.
    """
    match space:
        case Euclidean():
            return c
        case Torus():
            return c / _radii(space, z)
        case Sphere():
            return mirrored(unit(z), torch.cat([torch.zeros_like(c[..., :1]), c], -1)) / space.radius
        case ConstantCurvature():
            return space.transport(torch.zeros_like(z), z, c)
        case Scaled():
            return from_frame(space.space, z, c) / space.s
        case Product():
            parts = zip(space.factors, space.split(z), split(space, c), strict=True)
            return torch.cat([from_frame(*part) for part in parts], -1)
    raise _unknown(space)


def to_frame(space: Explicit, z: Tensor, v: Tensor) -> Tensor:
    """The components `(*batch, dim)` of tangent vectors v `(*batch, width)` at z.

    Raises: `OptionError` for a space without such a frame.
    """
    match space:
        case Euclidean():
            return v
        case Torus():
            return v * _radii(space, z)
        case Sphere():
            return space.radius * mirrored(unit(z), v)[..., 1:]
        case ConstantCurvature():
            return space.transport(z, torch.zeros_like(z), v)
    raise _unknown(space)


def split(space: Product, c: Tensor) -> tuple[Tensor, ...]:
    """Components `(*batch, dim)`, factor by factor."""
    return c.split([factor.dim for factor in space.factors], -1)


def _unknown(space: Explicit) -> OptionError:
    return OptionError(
        f"a frame is known on Euclidean, Sphere, Hyperbolic, ConstantCurvature and Torus, on Scaled ones and Products of them; "
        f"got {space!r}."
    )


def _radii(space: Torus, z: Tensor) -> Tensor:
    return torch.tensor(space.radii, dtype=z.dtype, device=z.device)


def unit(z: Tensor) -> Tensor:
    """Vectors `(*batch, n)` over their lengths."""
    return z / torch.linalg.vector_norm(z, dim=-1, keepdim=True)
