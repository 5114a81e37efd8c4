"""The methods there are, by the names under which their trainings are stored."""

from egregium.causal.learning.ada_gvae import AdaGVAE
from egregium.causal.learning.beta_vae import BetaVAE
from egregium.causal.learning.contrastive import Contrastive
from egregium.causal.learning.elcm import ELCM
from egregium.causal.learning.ilcm import ILCM, DisentanglementVAE
from egregium.causal.learning.ivae import IVAE
from egregium.causal.learning.method import Method

METHODS: dict[str, type[Method]] = {
    one.name: one for one in (ILCM, ELCM, DisentanglementVAE, AdaGVAE, BetaVAE, IVAE, Contrastive)
}
