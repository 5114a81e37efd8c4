"""The logarithm: which way and how far to go."""

from typing import Any

from torch import Tensor

from egregium.protocols import ImmersedSpace
from egregium.relations.verbs import joined, where_ok


def log(space: ImmersedSpace, z0: Tensor, z1: Tensor, **options: Any) -> Tensor:
    """Initial velocity at `z0` of the geodesic that reaches `z1` at time 1, `(*batch, d)`.

    A tangent vector whose metric norm is the distance; it transforms by the Jacobian of a reparametrisation. Read off
    ambient differences at the end, extrapolated over the refinements. Takes the keywords of `connect` and raises what it
    raises; with `on_fail="mark"` failed rows are NaN.

    References: do Carmo 1992, Riemannian Geometry, chapter 3.

    >>> import torch
    >>> from egregium.spaces import Euclidean
    >>> log(Euclidean(2), torch.tensor([1.0, 1.0]), torch.tensor([3.0, 4.0])).tolist()
    [2.0, 3.0]
    """
    g = joined(space, z0, z1, options)
    return where_ok(g.ok, g.initial_velocity)
