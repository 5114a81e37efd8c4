"""Piecewise cubic curves: ends, smoothness, padding, reversal, and parameters outside [0, 1]."""

import torch
from hypothesis import given
from hypothesis import strategies as st

from egregium.geodesics.curve import Curve

KNOTS = torch.tensor([[0.0, 0.2, 0.7, 1.0], [0.0, 0.5, 0.6, 1.0]], dtype=torch.float64)


def cubic() -> Curve:
    """`t -> (t^3, t)`, which piecewise cubics hold exactly."""
    return Curve(KNOTS, torch.stack([KNOTS**3, KNOTS], -1), torch.stack([3 * KNOTS**2, torch.ones_like(KNOTS)], -1))


T = torch.linspace(0, 1, 21, dtype=torch.float64).expand(2, -1)


def test_cubics_are_exact() -> None:
    value, slope = cubic().at(T)
    torch.testing.assert_close(value, torch.stack([T**3, T], -1), rtol=0, atol=1e-14)
    torch.testing.assert_close(slope, torch.stack([3 * T**2, torch.ones_like(T)], -1), rtol=0, atol=1e-13)


def test_knots_are_met_exactly() -> None:
    value, slope = cubic().at(KNOTS)
    assert torch.equal(value, cubic().values)
    torch.testing.assert_close(slope, cubic().slopes, rtol=0, atol=1e-14)


def test_padding_changes_nothing() -> None:
    padded = cubic().padded(9)
    assert padded.knots.shape == (2, 9) and cubic().padded(2).knots.shape == (2, 4)
    for found, expected in zip(padded.at(T), cubic().at(T), strict=True):
        assert torch.equal(found, expected)


@given(st.floats(0, 1))
def test_reversal(t: float) -> None:
    at = torch.full((2, 1), t, dtype=torch.float64)
    forward, backward = cubic().at(at), cubic().reversed().at(1 - at)
    torch.testing.assert_close(backward[0], forward[0], rtol=0, atol=1e-12)
    torch.testing.assert_close(backward[1], -forward[1], rtol=0, atol=1e-11)
    padded = cubic().padded(8).reversed().at(1 - at)
    torch.testing.assert_close(padded[0], forward[0], rtol=0, atol=1e-12)


def test_rows_and_choices() -> None:
    other = cubic().reversed()
    mixed = cubic().where(torch.tensor([True, False]), other)
    assert torch.equal(mixed.values[0], cubic().values[0]) and torch.equal(mixed.values[1], other.values[1])
    assert len(cubic()[torch.tensor([1])]) == 1


def test_beyond_the_ends_the_curve_stays() -> None:
    outside = torch.tensor([[-1.0, 2.0]] * 2, dtype=torch.float64)
    assert torch.equal(cubic().at(outside)[0], cubic().at(outside.clamp(0, 1))[0])


def test_a_point_is_a_curve() -> None:
    still = Curve(torch.tensor([[0.0, 1.0]]), torch.ones(1, 2, 3), torch.zeros(1, 2, 3))
    value, slope = still.at(torch.tensor([[0.0, 0.3, 1.0]]))
    assert (value == 1).all() and (slope == 0).all()
