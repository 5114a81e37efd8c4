"""Products of the metric of curves with variations of them, without a matrix: for many latent dimensions."""

from dataclasses import dataclass

import torch.nn.functional as F
from torch import Tensor

from egregium.numerics.derivatives import Linearised, Map


@dataclass(frozen=True)
class Products:
    """The metric at free vertices `(P, T - 1, d)`, as products with variations of that shape.

    Memory: the graph of a gradient at all of these vertices.
    """

    decoder: Linearised

    @staticmethod
    def at(immerse: Map, vertices: Tensor) -> "Products":
        """Cost: 3 calls a vertex."""
        return Products(Linearised.at(immerse, vertices.flatten(0, 1)))

    def metric(self, v: Tensor) -> Tensor:
        """`2 T D^T J^T J D v`. Cost: 4 calls a vertex."""
        u = self.decoder.push(v.flatten(0, 1)).unflatten(0, v.shape[:2])
        bands = -2 * (u.shape[1] + 1) * F.pad(u, (0, 0, 1, 1)).diff(n=2, dim=1)
        return self.decoder.pull(bands.flatten(0, 1)).unflatten(0, v.shape[:2])
