"""Latent causal models learned from pairs, and the methods that they are compared with."""

from egregium.causal.learning.ada_gvae import AdaGVAE
from egregium.causal.learning.beta_vae import BetaVAE
from egregium.causal.learning.contrastive import Contrastive
from egregium.causal.learning.elcm import ELCM
from egregium.causal.learning.files import load_learned, save_learned
from egregium.causal.learning.ilcm import ILCM, DisentanglementVAE
from egregium.causal.learning.ivae import IVAE
from egregium.causal.learning.learned import Learned
from egregium.causal.learning.method import Method, PairModel
from egregium.causal.learning.methods import METHODS
from egregium.causal.learning.starts import fit_best
from egregium.causal.learning.targets import find_targets
from egregium.causal.learning.training import fit

__all__ = [
    "ELCM",
    "ILCM",
    "IVAE",
    "METHODS",
    "AdaGVAE",
    "BetaVAE",
    "Contrastive",
    "DisentanglementVAE",
    "Learned",
    "Method",
    "PairModel",
    "find_targets",
    "fit",
    "fit_best",
    "load_learned",
    "save_learned",
]
