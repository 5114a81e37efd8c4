"""Neighbour graphs over decoded data."""

import sys
from typing import Any

import pytest
import torch
from torch import Tensor

from egregium.errors import DecoderError, NotConvergedError, OptionError, ShapeError, ToleranceError
from egregium.geodesics import SupportGraph, connect
from egregium.relations import neighbors, pairwise
from egregium.spaces import Euclidean, Pullback
from egregium.status import Status
from egregium.testing.surfaces import SwissRoll
from egregium.testing.twins import Diffeomorphism, random_decoder, twin

DECODER = random_decoder(2, 12, seed=0)
SPACE = Pullback(DECODER, dim=2)
Z = torch.randn(30, 2, generator=torch.Generator().manual_seed(0), dtype=torch.float64)


def test_edges_join_nearest_points() -> None:
    graph = neighbors(Euclidean(1), torch.tensor([[0.0], [1.0], [2.1], [3.3], [10.0]]), k=1)
    assert graph.edges.tolist() == [[0, 1], [1, 2], [2, 3], [3, 4]]
    torch.testing.assert_close(graph.lengths, torch.tensor([1.0, 1.1, 1.2, 6.7]))


def test_every_point_has_its_k_nearest_by_geodesic_distance() -> None:
    """Against all pairs joined by `connect`: the candidates by decoded chord lose none."""
    graph = neighbors(SPACE, Z[:20], k=3)
    exact = pairwise(SPACE, Z[:20], rtol=1e-4)
    i, j = graph.edges.unbind(-1)
    torch.testing.assert_close(graph.lengths, exact[i, j], rtol=1e-3, atol=0)
    assert graph.ok.all() and (i < j).all() and len(graph.edges.unique(dim=0)) == len(graph.edges)
    joined = {tuple(edge) for edge in graph.edges.tolist()}
    expected = set()
    for a, nearest in enumerate(exact.fill_diagonal_(torch.inf).topk(3, largest=False).indices.tolist()):
        expected |= {(min(a, b), max(a, b)) for b in nearest}
    assert joined == expected


def test_edges_carry_the_certificate_of_connect() -> None:
    graph = neighbors(SPACE, Z[:20], k=3)
    g = connect(SPACE, Z[graph.edges[:, 0]], Z[graph.edges[:, 1]], rtol=1e-6)
    assert graph.lower is not None and graph.upper is not None and graph.status is not None
    torch.testing.assert_close(graph.lower, g.lower, rtol=1e-12, atol=0)
    assert (graph.lower <= graph.lengths).all() and (graph.lengths <= graph.upper).all()
    assert ((graph.lengths / g.length - 1).abs() <= 1e-3).all()
    assert (graph.upper >= g.length * (1 - 1e-6)).all()  # the tolerance of the reference


def test_the_graph_does_not_depend_on_the_parametrisation() -> None:
    """The same edges; lengths to the tolerance, because starting lines depend on the coordinates."""
    a = Diffeomorphism(2, seed=1)
    here = neighbors(SPACE, Z, k=4)
    there = neighbors(Pullback(twin(DECODER, a), dim=2), a.forward(Z), k=4)
    assert torch.equal(here.edges, there.edges)
    torch.testing.assert_close(here.lengths, there.lengths, rtol=2e-3, atol=0)


def test_a_chord_through_the_air_makes_no_neighbour() -> None:
    """Two turns of a roll, 0.5 apart in the air and half a turn on the sheet; neighbours on a turn are 0.9 apart."""
    t = torch.arange(2.0, 14.0, 0.1, dtype=torch.float64)
    roll = Pullback(lambda z: torch.stack([z[:, 0] * z[:, 0].cos(), z[:, 0] * z[:, 0].sin()], -1) * 0.1, dim=1)
    graph = neighbors(roll, t[:, None], k=2)
    assert (graph.edges.diff(dim=1) <= 2).all()


def test_duplicates_are_neighbours_at_distance_zero() -> None:
    graph = neighbors(SPACE, torch.cat([Z, Z[:3]]), k=2)
    place = graph.edges.tolist().index([0, 30])
    assert graph.ok.all() and graph.lengths[place] == 0
    assert graph.distances(torch.tensor([30]))[0, 0] == 0


def test_all_points_equal() -> None:
    graph = neighbors(SPACE, Z[:1].repeat(4, 1), k=2)
    assert graph.ok.all() and (graph.lengths == 0).all()


def test_gradients_of_points_are_left_alone() -> None:
    graph = neighbors(SPACE, Z.clone().requires_grad_(), k=2)
    assert not graph.points.requires_grad and not graph.lengths.requires_grad


