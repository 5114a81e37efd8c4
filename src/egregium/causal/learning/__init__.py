"""Latent causal models learned from pairs, and the methods that they are compared with."""

from egregium.causal.learning.files import load_learned, save_learned
from egregium.causal.learning.ilcm import ILCM, DisentanglementVAE
from egregium.causal.learning.learned import Learned
from egregium.causal.learning.method import Method, PairModel
from egregium.causal.learning.training import fit

__all__ = ["ILCM", "DisentanglementVAE", "Learned", "Method", "PairModel", "fit", "load_learned", "save_learned"]
