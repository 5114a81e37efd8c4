"""Sparse graphs: what is an edge, and which paths are shortest."""

import numpy as np
import pytest

from egregium.numerics.graphs import mirrored, shortest_paths

FROM, TO, WEIGHTS = np.array([0, 1, 2, 0, 1]), np.array([1, 2, 3, 3, 0]), np.array([1.0, 1.0, 1.0, 10.0, 5.0])


def paths(sources: list[int], targets: list[int], **options: np.ndarray) -> dict[int, list[int] | None]:
    graph = mirrored(FROM, TO, WEIGHTS, 5)
    found = shortest_paths(graph, np.array(sources), np.array(targets), **options)
    return {row: None if path is None else path.tolist() for row, path in found}


def test_the_lightest_of_several_edges_counts_in_both_directions() -> None:
    dense = mirrored(FROM, TO, WEIGHTS, 5).toarray()
    assert np.array_equal(dense, dense.T)
    assert dense[0, 1] == 1.0


def test_shortest_paths_of_several_pairs() -> None:
    assert paths([0, 3, 0, 4], [3, 0, 4, 4]) == {0: [0, 1, 2, 3], 1: [3, 2, 1, 0], 2: None, 3: [4]}


@pytest.mark.parametrize("guess", [1e-9, 1.0, 100.0])
def test_a_guess_changes_nothing(guess: float) -> None:
    assert paths([0, 0], [3, 4], guesses=np.full(2, guess)) == {0: [0, 1, 2, 3], 1: None}


def test_edges_of_length_zero_are_edges() -> None:
    graph = mirrored(np.array([0, 1]), np.array([1, 2]), np.zeros(2), 3)
    assert graph.nnz == 4
    assert dict(shortest_paths(graph, np.array([0]), np.array([2])))[0].tolist() == [0, 1, 2]  # type: ignore[union-attr]
