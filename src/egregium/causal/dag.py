"""Directed acyclic graphs of causal variables."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property

import networkx as nx
import torch
from networkx.algorithms.isomorphism import DiGraphMatcher
from torch import Tensor

from egregium.errors import OptionError, ShapeError


@dataclass(frozen=True)
class DAG:
    """A directed acyclic graph on the variables 0 .. n - 1, as the parents of each.

    Args:
        parents: for each variable the variables that it depends on; kept in increasing order.

    Raises:
        OptionError: a parent that is no variable, or a cycle.

    >>> chain = DAG([(), (0,), (1,)])
    >>> chain.order, chain.ancestors(2), chain.d_separated(0, 2, [1])
    ((0, 1, 2), (0, 1), True)
    """

    parents: tuple[tuple[int, ...], ...]

    def __init__(self, parents: Sequence[Sequence[int]]) -> None:
        object.__setattr__(self, "parents", tuple(tuple(sorted(set(one))) for one in parents))
        wrong = [(i, j) for i, one in enumerate(self.parents) for j in one if not 0 <= j < self.n]
        if wrong or not self.n:
            raise OptionError(
                f"DAG(parents) expects for each of n >= 1 variables parents from 0 to n - 1; got {self.parents!r}."
            )
        if not nx.is_directed_acyclic_graph(self._graph):
            cycle = [i for i, _ in nx.find_cycle(self._graph)]
            raise OptionError(f"a causal graph has no cycles; this one has {' -> '.join(map(str, [*cycle, cycle[0]]))}.")

    @classmethod
    def from_adjacency(cls, adjacency: Tensor) -> "DAG":
        """From a matrix `(n, n)` whose entry (i, j) is not zero where i is a parent of j.

        Raises: `ShapeError`, `OptionError`.
        """
        if adjacency.ndim != 2 or adjacency.shape[0] != adjacency.shape[1]:
            raise ShapeError(f"an adjacency matrix is (n, n); got {tuple(adjacency.shape)}.")
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
        """Each pair i < j is an edge with a probability, independently."""
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
        """Variables of which i is a parent."""
        return tuple(sorted(self._graph.successors(i)))

    def ancestors(self, i: int) -> tuple[int, ...]:
        """Variables from which a directed path leads to i."""
        return tuple(sorted(nx.ancestors(self._graph, i)))

    def descendants(self, i: int) -> tuple[int, ...]:
        """Variables to which a directed path leads from i."""
        return tuple(sorted(nx.descendants(self._graph, i)))

    def d_separated(self, i: int, j: int, given: Sequence[int] = ()) -> bool:
        """Whether the graph alone makes variables i and j independent given others."""
        return nx.is_d_separator(self._graph, {i}, {j}, set(given))

    def without_parents(self, targets: Sequence[int]) -> "DAG":
        """All edges into `targets` cut."""
        return DAG([() if i in targets else parents for i, parents in enumerate(self.parents)])

    def relabelled(self, permutation: Sequence[int]) -> "DAG":
        """The same graph with variable i called `permutation[i]`."""
        if sorted(permutation) != list(range(self.n)):
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

    def to_networkx(self) -> nx.DiGraph:
        """A networkx graph on the nodes 0 .. n - 1."""
        return self._graph.copy()

    @cached_property
    def _graph(self) -> nx.DiGraph:
        graph = nx.DiGraph()
        graph.add_nodes_from(range(self.n))
        graph.add_edges_from(self.edges)
        return graph
