"""Distances of latent coordinates: not identifiable, and shown beside those that are."""

from dataclasses import dataclass

import torch
from torch import Tensor

from egregium.protocols import Measured, Scale, Space
from egregium.relations.verbs import exact
from egregium.spaces.points import require_points


@dataclass(frozen=True)
class LatentDistance:
    """`|W (z1 - z0)|` with a matrix W `(k, d)`: raw (identity), scaled, whitened or affinely aligned coordinates."""

    name: str
    matrix: Tensor
    arity: int = 2
    scale: Scale = "ratio"
    invariant_under: str = "none"

    def __call__(self, space: Space, *points: Tensor) -> Measured:
        z0, z1 = points
        require_points(z0, z1, width=self.matrix.shape[-1], names=f"points of {self.name}")
        return exact(((z1 - z0) @ self.matrix.to(z0).mT).norm(dim=-1))


def whitening(z: Tensor) -> Tensor:
    """Matrix W with `cov(W z) = I` over points `(N, d)`: `W = L^-1`, `cov(z) = L L^T`."""
    centred = z - z.mean(0)
    covariance = centred.mT @ centred / max(1, len(z) - 1)
    identity = torch.eye(z.shape[-1], dtype=z.dtype, device=z.device)
    ridge = 1e-12 * covariance.diagonal().mean() * identity
    return torch.linalg.solve_triangular(torch.linalg.cholesky(covariance + ridge), identity, upper=False)


def aligning(z: Tensor, reference: Tensor) -> Tensor:
    """Matrix W of the affine map that best carries points z `(N, d)` to `reference` `(N, k)` in least squares."""
    a, b = z - z.mean(0), reference - reference.mean(0)
    return torch.linalg.lstsq(a, b).solution.mT
