"""Geodesics of spaces that know their own, and of products, factor by factor."""

import math
from collections.abc import Callable, Sequence
from functools import reduce

import torch
from torch import Tensor

from egregium.geodesics.geodesic import Geodesic
from egregium.geodesics.rays import Ray, SideBySide
from egregium.geodesics.shooting import Spread
from egregium.numerics.trigonometry import Trigonometry
from egregium.protocols import Composite, KnownSpace
from egregium.spaces.points import flat
from egregium.status import Status, worst

SHORT = 0.5  # of the injectivity radius


def closed_form(space: KnownSpace, z0: Tensor, z1: Tensor) -> Geodesic:
    """The geodesic by `log` and `dist`, with exact bounds."""
    length, velocity = space.dist(z0, z1), space.log(z0, z1)
    ones = torch.ones_like(length, dtype=torch.int32)
    exact = length.detach()
    with torch.no_grad():
        curve = Ray(space, flat(z0.detach()), flat(velocity.detach()))
        arriving = curve.at(torch.ones_like(curve.start[:, :1]))[1][:, 0].reshape(velocity.shape)
    return Geodesic(
        length=length, energy=length**2, lower=exact, upper=exact, second_best=torch.full_like(exact, torch.nan),
        status=torch.where(torch.isfinite(exact), int(Status.CONVERGED), int(Status.NONFINITE)).to(torch.int8),
        segments=ones, steps=torch.zeros_like(ones),
        initial_velocity=velocity, final_velocity=arriving, direction_error=torch.zeros_like(exact),
        curve=curve, decoder=space.decode,
    )  # fmt: skip


def spread_closed(space: KnownSpace, z: Tensor, v: Tensor, segments: int) -> Spread:
    r"""`geodesics.shooting.spread` of `(P, w)` where curvature is parallel, `nabla R = 0`, as on every explicit space.

    In parallel frames the Jacobi equation `y'' = -S y` then has a constant symmetric S, so that the fields are
    `cos(sqrt(S) t)` and `sin(sqrt(S) t) / sqrt(S)` of it.
    """
    nodes, carried = _carried(space, z, v, segments)
    velocities, frames = carried[..., 0], carried[..., 1:]
    operator = _in_frame(space, z, v, frames[:, 0])
    values, axes = torch.linalg.eigh(0.5 * (operator + operator.mT).double())
    t = torch.linspace(0, 1, segments + 1, dtype=torch.float64, device=z.device)[:, None]
    bent = Trigonometry(values[:, None])
    parts = bent.cosine(t), bent.sine(t), -values[:, None] * bent.sine(t)
    cosine, sine, falling = ((axes[:, None] * part[..., None, :] @ axes[:, None].mT).to(z) for part in parts)
    fields, slopes = torch.cat([cosine, sine], -1), torch.cat([falling, cosine], -1)
    status = torch.where(torch.isfinite(nodes[:, -1]).all(-1), int(Status.CONVERGED), int(Status.NONFINITE)).to(torch.int8)
    steps = torch.full((len(z),), segments, dtype=torch.int32, device=z.device)
    return Spread(nodes, velocities, steps, status, frames, fields, slopes)


def arrived(space: KnownSpace, z: Tensor, v: Tensor) -> tuple[Tensor, Tensor]:
    """Where geodesics from z with velocities v `(P, w)`, of any length, are at time 1, and their velocity there."""
    nodes, carried = _carried(space, z, v, 1)
    return nodes[:, -1], carried[:, -1, :, 0]


def _carried(space: KnownSpace, z: Tensor, v: Tensor, segments: int) -> tuple[Tensor, Tensor]:
    """Nodes `(P, segments + 1, w)` of geodesics of any length, and there `(P, segments + 1, w, 1 + d)` velocity and frame.

    Transport goes along shortest geodesics, so in steps that are.
    """
    longest = float(space.norm(z, v).nan_to_num(0.0, 0.0).max())
    pieces = max(1, math.ceil(longest / (segments * SHORT * space.injectivity_radius)))
    nodes, columns = [z], [torch.cat([v[..., None], space.frame(z)], -1)]
    here, there = z, columns[0]
    for step in range(1, segments * pieces + 1):
        ahead = space.exp(z, v * (step / (segments * pieces)))
        rows = there.mT
        there = space.transport(here[:, None].expand_as(rows), ahead[:, None].expand_as(rows), rows).mT
        here = ahead
        if step % pieces == 0:
            nodes.append(here)
            columns.append(there)
    return torch.stack(nodes, 1), torch.stack(columns, 1)


def _in_frame(space: KnownSpace, z: Tensor, v: Tensor, frame: Tensor) -> Tensor:
    """Coefficients `(P, d, d)` of the Jacobi operator of v in orthonormal frames `(P, w, d)`."""
    columns = frame.mT
    here, along = z[:, None].expand_as(columns), v[:, None].expand_as(columns)
    pushed = space.jacobi_operator(here, along, columns)
    every = [x.repeat_interleave(columns.shape[1], 1) for x in (here, columns)]
    return space.inner(every[0], every[1], pushed.repeat(1, columns.shape[1], 1)).unflatten(1, (columns.shape[1], -1))


def by_factors(space: Composite, z0: Tensor, z1: Tensor, join: Callable[[int, Tensor, Tensor], Geodesic]) -> Geodesic:
    """The geodesic of a product: those of its factors side by side, each of which `join` finds by its place."""
    ends = zip(space.split(z0), space.split(z1), strict=True)
    parts = [join(place, *pair) for place, pair in enumerate(ends)]
    length, lower, upper = (space.combined([getattr(part, name) for part in parts]) for name in ("length", "lower", "upper"))
    energy = space.combined([part.energy.sqrt() for part in parts]) ** 2
    return Geodesic(
        length=length, energy=energy, lower=lower, upper=upper, second_best=_second_best(space, parts),
        status=worst(*(part.status for part in parts)),
        segments=torch.stack([part.segments for part in parts]).amax(0),
        steps=torch.stack([part.steps for part in parts]).sum(0, dtype=torch.int32),
        initial_velocity=torch.cat([part.initial_velocity for part in parts], -1),
        final_velocity=torch.cat([part.final_velocity for part in parts], -1),
        direction_error=torch.stack([part.direction_error for part in parts]).amax(0),
        curve=reduce(SideBySide, [part.curve for part in parts]), decoder=space.decode,
    )  # fmt: skip


def _second_best(space: Composite, parts: Sequence[Geodesic]) -> Tensor:
    """With the second best of one factor, of which that is least; NaN where none is known."""
    lengths = [part.length.detach() for part in parts]
    others = [
        space.combined([*lengths[:place], part.second_best, *lengths[place + 1 :]])
        for place, part in enumerate(parts)
    ]  # fmt: skip
    return reduce(torch.fmin, others)
