"""The tabulated metric against the decoder's own, and what it refuses."""

import torch
from torch import Tensor

from egregium.geodesics.metric_table import UNKNOWN, MetricTable, bends, slopes
from egregium.numerics.derivatives import jacobian
from egregium.testing.twins import random_decoder

DECODER = random_decoder(2, 10, 0)
POINTS = torch.randn(200, 2, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
EXTENT = torch.full((200,), 2.0, dtype=torch.float64)


def metric(z: Tensor) -> Tensor:
    block = jacobian(DECODER, z)
    return block.mT @ block


def located(tolerance: float, points: Tensor = POINTS) -> tuple[MetricTable, Tensor]:
    table = MetricTable(DECODER, tolerance, points)
    return table, table.locate(points, EXTENT[: len(points)])


def test_lengths_in_every_direction_are_within_the_tolerance() -> None:
    for tolerance in (1e-2, 1e-4):
        table, squares = located(tolerance)
        found, exact = table.values(squares, POINTS), metric(POINTS)
        factor = torch.linalg.cholesky(exact)
        ratio = torch.linalg.solve_triangular(factor, found - exact, upper=False)
        ratio = torch.linalg.solve_triangular(factor, ratio.mT, upper=False)
        assert (squares != UNKNOWN).all() and torch.linalg.eigvalsh(ratio).abs().max() <= 2 * tolerance


def test_derivatives_are_those_of_the_values() -> None:
    table, squares = located(1e-6)
    jet, h = table.jets(squares, POINTS), 1e-5
    torch.testing.assert_close(jet.value, table.values(squares, POINTS))
    for axis in range(2):
        step = h * torch.eye(2, dtype=torch.float64)[axis]
        up, down = (table.jets(squares, POINTS + side * step).table for side in (1, -1))
        values, firsts = ((part(up) - part(down)) / (2 * h) for part in (lambda t: t[..., 0], slopes))
        torch.testing.assert_close(values, slopes(jet.table)[..., axis], rtol=1e-6, atol=1e-6)
        torch.testing.assert_close(firsts, bends(jet.table)[..., axis], rtol=1e-5, atol=1e-5)


def test_a_point_is_tabulated_alike_whoever_asked_before() -> None:
    together, squares = located(1e-3)
    for row in (3, 77):
        alone, square = located(1e-3, POINTS[row : row + 1])
        value = alone.values(square, POINTS[row : row + 1])
        torch.testing.assert_close(value, together.values(squares, POINTS)[row : row + 1], rtol=1e-12, atol=0)
    known = together.decoded
    together.locate(POINTS, EXTENT)
    assert together.decoded == known


def test_kinks_holes_and_lost_rank_are_unknown() -> None:
    z = torch.tensor([[0.31, 0.2], [0.31, -0.2]], dtype=torch.float64)
    kinked = MetricTable(lambda z: torch.cat([z, torch.relu(z[:, :1] - 0.3)], -1), 1e-3, z)
    hole = MetricTable(lambda z: torch.cat([z, (z[:, :1] - 0.31).abs().log()], -1), 1e-3, z)
    flat = MetricTable(lambda z: z.sum(-1, keepdim=True), 1e-3, z)
    for table in (kinked, hole, flat):
        squares = table.locate(z, torch.full((2,), 1.6, dtype=torch.float64))
        assert (squares == UNKNOWN).all() and table.values(squares, z).isnan().all()


def test_squares_looked_up_are_those_searched_for() -> None:
    extent = torch.tensor([2.0, 0.01, 40.0, 17.0], dtype=torch.float64).repeat(50)  # small, too large, and too large to resolve
    for points in (POINTS, 20 * POINTS):
        table = MetricTable(DECODER, 1e-4, points)
        first = table.locate(points, extent)
        for again in (table.locate(points, extent), table._searched(points, extent)):
            assert again.equal(first)
    alone = MetricTable(DECODER, 1e-4, POINTS)
    for row in range(20):
        square = alone.locate(POINTS[row : row + 1], extent[row : row + 1])
        local = (POINTS[row] - alone.corners[square[0]]) / alone.sizes[square[0]]
        assert square == UNKNOWN or ((local >= 0) & (local <= 1)).all()


def test_what_is_found_does_not_depend_on_what_tiny_curves_asked_before() -> None:
    asked, fresh = (MetricTable(DECODER, 1e-4, POINTS) for _ in range(2))
    asked.locate(POINTS, torch.full_like(EXTENT, 1e-4))
    for extent in (2.0, 1e-3):
        many = torch.full_like(EXTENT, extent)
        (squares, table), (others, other) = ((table.locate(POINTS, many), table) for table in (asked, fresh))
        assert table.sizes[squares].equal(other.sizes[others])


def test_points_far_off_do_not_spoil_the_atlas() -> None:
    table = MetricTable(lambda z: torch.cat([z, z.sin()], -1), 1e-3, POINTS)
    far = torch.cat([POINTS, torch.tensor([[3000.0, 0.0]], dtype=torch.float64)])
    extent = torch.full((201,), 2.0, dtype=torch.float64)
    squares = table.locate(far, extent)
    assert (squares != UNKNOWN).all() and (table._known(POINTS) == squares[:-1]).all()
    assert table.locate(far, extent).equal(squares)


def test_points_that_are_not_finite_have_no_square() -> None:
    table, _ = located(1e-3)
    z = torch.tensor([[torch.nan, 0.0], [torch.inf, 0.0], [0.0, -1e30]], dtype=torch.float64)
    assert (table.locate(z, EXTENT[:3]) == UNKNOWN).all()
