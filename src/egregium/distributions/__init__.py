"""Densities of latent points, beyond those of `torch.distributions`."""

from egregium.distributions.aggregate import AggregatePosterior
from egregium.distributions.joint import Joint
from egregium.distributions.power_spherical import PowerSpherical
from egregium.distributions.riemannian_normal import RiemannianNormal
from egregium.distributions.uniform import Uniform
from egregium.distributions.von_mises import VonMises
from egregium.distributions.von_mises_fisher import VonMisesFisher
from egregium.distributions.wrapped_normal import WrappedNormal

__all__ = [
    "AggregatePosterior", "Joint", "PowerSpherical", "RiemannianNormal", "Uniform", "VonMises", "VonMisesFisher",
    "WrappedNormal",
]  # fmt: skip
