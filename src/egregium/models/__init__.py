"""Models: things with weights, from specification to checkpoint, and the wrapper for models that users bring."""

from egregium.models.latent_model import LatentModel
from egregium.models.likelihood import log_likelihood
from egregium.models.riemannian import RiemannianAdam, RiemannianSGD
from egregium.models.training import fit
from egregium.models.vae import VAE

__all__ = ["VAE", "LatentModel", "RiemannianAdam", "RiemannianSGD", "fit", "log_likelihood"]
