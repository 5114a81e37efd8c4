"""Support graphs: what is accepted, and the routes along them."""

from typing import Any

import numpy as np
import pytest
import torch
from scipy.sparse import triu

from egregium.errors import OptionError, ShapeError, TensorError
from egregium.geodesics.problem import Problem
from egregium.geodesics.support import SupportGraph, out_of_support, routes
from egregium.protocols import Support
from egregium.relations import neighbors
from egregium.spaces import Pullback
from egregium.status import Status

PLANE = Pullback(lambda z: torch.cat([z, 0 * z], -1), dim=2)
POINTS = torch.tensor([[0.0, 0.0], [0.0, 1.0], [1.0, 1.0], [1.0, 0.0], [5.0, 5.0]], dtype=torch.float64)
EDGES = torch.tensor([[0, 1], [1, 2], [2, 3]])
GRAPH = SupportGraph(POINTS, EDGES, torch.ones(3))


def problem(z0: list[list[float]], z1: list[list[float]]) -> Problem:
    return Problem.between(PLANE, torch.tensor(z0).double(), torch.tensor(z1).double())


def test_protocol() -> None:
    assert isinstance(GRAPH, Support)


def test_routes_follow_the_edges() -> None:
    found = routes(PLANE, problem([[0.0, -0.1]], [[1.0, -0.1]]), SupportGraph(POINTS[:4], EDGES, torch.full((3,), 0.1)), 32)
    assert found.connected.all() and found.vertices.shape == (1, 31, 2)
    path = found.vertices[0]
    assert path[:, 1].max() > 0.9  # up, across and down again, though its ends are neighbours
    steps = PLANE.immerse(torch.cat([path[:1], path])).diff(dim=0).norm(dim=-1)[1:]
    assert steps.max() < 2.5 * steps.mean()


def test_every_end_is_joined_to_its_nearest_points() -> None:
    """With few points all of them are near, so that the way may be a single hop."""
    found = routes(PLANE, problem([[0.0, 0.0]], [[1.0, 0.0]]), GRAPH, 8)
    assert found.connected.all()


