"""Structural and latent causal models, and what pairs of observations before and after an intervention identify of them."""

from egregium.causal.alignment import Alignment, spearman_mcc
from egregium.causal.dag import DAG
from egregium.causal.disentanglement import DCI, dci
from egregium.causal.graph_distance import graph_edit_distance, structural_hamming_distance
from egregium.causal.oracle import LinearOracle, linear_oracle
from egregium.causal.scores import Scores, counterfactual_error, score, target_accuracy

__all__ = [
    "DAG",
    "DCI",
    "Alignment",
    "LinearOracle",
    "Scores",
    "counterfactual_error",
    "dci",
    "graph_edit_distance",
    "linear_oracle",
    "score",
    "spearman_mcc",
    "structural_hamming_distance",
    "target_accuracy",
]
