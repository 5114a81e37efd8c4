"""Mechanisms on a learned graph: its solution functions are those of the structural model, and its graph has no cycles."""

import pytest
import torch

from egregium.causal.dag import DAG
from egregium.causal.learning.explicit import Explicit, acyclic, cycles
from egregium.causal.learning.mechanisms import LearnedMechanism
from egregium.causal.scm import SCM

E = torch.randn(30, 4, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
DIAMOND = DAG([(2,), (), (1, 3), ()])


def explicit(graph: DAG) -> Explicit:
    generator = torch.Generator().manual_seed(1)
    found = Explicit(4, (8,), generator, 1.0).double()
    for parameter in found.networks.parameters():
        parameter.data = 0.5 * torch.randn(parameter.shape, generator=generator, dtype=torch.float64)
    found.edges.data = torch.where(graph.adjacency, 0.2, -0.2).double()
    return found.requires_grad_(False)


@pytest.mark.parametrize("graph", [DAG.empty(4), DAG.chain(4), DAG.full(4), DIAMOND], ids=["empty", "chain", "full", "diamond"])
def test_it_solves_its_structural_model(graph: DAG) -> None:
    """One pass in causal order, from the same mechanisms, written out."""
    found = explicit(graph)
    assert found.graph() == graph
    z = torch.zeros_like(E)
    for i in graph.order:
        seen = z * graph.adjacency[:, i]
        location, log_scale = found._mechanisms(seen.expand(4, *seen.shape), slice(None))
        z[:, i] = location[i] + log_scale[i].exp() * E[:, i]
    torch.testing.assert_close(found.solve(E), z)
    scm = SCM(graph, [LearnedMechanism(found, graph, i) for i in range(4)])
    torch.testing.assert_close(scm.solve(E), z)
    torch.testing.assert_close(scm.abduct(z), E)


def test_variables_depend_on_ancestors_alone() -> None:
    found, moved = explicit(DIAMOND), E.clone()
    moved[:, 2] += 1
    changed = (found.solve(moved) - found.solve(E)).abs().amax(0) > 1e-12
    assert changed.tolist() == [True, False, True, False]


def test_drawn_graphs_have_the_edges_probabilities_and_pass_gradients() -> None:
    found = explicit(DIAMOND).requires_grad_(True)
    with found.drawn(20_000, torch.Generator().manual_seed(0)):
        draws = found.draws
        assert draws is not None
        share = torch.where(torch.eye(4) > 0, 0, draws.detach().mean(0))
        torch.testing.assert_close(share, found.adjacency().detach(), atol=0.01, rtol=0)
        assert set(draws.detach().unique().round(decimals=9).tolist()) == {0, 1}
        (slope,) = torch.autograd.grad(draws.sum(), found.edges)
    assert bool((slope > 0).all()) and found.draws is None


def test_cycles_cost() -> None:
    assert float(cycles(DAG.full(5).adjacency.double())) == 0
    two = torch.tensor([[0, 1.0], [1, 0]], dtype=torch.float64)
    assert float(cycles(two)) == pytest.approx(2 * torch.cosh(torch.ones(())).item() - 2)  # eigenvalues 1 and -1
    assert float(cycles(two * 0.5)) > 0


def test_the_weakest_edge_of_a_cycle_is_cut() -> None:
    ring = torch.zeros(4, 4)
    ring[0, 1], ring[1, 2], ring[2, 0], ring[2, 3] = 0.9, 0.6, 0.8, 0.3
    assert acyclic(ring).edges == ((0, 1), (2, 0)) or acyclic(ring).edges == ((2, 0), (0, 1))
    for seed in range(20):
        acyclic(torch.rand(6, 6, generator=torch.Generator().manual_seed(seed)).fill_diagonal_(0))
    assert acyclic(torch.zeros(3, 3)) == DAG.empty(3)
