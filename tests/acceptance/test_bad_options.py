"""Acceptance 8: bad options, starts and supports end in a typed error or in a status."""

import math

import pytest
import torch
from tests.acceptance.bad_input import ONE, ZERO, Cases, bowl, joined, judged, logarithmic, path_graph, wavy

from egregium.geodesics import SupportGraph, connect
from egregium.geodesics.solvers import GaussNewton
from egregium.relations import (
    neighbors,
)
from egregium.spaces import Pullback

case = Cases()


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


@pytest.mark.parametrize("name", case)
def test_case(name: str, request: pytest.FixtureRequest) -> None:
    print(f"{name}: {judged(case[name], request)}")
