"""Acceptance 8, first half: bad points, decoders, options and supports end in a typed error or in a status.

The second half, files and folders and the command line, is in `test_bad_files.py`.
"""

import math

import numpy as np
import pytest
import torch
from tests.acceptance.bad_input import Case, Cases, require_typed
from torch import Tensor, nn

from egregium.errors import EgregiumError, NotConvergedError
from egregium.geodesics import SupportGraph, connect
from egregium.geodesics.projection import project
from egregium.geodesics.solvers import GaussNewton
from egregium.relations import (
    Angle,
    GeodesicDistance,
    IndependentDrawLength,
    LatentDistance,
    angle,
    distance,
    log_density,
    log_volume,
    neighbors,
    straight_length,
)
from egregium.spaces import Euclidean, Pullback, charts
from egregium.status import Status

case = Cases()

ZERO, ONE = torch.zeros(2).double(), torch.ones(2).double()


def bowl(z: Tensor) -> Tensor:
    return torch.cat([z, (z**2).sum(-1, keepdim=True)], -1)


def wavy(z: Tensor) -> Tensor:
    return torch.cat([z, 5 * (2 * z).sin()], -1)


def logarithmic(z: Tensor) -> Tensor:
    return torch.cat([z, z[:, :1].log()], -1)


def joined(decoder: object, z0: Tensor = ZERO, z1: Tensor = ONE, **options: object) -> object:
    return connect(Pullback(decoder), z0, z1, on_fail="mark", **options)  # type: ignore[arg-type]


def fresh(layer: nn.Module) -> nn.Module:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        for part in layer.modules():
            if isinstance(part, nn.Linear):
                part.reset_parameters()
    return layer


# Points


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


# Decoders


@case
def decoder_that_is_no_function():
    return Pullback(3)  # type: ignore[arg-type]


@case
def no_decoder():
    return Pullback([])


@case
def tuple_output():
    return joined(lambda z: (bowl(z), z))


@case
def dict_output():
    return joined(lambda z: {"mean": bowl(z)})


@case
def distribution_output():
    return joined(lambda z: torch.distributions.Normal(bowl(z), 1.0))


@case
def no_output():
    return joined(lambda z: None)


@case
def array_output():
    return joined(lambda z: bowl(z).detach().numpy())


@case
def integer_output():
    return joined(lambda z: bowl(z).long())


@case
def output_without_batch_dimension():
    return joined(lambda z: z.sum(-1))


@case
def output_with_another_number_of_rows():
    return joined(lambda z: bowl(z)[:1])


@case
def fewer_outputs_than_latent_dimensions():
    return joined(lambda z: z[:, :1])


@case
def decoder_that_raises():
    def broken(z: Tensor) -> Tensor:
        raise ValueError("a sentence of somebody else's")

    return joined(broken)


@case
def decoder_that_expects_one_point():
    return joined(lambda z: torch.stack([z[0], z[1], z[0] * z[1]]))


@case
def stochastic_function():
    return joined(lambda z: bowl(z) + torch.randn(len(z), 3))


@case
def dropout_behind_a_function():
    layer = fresh(nn.Sequential(nn.Linear(2, 5), nn.Dropout(0.5))).double().train()
    return joined(lambda z: layer(z))


@case
def batch_normalisation_behind_a_function():
    layer = fresh(nn.Sequential(nn.Linear(2, 5), nn.BatchNorm1d(5, track_running_stats=False))).double().train()
    return joined(lambda z: layer(z))


@case
def output_that_depends_on_the_batch():
    return joined(lambda z: bowl(z) - bowl(z).mean(0))


@case
def constant_decoder():
    return joined(lambda z: torch.ones(len(z), 5).double())


@case
def detached_decoder():
    return joined(lambda z: bowl(z.detach()))


@case
def decoder_without_gradient():
    def silent(z: Tensor) -> Tensor:
        with torch.no_grad():
            return bowl(z)

    return joined(silent)


@case
def collapsed_latent_dimension():
    return joined(lambda z: torch.stack([z[:, 0], z[:, 0] ** 2, z[:, 0].sin()], -1))


