"""Structural and latent causal models, and what pairs of observations before and after an intervention identify of them."""

from egregium.causal.dag import DAG

__all__ = ["DAG"]
