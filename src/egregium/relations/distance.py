"""Distances: the geodesic one, and the two simple ones it must be compared with, decoded chord and straight line."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from egregium.geodesics.options import require_immersed
from egregium.numerics.cubature import gauss_legendre
from egregium.numerics.derivatives import jvp
from egregium.protocols import Composite, Measured, Scale, Space
from egregium.relations.verbs import exact, factored, joined, where_ok
from egregium.spaces.points import flat

GAUSS_POINTS = 32


def distance(space: Space, z0: Tensor, z1: Tensor, **options: Any) -> Tensor:
    r"""Geodesic distance `inf_c int |c'(t)| dt` over curves from `z0` to `z1`, `(*batch)`.

    Invariant under isometries, hence under reparametrisation (Syrota et al. 2025, Corollary 1). Differentiable in the end
    points (first variation; subgradient 0 at equal points). Takes the keywords of `connect`, costs what it costs and raises
    what it raises; with `on_fail="mark"` failed rows are NaN.

    References: Syrota et al. 2025 (arXiv 2502.13757).

    >>> from egregium.spaces import Euclidean
    >>> distance(Euclidean(2), torch.zeros(2), torch.tensor([3.0, 4.0])).item()
    5.0
    """
    g = joined(space, z0, z1, options)
    return where_ok(g.ok, g.length)


def chord(space: Space, z0: Tensor, z1: Tensor) -> Tensor:
    """Ambient distance `|phi f(z1) - phi f(z0)|` of decoded points, `(*batch)`; invariant under reparametrisation.

    Differentiable in the end points; detached where these need no gradient.
    """
    z0, z1 = space.prepare(z0, z1)
    if isinstance(space, Composite):
        return space.combined([chord(factor, *ends) for factor, *ends in factored(space, z0, z1)])
    space = require_immersed(space)
    with torch.set_grad_enabled(torch.is_grad_enabled() and (z0.requires_grad or z1.requires_grad)):
        x0, x1 = space.immerse(flat(z0)), space.immerse(flat(z1))
        return (x1 - x0).norm(dim=-1).reshape(z0.shape[:-1])


def straight_length(space: Space, z0: Tensor, z1: Tensor) -> Tensor:
    """Length `int |J (z1 - z0)| dt` of the straight line in latent coordinates, `(*batch)`.

    An upper bound of the distance that depends on the coordinates: invariant under affine maps only. By Gauss-Legendre
    quadrature on 32 points. Cost: 160 decoder calls a pair.
    """
    space = require_immersed(space)
    z0, z1 = space.prepare(z0, z1)
    t, weights = gauss_legendre(GAUSS_POINTS, z0)
    a, b = flat(z0), flat(z1)
    points = torch.lerp(a[:, None], b[:, None], t[None, :, None])
    x, tangent = jvp(space.immerse, flat(points), flat((b - a)[:, None].expand_as(points)))
    # Outside its domain a decoder may have no value and yet a finite derivative, as the logarithm has.
    speed = torch.where(torch.isfinite(x).all(-1), tangent.norm(dim=-1), torch.nan).reshape(len(a), -1)
    return (speed @ weights).reshape(z0.shape[:-1])


@dataclass(frozen=True)
class GeodesicDistance:
    """`distance` as a relation: value with its certificate. `options` are keywords of `connect`."""

    name: str = "geodesic"
    options: Mapping[str, Any] = field(default_factory=dict)
    arity: int = 2
    scale: Scale = "ratio"
    invariant_under: str = "isometries"

    def __call__(self, space: Space, *points: Tensor) -> Measured:
        g = joined(space, *points, options={**self.options, "on_fail": "mark"})
        return Measured(g.length, g.lower, g.upper, g.status)


@dataclass(frozen=True)
class Chord:
    """`chord` as a relation."""

    name: str = "chord"
    arity: int = 2
    scale: Scale = "ratio"
    invariant_under: str = "isometries that come from reparametrisation"

    def __call__(self, space: Space, *points: Tensor) -> Measured:
        with torch.no_grad():
            return exact(chord(space, *points))


@dataclass(frozen=True)
class StraightLength:
    """`straight_length` as a relation."""

    name: str = "straight_length"
    arity: int = 2
    scale: Scale = "ratio"
    invariant_under: str = "affine maps"

    def __call__(self, space: Space, *points: Tensor) -> Measured:
        with torch.no_grad():
            return exact(straight_length(space, *points))
