"""Neighbour graphs over decoded data."""

import sys

import pytest
import torch

from egregium.errors import OptionError, ShapeError
from egregium.geodesics import connect
from egregium.relations import neighbors
from egregium.spaces import Euclidean, Pullback
from egregium.testing.surfaces import SwissRoll
from egregium.testing.twins import Diffeomorphism, random_decoder, twin

DECODER = random_decoder(2, 12, seed=0)
SPACE = Pullback(DECODER, dim=2)
Z = torch.randn(30, 2, generator=torch.Generator().manual_seed(0), dtype=torch.float64)


def test_edges_join_nearest_points() -> None:
    graph = neighbors(Euclidean(1), torch.tensor([[0.0], [1.0], [2.1], [3.3], [10.0]]), k=1)
    assert graph.edges.tolist() == [[0, 1], [1, 2], [2, 3], [3, 4]]
    torch.testing.assert_close(graph.lengths, torch.tensor([1.0, 1.1, 1.2, 6.7]))


def test_every_point_has_its_k_nearest_and_edges_come_once() -> None:
    graph = neighbors(SPACE, Z, k=4)
    x = SPACE.ambient(Z)
    lengths = (x[graph.edges[:, 0]] - x[graph.edges[:, 1]]).norm(dim=-1)
    torch.testing.assert_close(graph.lengths, lengths, rtol=1e-6, atol=1e-9)
    assert (graph.edges[:, 0] < graph.edges[:, 1]).all() and len(graph.edges.unique(dim=0)) == len(graph.edges)
    distances = torch.cdist(x, x) + torch.diag(torch.full((30,), torch.inf, dtype=torch.float64))
    joined = {tuple(edge) for edge in graph.edges.tolist()}
    for i, nearest in enumerate(distances.topk(4, largest=False).indices.tolist()):
        assert all((min(i, j), max(i, j)) in joined for j in nearest)


def test_the_graph_does_not_depend_on_the_parametrisation() -> None:
    a = Diffeomorphism(2, seed=1)
    here, there = neighbors(SPACE, Z), neighbors(Pullback(twin(DECODER, a), dim=2), a.forward(Z))
    assert torch.equal(here.edges, there.edges)
    torch.testing.assert_close(here.lengths, there.lengths, rtol=1e-6, atol=1e-9)


def test_duplicates_are_neighbours_at_distance_zero() -> None:
    graph = neighbors(SPACE, torch.cat([Z, Z[:3]]), k=2)
    assert (graph.lengths >= 0).all() and torch.isfinite(graph.lengths).all()
    assert [0, 30] in graph.edges.tolist()


def test_large_sets_are_worked_in_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    whole = neighbors(SPACE, Z, k=3)
    monkeypatch.setattr(
        sys.modules["egregium.relations.neighbors"],
        "row_chunks",
        lambda rows, floats: [slice(k, min(k + 7, rows)) for k in range(0, rows, 7)],
    )
    assert torch.equal(neighbors(SPACE, Z, k=3).edges, whole.edges)


def test_routes_along_the_swiss_roll() -> None:
    """With data as support, the chord that tunnels between turns is not taken for a way."""
    roll = SwissRoll()
    space = Pullback(roll.decode, dim=2)
    support = neighbors(space, roll.sample(600, torch.Generator().manual_seed(0)), k=8)
    z0, z1 = torch.tensor([2.5 * torch.pi, 5.0]).double(), torch.tensor([4.4 * torch.pi, 15.0]).double()
    g = connect(space, z0, z1, support=support)
    assert g.length.item() == pytest.approx(roll.distance(z0, z1).item(), rel=1e-3)


@pytest.mark.parametrize("k", [0, -1, 30])
def test_numbers_of_neighbours_out_of_range(k: int) -> None:
    with pytest.raises(OptionError, match="1 <= k < number of points"):
        neighbors(SPACE, Z, k=k)


def test_points_must_be_a_plain_batch() -> None:
    with pytest.raises(ShapeError):
        neighbors(SPACE, Z.reshape(5, 6, 2), k=2)
