"""Variance components: the published table, its formula from mean squares, laws, and incomplete tables."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from egregium.errors import ShapeError
from egregium.identifiability.icc import components, icc

SHROUT_FLEISS = np.array([[9, 6, 8, 7, 10, 6], [2, 1, 4, 1, 5, 2], [5, 3, 6, 2, 6, 4], [8, 2, 8, 6, 9, 7]], dtype=float)


def mean_squares(values: np.ndarray) -> float:
    """ICC(2,1) as Shrout and Fleiss print it, from a complete table `(R, P)`."""
    raters, targets = values.shape
    grand = values.mean()
    between = raters * ((values.mean(0) - grand) ** 2).sum() / (targets - 1)
    judges = targets * ((values.mean(1) - grand) ** 2).sum() / (raters - 1)
    residual = values - values.mean(0) - values.mean(1, keepdims=True) + grand
    error = (residual**2).sum() / ((targets - 1) * (raters - 1))
    return (between - error) / (between + (raters - 1) * error + raters * (judges - error) / targets)


def draw(seed: int, raters: int, targets: int) -> np.ndarray:
    rng = np.random.default_rng(seed)
    return rng.normal(size=targets) + 0.5 * rng.normal(size=(raters, 1)) + 0.7 * rng.normal(size=(raters, targets))


shapes = {"seed": st.integers(0, 10**6), "raters": st.integers(2, 7), "targets": st.integers(2, 9)}


def test_published_table():
    assert round(icc(SHROUT_FLEISS), 4) == 0.2898


@given(**shapes)
def test_equals_the_formula_from_mean_squares(seed: int, raters: int, targets: int):
    values = draw(seed, raters, targets)
    assert icc(values) == pytest.approx(mean_squares(values), abs=1e-9)


@given(**shapes, offset=st.floats(-100, 100), scale=st.floats(0.1, 10))
def test_common_offset_and_scale_change_nothing(seed: int, raters: int, targets: int, offset: float, scale: float):
    values = draw(seed, raters, targets)
    assert icc(scale * values + offset) == pytest.approx(icc(values), abs=1e-8)


def test_an_offset_of_one_training_does_change_it():
    moved = SHROUT_FLEISS.copy()
    moved[1] -= 3
    assert icc(moved) < icc(SHROUT_FLEISS) - 0.05


@given(**shapes)
def test_a_copied_training_weighs_as_one_of_weight_two_without_its_self_pair(seed: int, raters: int, targets: int):
    values = draw(seed, raters, targets)
    weights = np.ones((1, raters))
    weights[0, 0] = 2
    parts = components(np.vstack([values, values[:1]]))
    for name in ("between", "within", "freedom", "common"):
        matrix = getattr(parts, name)
        matrix[0, -1] = matrix[-1, 0] = 0
    expected = parts.disagreement(np.ones((1, raters + 1)))[0]
    assert components(values).disagreement(weights)[0] == pytest.approx(expected, abs=1e-9)


def test_missing_values_are_left_out_pair_by_pair():
    values = draw(3, 2, 8)
    holed = np.column_stack([values, [[np.nan], [5.0]], [[-7.0], [np.nan]]])
    assert icc(holed) == pytest.approx(icc(values), abs=1e-12)


def test_missing_at_random_stays_near_the_truth():
    rng = np.random.default_rng(0)
    values = rng.normal(size=400) + rng.normal(size=(12, 400))
    values[rng.random(values.shape) < 0.3] = np.nan
    assert icc(values) == pytest.approx(0.5, abs=0.05)


def test_points_of_the_plane_agree_with_the_line_where_they_lie_on_one():
    values = draw(5, 4, 7)
    assert icc(values * np.exp(0.7j)) == pytest.approx(icc(values), abs=1e-12)


def test_tiny_disagreement_is_not_lost_to_rounding():
    values = np.vstack([draw(1, 1, 50)] * 4)
    values = values + 1e-11 * np.random.default_rng(0).normal(size=values.shape)
    score = components(values).disagreement(np.ones((1, 4)))[0]
    assert 1e-23 < score < 1e-20


@pytest.mark.parametrize("values", [np.ones((1, 5)), np.ones((3, 1)), np.ones((3, 4)), np.full((2, 3), np.nan)])
def test_nothing_to_agree_on_is_nan(values: np.ndarray):
    assert np.isnan(icc(values))


def test_a_vector_is_refused():
    with pytest.raises(ShapeError, match="matrix of trainings by targets"):
        icc(np.ones(4))
