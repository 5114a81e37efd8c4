"""Space forms: complete spaces of constant sectional curvature, whose curvature tensor is the metric's."""

from abc import abstractmethod

import torch
from torch import Tensor

from egregium.spaces.explicit import Explicit


class SpaceForm(Explicit):
    """A space of dimension n with `R_ijkl = kappa (g_ik g_jl - g_il g_jk)`, in n coordinates about an origin unless said."""

    n: int

    @property
    def dim(self) -> int:
        return self.n

    @property
    def width(self) -> int:
        return self.n

    @property
    @abstractmethod
    def _kappa(self) -> float | Tensor:
        """Sectional curvature."""

    def random(
        self,
        *batch: int,
        scale: float = 1.0,
        generator: torch.Generator | None = None,
        dtype: torch.dtype = torch.float32,
        device: torch.device | str | None = None,
    ) -> Tensor:
        """Points `(*batch, n)` about the origin: a Gaussian of standard deviation `scale` in its tangent space."""
        return scale * torch.randn(*batch, self.n, generator=generator, dtype=dtype, device=device)

    def _riemann(self, z: Tensor) -> Tensor:
        g = self._metric(z)
        products = torch.einsum("nik,njl->nijkl", g, g)
        return self._kappa * (products - products.transpose(-1, -2))

    def _ricci(self, z: Tensor) -> Tensor:
        return self._kappa * (self.dim - 1) * self._metric(z)

    def _jacobi_operator(self, z: Tensor, v: Tensor, u: Tensor) -> Tensor:
        return self._kappa * (self._inner(z, v, v)[:, None] * u - self._inner(z, u, v)[:, None] * v)


class Flat(SpaceForm):
    """A space form of curvature 0 in coordinates of constant metric, whose tangent spaces are all one."""

    @property
    def _kappa(self) -> float:
        return 0.0

    def _transport(self, z0: Tensor, z1: Tensor, v: Tensor) -> Tensor:
        return v

    def _exp(self, z: Tensor, v: Tensor) -> Tensor:
        return z + v

    def _jacobi_operator(self, z: Tensor, v: Tensor, u: Tensor) -> Tensor:
        return torch.zeros_like(u)
