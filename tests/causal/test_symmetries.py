"""How many isomorphisms a structural causal model has with itself, as long as nothing is observed."""

import math

import pytest
import torch
from torch.distributions import Gumbel, Laplace, Normal, StudentT

from egregium.causal import DAG, SCM, Linear, scm_isomorphisms
from egregium.errors import ModelError


def count(scm: SCM) -> int:
    found = list(scm_isomorphisms(scm, scm))
    assert len(set(found)) == len(found)
    return len(found)


def linear(graph: DAG, noise=None) -> SCM:
    weights = graph.adjacency.double() * torch.linspace(0.6, 1.7, graph.n**2).double().reshape(graph.n, -1)
    return SCM.linear(weights, noise)


def test_unconnected_variables_are_permuted_and_turned_round_one_by_one() -> None:
    assert count(linear(DAG.empty(3))) == math.factorial(3) * 2**3


@pytest.mark.parametrize("graph", [DAG.chain(2), DAG.full(3)], ids=str)
@pytest.mark.parametrize("law", [Normal(0.0, 1.0), Laplace(0.0, 1.0)], ids=["normal", "laplace"])
def test_connected_linear_models_of_even_noise_are_turned_round_as_a_whole(graph: DAG, law) -> None:
    assert count(linear(graph, law)) == 2


def test_uneven_noise_is_not_turned_round() -> None:
    assert count(linear(DAG.chain(2), Gumbel(0.0, 1.0))) == 1


def test_equal_branches_of_a_fork_may_be_swapped() -> None:
    fork = SCM(DAG([(), (0,), (0,)]), [Linear(), Linear((0.7,)), Linear((0.7,))])
    other = SCM(DAG([(), (0,), (0,)]), [Linear(), Linear((0.7,)), Linear((1.4,), scale=2.0)])  # its unit is another
    assert count(fork) == 4 and count(other) == 4
    assert len(list(scm_isomorphisms(fork, other))) == 4
    assert not list(scm_isomorphisms(fork, linear(DAG.full(3))))


def test_laws_without_quantiles_are_refused() -> None:
    with pytest.raises(ModelError, match="cdf and icdf"):
        count(linear(DAG.empty(2), StudentT(3.0)))
