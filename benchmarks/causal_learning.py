"""Causal variables, graph, targets and counterfactuals learned from pairs: ILCM, what it is compared with, and the oracle.

    python benchmarks/causal_learning.py                        all models, hours on one thread; goes on where it was stopped
    python benchmarks/causal_learning.py --mixing flow --sizes 2 4 --methods ilcm
    python benchmarks/causal_learning.py --table                the tables of what has been finished
    python benchmarks/causal_learning.py --quick                a smoke run

Linear additive-noise models: n = 2 a chain and the empty graph, else an edge between each pair with probability 1/2; weights
`+-(1 + 0.3 N(0, 1))`, noises and intervened values N(0, 1), targets uniform on none and each variable; `x = R z` with R from the
Haar law of SO(n), or a flow into R^32. 100,000 pairs to train on; 10,000 others judge. The graph is that of
`graph_by_dependence` on found variables and targets. Counterfactual error: x after, predicted from x, the target found and one
number, what the target's latent variable became, relative to the spread of x after. Results are kept in
`docs/results/causal-learning.csv`, a row a training.
"""

import argparse
import statistics
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from measuring import aligned
from rows import Row, finished, keep
from torch import Tensor

from egregium.causal import (
    DAG, SCM, Flow, Latent, LatentCausalModel, Orthogonal, Pairs, fit, graph_by_dependence, linear_oracle, score,
)  # fmt: skip
from egregium.causal.learning.methods import METHODS
from egregium.errors import EgregiumError

ROOT = Path(__file__).resolve().parent.parent
RESULTS = ROOT / "docs" / "results" / "causal-learning.csv"
WIDTH = 32  # of observations of a flow
STEPS = {2: 4000, 4: 6000, 8: 6000, 10: 6000}
BATCH = {2: 512, 4: 512, 8: 256, 10: 256}
COMPARED = 3  # graphs on which the other methods are trained
ORACLE = "oracle"
