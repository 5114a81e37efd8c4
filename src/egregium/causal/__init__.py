"""Structural and latent causal models, and what pairs of observations before and after an intervention identify of them."""

from egregium.causal.alignment import Alignment, spearman_mcc
from egregium.causal.dag import DAG
from egregium.causal.decoders import Flow, Orthogonal
from egregium.causal.dependence import DependenceGraph, graph_by_dependence
from egregium.causal.disentanglement import DCI, dci
from egregium.causal.effects import CausalEffect, NoiseDecoder, causal_effect, noise_space
from egregium.causal.enco import ENCO, LearnedGraph, learn_graph
from egregium.causal.faithfulness import Unfaithful, unfaithful
from egregium.causal.graph_distance import graph_edit_distance, structural_hamming_distance
from egregium.causal.interventions import Do, Intervention, InterventionLaw, Perfect, Shift, Soft
from egregium.causal.isomorphism import Comparison, compare, find_isomorphism, transported
from egregium.causal.lcm import LatentCausalModel, Pairs
from egregium.causal.learning import (
    ELCM,
    ILCM,
    IVAE,
    AdaGVAE,
    BetaVAE,
    Contrastive,
    DisentanglementVAE,
    Learned,
    find_targets,
    fit,
    fit_best,
    load_learned,
    save_learned,
)
from egregium.causal.mechanisms import AdditiveNoise, Linear, LocationScale, Mechanism, Monotone, MonotoneSpline
from egregium.causal.oracle import LinearOracle, linear_oracle
from egregium.causal.scene import Scene
from egregium.causal.scm import SCM, SolutionFunction
from egregium.causal.scores import Scores, counterfactual_error, score, target_accuracy
from egregium.causal.solution_graph import SolutionGraph, graph_by_solution
from egregium.causal.symmetries import SCMIsomorphism, scm_isomorphisms

__all__ = [
    "DAG",
    "DCI",
    "ELCM",
    "ENCO",
    "ILCM",
    "IVAE",
    "SCM",
    "AdaGVAE",
    "AdditiveNoise",
    "Alignment",
    "BetaVAE",
    "CausalEffect",
    "Comparison",
    "Contrastive",
    "DependenceGraph",
    "DisentanglementVAE",
    "Do",
    "Flow",
    "Intervention",
    "InterventionLaw",
    "LatentCausalModel",
    "Learned",
    "LearnedGraph",
    "Linear",
    "LinearOracle",
    "LocationScale",
    "Mechanism",
    "Monotone",
    "MonotoneSpline",
    "NoiseDecoder",
    "Orthogonal",
    "Pairs",
    "Perfect",
    "SCMIsomorphism",
    "Scene",
    "Scores",
    "Shift",
    "Soft",
    "SolutionFunction",
    "SolutionGraph",
    "Unfaithful",
    "causal_effect",
    "compare",
    "counterfactual_error",
    "dci",
    "find_isomorphism",
    "find_targets",
    "fit",
    "fit_best",
    "graph_by_dependence",
    "graph_by_solution",
    "graph_edit_distance",
    "learn_graph",
    "linear_oracle",
    "load_learned",
    "noise_space",
    "save_learned",
    "scm_isomorphisms",
    "score",
    "spearman_mcc",
    "structural_hamming_distance",
    "target_accuracy",
    "transported",
    "unfaithful",
]
