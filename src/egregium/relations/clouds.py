"""Clouds: weighted sets of points of one space, and the geodesics between all pairs of two of them."""

from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from egregium.errors import OptionError, ShapeError, TensorError
from egregium.geodesics.geodesic import Geodesic
from egregium.geodesics.options import require_space
from egregium.protocols import Space
from egregium.relations.verbs import joined
from egregium.status import Status


def cloud(space: Space, points: Tensor, name: str = "points") -> Tensor:
    """`points`, checked to be `(N, d)`, as the space prepares them.

    Raises: `OptionError` for what is no space; `ShapeError`, `TensorError`.
    """
    require_space(space)
    (prepared,) = space.prepare(points, names=(name,))
    if prepared.ndim != 2:
        raise ShapeError(f"{name} must have shape (N, d); got {tuple(prepared.shape)}.")
    return prepared


def shares(points: Tensor, weights: Tensor | None, name: str = "weights") -> Tensor:
    """Weights `(N,)` of points `(N, d)` over their sum, in the points' dtype; equal for None.

    Raises: `TensorError`; `ShapeError`; `OptionError` for weights that are negative, not finite or all zero.
    """
    if weights is None:
        return torch.full_like(points[:, 0], 1 / len(points), requires_grad=False)
    if not isinstance(weights, Tensor):
        raise TensorError(f"{name} must be a torch tensor; got {type(weights).__name__}: wrap it with torch.as_tensor.")
    if weights.shape != points.shape[:1]:
        raise ShapeError(f"{name} must have shape ({len(points)},), one a point; got {tuple(weights.shape)}.")
    if weights.is_complex():
        raise TensorError(f"{name} must be real numbers; got {weights.dtype}.")
    weights = weights.detach().to(points)
    total = weights.sum()
    if not bool((weights >= 0).all() & (total > 0) & torch.isfinite(total)):
        raise OptionError(f"{name} must be finite, not negative, and not all zero.")
    return weights / total


def crossed(space: Space, a: Tensor, b: Tensor, options: dict[str, Any]) -> Geodesic:
    """Geodesics from each of a `(N, d)` to each of b `(M, d)`, batch `(N, M)`, by one `connect`; if a is b, half of them.

    Lengths that overflow are NONFINITE.
    """
    n, m = len(a), len(b)
    g = _halved(space, a, options) if a is b else joined(space, a[:, None].expand(n, m, -1), b.expand(n, m, -1), options)
    return replace(g, status=torch.where(torch.isfinite(g.length), g.status, g.status.clamp_min(int(Status.NONFINITE))))


def _halved(space: Space, a: Tensor, options: dict[str, Any]) -> Geodesic:
    """Geodesics of all pairs, batch `(N, N)`, each measured in one direction and reversed in the other."""
    first, second = torch.triu_indices(len(a), len(a), device=a.device)
    places = torch.zeros(len(a), len(a), dtype=torch.int64, device=a.device)
    places[first, second] = places[second, first] = torch.arange(len(first), device=a.device)
    back = torch.ones_like(places).tril(-1).bool()
    g = joined(space, a[first], a[second], options)[places]
    return replace(
        g,
        initial_velocity=torch.where(back[..., None], -g.final_velocity, g.initial_velocity),
        final_velocity=torch.where(back[..., None], -g.initial_velocity, g.final_velocity),
        curve=g.curve.reversed().where(back.flatten(), g.curve),
    )


def known(g: Geodesic) -> Tensor:
    """What is known of each distance, `(*batch)`: its length, or where that failed its lower bound, or where that is not 0."""
    return torch.where(g.ok, g.length, torch.nan_to_num(g.lower, nan=0.0, posinf=0.0)).detach()
