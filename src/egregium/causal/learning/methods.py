"""The methods there are, by the names under which their trainings are stored."""

from egregium.causal.learning.ilcm import ILCM, DisentanglementVAE
from egregium.causal.learning.method import Method

METHODS: dict[str, type[Method]] = {one.name: one for one in (ILCM, DisentanglementVAE)}
