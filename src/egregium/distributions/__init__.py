"""Densities of latent points, beyond those of `torch.distributions`."""

from egregium.distributions.aggregate import AggregatePosterior

__all__ = ["AggregatePosterior"]
