"""Structural and latent causal models, and what pairs of observations before and after an intervention identify of them."""

from egregium.causal.dag import DAG
from egregium.causal.scene import Scene

__all__ = ["DAG", "Scene"]
