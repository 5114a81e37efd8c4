"""Explicit latent causal models: noises, mechanisms and a graph from pairs."""

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from egregium.causal.learning.explicit import Explicit, cycles
from egregium.causal.learning.ilcm import NoiseModel
from egregium.causal.learning.schedule import Targeted


@dataclass(frozen=True)
class ELCM(Targeted):
    r"""An explicit latent causal model: the pair autoencoder of `ILCM`, with mechanisms on a learned graph.

    Solution functions come of mechanisms of location and scale that see their parents alone,

    .. math:: z_i = l_i(A_{\cdot i} z) + \exp(r_i(A_{\cdot i} z)) \, e_i,

    where the edge from j to i is there with the probability :math:`P_{ji}`. In training a graph is drawn for each pair, and
    gradients pass as through its relaxation; in the end, and afterwards, the graph has the edges that are likelier than not.
    To the objective of `ILCM` come a price for each edge expected and one for cycles,

    .. math:: \lambda \sum_{ij} P_{ij} + \mu (\operatorname{tr} \exp(P \circ P) - n),

    both rising with the share of the prior that knows of causes. Of a trained model `model.solution.adjacency()` gives P and
    `model.solution.graph()` the graph.

    Args:
        n: causal variables.
        sparsity: lambda, in nats a pair.
        acyclicity: mu, in nats a pair.
        relaxation: temperature of the relaxed edges.
        settled: share of the steps after which the graph stays.
        first_beta, held: as in `ILCM`.

    Cost of a step: `2 n + 1` decodings a pair, and n times the solution functions of `ILCM`.

    Raises:
        OptionError: a value out of its range.

    References:
        Brehmer, de Haan, Lippe, Cohen 2022, arXiv 2203.16437, section 4, who find it hard to train; Zheng et al. 2018,
        arXiv 1803.01422, for the price of cycles; Jang et al. 2017, arXiv 1611.01144, for the relaxation.

    >>> ELCM(4, sparsity=0.05).to_json()["sparsity"]
    0.05
    """

    sparsity: float = 0.02
    acyclicity: float = 0.5
    relaxation: float = 1.0
    settled: float = 0.75

    name: ClassVar[str] = "elcm"

    def build(self, width: int, generator: torch.Generator) -> "GraphModel":
        return GraphModel(self, width, generator)


class GraphModel(NoiseModel):
    """The objective of `ELCM`."""

    solution: "Explicit"

    def __init__(self, method: ELCM, width: int, generator: torch.Generator) -> None:
        solution = Explicit(method.n, method.hidden, generator, method.relaxation)
        super().__init__(solution, method.hidden, width, method.schedule(), generator)
        self.sparsity, self.acyclicity, self.settled = method.sparsity, method.acyclicity, method.settled

    def objective(self, x: Tensor, y: Tensor, targets: Tensor | None, share: float, generator: torch.Generator) -> Tensor:
        if share >= self.settled:
            return super().objective(x, y, targets, share, generator)
        edges = self.solution.adjacency()
        price = self.sparsity * edges.sum() + self.acyclicity * cycles(edges)
        with self.solution.drawn(len(x), generator):
            return super().objective(x, y, targets, share, generator) + self.schedule.at(share).blend * price
