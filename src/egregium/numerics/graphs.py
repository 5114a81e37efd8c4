"""Weighted undirected graphs as sparse matrices, and shortest paths on them, in memory that grows with the edges."""

from collections.abc import Iterator

import numpy as np
from scipy.sparse import coo_array, csr_array
from scipy.sparse.csgraph import dijkstra

SLACK = 2.0


def adjacency(i: np.ndarray, j: np.ndarray, weights: np.ndarray, n: int) -> csr_array:
    """The matrix `(n, n)` of directed edges from `i` to `j`, all `(E,)`: of several the lightest; zeros are edges too.

    >>> adjacency(np.array([0, 0]), np.array([1, 1]), np.array([3.0, 2.0]), 2).toarray().tolist()
    [[0.0, 2.0], [0.0, 0.0]]
    """
    order = np.lexsort((weights, j, i))
    i, j, weights = i[order], j[order], weights[order]
    first = np.ones(len(i), dtype=bool)
    first[1:] = (i[1:] != i[:-1]) | (j[1:] != j[:-1])
    return coo_array((weights[first], (i[first], j[first])), shape=(n, n)).tocsr()


def mirrored(i: np.ndarray, j: np.ndarray, weights: np.ndarray, n: int) -> csr_array:
    """The matrix of undirected edges."""
    return adjacency(np.concatenate([i, j]), np.concatenate([j, i]), np.concatenate([weights, weights]), n)


def shortest_paths(
    graph: csr_array, sources: np.ndarray, targets: np.ndarray, guesses: np.ndarray | None = None
) -> Iterator[tuple[int, np.ndarray | None]]:
    """Pairs by their number, each with its shortest path as nodes from source to target, None where there is none.

    One Dijkstra for every distinct source, and so in no particular order of pairs. It stops at twice the length that is
    expected, `guesses` `(P,)`, and is taken up again without a limit where that was too short.
    """
    order = np.argsort(sources, kind="stable")
    for rows in np.split(order, np.flatnonzero(np.diff(sources[order])) + 1):
        source, limit = int(sources[rows[0]]), np.inf if guesses is None else SLACK * guesses[rows].max()
        reached, before = dijkstra(graph, indices=source, return_predecessors=True, limit=limit)
        if np.isfinite(limit) and not np.isfinite(reached[targets[rows]]).all():
            reached, before = dijkstra(graph, indices=source, return_predecessors=True)
        for row in rows:
            found = np.isfinite(reached[targets[row]])
            yield int(row), _walk(before, source, int(targets[row])) if found else None


def _walk(before: np.ndarray, source: int, target: int) -> np.ndarray:
    path = [target]
    while path[-1] != source:
        path.append(int(before[path[-1]]))
    return np.array(path[::-1])