def test_single_precision() -> None:
    """Near duplicates too, whose decoded difference has no digits left."""
    decoder = random_decoder(2, 12, seed=0).float()
    points = torch.cat([Z[:15].float(), Z[:5].float() + 1e-5])
    graph = neighbors(Pullback(lambda z: 30 + decoder(z), dim=2), points, k=3)
    exact = connect(SPACE, *(points.double()[graph.edges[:, end]] for end in (0, 1)), rtol=1e-6).length
    assert graph.ok.all() and graph.lengths.dtype == torch.float32
    assert ((graph.lengths / exact - 1).abs() <= 1e-3).all()


def test_progress(capsys: pytest.CaptureFixture[str]) -> None:
    neighbors(SPACE, Z[:5], k=2, progress=True)
    assert "edges" in capsys.readouterr().err


def test_large_sets_are_worked_in_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    whole = neighbors(SPACE, Z[:20], k=2)
    monkeypatch.setattr(
        sys.modules["egregium.relations.neighbors"],
        "row_chunks",
        lambda rows, floats, budget=0: [slice(k, min(k + 7, rows)) for k in range(0, rows, 7)],
    )
    parts = neighbors(SPACE, Z[:20], k=2)
    assert torch.equal(parts.edges, whole.edges)
    torch.testing.assert_close(parts.lengths, whole.lengths, rtol=1e-12, atol=0)  # no edge knows its batch mates


def test_routes_along_the_swiss_roll() -> None:
    """With data as support, the chord that tunnels between turns is not taken for a way."""
    roll = SwissRoll()
    space = Pullback(roll.decode, dim=2)
    support = neighbors(space, roll.sample(600, torch.Generator().manual_seed(0)), k=8)
    z0, z1 = torch.tensor([2.5 * torch.pi, 5.0]).double(), torch.tensor([4.4 * torch.pi, 15.0]).double()
    g = connect(space, z0, z1, support=support)
    assert g.length.item() == pytest.approx(roll.distance(z0, z1).item(), rel=1e-3)


def kinked(z: Tensor) -> Tensor:
    """Without a value between -1/2 and 1/2."""
    x = torch.cat([z, z**2], -1)
    return torch.where(z[:, :1].abs() < 0.5, torch.nan, x)


def test_failed_edges_are_marked_and_no_way() -> None:
    """Two groups on either side of where the decoder has no value: edges across fail, and no path takes them."""
    sides = torch.tensor([[-2.0, 0.0], [-1.9, 0.1], [1.9, 0.1], [2.0, 0.0]], dtype=torch.float64)
    space = Pullback(kinked, dim=2)
    graph = neighbors(space, sides, k=2, on_fail="mark")
    assert graph.status is not None and set(graph.status.tolist()) == {int(Status.CONVERGED), int(Status.NONFINITE)}
    assert graph.components().tolist() == [0, 0, 1, 1]
    assert torch.isinf(graph.distances(torch.tensor([0]))[0, 2:]).all()
    with pytest.raises(NotConvergedError, match="edges did not converge") as caught:
        neighbors(space, sides, k=2)
    assert isinstance(caught.value.result, SupportGraph)


def test_points_without_a_decoded_value_are_told() -> None:
    points = torch.cat([Z[Z[:, 0].abs() > 0.5][:4], torch.zeros(2, 2).double()])
    with pytest.raises(DecoderError, match="2 of 6 points, first row 4"):
        neighbors(Pullback(kinked, dim=2), points, k=1)


def test_a_degenerate_decoder_certifies_nothing() -> None:
    flat = Pullback(lambda z: torch.stack([z.sum(-1), z.sum(-1).sin()], -1), dim=2)
    graph = neighbors(flat, Z[:6], k=2, on_fail="mark")
    assert graph.status is not None and (graph.status == Status.DEGENERATE).all()


def test_one_point_has_no_neighbour() -> None:
    with pytest.raises(OptionError, match="1 points"):
        neighbors(SPACE, Z[:1], k=1)


@pytest.mark.parametrize(
    ("options", "error", "words"),
    [
        ({"rtol": 1e-30}, ToleranceError, "rtol must lie"),
        ({"on_fail": "ignore"}, OptionError, "on_fail"),
        ({"max_steps": 0}, OptionError, "max_steps"),
        ({"solver": "newton"}, OptionError, "eg.solvers"),
        ({"radius": -1.0}, OptionError, "radius"),
    ],
)
def test_refused_options(options: dict[str, Any], error: type[Exception], words: str) -> None:
    with pytest.raises(error, match=words):
        neighbors(SPACE, Z, k=2, **options)


@pytest.mark.parametrize("k", [0, -1, 30])
def test_numbers_of_neighbours_out_of_range(k: int) -> None:
    with pytest.raises(OptionError, match="1 <= k < number of points"):
        neighbors(SPACE, Z, k=k)


def test_points_must_be_a_plain_batch() -> None:
    with pytest.raises(ShapeError):
        neighbors(SPACE, Z.reshape(5, 6, 2), k=2)