def test_islands_are_not_connected() -> None:
    near = torch.randn(12, 2, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    graph = neighbors(PLANE, torch.cat([near, near + 100]), k=3)
    z0, z1 = torch.stack([near[0], near[0]]), torch.stack([near[1], near[1] + 100])
    found = routes(PLANE, Problem.between(PLANE, z0, z1), graph, 8)
    assert found.connected.tolist() == [True, False]
    straight = Problem.between(PLANE, z0, z1).straight(8)
    assert torch.equal(found.vertices[1], straight[1])


def test_out_of_support() -> None:
    x = PLANE.immerse(torch.tensor([[0.0, 0.1], [0.0, 0.9], [3.0, 3.0]]).double())[:, None]
    graph = SupportGraph(POINTS, EDGES, torch.ones(3), radius=0.5)
    assert out_of_support(PLANE, x, graph).tolist() == [False, False, True]
    assert not out_of_support(PLANE, x, GRAPH).any()


def test_starts_and_ends_of_other_pairs_are_no_way() -> None:
    """A pair whose ends lie in the gap between two islands does not join them for another."""
    islands = SupportGraph(torch.tensor([[0.0, 0.0], [1.0, 0.0]]).double(), torch.zeros(0, 2, dtype=torch.long), torch.zeros(0))
    alone = routes(PLANE, problem([[-1.0, 0.0]], [[2.0, 0.0]]), islands, 8)
    joined = routes(PLANE, problem([[-1.0, 0.0], [0.4, 0.0]], [[2.0, 0.0], [0.6, 0.0]]), islands, 8)
    assert torch.equal(alone.vertices[0], joined.vertices[0])


def test_distances_and_paths_along_the_edges() -> None:
    expected = [0.0, 1.0, 2.0, 3.0, torch.inf]
    assert GRAPH.distances(torch.tensor([0])).tolist() == [expected]
    assert GRAPH.distances().shape == (5, 5) and GRAPH.distances().dtype == torch.float64
    i, j = torch.tensor([0, 3, 0, 4]), torch.tensor([3, 1, 4, 4])
    assert GRAPH.between(i, j).tolist() == [3.0, 2.0, torch.inf, 0.0]
    assert [None if path is None else path.tolist() for path in GRAPH.paths(i, j)] == [[0, 1, 2, 3], [3, 2, 1], None, [4]]
    assert GRAPH.components().tolist() == [0, 0, 0, 0, 1]


def test_failed_edges_are_in_no_matrix_and_no_route() -> None:
    status = torch.tensor([0, int(Status.STALLED), 0], dtype=torch.int8)
    graph = SupportGraph(POINTS, EDGES, torch.tensor([1.0, torch.nan, 1.0]), status=status)
    assert graph.matrix().nnz == 4 and graph.components().tolist() == [0, 0, 1, 1, 2]
    assert "2 CONVERGED, 1 STALLED" in repr(graph)


def test_there_and_back_through_a_sparse_matrix() -> None:
    """Edges of length zero included."""
    graph = SupportGraph(POINTS, EDGES, torch.tensor([1.0, 0.0, 2.0]).double())
    again = SupportGraph.from_matrix(POINTS, graph.matrix(), radius=1.0)
    assert torch.equal(again.edges, EDGES) and torch.equal(again.lengths, graph.lengths) and again.radius == 1.0


@pytest.mark.parametrize(
    ("matrix", "error", "words"),
    [
        (np.zeros((5, 5)), ShapeError, "sparse matrix"),
        (GRAPH.matrix()[:4, :4], ShapeError, r"matrix \(5, 5\)"),
        (triu(GRAPH.matrix()), OptionError, "symmetric"),
        (-GRAPH.matrix(), OptionError, "not negative"),
    ],
)
def test_matrices_that_are_no_support(matrix: Any, error: type[Exception], words: str) -> None:
    with pytest.raises(error, match=words):
        SupportGraph.from_matrix(POINTS, matrix)


@pytest.mark.parametrize(
    ("i", "j", "error", "words"),
    [
        (torch.tensor([0, 1]), torch.tensor([1]), ShapeError, "equal shapes"),
        (torch.tensor([0.0]), torch.tensor([1]), ShapeError, "int64 indices"),
        (torch.tensor([5]), torch.tensor([1]), OptionError, "0 to 4"),
        (torch.tensor([-1]), torch.tensor([1]), OptionError, "0 to 4"),
    ],
)
def test_points_that_are_not_there(i: torch.Tensor, j: torch.Tensor, error: type[Exception], words: str) -> None:
    with pytest.raises(error, match=words):
        GRAPH.between(i, j)


@pytest.mark.parametrize(
    ("arguments", "error", "words"),
    [
        ((POINTS[0], EDGES, torch.ones(3)), ShapeError, r"points \(N, d\)"),
        ((POINTS, EDGES.flatten(), torch.ones(3)), ShapeError, r"edges \(E, 2\)"),
        ((POINTS, EDGES, torch.ones(2)), ShapeError, "one length an edge"),
        ((POINTS, EDGES, torch.ones(3), None, torch.ones(2)), ShapeError, "one lower an edge"),
        ((POINTS, EDGES, torch.ones(3), None, None, None, torch.zeros(1)), ShapeError, "one status an edge"),
        ((POINTS, EDGES + 2, torch.ones(3)), OptionError, "index its 5 points"),
        ((POINTS, EDGES - 1, torch.ones(3)), OptionError, "index its 5 points"),
        ((POINTS, EDGES.double(), torch.ones(3)), TensorError, "int64"),
        ((POINTS, EDGES, torch.tensor([1.0, -1.0, 1.0])), OptionError, "finite and not negative"),
        ((POINTS, EDGES, torch.tensor([1.0, torch.inf, 1.0])), OptionError, "finite and not negative"),
        ((POINTS * torch.nan, EDGES, torch.ones(3)), TensorError, "support points must be finite"),
        ((POINTS, EDGES, torch.ones(3), -1.0), OptionError, "radius"),
        ((POINTS, EDGES, torch.ones(3), float("nan")), OptionError, "radius"),
    ],
)
def test_refusals(arguments: tuple, error: type[Exception], words: str) -> None:
    with pytest.raises(error, match=words):
        SupportGraph(*arguments)


def test_a_graph_may_have_no_edges() -> None:
    SupportGraph(POINTS, torch.zeros(0, 2, dtype=torch.long), torch.zeros(0))
