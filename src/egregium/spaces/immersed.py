"""What every space with a map into a Euclidean ambient space shares: the induced metric and its uses."""

from abc import ABC, abstractmethod
from collections.abc import Sequence

import torch
from torch import Tensor

from egregium.numerics.derivatives import jacobian, jvp, orthonormal_frame, row_chunks
from egregium.spaces.points import flat


class Immersed(ABC):
    """A space whose metric is `G = J^T J`, `J` the Jacobian of `immerse: (N, d) -> (N, A)`."""

    @property
    @abstractmethod
    def dim(self) -> int:
        """Dimension d."""

    @property
    @abstractmethod
    def width(self) -> int:
        """Numbers per point."""

    @abstractmethod
    def embed(self, z: Tensor) -> Tensor:
        """Coordinates that a decoder on this space receives."""

    @abstractmethod
    def decode(self, z: Tensor) -> Tensor:
        """What is observed at points `(*batch, d)`, `(*batch, *out)`."""

    @abstractmethod
    def prepare(self, *points: Tensor, names: Sequence[str] = ()) -> tuple[Tensor, ...]:
        """`points` checked, all of one shape `(*batch, d)`, in the dtype and on the device that the space works in.

        `names` is what errors call them; by default z, or z0 and z1, or z, z1 and z2.
        """

    @abstractmethod
    def immerse(self, z: Tensor) -> Tensor:
        """The isometric map into Euclidean space, `(N, d) -> (N, A)`."""

    def least_distance(self, z0: Tensor, z1: Tensor) -> Tensor:
        """A lower bound `(N,)` of the distance of prepared points `(N, d)`: straight through ambient space."""
        x0, x1 = self.immerse(torch.cat([z0, z1])).chunk(2)
        return torch.linalg.vector_norm(x1 - x0, dim=-1)

    def economical(self) -> "Immersed":
        """A space of the same metric whose immersion costs less, for solvers; this one where there is none."""
        return self

    def ambient(self, z: Tensor) -> Tensor:
        """Ambient coordinates `(*batch, A)` of points `(*batch, d)`."""
        (z,) = self.prepare(z)
        return self.immerse(flat(z)).reshape(*z.shape[:-1], -1)

    def jacobian(self, z: Tensor) -> Tensor:
        """Jacobian of the immersion, `(*batch, A, d)`. Cost: 2 d decoder calls a point."""
        (z,) = self.prepare(z)
        blocks = jacobian(self.immerse, flat(z))
        return blocks.reshape(*z.shape[:-1], *blocks.shape[-2:])

    def metric(self, z: Tensor) -> Tensor:
        """Metric `G = J^T J`, `(*batch, d, d)`; transforms as a (0, 2) tensor. Cost: 2 d decoder calls a point."""
        (z,) = self.prepare(z)
        points = flat(z)
        width = self.immerse(points[:1]).shape[-1]
        parts = []
        for rows in row_chunks(len(points), width * z.shape[-1]):
            block = jacobian(self.immerse, points[rows])
            parts.append(block.mT @ block)
        return torch.cat(parts).reshape(*z.shape, z.shape[-1])

    def inner(self, z: Tensor, u: Tensor, v: Tensor) -> Tensor:
        """Inner product `<J u, J v>` of tangent vectors at z; all `(*batch, d)`, result `(*batch)`; invariant."""
        z, u, v = self.prepare(z, u, v, names=("z", "u", "v"))
        points = flat(z)
        _, tangents = jvp(self.immerse, torch.cat([points, points]), torch.cat([flat(u), flat(v)]))
        first, second = tangents.chunk(2)
        return (first * second).sum(-1).reshape(z.shape[:-1])

    def norm(self, z: Tensor, v: Tensor) -> Tensor:
        """Length `|J v|` of tangent vectors, `(*batch)`; invariant."""
        z, v = self.prepare(z, v, names=("z", "v"))
        return jvp(self.immerse, flat(z), flat(v))[1].norm(dim=-1).reshape(z.shape[:-1])

    def frame(self, z: Tensor) -> Tensor:
        """Orthonormal frame, `(*batch, d, d)`, a basis vector a column: `E^T G E = I`, `E = R^-1` of the QR of J."""
        r = torch.linalg.qr(self.jacobian(z), mode="r").R
        return orthonormal_frame(r)
