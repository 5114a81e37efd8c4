"""Acceptance 8: bad points and relations of them end in a typed error or in a status."""

import math

import numpy as np
import pytest
import torch
from tests.acceptance.bad_input import ONE, ZERO, Cases, bowl, fresh, joined, judged, logarithmic, wavy
from torch import nn

from egregium.geodesics import connect
from egregium.geodesics.projection import project
from egregium.relations import (
    Angle,
    GeodesicDistance,
    IndependentDrawLength,
    LatentDistance,
    angle,
    distance,
    log_density,
    log_volume,
    straight_length,
)
from egregium.spaces import Euclidean, Pullback
from egregium.status import Status

case = Cases()


@case
def nan_point():
    return joined(bowl, ZERO, ONE * math.nan)


@case
def infinite_point():
    return joined(bowl, ONE * math.inf, ONE)


@case
def one_nan_among_many_points():
    return distance(Euclidean(2), torch.zeros(5, 2), torch.zeros(5, 2).index_fill(0, torch.tensor([3]), torch.nan))


@case
def points_of_unequal_shapes():
    return joined(bowl, torch.zeros(4, 2), torch.zeros(1, 2))


@case
def points_of_unequal_dtypes():
    return connect(Euclidean(2), ZERO, ONE.float())


@case
def points_of_another_dimension():
    return connect(Euclidean(3), ZERO, ONE)


@case
def points_of_another_dimension_than_the_decoder():
    return joined(fresh(nn.Linear(3, 5)))


@case
def points_of_a_second_dimension_on_one_space():
    space = Pullback(bowl)
    connect(space, ZERO, ONE)
    return connect(space, torch.zeros(3).double(), torch.ones(3).double())


@case
def integer_points():
    return joined(bowl, torch.zeros(2, dtype=torch.int64), torch.ones(2, dtype=torch.int64))


@case
def half_precision_points():
    return joined(bowl, torch.zeros(2, dtype=torch.float16), torch.ones(2, dtype=torch.float16))


@case
def complex_points():
    return joined(bowl, torch.zeros(2, dtype=torch.complex64), torch.ones(2, dtype=torch.complex64))


@case
def empty_batch():
    return joined(bowl, torch.zeros(0, 2), torch.zeros(0, 2))


@case
def points_without_coordinates():
    return joined(bowl, torch.zeros(3, 0), torch.zeros(3, 0))


@case
def a_scalar_for_a_point():
    return joined(bowl, torch.tensor(0.0), torch.tensor(1.0))


@case
def arrays_for_points():
    return joined(bowl, np.zeros(2), np.ones(2))  # type: ignore[arg-type]


@case
def points_on_two_devices():
    return connect(Euclidean(2), torch.zeros(2, device="meta"), torch.zeros(2))


@case
def sparse_points():
    return joined(bowl, torch.zeros(2, 2).to_sparse(), torch.ones(2, 2).to_sparse())


@case
def angle_of_points_of_unequal_shapes():
    return angle(Pullback(bowl), ZERO, ONE, torch.ones(4, 2).double())


@case
def distance_that_fails_as_a_relation():
    return GeodesicDistance(options={"max_steps": 1})(Pullback(wavy), -ONE, ONE).status


@case
def angle_where_the_decoder_is_not_finite():
    space = Pullback(logarithmic)
    return Angle()(space, ONE, 2 * ONE, -ONE).status


@case
def straight_line_through_nan():
    space = Pullback(logarithmic)
    return torch.where(straight_length(space, -ONE, ONE).isfinite(), Status.CONVERGED, Status.NONFINITE)


@case
def density_under_a_prior_of_another_dimension():
    return log_density(Pullback(bowl), ONE, torch.distributions.MultivariateNormal(torch.zeros(3), torch.eye(3)))


@case
def density_under_a_prior_of_numbers():
    return log_density(Pullback(bowl), torch.ones(2, 2).double(), torch.distributions.Normal(0.0, 1.0))


@case
def density_under_no_prior():
    return log_density(Pullback(bowl), ONE, None)  # type: ignore[arg-type]


@case
def volume_of_a_point_of_another_dimension():
    return log_volume(Pullback(bowl, dim=2), torch.zeros(3))


@case
def independent_draws_at_one_point():
    return IndependentDrawLength(n_points=1)


@case
def latent_distance_with_a_matrix_of_another_dimension():
    return LatentDistance("whitened", torch.eye(3))(Euclidean(2), ZERO, ONE)


@case
def projection_of_a_target_of_another_dimension():
    return project(Pullback(bowl), torch.zeros(5).double(), ZERO).status


@case
def projection_of_nan():
    return project(Pullback(bowl), torch.full((3,), math.nan).double(), ZERO).status


@case
def projection_onto_nothing_finite():
    return project(Pullback(logarithmic), torch.zeros(3).double(), -ONE).status


@pytest.mark.parametrize("name", case)
def test_case(name: str, request: pytest.FixtureRequest) -> None:
    print(f"{name}: {judged(case[name], request)}")
