"""The decoder to first order at both ends of each pair: what starts, directions and ranks ask of it."""

from dataclasses import dataclass

import torch
from torch import Tensor

from egregium.geodesics.frames import Frames
from egregium.numerics.derivatives import Map, jacobian, row_chunks, vjp
from egregium.numerics.rows import Rows

HELD = 1 << 22  # numbers of Jacobians at a time


@dataclass(frozen=True)
class Ends(Rows):
    """Metrics `(P, 2, d, d)`, in float64, at the ends `z` `(P, 2, d)`, and tangent frames, which wide problems do without."""

    immerse: Map
    z: Tensor
    metric: Tensor
    frames: Frames | None

    @staticmethod
    def of(immerse: Map, z: Tensor, width: int, wide: bool) -> "Ends":
        """At ends `(P, 2, d)` of a decoder to `width` numbers. Cost: 6 + 4 d decoder calls a pair."""
        if not wide:
            frames = Frames.along(immerse, z)
            r = frames.r.double()
            return Ends(immerse, z, r.mT @ r, frames)
        points, metrics = z.flatten(0, 1), []
        for rows in row_chunks(len(points), z.shape[-1] * width, HELD):
            block = jacobian(immerse, points[rows]).double()
            metrics.append(block.mT @ block)
        return Ends(immerse, z, torch.cat(metrics).unflatten(0, (-1, 2)), None)

    def coefficients(self, end: int, x: Tensor) -> Tensor:
        """Those `(P, d)` of the tangent parts of ambient vectors `(P, A)`, in an orthonormal frame, in float64."""
        if self.frames is not None:
            return self.frames.projected(end, x).double()
        pulled = vjp(self.immerse, self.z[:, end])[1](x).double()
        return torch.linalg.solve_triangular(self._upper(end).mT, pulled[..., None], upper=False)[..., 0]

    def vectors(self, end: int, coefficients: Tensor) -> Tensor:
        """Latent vectors `(P, d)` of coefficients in that frame."""
        return torch.linalg.solve_triangular(self._upper(end), coefficients[..., None], upper=True)[..., 0].to(self.z)

    def _upper(self, end: int) -> Tensor:
        """Triangular roots `(P, d, d)` of the metric."""
        if self.frames is not None:
            return self.frames.r[:, end].double()
        return torch.linalg.cholesky_ex(self.metric[:, end], upper=True)[0]
