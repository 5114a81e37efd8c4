"""Neighbour graphs over decoded data, as support and as source of starting curves."""

import torch
from torch import Tensor

from egregium.errors import OptionError
from egregium.geodesics.support import SupportGraph
from egregium.numerics.derivatives import row_chunks
from egregium.protocols import ImmersedSpace


def neighbors(space: ImmersedSpace, points: Tensor, k: int = 10, *, radius: float | None = None) -> SupportGraph:
    """Graph that joins each of `points` `(N, d)` to its k nearest by decoded chord, edges weighted by that chord.

    Built from decoded quantities, hence invariant under reparametrisation. Paths on it are routes for `connect`
    (`support=`), not certified lengths. Cost: N decoder calls and N^2 distances.

    Args:
        radius: decoded distance from the data beyond which curves are OUT_OF_SUPPORT; None: no such test.
    """
    (points,) = space.prepare(points)
    if not 1 <= k < len(points):
        raise OptionError(f"neighbors needs 1 <= k < number of points; got k = {k} for {len(points)} points.")
    with torch.no_grad():
        x = space.immerse(points)
        near, far = [], []
        for rows in row_chunks(len(x), len(x)):
            distance = torch.cdist(x[rows], x)
            distance[torch.arange(len(distance)), torch.arange(rows.start, rows.stop)] = torch.inf
            value, index = distance.topk(k, largest=False)
            near.append(index)
            far.append(value)
    index, length = torch.cat(near), torch.cat(far)
    source = torch.arange(len(x), device=x.device)[:, None].expand_as(index)
    edges = torch.stack([torch.minimum(source, index), torch.maximum(source, index)], -1).reshape(-1, 2)
    edges, place = edges.unique(dim=0, return_inverse=True)
    lengths = length.new_zeros(len(edges)).index_copy(0, place, length.reshape(-1))
    return SupportGraph(points, edges, lengths, radius)
