"""Splines reproduce cubics exactly, converge at fourth order on the rest, and agree with SciPy's not-a-knot spline."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy.interpolate import CubicSpline
from torch import Tensor

from egregium.numerics.splines import between, doubled, midpoints, resampled, shares, slopes


def sampled(segments: int) -> tuple[Tensor, Tensor]:
    """Uniform parameters and a smooth curve `(1, T + 1, 2)` at them."""
    t = torch.linspace(0, 1, segments + 1, dtype=torch.float64)
    return t, torch.stack([(3 * t).sin(), (2 * t).exp()], -1)[None]


@pytest.mark.parametrize("segments", [1, 2, 3, 4, 8, 31])
def test_polynomials_up_to_the_order_that_fits_are_exact(segments: int) -> None:
    t = torch.linspace(0, 1, segments + 1, dtype=torch.float64)
    order = min(3, segments)
    values = (t**order)[None, :, None]
    torch.testing.assert_close(slopes(values)[0, :, 0], order * t ** (order - 1), rtol=0, atol=1e-11)
    if segments > 1:  # one segment alone bends neither way
        middle, slope = midpoints(values)
        half = (t[1:] + t[:-1]) / 2
        torch.testing.assert_close(middle[0, :, 0], half**order, rtol=0, atol=1e-11)
        torch.testing.assert_close(slope[0, :, 0], order * half ** (order - 1), rtol=0, atol=1e-11)


@pytest.mark.parametrize("segments", [4, 7, 16])
def test_the_spline_is_scipys(segments: int) -> None:
    t, values = sampled(segments)
    spline = CubicSpline(t.numpy(), values[0].numpy(), bc_type="not-a-knot")
    half = ((t[1:] + t[:-1]) / 2).numpy()
    middle, slope = midpoints(values)
    torch.testing.assert_close(slopes(values)[0], torch.from_numpy(spline(t.numpy(), 1)), rtol=1e-11, atol=1e-11)
    torch.testing.assert_close(middle[0], torch.from_numpy(spline(half)), rtol=1e-12, atol=1e-12)
    torch.testing.assert_close(slope[0], torch.from_numpy(spline(half, 1)), rtol=1e-11, atol=1e-11)
    for u in (0.0, 0.1, 0.8, 1.0):
        at = (t[:-1] + u * t.diff()).numpy()
        value, slope = between(values, u)
        torch.testing.assert_close(value[0], torch.from_numpy(spline(at)), rtol=1e-12, atol=1e-12)
        torch.testing.assert_close(slope[0], torch.from_numpy(spline(at, 1)), rtol=1e-11, atol=1e-11)


def test_doubling_keeps_samples_and_converges_at_fourth_order() -> None:
    errors = []
    for segments in (16, 32):
        _, values = sampled(segments)
        finer, truth = doubled(values), sampled(2 * segments)[1]
        assert torch.equal(finer[:, ::2], values)
        errors.append((finer - truth).abs().max())
    assert errors[0] / errors[1] > 12  # 16 in the limit


def test_resampling_keeps_ends_and_straight_lines() -> None:
    t = torch.tensor([[0.0, 0.1, 0.7, 1.0]], dtype=torch.float64)
    line = torch.stack([1 + 2 * t, -t], -1)
    found = resampled(line, t, 5)
    uniform = torch.linspace(0, 1, 6, dtype=torch.float64)
    torch.testing.assert_close(found[0], torch.stack([1 + 2 * uniform, -uniform], -1), rtol=0, atol=1e-14)


@given(st.lists(st.floats(0, 1), min_size=2, max_size=9), st.integers(1, 12))
def test_resampling_stays_between_neighbours_even_where_parameters_repeat(inner: list[float], segments: int) -> None:
    t = torch.tensor([[0.0, *sorted(inner), 1.0]], dtype=torch.float64)
    values = t[..., None] ** 2
    found = resampled(values, t, segments)[0, :, 0]
    assert torch.isfinite(found).all() and (found.diff() >= -1e-12).all()
    assert found[0] == 0 and found[-1] == 1


def test_rows_do_not_influence_each_other() -> None:
    values = torch.randn(3, 9, 2, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    spoiled = values.clone()
    spoiled[1] = torch.nan
    for function in (slopes, doubled):
        torch.testing.assert_close(function(spoiled)[[0, 2]], function(values)[[0, 2]], rtol=1e-14, atol=1e-14)


def test_shares_are_those_of_the_pieces_or_even() -> None:
    pieces = torch.tensor([[1.0, 3.0], [1.0, torch.nan], [0.0, 1.0]])
    assert shares(pieces).tolist() == [[0.0, 0.25, 1.0], [0.0, 0.5, 1.0], [0.0, 0.5, 1.0]]
