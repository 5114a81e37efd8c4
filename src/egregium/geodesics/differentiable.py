"""Gradients of lengths: to the end points by first variation, to the decoder's weights by the envelope theorem."""

from dataclasses import replace

import torch
from torch import Tensor

from egregium.geodesics.geodesic import Geodesic
from egregium.numerics.derivatives import jvp, vjp
from egregium.protocols import ImmersedSpace
from egregium.spaces.points import flat


def with_gradients(space: ImmersedSpace, g: Geodesic, z0: Tensor, z1: Tensor, weights: bool) -> Geodesic:
    """`g` with `length` attached to the graph of `z0`, `z1` and, if asked, of the decoder's weights.

    First variation: `d length = <c'(1), dz1> - <c'(0), dz0>` with unit speed. At equal points, where the distance is not
    differentiable, the subgradient 0 is used. In the weights, the curve may be held fixed because it is critical.
    """
    if not torch.is_grad_enabled() or g.length.requires_grad:
        return g
    length = g.length
    if z0.requires_grad or z1.requires_grad:
        start = _covector(space, z0, g.initial_velocity, g.length)
        end = _covector(space, z1, g.final_velocity, g.length)
        length = length + _attached(z1, end) - _attached(z0, start)
    if weights:
        length = length * _relative_length(space, g)
    return replace(g, length=length)


def _covector(space: ImmersedSpace, z: Tensor, velocity: Tensor, length: Tensor) -> Tensor:
    """Metric times unit tangent, `G v / |v|`, `(*batch, d)`; 0 where the length is 0."""
    points, v = flat(z.detach()), flat(velocity)
    _, pull = vjp(space.immerse, points)
    with torch.no_grad():
        covector = pull(jvp(space.immerse, points, v)[1]).reshape(z.shape)
        return torch.where(length[..., None] > 0, covector / length[..., None], 0.0)


def _attached(z: Tensor, covector: Tensor) -> Tensor:
    """A zero whose gradient in z is `covector`."""
    return ((z - z.detach()) * covector).sum(-1)


def _relative_length(space: ImmersedSpace, g: Geodesic) -> Tensor:
    """A one whose relative gradient in the decoder's weights is that of the length of the fixed curve."""
    nodes = g.nodes.detach()
    x = space.immerse(flat(nodes)).reshape(*nodes.shape[:-1], -1)
    length = (x.diff(dim=-2)).norm(dim=-1).sum(-1)
    return length / length.detach()
