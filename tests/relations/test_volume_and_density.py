"""Volume and density: closed forms, the change of variables, and priors that do not fit."""

import math
from importlib import import_module

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.distributions import Independent, MultivariateNormal, Normal

from egregium.errors import ModelError
from egregium.protocols import Relation
from egregium.relations import Density, LogVolume, log_density, log_volume
from egregium.spaces import Euclidean, Pullback
from egregium.status import Status
from egregium.testing.laws import relation_breaches, require
from egregium.testing.surfaces import SphericalCoordinates, StereographicSphere
from egregium.testing.twins import Diffeomorphism, StandardNormalImage, random_decoder, twin

Z = torch.randn(9, 3, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
DECODER = random_decoder(3, 12, seed=0)
SPACE = Pullback(DECODER, dim=3)
NORMAL = MultivariateNormal(torch.zeros(3, dtype=torch.float64), torch.eye(3, dtype=torch.float64))


def test_volume_is_the_root_of_the_determinant() -> None:
    torch.testing.assert_close(log_volume(SPACE, Z), 0.5 * torch.logdet(SPACE.metric(Z)), rtol=1e-10, atol=1e-10)


def test_volume_elements_of_the_sphere() -> None:
    z = SphericalCoordinates().sample(6, torch.Generator().manual_seed(0))
    torch.testing.assert_close(log_volume(Pullback(SphericalCoordinates().decode), z), z[:, 0].sin().log())
    z = StereographicSphere().sample(6, torch.Generator().manual_seed(0))
    expected = 2 * (2 / (1 + (z**2).sum(-1))).log()
    torch.testing.assert_close(log_volume(Pullback(StereographicSphere().decode), z), expected)


def test_the_sphere_has_the_area_of_a_sphere() -> None:
    n = 200
    theta = (torch.arange(n, dtype=torch.float64) + 0.5) * math.pi / n
    z = torch.stack([theta, torch.zeros_like(theta)], -1)
    area = log_volume(Pullback(SphericalCoordinates(2.0).decode), z).exp().sum() * (math.pi / n) * 2 * math.pi
    assert area.item() == pytest.approx(4 * math.pi * 4, rel=1e-4)


def test_ill_conditioned_jacobians_keep_their_digits() -> None:
    """From `J`, not `J^T J`, whose determinant is lost to rounding at this condition."""
    tilt = 1e-9
    space = Pullback(lambda z: torch.stack([z[:, 0] + z[:, 1], z[:, 0] + (1 + tilt) * z[:, 1]], -1), dim=2)
    assert log_volume(space, torch.zeros(2).double()).item() == pytest.approx(math.log(tilt), abs=1e-6)


def test_lost_rank_has_no_volume() -> None:
    space = Pullback(lambda z: torch.stack([z[:, 0], 0 * z[:, 1], z[:, 0] ** 2], -1), dim=2)
    found = LogVolume()(space, torch.zeros(2, 2).double())
    assert (found.value == -torch.inf).all() and (found.status == Status.NONFINITE).all()


@given(st.integers(0, 200))
def test_change_of_variables(seed: int) -> None:
    a = Diffeomorphism(3, seed=seed)
    there = Pullback(twin(DECODER, a), dim=3)
    torch.testing.assert_close(log_volume(there, a.forward(Z)), log_volume(SPACE, Z) - a.log_det(Z), rtol=0, atol=1e-8)
    moved = log_density(there, a.forward(Z), StandardNormalImage(a))
    torch.testing.assert_close(moved, log_density(SPACE, Z, NORMAL), rtol=0, atol=1e-8)


def test_in_flat_space_the_density_is_the_prior() -> None:
    torch.testing.assert_close(log_density(Euclidean(3), Z, NORMAL), NORMAL.log_prob(Z))


@pytest.mark.parametrize("batch", [(), (3, 3)])
def test_shapes(batch: tuple[int, ...]) -> None:
    z = Z.reshape(3, 3, 3) if batch else Z[0]
    assert log_volume(SPACE, z).shape == log_density(SPACE, z, NORMAL).shape == batch


def test_many_points_are_worked_in_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    whole = log_volume(SPACE, Z)
    module = import_module("egregium.relations.volume")  # as an attribute of the package it is the function
    monkeypatch.setattr(module, "row_chunks", lambda rows, floats: [slice(k, k + 2) for k in range(0, rows, 2)])
    torch.testing.assert_close(log_volume(SPACE, Z), whole, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("relation", [LogVolume(), Density(NORMAL)], ids=lambda relation: relation.name)
def test_relations_keep_their_laws(relation: LogVolume | Density) -> None:
    assert isinstance(relation, Relation) and relation.scale == "interval"
    require(relation_breaches(relation, SPACE, Z))


@pytest.mark.parametrize(
    ("prior", "words"),
    [
        (MultivariateNormal(torch.zeros(2), torch.eye(2)), "no density at points"),
        (Normal(0.0, 1.0), r"Independent\(prior, 1\)"),
        (None, "no density at points"),
    ],
)
def test_priors_that_do_not_fit(prior: object, words: str) -> None:
    with pytest.raises(ModelError, match=words):
        log_density(SPACE, Z[:3], prior)  # type: ignore[arg-type]
    fitting = Independent(Normal(torch.zeros(3).double(), torch.ones(3).double()), 1)
    torch.testing.assert_close(log_density(SPACE, Z, fitting), log_density(SPACE, Z, NORMAL))
