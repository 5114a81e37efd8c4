"""Distances: laws, closed forms, the order of chord, distance and straight line, and what each is invariant under."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from egregium.protocols import Relation
from egregium.relations import Chord, GeodesicDistance, StraightLength, chord, distance, straight_length
from egregium.spaces import Euclidean, Pullback
from egregium.status import Status
from egregium.testing.laws import distance_breaches, relation_breaches, require
from egregium.testing.surfaces import SOLVED, Cylinder, SolvedSurface, SwissRoll
from egregium.testing.twins import Diffeomorphism, random_decoder, twin

DECODER = random_decoder(2, 12, seed=0)
SPACE = Pullback(DECODER, dim=2)
Z0, Z1 = torch.randn(2, 5, 2, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
RELATIONS = (GeodesicDistance(options={"rtol": 1e-6}), Chord(), StraightLength())


@pytest.mark.parametrize("surface", SOLVED, ids=repr)
def test_laws(surface: SolvedSurface) -> None:
    z = surface.sample(5, torch.Generator().manual_seed(2))
    space = Pullback(surface.decode, dim=surface.dim)
    require(distance_breaches(space, lambda a, b: distance(space, a, b, rtol=1e-7), z))


@pytest.mark.parametrize("relation", RELATIONS, ids=lambda relation: relation.name)
def test_relations_keep_their_laws(relation: GeodesicDistance | Chord | StraightLength) -> None:
    assert isinstance(relation, Relation)
    require(relation_breaches(relation, SPACE, Z0, Z1))


def test_no_curve_is_shorter_than_the_chord_and_no_geodesic_longer_than_the_straight_line() -> None:
    between = distance(SPACE, Z0, Z1, rtol=1e-6)
    assert (chord(SPACE, Z0, Z1) <= between).all() and (between <= straight_length(SPACE, Z0, Z1) * (1 + 1e-6)).all()


def test_on_flat_surfaces_they_agree() -> None:
    z0, z1 = Cylinder().sample(10, torch.Generator().manual_seed(0)).chunk(2)
    truth = Cylinder().distance(z0, z1)
    torch.testing.assert_close(straight_length(Pullback(Cylinder().decode), z0, z1), truth, rtol=1e-12, atol=0)
    for verb in (distance, chord, straight_length):
        torch.testing.assert_close(verb(Euclidean(2), z0, z1), (z1 - z0).norm(dim=-1), rtol=1e-12, atol=0)


def test_chords_tunnel_through_the_swiss_roll_and_distances_do_not() -> None:
    space = Pullback(SwissRoll().decode)
    z0, z1 = torch.tensor([2.5 * torch.pi, 5.0]).double(), torch.tensor([4.5 * torch.pi, 5.0]).double()
    assert chord(space, z0, z1).item() == pytest.approx(2 * torch.pi)
    assert distance(space, z0, z1).item() == pytest.approx(SwissRoll().distance(z0, z1).item(), rel=1e-3)


@given(st.integers(0, 500))
def test_what_is_invariant_under_reparametrisation(seed: int) -> None:
    a = Diffeomorphism(2, seed=seed)
    there, w0, w1 = Pullback(twin(DECODER, a), dim=2), a.forward(Z0), a.forward(Z1)
    torch.testing.assert_close(chord(there, w0, w1), chord(SPACE, Z0, Z1), rtol=1e-10, atol=0)
    straight = straight_length(there, w0, w1)
    assert not torch.allclose(straight, straight_length(SPACE, Z0, Z1), rtol=1e-3)


def test_the_straight_line_is_invariant_under_affine_maps() -> None:
    matrix = torch.tensor([[2.0, 1.0], [-0.5, 1.5]], dtype=torch.float64)
    there = Pullback(lambda y: DECODER(torch.linalg.solve(matrix, (y - 3).mT).mT), dim=2)
    expected = straight_length(SPACE, Z0, Z1)
    torch.testing.assert_close(straight_length(there, Z0 @ matrix.mT + 3, Z1 @ matrix.mT + 3), expected, rtol=1e-10, atol=0)


def test_failed_rows_are_nan_in_tensors_and_numbers_with_a_status_in_relations() -> None:
    space = Pullback(lambda z: torch.cat([z, 5 * (2 * z).sin()], -1), dim=2)
    failed = distance(space, Z0, Z1, max_steps=1, on_fail="mark")
    assert failed.isnan().all()
    measured = GeodesicDistance(options={"max_steps": 1})(space, Z0, Z1)
    assert (measured.status == Status.MAX_STEPS).all() and torch.isfinite(measured.value).all()


def test_a_straight_line_through_nan_is_nan() -> None:
    space = Pullback(lambda z: torch.cat([z, z[:, :1].log()], -1), dim=2)
    ends = torch.tensor([[-1.0, 0.0], [1.0, 0.0]]).double(), torch.tensor([[1.0, 0.0], [2.0, 0.0]]).double()
    measured = StraightLength()(space, *ends)
    assert measured.status.tolist() == [Status.NONFINITE, Status.CONVERGED]


@pytest.mark.parametrize("batch", [(), (2, 2)])
def test_shapes(batch: tuple[int, ...]) -> None:
    z0, z1 = (z[: max(1, len(batch) ** 2)].reshape(*batch, 2) for z in (Z0, Z1))
    for verb in (distance, chord, straight_length):
        assert verb(SPACE, z0, z1).shape == batch


def test_chords_carry_no_graph_that_was_not_asked_for() -> None:
    decoder = torch.nn.Linear(2, 5).double()
    assert not chord(Pullback(decoder, dim=2), Z0, Z1).requires_grad


def test_gradients_of_chord_and_straight_line() -> None:
    z0 = Z0.clone().requires_grad_()
    chord(SPACE, z0, Z1).sum().backward()
    assert z0.grad is not None and torch.isfinite(z0.grad).all()
