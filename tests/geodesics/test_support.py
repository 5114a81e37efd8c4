"""Support graphs: what is accepted, and the routes along them."""

import pytest
import torch

from egregium.errors import OptionError, ShapeError, TensorError
from egregium.geodesics.problem import Problem
from egregium.geodesics.support import SupportGraph, out_of_support, routes
from egregium.protocols import Support
from egregium.relations import neighbors
from egregium.spaces import Pullback

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


@pytest.mark.parametrize(
    ("arguments", "error", "words"),
    [
        ((POINTS[0], EDGES, torch.ones(3)), ShapeError, r"points \(N, d\)"),
        ((POINTS, EDGES.flatten(), torch.ones(3)), ShapeError, r"edges \(E, 2\)"),
        ((POINTS, EDGES, torch.ones(2)), ShapeError, "one length an edge"),
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
