"""Products of the energy's second variation with variations of curves, without a matrix: for many latent dimensions."""

from dataclasses import dataclass

import torch
from torch import Tensor

from egregium.numerics.derivatives import Linearised, Map


@dataclass(frozen=True)
class Products:
    """The second variation at free vertices `(P, T - 1, d)`, as products with variations of that shape.

    Memory: the graph of a gradient and of its derivative at all of these vertices.
    """

    vertices: Tensor
    decoder: Linearised

    @staticmethod
    def at(immerse: Map, vertices: Tensor, bend: Tensor | None = None) -> "Products":
        """`bend` `(P, T - 1, A)` is the energy's derivative in the images, which the Hessian needs. Cost: 3 calls a vertex."""
        return Products(vertices, Linearised.at(immerse, vertices.flatten(0, 1), None if bend is None else bend.flatten(0, 1)))

    def metric(self, v: Tensor) -> Tensor:
        """`2 T D^T J^T J D v`. Cost: 4 calls a vertex."""
        return self._pulled(self._bands(self.decoder.push(v.flatten(0, 1)), 0.0))

    def hessian(self, v: Tensor, margin: float) -> Tensor:
        """The exact Hessian, with `margin` of the metric's diagonal blocks added, times v. Cost: 6 calls a vertex."""
        tangent, bent = self.decoder.push_and_bend(v.flatten(0, 1))
        return self._pulled(self._bands(tangent, margin)) + bent.unflatten(0, v.shape[:2])

    def _bands(self, tangent: Tensor, margin: float) -> Tensor:
        """`2 T` times the second difference of images' variations, `margin` of its diagonal added."""
        u = tangent.unflatten(0, self.vertices.shape[:2])
        ends = torch.nn.functional.pad(u, (0, 0, 1, 1))
        return 2 * (u.shape[1] + 1) * ((2 + 2 * margin) * u - ends[:, :-2] - ends[:, 2:])

    def _pulled(self, w: Tensor) -> Tensor:
        return self.decoder.pull(w.flatten(0, 1)).unflatten(0, self.vertices.shape[:2])