@case
def nearly_collapsed_latent_dimension():
    return joined(lambda z: torch.stack([z[:, 0], z[:, 0] ** 2, 1e-12 * z[:, 1]], -1))


@case
def rank_lost_on_the_way():
    return joined(lambda z: torch.stack([z[:, 0] ** 3, z[:, 0] ** 4, z[:, 1]], -1), -ONE, ONE)


@case
def nan_everywhere():
    return joined(lambda z: bowl(z) * math.nan)


@case
def infinity_everywhere():
    return joined(lambda z: bowl(z) / 0)


@case
def nan_at_one_end():
    return joined(logarithmic, -ONE, ONE)


@case
def nan_in_the_middle():
    return joined(lambda z: torch.cat([z, (z[:, :1] ** 2 - 0.25).sqrt()], -1), -ONE, ONE)


@case
def overflow_of_the_output():
    return joined(lambda z: 1e200 * bowl(z))


@case
def jump_on_the_way():
    return joined(lambda z: torch.cat([z, (z[:, :1] > 0.1).to(z)], -1), -ONE, ONE)


@case
def oscillation_too_fast_to_follow():
    return joined(lambda z: torch.cat([z, (1e4 * z[:, :1]).sin()], -1), max_steps=5)


@case
def list_of_decoders_with_unequal_outputs():
    return joined([bowl, lambda z: z])


@case
def half_precision_decoder():
    return joined(fresh(nn.Linear(2, 5)).half())


@case
def decoder_on_another_device():
    return joined(nn.Linear(2, 5, device="meta"))


@case
def dimension_that_contradicts_the_base():
    return Pullback(bowl, dim=3, base=Euclidean(2))


@case
def dimension_zero():
    return Pullback(bowl, dim=0)


@case
def euclidean_space_without_dimension():
    return Euclidean(0)


@case
def uncertainty_of_one_decoder():
    return Pullback(bowl, uncertainty=1.0)


@case
def negative_uncertainty():
    return Pullback([bowl, bowl], uncertainty=-1.0)


@case
def nan_uncertainty():
    return Pullback([bowl, bowl], uncertainty=math.nan)


@case
def infinite_uncertainty():
    return joined_with_uncertainty(math.inf)


def joined_with_uncertainty(weight: float) -> object:
    return connect(Pullback([bowl, lambda z: 2 * bowl(z)], uncertainty=weight), ZERO, ONE, on_fail="mark")


@case
def sigma_zero():
    return charts.Gaussian(sigma=0.0)


@case
def sigma_nan():
    return charts.Gaussian(sigma=math.nan)


@case
def sigma_infinite():
    return connect(Pullback(bowl, chart=charts.Gaussian(sigma=math.inf)), ZERO, ONE, on_fail="mark")


@case
def logits_for_probabilities():
    return connect(Pullback(lambda z: 5 * bowl(z), chart=charts.Bernoulli()), ZERO, ONE)


@case
def chart_that_raises():
    return connect(Pullback(bowl, chart=charts.Chart(lambda x: x @ torch.ones(7, 7))), ZERO, ONE)


@case
def chart_that_returns_a_tuple():
    return connect(Pullback(bowl, chart=charts.Chart(lambda x: (x, x))), ZERO, ONE)  # type: ignore[arg-type, return-value]


# Options


@case
def tolerance_below_rounding():
    return joined(bowl, rtol=1e-15)


@case
def tolerance_below_rounding_in_single_precision():
    return joined(bowl, ZERO.float(), ONE.float(), rtol=1e-6)


@case
def tolerance_zero():
    return joined(bowl, rtol=0.0)


@case
def tolerance_nan():
    return joined(bowl, rtol=math.nan)


@case
def tolerance_one():
    return joined(bowl, rtol=1.0)


@case
def tolerance_in_words():
    return joined(bowl, rtol="1e-3")


@case
def no_steps():
    return joined(bowl, max_steps=0)


@case
def too_few_steps():
    return joined(wavy, -2 * ONE, 2 * ONE, max_steps=1)


@case
def unknown_way_to_fail():
    return connect(Pullback(bowl), ZERO, ONE, on_fail="ignore")  # type: ignore[arg-type]


@case
def a_name_for_a_solver():
    return joined(bowl, solver="adam")


