"""Solution functions that come of mechanisms on a learned graph."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import networkx as nx
import torch
from torch import Tensor, nn

from egregium.causal.dag import DAG
from egregium.causal.learning.perceptrons import MaskedNetworks, picked
from egregium.causal.learning.solutions import Solution

WIDEST = 3.0  # bound of logarithmic scales, so that cycles that are not yet cut do not explode
SPEED = 10.0  # of logits of edges, against weights: both are trained at one learning rate
FIRST_EDGE = 0.1  # logit of the probability of an edge, divided by this


class Explicit(Solution):
    r""":math:`z_i = l_i(A_{\cdot i} z) + \exp(r_i(A_{\cdot i} z)) e_i`, with a probability for each edge of the graph A.

    Other variables are solved with variable i at noise 0, by n - 1 steps of the mechanisms: that is what they are where they
    are no effects of i, and effects do not matter unless A has cycles. So function i is a diffeomorphism of its own noise
    even then, and its parameters do not see it.

    Args:
        n: causal variables.
        hidden: widths of the mechanisms' networks.
        relaxation: temperature at which gradients pass through drawn edges.

    References: Jang et al. 2017, arXiv 1611.01144, for gradients through drawn edges.
    """

    def __init__(self, n: int, hidden: Sequence[int], generator: torch.Generator, relaxation: float) -> None:
        super().__init__(n)
        self.networks = MaskedNetworks(n, hidden, 2, generator)
        self.edges = nn.Parameter(torch.full((n, n), FIRST_EDGE))
        self.relaxation = relaxation
        self.draws: Tensor | None = None

    def forward(self, e: Tensor, own: Tensor, which: slice | None = None) -> tuple[Tensor, Tensor]:
        location, log_scale = self._given(e, which)
        return location + log_scale.exp() * own, log_scale

    def invert(self, value: Tensor, e: Tensor, which: slice | None = None) -> Tensor:
        location, log_scale = self._given(e, which)
        return (value - location) * (-log_scale).exp()

    def adjacency(self) -> Tensor:
        """Probabilities of edges `(n, n)`, entry (i, j) that of i being a parent of j."""
        return torch.sigmoid(SPEED * self.edges) * (1 - torch.eye(self.n).to(self.edges))

    def graph(self) -> DAG:
        """All edges likelier than not, without the least likely one of each cycle."""
        return acyclic(self.adjacency())

    @contextmanager
    def drawn(self, rows: int, generator: torch.Generator) -> Iterator[None]:
        """A graph for each row, drawn, in place of the one graph."""
        uniform = torch.rand(rows, self.n, self.n, generator=generator)
        relaxed = torch.sigmoid((SPEED * self.edges + torch.logit(uniform, eps=1e-6)) / self.relaxation)
        hard = relaxed.gt(0.5).to(relaxed)
        self.draws = hard + relaxed - relaxed.detach()
        try:
            yield
        finally:
            self.draws = None

    def _given(self, e: Tensor, which: slice | None) -> tuple[Tensor, Tensor]:
        """Location and logarithmic scale `(k, N)`, from noises `(k, N, n)`."""
        k, rows, n = e.shape
        graph = self.graph().adjacency.to(e)[None] if self.draws is None else self.draws  # (1 or N, n, n)
        ways = graph.permute(2, 0, 1)  # (n, 1 or N, n): of each variable, its parents
        others = (e * picked(self.networks.others, which)).flatten(0, 1)  # (k N, n)
        z = others
        for _ in range(n - 1):
            seen = z.unflatten(0, (k, rows)) * ways[:, None]  # (n, k, N, n)
            location, log_scale = self._mechanisms(seen.flatten(1, 2), None)
            z = (location + log_scale.exp() * others.T).T
        return self._mechanisms(z.unflatten(0, (k, rows)) * picked(ways, which), which)

    def _mechanisms(self, seen: Tensor, which: slice | None) -> tuple[Tensor, Tensor]:
        location, log_scale = self.networks(seen, which).unbind(-1)
        return location, WIDEST * torch.tanh(log_scale / WIDEST)


def cycles(adjacency: Tensor) -> Tensor:
    r""":math:`\operatorname{tr} \exp(A \circ A) - n`: 0 for a matrix `(n, n)` without cycles, positive for all others.

    References: Zheng et al. 2018, arXiv 1803.01422.

    >>> float(cycles(torch.tensor([[0.0, 2.0], [0.0, 0.0]])))
    0.0
    """
    return torch.linalg.matrix_exp(adjacency.square()).trace() - len(adjacency)


def acyclic(adjacency: Tensor) -> DAG:
    """The graph of entries above 1/2 of `(n, n)`; of each cycle that is found the smallest one is left out.

    >>> acyclic(torch.tensor([[0.0, 0.9], [0.7, 0.0]])).edges
    ((0, 1),)
    """
    weights = adjacency.detach()
    graph = nx.DiGraph((weights > 0.5).nonzero().tolist())
    while not nx.is_directed_acyclic_graph(graph):
        graph.remove_edge(*min(nx.find_cycle(graph), key=lambda edge: float(weights[edge[0], edge[1]])))
    kept = torch.zeros_like(weights)
    for i, j in graph.edges:
        kept[i, j] = 1
    return DAG.from_adjacency(kept)
