r"""Weights of a linear structural model seen through orthonormal mixing: by right angles, without sampling error.

One standard deviation of each noise moves an observation by the columns of `B = R T D`: R with orthonormal columns,
`T = (I - W)^-1`, D these deviations. In causal order T is lower triangular with diagonal 1, so that B alone gives T and D, and
W, to rounding. But it does so in every order: a wrong one has other weights, and often more edges. So samples are asked for the
order, and of orders that they tell apart no better than by chance the one with the fewest edges is taken.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import networkx as nx
import torch
from torch import Tensor

from egregium.causal.dag import DAG
from egregium.causal.linear_mechanisms import Likelihood, LinearMechanisms, Moments
from egregium.errors import ModelError

CONTRADICTION = 10.0  # standard deviations by which samples may fit worse than by chance


@dataclass(frozen=True)
class OrthogonalMechanisms(LinearMechanisms):
    """Attributes:
    weights, graph: in the unit in which R is orthonormal.
    standard_errors: 0; infinite where samples do not tell which of two orders is the true one, and these differ.
    scales: `(n,)`, standard deviations of the noises in that unit.
    """

    scales: Tensor


@dataclass(frozen=True)
class _Model:
    order: list[int]
    weights: Tensor
    scales: Tensor
    loss: float

    @property
    def graph(self) -> DAG:
        return DAG.from_adjacency(self.weights.T != 0)

    def price(self, of_edge: float) -> float:
        """Twice the loss, and so much for each edge."""
        return 2 * self.loss + of_edge * int((self.weights != 0).sum())


def orthogonal_mechanisms(directions: Tensor, moments: Moments, threshold: float, tolerance: float) -> OrthogonalMechanisms:
    """The model of the order that samples and parsimony tell.

    From the order of the total effects, edges are turned round as long as the price falls: minus twice the log-likelihood, and
    `threshold` squared for each edge. Turnings that cost less than that more are as good: what they change is not told.

    Args:
        directions: `(D, n)`, what one standard deviation of each noise adds to an observation.
        moments: of noises in that unit.
        threshold: standard errors at which samples decide.
        tolerance: largest weight that is rounding.

    Raises: `ModelError` if no order agrees with the samples.
    """
    likelihood, of_edge = Likelihood.saturated(moments), threshold**2
    model = _model(directions, likelihood, likelihood.order, tolerance)
    while True:
        others = [_model(directions, likelihood, order, tolerance) for order in _turned(model)]
        best = min(others, key=lambda one: one.price(of_edge), default=model)
        if best.price(of_edge) >= model.price(of_edge):
            break
        model = best
    _require_agreement(model, moments)
    errors = torch.zeros_like(model.weights).fill_diagonal_(torch.nan)
    for other in others:
        if other.price(of_edge) < model.price(of_edge) + of_edge:
            errors[(other.weights - model.weights).abs() > tolerance] = torch.inf
    return OrthogonalMechanisms(model.weights, errors, model.graph, model.scales)


def _model(directions: Tensor, likelihood: Likelihood, order: list[int], tolerance: float) -> _Model:
    """What B says in an order: `B = Q L` with L = T D lower triangular, from the last column to the first."""
    place = torch.tensor(order).argsort()
    factor = torch.linalg.qr(directions[:, order[::-1]], mode="r").R.flip(0, 1)
    scales = factor.diagonal().abs()
    effects = factor * factor.diagonal().sign()[:, None] / scales
    weights = (torch.eye(len(order)).to(effects) - torch.linalg.inv(effects))[place][:, place]
    weights, scales = torch.where(weights.abs() > tolerance, weights, 0.0), scales[place]
    return _Model(order, weights, scales, float(likelihood.loss(weights * scales / scales[:, None])))


def _turned(model: _Model) -> Iterator[list[int]]:
    """Orders in which one edge is turned round, of all those that no other path forbids to turn."""
    graph = nx.DiGraph(model.graph.edges)
    for i, j in model.graph.edges:
        below = nx.descendants(graph, i)
        if not any(k in below for k in graph.predecessors(j)):
            first = [k for k in model.order if k != i and k not in below]
            yield [*first, j, i, *(k for k in model.order if k in below and k != j)]


def _require_agreement(model: _Model, moments: Moments) -> None:
    """Twice the loss is of the law of chi squared."""
    freedom = float(moments.pairs.sum()) - moments.n
    if 2 * model.loss > freedom + CONTRADICTION * (2 * moments.n**2) ** 0.5 + moments.n**2:
        raise ModelError(
            "mixing is not orthogonal: weights that follow from right angles do not fit the pairs; leave out orthogonal=True."
        )
