"""Directed acyclic graphs of causal variables."""

import operator
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import networkx as nx
import numpy as np
import torch
from networkx.algorithms.isomorphism import DiGraphMatcher
from torch import Tensor

from egregium.errors import OptionError, ShapeError, TensorError


@dataclass(frozen=True)
class DAG:
    """A directed acyclic graph on the variables 0 .. n - 1, as the parents of each.

    Args:
        parents: for each variable the variables that it depends on; kept in increasing order.

    Raises:
        OptionError: no sequence of sequences, a parent that is no variable, or a cycle.

    >>> chain = DAG([(), (0,), (1,)])
    >>> chain.order, chain.ancestors(2), chain.d_separated(0, 2, [1])
    ((0, 1, 2), (0, 1), True)
    """

    parents: tuple[tuple[int, ...], ...]

    def __init__(self, parents: Sequence[Sequence[int]]) -> None:
        object.__setattr__(self, "parents", _numbers(parents))
        wrong = [(i, j) for i, one in enumerate(self.parents) for j in one if not 0 <= j < self.n]
        if wrong or not self.n:
            raise OptionError(
                f"DAG(parents) expects for each of n >= 1 variables parents from 0 to n - 1; got {self.parents!r}."
            )
        if not nx.is_directed_acyclic_graph(self._graph):
            cycle = [i for i, _ in nx.find_cycle(self._graph)]
            raise OptionError(f"a causal graph has no cycles; this one has {' -> '.join(map(str, [*cycle, cycle[0]]))}.")

    @classmethod
    def from_adjacency(cls, adjacency: Any) -> "DAG":
        """From a matrix `(n, n)` whose entry (i, j) is not zero where i is a parent of j: what `torch.as_tensor` takes.

        Raises: `TensorError` for what is no matrix of numbers, or holds NaN or infinity; `ShapeError`, `OptionError`.
        """
        try:
            adjacency = torch.as_tensor(adjacency)
        except (TypeError, ValueError, RuntimeError) as error:
            raise TensorError(f"an adjacency matrix is (n, n) numbers; got {type(adjacency).__name__}: {error}") from error
        if adjacency.ndim != 2 or adjacency.shape[0] != adjacency.shape[1]:
            raise ShapeError(f"an adjacency matrix is (n, n); got {tuple(adjacency.shape)}.")
        if not bool(torch.isfinite(adjacency).all()):
            raise TensorError("an adjacency matrix is finite, 0 where there is no edge; this one holds NaN or infinity.")
        return cls([torch.nonzero(column)[:, 0].tolist() for column in adjacency.T])

    @classmethod
    def from_networkx(cls, graph: nx.DiGraph) -> "DAG":
        """From a networkx graph, its nodes in the order in which it has them.

        Raises: `OptionError`.
        """
        if not graph.is_directed():
            raise OptionError("a causal graph is directed; got an undirected networkx graph.")
        place = {node: k for k, node in enumerate(graph.nodes)}
        return cls([[place[parent] for parent in graph.predecessors(node)] for node in graph.nodes])

    @classmethod
    def empty(cls, n: int) -> "DAG":
        """No edges."""
        return cls([()] * n)

    @classmethod
    def full(cls, n: int) -> "DAG":
        """Each variable depends on all before it."""
        return cls([tuple(range(i)) for i in range(n)])

    @classmethod
    def chain(cls, n: int) -> "DAG":
        """Each variable depends on the one before it."""
        return cls([() if i == 0 else (i - 1,) for i in range(n)])

    @classmethod
    def random(cls, n: int, *, probability: float = 0.5, generator: torch.Generator | None = None) -> "DAG":
        """Each pair i < j is an edge with a probability, independently.

        Raises: `OptionError`.
        """
        if not isinstance(n, int) or n < 1:
            raise OptionError(f"DAG.random expects a number n >= 1 of variables; got {n!r}.")
        if not 0 <= probability <= 1:
            raise OptionError(f"DAG.random expects a probability from 0 to 1; got {probability}.")
        return cls.from_adjacency(torch.rand(n, n, generator=generator).lt(probability).triu(1))

    @property
    def n(self) -> int:
        """Number of variables."""
        return len(self.parents)

    @property
    def edges(self) -> tuple[tuple[int, int], ...]:
        """All (parent, child)."""
        return tuple((parent, child) for child, parents in enumerate(self.parents) for parent in parents)

    @property
    def adjacency(self) -> Tensor:
        """`(n, n)` bool, entry (i, j) where i is a parent of j."""
        found = torch.zeros(self.n, self.n, dtype=torch.bool)
        for i, j in self.edges:
            found[i, j] = True
        return found

    @cached_property
    def order(self) -> tuple[int, ...]:
        """A topological order: parents before children, and smaller numbers first where that leaves a choice."""
        return tuple(nx.lexicographical_topological_sort(self._graph))

    def children(self, i: int) -> tuple[int, ...]:
        """Variables of which i is a parent. Raises: `OptionError`."""
        self.require_variables(i)
        return tuple(sorted(self._graph.successors(i)))

    def ancestors(self, i: int) -> tuple[int, ...]:
        """Variables from which a directed path leads to i. Raises: `OptionError`."""
        self.require_variables(i)
        return tuple(sorted(nx.ancestors(self._graph, i)))

    def descendants(self, i: int) -> tuple[int, ...]:
        """Variables to which a directed path leads from i. Raises: `OptionError`."""
        self.require_variables(i)
        return tuple(sorted(nx.descendants(self._graph, i)))

    def d_separated(self, i: int, j: int, given: Sequence[int] = ()) -> bool:
        """Whether the graph alone makes variables i and j independent given others, which are neither.

        Raises: `OptionError`.
        """
        self.require_variables(i, j, *given)
        if i == j or i in given or j in given:
            raise OptionError(f"d_separated asks of two variables given others; got {i} and {j} given {tuple(given)}.")
        return nx.is_d_separator(self._graph, {i}, {j}, set(given))

    def without_parents(self, targets: Sequence[int]) -> "DAG":
        """All edges into `targets` cut. Raises: `OptionError`."""
        self.require_variables(*targets)
        return DAG([() if i in targets else parents for i, parents in enumerate(self.parents)])

    def relabelled(self, permutation: Sequence[int]) -> "DAG":
        """The same graph with variable i called `permutation[i]`. Raises: `OptionError`."""
        if len(permutation) != self.n or set(permutation) != set(range(self.n)):
            raise OptionError(f"expected a permutation of 0 .. {self.n - 1}; got {tuple(permutation)}.")
        parents: list[tuple[int, ...]] = [()] * self.n
        for i, one in enumerate(self.parents):
            parents[permutation[i]] = tuple(permutation[j] for j in one)
        return DAG(parents)

    def isomorphisms(self, other: "DAG") -> Iterator[tuple[int, ...]]:
        """All permutations p such that i is a parent of j here exactly where p[i] is a parent of p[j] there."""
        for found in DiGraphMatcher(self._graph, other._graph).isomorphisms_iter():
            yield tuple(found[i] for i in range(self.n))

    def automorphisms(self) -> Iterator[tuple[int, ...]]:
        """All isomorphisms with itself: n! for no edges, 1 for all."""
        return self.isomorphisms(self)

    def require_variables(self, *given: object) -> None:
        """Check that all given are numbers of variables.

        Raises: `OptionError`.
        """
        for i in given:
            if _index(i) not in range(self.n):
                raise OptionError(f"this graph has the variables 0 to {self.n - 1}; got {i!r}.")

    def to_networkx(self) -> nx.DiGraph:
        """A networkx graph on the nodes 0 .. n - 1."""
        return self._graph.copy()

    @cached_property
    def _graph(self) -> nx.DiGraph:
        graph = nx.DiGraph()
        graph.add_nodes_from(range(self.n))
        graph.add_edges_from(self.edges)
        return graph


def _numbers(parents: Any) -> tuple[tuple[int, ...], ...]:
    """The parents of each variable, in increasing order."""
    expected = "DAG(parents) expects the parents of each variable, such as [(), (0,), (0, 1)]"
    if isinstance(parents, Tensor | np.ndarray):
        raise OptionError(f"{expected}; got a {type(parents).__name__}: DAG.from_adjacency takes a matrix.")
    try:
        return tuple(tuple(sorted({operator.index(j) for j in one})) for one in parents)
    except TypeError as error:
        raise OptionError(f"{expected}; got {parents!r}.") from error


def _index(i: Any) -> int | None:
    """A whole number as such, of any library."""
    try:
        return operator.index(i)
    except TypeError:
        return None