@case
def segments_that_do_not_double():
    return joined(bowl, solver=GaussNewton(segments=(8, 12)))


@case
def start_of_another_shape():
    return joined(bowl, starts=torch.zeros(3, 5, 2))


@case
def start_with_nan():
    return joined(bowl, starts=torch.full((5, 2), math.nan).double())


@case
def start_that_is_no_tensor():
    return joined(bowl, starts="straight")


@case
def support_that_is_no_graph():
    return joined(bowl, support=torch.zeros(5, 2))


@case
def support_of_another_dimension():
    return joined(bowl, support=path_graph(torch.zeros(5, 3).double()))


@case
def support_in_two_pieces():
    points = torch.cat([torch.randn(20, 2), 100 + torch.randn(20, 2)]).double()
    space = Pullback(bowl)
    graph = neighbors(space, points, k=3)
    near, far = points[:1], points[-1:]
    return connect(space, near, far, support=graph, on_fail="mark")


@case
def curve_that_leaves_the_support():
    around = torch.linspace(0, math.pi, 40).double()
    points = torch.stack([around.cos(), around.sin()], -1)
    graph = SupportGraph(points, path_graph(points).edges, torch.full((39,), 0.1), radius=0.05)
    return connect(Pullback(lambda z: torch.cat([z, z[:, :1] * 0], -1)), points[0], points[-1], support=graph, on_fail="mark")


def path_graph(points: Tensor) -> SupportGraph:
    edges = torch.stack([torch.arange(len(points) - 1), torch.arange(1, len(points))], -1)
    return SupportGraph(points, edges, torch.ones(len(edges)))


@case
def support_with_edges_to_nowhere():
    return SupportGraph(torch.zeros(3, 2), torch.tensor([[0, 7]]), torch.ones(1))


@case
def support_with_fractional_edges():
    return SupportGraph(torch.zeros(3, 2), torch.tensor([[0.0, 1.5]]), torch.ones(1))


@case
def support_with_negative_lengths():
    return SupportGraph(torch.zeros(3, 2), torch.tensor([[0, 1]]), -torch.ones(1))


@case
def support_with_nan_lengths():
    return SupportGraph(torch.zeros(3, 2), torch.tensor([[0, 1]]), torch.full((1,), math.nan))


@case
def support_with_nan_radius():
    return SupportGraph(torch.zeros(3, 2), torch.tensor([[0, 1]]), torch.ones(1), radius=math.nan)


@case
def support_without_points():
    return SupportGraph(torch.zeros(0, 2), torch.zeros(0, 2, dtype=torch.long), torch.zeros(0))


@case
def more_neighbors_than_points():
    return neighbors(Pullback(bowl), torch.zeros(5, 2), k=5)


@case
def neighbors_of_points_with_nan():
    return neighbors(Pullback(bowl), torch.full((5, 2), math.nan), k=2)


@case
def neighbors_of_a_batch_of_batches():
    return neighbors(Pullback(bowl), torch.zeros(5, 4, 2), k=2)


@case
def neighbors_where_the_decoder_is_not_finite():
    return neighbors(Pullback(logarithmic), torch.linspace(-2, 2, 20).reshape(10, 2), k=2)


# Relations


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
def test_case(name: str) -> None:
    print(f"{name}: {require_typed(case[name])}")


def test_there_are_forty_cases() -> None:
    assert len(case) >= 40


def test_failure_carries_its_result() -> None:
    with pytest.raises(NotConvergedError) as caught:
        connect(Pullback(wavy), -ONE, ONE, max_steps=1)
    assert caught.value.result.status.item() != Status.CONVERGED  # type: ignore[attr-defined]
    assert "max_steps" in str(caught.value)


@pytest.mark.parametrize(
    "bad",
    [
        lambda: 1.0,
        lambda: torch.zeros(2, dtype=torch.int8),
        lambda: [][0],
        lambda: (_ for _ in ()).throw(EgregiumError("short")),
    ],
    ids=["a number", "CONVERGED", "a foreign error", "no sentence"],
)
def test_the_judge_can_fail(bad: Case) -> None:
    with pytest.raises((AssertionError, IndexError)):
        require_typed(bad)
