"""Distances between many points: the matrix, and rows and pairs of a graph on demand."""

import pytest
import torch

from egregium.errors import NotConvergedError, OptionError, ShapeError
from egregium.geodesics import SupportGraph, connect
from egregium.relations import Pairwise, distance, neighbors, pairwise
from egregium.spaces import Euclidean, Pullback
from egregium.testing.surfaces import Cylinder, SwissRoll
from egregium.testing.twins import Diffeomorphism, random_decoder, twin

DECODER = random_decoder(2, 12, seed=0)
SPACE = Pullback(DECODER, dim=2)
Z = torch.randn(12, 2, generator=torch.Generator().manual_seed(0), dtype=torch.float64)


def test_the_matrix_against_closed_forms() -> None:
    sheet = Cylinder()
    z = sheet.sample(8, torch.Generator().manual_seed(0))
    found = pairwise(Pullback(sheet.decode, dim=2), z, rtol=1e-8)
    exact = sheet.distance(z[:, None].expand(8, 8, 2), z[None].expand(8, 8, 2))
    torch.testing.assert_close(found, exact, rtol=1e-8, atol=1e-12)


def test_the_matrix_is_that_of_distance_and_symmetric() -> None:
    found = pairwise(SPACE, Z[:6])
    i, j = torch.triu_indices(6, 6, 1)
    assert torch.equal(found, found.T) and (found.diagonal() == 0).all()
    torch.testing.assert_close(found[i, j], distance(SPACE, Z[i], Z[j]), rtol=1e-12, atol=0)


def test_the_matrix_does_not_depend_on_the_parametrisation() -> None:
    a = Diffeomorphism(2, seed=1)
    here = pairwise(SPACE, Z[:5], rtol=1e-4)
    there = pairwise(Pullback(twin(DECODER, a), dim=2), a.forward(Z[:5]), rtol=1e-4)
    torch.testing.assert_close(here, there, rtol=2e-4, atol=0)


def test_one_point_and_equal_points() -> None:
    assert pairwise(SPACE, Z[:1]).tolist() == [[0.0]]
    assert (pairwise(SPACE, Z[:1].repeat(3, 1)) == 0).all()


def test_explicit_spaces_know_their_distances() -> None:
    torch.testing.assert_close(pairwise(Euclidean(2), Z), torch.cdist(Z, Z))


def test_failed_pairs_are_marked_or_raise() -> None:
    gap = Pullback(lambda z: torch.cat([torch.where(z.abs() < 0.5, torch.nan, z), z**2], -1), dim=1)
    z = torch.tensor([[-2.0], [-1.0], [1.0]], dtype=torch.float64)
    found = pairwise(gap, z, on_fail="mark")
    assert torch.isfinite(found[0, 1]) and found[:2, 2].isnan().all() and (found.diagonal() == 0).all()
    with pytest.raises(NotConvergedError, match="2 of 3 pairs") as caught:
        pairwise(gap, z)
    assert isinstance(caught.value.result, torch.Tensor)


def test_progress_and_gradients(capsys: pytest.CaptureFixture[str]) -> None:
    found = pairwise(SPACE, Z[:4].clone().requires_grad_(), progress=True)
    assert not found.requires_grad
    assert "6 of 6 pairs" in capsys.readouterr().err


def test_points_must_be_a_plain_batch_and_options_known() -> None:
    with pytest.raises(ShapeError, match=r"\(N, d\)"):
        pairwise(SPACE, Z.reshape(2, 6, 2))
    with pytest.raises(OptionError, match="on_fail"):
        pairwise(SPACE, Z, on_fail="never")


def test_rows_on_demand_are_upper_bounds() -> None:
    found = pairwise(SPACE, neighbors(SPACE, Z, k=3))
    assert isinstance(found, Pairwise) and len(found) == 12
    rows = found.upper(torch.tensor([0, 5]))
    assert rows.shape == (2, 12)
    exact = distance(SPACE, Z[:1].expand(11, 2), Z[1:])
    assert (rows[0, 1:] >= exact * (1 - 1e-3)).all() and rows[0, 0] == 0  # the tolerance of the edges


def test_refined_pairs_are_geodesics() -> None:
    found = pairwise(SPACE, neighbors(SPACE, Z, k=3))
    i, j = torch.arange(6), torch.arange(6, 12)
    g, exact = found.refine(i, j), distance(SPACE, Z[i], Z[j])
    assert g.ok.all()
    assert (g.length <= exact * (1 + 1e-3)).all()
    assert (g.length <= found.graph.between(i, j) * (1 + 1e-3)).all()


def test_a_path_that_is_shorter_than_the_curve_found_is_followed() -> None:
    """Starts of one's own that all lead over the hill: the path around it proves them wrong."""
    hill = Pullback(lambda z: torch.cat([z, 3 * torch.exp(-4 * (z**2).sum(-1, keepdim=True))], -1), dim=2)
    around = torch.linspace(0, torch.pi, 13, dtype=torch.float64)
    points = 1.2 * torch.stack([around.cos(), 0.8 * around.sin()], -1)
    ring = torch.stack([torch.arange(12), torch.arange(1, 13)], -1)
    lengths = distance(hill, points[:-1], points[1:])
    i, j = torch.tensor([0]), torch.tensor([12])
    other_side = torch.stack([points[0], torch.tensor([0.0, -4.0]).double(), points[12]])[None]
    far = connect(hill, points[i], points[j], starts=other_side, on_fail="mark")
    found = pairwise(hill, SupportGraph(points, ring, lengths), starts=other_side, on_fail="mark").refine(i, j)
    assert found.ok.all() and (found.length <= far.length * (1 + 1e-3)).all()
    assert (found.length <= lengths.sum() * (1 + 1e-3)).all()


def test_islands_are_joined_by_nothing() -> None:
    near = torch.randn(12, 2, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    plane = Pullback(lambda z: torch.cat([z, 0 * z], -1), dim=2)
    found = pairwise(plane, neighbors(plane, torch.cat([near, near + 100]), k=3), on_fail="mark")
    assert torch.isinf(found.upper(torch.tensor([0]))[0, 12:]).all()
    with pytest.raises(NotConvergedError, match="DISCONNECTED"):
        pairwise(plane, found.graph).refine(torch.tensor([0]), torch.tensor([12]))


def test_the_swiss_roll_along_its_data() -> None:
    """Pairs on different turns, 9 units apart in the air and up to 60 on the sheet."""
    roll = SwissRoll()
    z = roll.sample(300, torch.Generator().manual_seed(0))
    space = Pullback(roll.decode, dim=2)
    i, j = torch.arange(0, 40, 2), torch.arange(1, 41, 2)
    found = pairwise(space, neighbors(space, z, k=8))
    exact = roll.distance(z[i], z[j])
    assert ((found.graph.between(i, j) / exact).median() - 1) < 0.1  # 300 points with 8 neighbours
    torch.testing.assert_close(found.refine(i, j).length, exact, rtol=1e-3, atol=0)
