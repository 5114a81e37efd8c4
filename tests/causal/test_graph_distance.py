"""Distances of graphs: by hand, as metrics, and against networkx."""

import networkx as nx
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from egregium.causal import DAG, graph_edit_distance, structural_hamming_distance
from egregium.errors import OptionError, ShapeError


def random(n: int, seed: int) -> DAG:
    generator = torch.Generator().manual_seed(seed)
    return DAG.random(n, generator=generator).relabelled(torch.randperm(n, generator=generator).tolist())


seeds = st.integers(0, 10**6)


def test_by_hand() -> None:
    chain, reversed_, empty, full = DAG.chain(3), DAG([(1,), (2,), ()]), DAG.empty(3), DAG.full(3)
    assert [structural_hamming_distance(chain, other) for other in (chain, reversed_, empty, full)] == [0, 2, 2, 1]
    assert [graph_edit_distance(chain, other) for other in (chain, reversed_, empty, full)] == [0, 0, 2, 1]


@given(st.integers(1, 6), seeds, seeds, seeds)
def test_the_structural_hamming_distance_is_a_metric(n: int, a: int, b: int, c: int) -> None:
    x, y, z = random(n, a), random(n, b), random(n, c)
    assert structural_hamming_distance(x, y) == structural_hamming_distance(y, x)
    assert (structural_hamming_distance(x, y) == 0) == (x == y)
    assert structural_hamming_distance(x, z) <= structural_hamming_distance(x, y) + structural_hamming_distance(y, z)


@given(st.integers(1, 4), seeds, seeds)
def test_the_edit_distance_is_that_of_networkx(n: int, a: int, b: int) -> None:
    x, y = random(n, a), random(n, b)
    assert graph_edit_distance(x, y) == nx.graph_edit_distance(x.to_networkx(), y.to_networkx())


@given(st.integers(1, 6), seeds, seeds, st.randoms(use_true_random=False))
def test_the_edit_distance_does_not_see_names(n: int, a: int, b: int, order) -> None:
    x, y, names = random(n, a), random(n, b), list(range(n))
    order.shuffle(names)
    assert graph_edit_distance(x.relabelled(names), y) == graph_edit_distance(x, y)
    assert graph_edit_distance(x.relabelled(names), x) == 0


def test_eight_variables() -> None:
    x = random(8, 0)
    assert graph_edit_distance(x, x.relabelled([3, 1, 0, 7, 5, 6, 4, 2])) == 0


def test_bad_input() -> None:
    with pytest.raises(ShapeError, match="3 in the true and 2"):
        structural_hamming_distance(DAG.chain(3), DAG.chain(2))
    with pytest.raises(ShapeError):
        graph_edit_distance(DAG.chain(3), DAG.chain(2))
    with pytest.raises(OptionError, match="at most 8"):
        graph_edit_distance(DAG.chain(9), DAG.chain(9))
