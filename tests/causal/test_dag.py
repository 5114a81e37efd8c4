"""Graphs: order, kinship, separation, and how many ways there are to relabel them."""

import math
from collections.abc import Callable

import networkx as nx
import numpy as np
import pytest
import torch

from egregium.causal import DAG
from egregium.errors import OptionError, ShapeError, TensorError

FORK = DAG([(), (0,), (0,)])


@pytest.mark.parametrize(
    ("graph", "count"), [(DAG.empty(4), math.factorial(4)), (DAG.full(4), 1), (FORK, 2), (DAG.chain(5), 1)], ids=str
)
def test_automorphisms(graph: DAG, count: int) -> None:
    found = list(graph.automorphisms())
    assert len(set(found)) == len(found) == count
    assert all(graph.relabelled(one) == graph for one in found)


def test_isomorphisms_lead_from_one_graph_to_the_other() -> None:
    graph = DAG.random(5, generator=torch.Generator().manual_seed(1))
    other = graph.relabelled([3, 1, 4, 0, 2])
    assert (3, 1, 4, 0, 2) in list(graph.isomorphisms(other))
    assert not list(graph.isomorphisms(DAG.empty(5)))


def test_parents_come_before_children() -> None:
    graph = DAG([(2, 3), (0,), (), (2,)])
    assert all(graph.order.index(i) < graph.order.index(j) for i, j in graph.edges)
    assert graph.ancestors(1) == (0, 2, 3) and graph.descendants(2) == (0, 1, 3) and graph.children(2) == (0, 3)


def test_separation_in_collider_and_fork() -> None:
    collider = DAG([(), (), (0, 1)])
    assert collider.d_separated(0, 1) and not collider.d_separated(0, 1, [2])
    assert FORK.d_separated(1, 2, [0]) and not FORK.d_separated(1, 2)


def test_other_libraries_give_the_same_graph_back() -> None:
    graph = DAG.random(6, generator=torch.Generator().manual_seed(0))
    assert DAG.from_networkx(graph.to_networkx()) == graph == DAG.from_adjacency(graph.adjacency)


def test_cycles_and_strangers_are_refused() -> None:
    with pytest.raises(OptionError, match="no cycles; this one has"):
        DAG([(1,), (0,)])
    with pytest.raises(OptionError, match="parents from 0 to n - 1"):
        DAG([(3,)])
    with pytest.raises(ShapeError, match=r"\(n, n\)"):
        DAG.from_adjacency(torch.zeros(2, 3))
    with pytest.raises(OptionError, match="undirected"):
        DAG.from_networkx(nx.Graph())  # type: ignore[arg-type]
    with pytest.raises(OptionError, match="permutation"):
        FORK.relabelled([0, 0, 1])


def test_matrices_of_any_kind() -> None:
    rows = [[0, 1, 0], [0, 0, 1], [0, 0, 0]]
    assert DAG.from_adjacency(rows) == DAG.from_adjacency(np.array(rows)) == DAG.chain(3)
    assert DAG([(), (np.int64(0),)]) == DAG.chain(2)  # type: ignore[list-item]


WRONG: dict[str, tuple[type[Exception], str, Callable[[], object]]] = {
    "half a parent": (OptionError, "parents of each variable", lambda: DAG([(), (0.5,)])),  # type: ignore[list-item]
    "a named parent": (OptionError, "parents of each variable", lambda: DAG([(), ("a",)])),  # type: ignore[list-item]
    "nothing": (OptionError, "parents of each variable", lambda: DAG(None)),  # type: ignore[arg-type]
    "a matrix": (OptionError, "DAG.from_adjacency takes", lambda: DAG(torch.zeros(2, 2))),  # type: ignore[arg-type]
    "NaN": (TensorError, "NaN", lambda: DAG.from_adjacency([[0.0, torch.nan], [0.0, 0.0]])),
    "words": (TensorError, "numbers", lambda: DAG.from_adjacency([["a"]])),
    "a negative count": (OptionError, "n >= 1", lambda: DAG.random(-1)),
    "a strange name": (OptionError, "permutation", lambda: FORK.relabelled(["a", 0, 1])),  # type: ignore[list-item]
    "separated from a stranger": (OptionError, "0 to 2; got 7", lambda: FORK.d_separated(0, 7)),
    "separated from itself": (OptionError, "two variables given others", lambda: FORK.d_separated(0, 0)),
    "given itself": (OptionError, "two variables given others", lambda: FORK.d_separated(0, 2, [0])),
    "a stranger's children": (OptionError, "got 9", lambda: FORK.children(9)),
    "a stranger's ancestors": (OptionError, "got 'a'", lambda: FORK.ancestors("a")),  # type: ignore[arg-type]
    "a stranger's descendants": (OptionError, "got -1", lambda: FORK.descendants(-1)),
    "a stranger's parents": (OptionError, "got 3", lambda: FORK.without_parents([3])),
}


@pytest.mark.parametrize(("error", "words", "call"), WRONG.values(), ids=list(WRONG))
def test_bad_input_is_refused_in_words(error: type[Exception], words: str, call: Callable[[], object]) -> None:
    with pytest.raises(error, match=words):
        call()
