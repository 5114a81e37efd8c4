"""Density of latent points with respect to Riemannian volume: what is identifiable about `p(z)`."""

from dataclasses import dataclass

import torch
from torch import Tensor

from egregium.distributions.measure import log_in_coordinates
from egregium.errors import ModelError
from egregium.protocols import LatentDensity, Measured, Scale, Space
from egregium.relations.verbs import exact
from egregium.relations.volume import log_volume


def log_density(space: Space, z: Tensor, prior: LatentDensity) -> Tensor:
    """`log p(z) - log sqrt(det G(z))`, `(*batch)`: log-density of the generated manifold at `f(z)`, in nats.

    Invariant under reparametrisation, because numerator and volume element change by the same factor; `p(z)` alone is not
    identifiable. Priors of `eg.distributions` are densities against the volume of their own space, which is accounted for; all
    others are densities of coordinates. Cost: 2 d decoder calls a point.

    Raises: `ModelError` where the prior has no density there, or not one number a point.

    References: Syrota et al. 2025 (arXiv 2502.13757), Theorem 1 with the change of variables.
    """
    (z,) = space.prepare(z)
    try:
        latent = log_in_coordinates(prior, z)
    except (RuntimeError, TypeError, ValueError, AttributeError) as error:
        raise ModelError(
            f"the prior has no density at points {tuple(z.shape)} of {z.dtype}: {type(error).__name__}: {error}. "
            "It needs log_prob for points (*batch, d) in the decoder's dtype."
        ) from error
    if latent.shape != z.shape[:-1]:
        raise ModelError(
            f"the prior's log_prob must map {tuple(z.shape)} to {tuple(z.shape[:-1])}; got {tuple(latent.shape)}: wrap it as "
            "torch.distributions.Independent(prior, 1)."
        )
    return latent - log_volume(space, z)


@dataclass(frozen=True)
class Density:
    """`log_density` under a given prior as a relation."""

    prior: LatentDensity
    name: str = "density"
    arity: int = 1
    scale: Scale = "interval"
    invariant_under: str = "isometries that carry the prior along"

    def __call__(self, space: Space, *points: Tensor) -> Measured:
        with torch.no_grad():
            return exact(log_density(space, *points, prior=self.prior))
