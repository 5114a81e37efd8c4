"""Structural and latent causal models, and what pairs of observations before and after an intervention identify of them."""

from egregium.causal.dag import DAG
from egregium.causal.decoders import Flow, Orthogonal
from egregium.causal.interventions import Do, Intervention, InterventionLaw, Perfect, Shift, Soft
from egregium.causal.lcm import LatentCausalModel, Pairs
from egregium.causal.mechanisms import AdditiveNoise, Linear, LocationScale, Mechanism, Monotone, MonotoneSpline
from egregium.causal.scm import SCM, SolutionFunction

__all__ = [
    "DAG",
    "SCM",
    "AdditiveNoise",
    "Do",
    "Flow",
    "Intervention",
    "InterventionLaw",
    "LatentCausalModel",
    "Linear",
    "LocationScale",
    "Mechanism",
    "Monotone",
    "MonotoneSpline",
    "Orthogonal",
    "Pairs",
    "Perfect",
    "Shift",
    "Soft",
    "SolutionFunction",
]
