"""Densities of latent points, beyond those of `torch.distributions`."""

from egregium.distributions.aggregate import AggregatePosterior
from egregium.distributions.power_spherical import PowerSpherical
from egregium.distributions.uniform import Uniform
from egregium.distributions.von_mises import VonMises
from egregium.distributions.von_mises_fisher import VonMisesFisher

__all__ = ["AggregatePosterior", "PowerSpherical", "Uniform", "VonMises", "VonMisesFisher"]
