"""Dispersion: statistics against their definitions, laws, intervals against known truth, gaps."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy import stats
from tests.identifiability.tables import distances, first, one, row, tabulate

from egregium.identifiability.dispersion import STATISTICS, TESTS, agreement, cv_per_pair, summarize
from egregium.identifiability.icc import icc

laws = settings(max_examples=20, deadline=None)
POINTS = list(STATISTICS)


# --- definitions


def test_ratio_statistics_are_their_definitions():
    x = distances(0, 6, 9)
    found = row(x)
    cv = x.std(0, ddof=1) / x.mean(0)
    assert found.cv_mean == pytest.approx(cv.mean(), rel=1e-12)
    assert found.cv_median == pytest.approx(np.median(cv), rel=1e-12)
    assert found.std == pytest.approx(x.std(0, ddof=1).mean(), rel=1e-12)
    assert found.icc == pytest.approx(icc(x / x.mean(1, keepdims=True)), abs=1e-12)
    assert found.score == pytest.approx(1 - found.icc, abs=1e-12)
    above = np.triu_indices(6, 1)
    rho = np.array([np.corrcoef(stats.rankdata(x[a]), stats.rankdata(x[b]))[0, 1] for a, b in zip(*above, strict=True)])
    assert found.spearman == pytest.approx(rho.mean(), abs=1e-12)
    assert (found.n_models, found.n_pairs, found.ok_share, found.reason) == (6, 9, 1.0, "")


def test_interval_statistics_remove_one_offset_per_training():
    x = np.random.default_rng(0).normal(size=8) + np.random.default_rng(1).normal(size=(5, 8))
    found = row(x, "interval")
    centred = x - x.mean(1, keepdims=True)
    assert found.std == pytest.approx(centred.std(0, ddof=1).mean(), rel=1e-12)
    assert found.icc == pytest.approx(icc(centred), abs=1e-12)
    assert np.isnan(found.cv_mean) and np.isnan(found.cv_median)


def test_signed_statistics_are_of_the_raw_values():
    x = np.random.default_rng(0).normal(size=8) + np.random.default_rng(1).normal(size=(5, 8))
    found = row(x, "signed")
    assert found.std == pytest.approx(x.std(0, ddof=1).mean(), rel=1e-12)
    assert found.icc == pytest.approx(icc(x), abs=1e-12)


def test_circular_std_is_the_textbook_one_with_ddof_one():
    x = np.random.default_rng(0).uniform(0, np.pi, (5, 8))
    expected = stats.circstd(x, axis=0) * np.sqrt(5 / 4)
    assert row(x, "circular").std == pytest.approx(expected.mean(), rel=1e-10)


def test_circular_std_of_small_spread_is_the_ordinary_std():
    x = np.linspace(0.5, 2, 8) + 1e-9 * np.random.default_rng(0).normal(size=(6, 8))
    assert row(x, "circular").std == pytest.approx(x.std(0, ddof=1).mean(), rel=1e-6)


def test_angles_do_not_notice_where_the_circle_is_cut():
    x = np.linspace(-3, 3, 8) + 0.2 * np.random.default_rng(0).normal(size=(5, 8))
    wrapped = (x + 1 + np.pi) % (2 * np.pi) - np.pi
    plain, turned = row(x, "circular"), row(wrapped, "circular")
    assert turned.std == pytest.approx(plain.std, rel=1e-10)
    assert turned.score == pytest.approx(plain.score, rel=1e-10)
    assert np.isnan(turned.spearman) and "no order" in turned.reason


def test_opposite_angles_stay_finite():
    assert np.isfinite(row(np.array([[0.0, 0.0], [np.pi, np.pi], [0.0, np.pi], [np.pi, 0.0]]), "circular").std)


# --- laws


@laws
@given(seed=st.integers(0, 10**6), holes=st.sampled_from([0.0, 0.3]))
def test_a_scale_per_training_leaves_score_and_ranks_unchanged(seed: int, holes: float):
    rng = np.random.default_rng(seed)
    x = distances(seed, 5, 15)
    x[rng.random(x.shape) < holes] = np.nan
    plain, scaled = row(x), row(x * np.exp(3 * rng.normal(size=(5, 1))))
    for name in ("score", "score_low", "score_high", "spearman", "kendall"):
        assert vars(scaled)[name] == pytest.approx(vars(plain)[name], rel=1e-9, abs=1e-12)


@laws
@given(seed=st.integers(0, 10**6), offset=st.floats(0.5, 50))
def test_an_offset_lowers_cv_but_not_the_score(seed: int, offset: float):
    x = distances(seed, 5, 12)
    x /= x.mean(1, keepdims=True)  # the one scale per training, before the offset
    plain, moved = row(x), row(x + offset)
    assert moved.score == pytest.approx(plain.score, rel=1e-8)
    assert moved.cv_mean < plain.cv_mean / (1 + 0.5 * offset)


@laws
@given(seed=st.integers(0, 10**6))
def test_an_offset_per_training_leaves_interval_statistics_unchanged(seed: int):
    rng = np.random.default_rng(seed)
    x = rng.normal(size=12) + rng.normal(size=(5, 12))
    plain, moved = row(x, "interval"), row(x + 20 * rng.normal(size=(5, 1)), "interval")
    for name in ("std", "score", "icc", "spearman", "std_low", "std_high"):
        assert vars(moved)[name] == pytest.approx(vars(plain)[name], rel=1e-8)


@laws
@given(seed=st.integers(0, 10**6), holes=st.sampled_from([0.0, 0.02, 0.3]))
def test_trainings_and_pairs_may_be_permuted(seed: int, holes: float):
    rng = np.random.default_rng(seed)
    x = distances(seed, 5, 15)
    x[rng.random(x.shape) < holes] = np.nan
    plain = row(x)
    other = row(x[rng.permutation(5)][:, rng.permutation(15)])
    for name in POINTS:
        assert vars(other)[name] == pytest.approx(vars(plain)[name], rel=1e-9, abs=1e-12)


def test_the_order_of_rows_and_other_columns_do_not_matter():
    table = one(distances(0, 5, 9))
    columns = ["value", "status", "endpoint", "relation", "pair", "model"]
    shuffled = table.sample(frac=1, random_state=0).loc[:, columns]
    pd.testing.assert_frame_equal(summarize(table), summarize(shuffled))


def test_labels_may_be_names_and_columns_categories():
    table = one(distances(0, 4, 9))
    named = table.assign(model=[f"seed-{m}" for m in table["model"]])
    named = named.astype({"relation": "category", "status": "category"})
    pd.testing.assert_frame_equal(summarize(table), summarize(named))


def test_deterministic_for_a_seed():
    table = one(distances(0, 5, 9))
    pd.testing.assert_frame_equal(summarize(table, seed=3), summarize(table, seed=3))
    assert first(table, seed=3).cv_mean_low != first(table, seed=4).cv_mean_low


def test_exact_twins_have_no_dispersion():
    x = np.outer(np.ones(4), distances(0, 1, 9)[0]) * (1 + 1e-12 * np.random.default_rng(0).normal(size=(4, 9)))
    found = row(x)
    assert found.cv_mean < 1e-11 and found.score < 1e-20 and found.icc_low > 1 - 1e-12
    assert found.spearman == pytest.approx(1, abs=1e-12)


def test_a_merely_constant_estimator_is_seen_for_what_it_is():
    rng = np.random.default_rng(0)
    found = row(10 + 0.1 * rng.normal(size=(10, 50)))
    assert found.cv_mean < 0.02 and found.score > 0.9 and abs(found.spearman) < 0.1


# --- intervals


@laws
@given(seed=st.integers(0, 10**6), models=st.integers(3, 8), scale=st.sampled_from(["ratio", "interval", "signed", "circular"]))
def test_intervals_hold_the_estimate_and_keep_their_range(seed: int, models: int, scale: str):
    x = np.mod(distances(seed, models, 10), np.pi)
    found = row(x, scale, resamples=50)
    for name in POINTS if scale == "ratio" else ["std", "spearman", "kendall", "icc", "score"]:
        assert vars(found)[f"{name}_low"] <= vars(found)[name] <= vars(found)[f"{name}_high"]
    assert found.spearman_high <= 1 and found.icc_high <= 1 and found.score_low >= 0 and found.std_low >= 0


def test_intervals_shrink_with_more_trainings():
    widths = [(found.cv_mean_high - found.cv_mean_low) for found in (row(distances(0, models, 30)) for models in (6, 40))]
    assert widths[1] < widths[0] / 2


# --- gaps


def test_few_incomplete_pairs_are_left_out():
    x = distances(0, 5, 20)
    holed = x.copy()
    holed[2, 3] = np.nan
    found, expected = row(holed), row(np.delete(x, 3, axis=1))
    assert found.n_pairs == 19 and found.ok_share == pytest.approx(0.99)
    for name in POINTS:
        assert vars(found)[name] == pytest.approx(vars(expected)[name], rel=1e-12)


def test_many_incomplete_pairs_use_the_values_at_hand():
    x = distances(0, 12, 40)
    holed = np.where(np.random.default_rng(1).random(x.shape) < 0.1, np.nan, x)
    found, full = row(holed), row(x)
    assert found.n_pairs == 40
    assert found.cv_mean == pytest.approx(np.nanmean(np.nanstd(holed, axis=0, ddof=1) / np.nanmean(holed, axis=0)), rel=1e-12)
    assert found.score == pytest.approx(full.score, rel=0.15)


def test_a_training_that_failed_everywhere_is_left_out_and_counted():
    x = distances(0, 5, 10)
    holed = x.copy()
    holed[4] = np.nan
    found, expected = row(holed), row(x[:4])
    assert found.n_models == 4 and found.ok_share == pytest.approx(0.8)
    for name in POINTS:
        assert vars(found)[name] == pytest.approx(vars(expected)[name], rel=1e-12)


def test_a_collapsed_training_counts_against_the_relation():
    x = distances(0, 5, 10, error=0.01)
    collapsed = x.copy()
    collapsed[4] = 0
    found = row(collapsed)
    assert found.n_models == 5 and found.score > 0.3 > row(x).score


def test_a_pair_of_equal_points_has_no_cv():
    x = distances(0, 4, 6)
    x[:, 2] = 0
    assert row(x).cv_mean == pytest.approx(cv_per_pair(one(np.delete(x, 2, axis=1)), "d", "encoder").mean(), rel=1e-12)
    assert 2 not in cv_per_pair(one(x), "d", "encoder").index


def test_converged_rows_that_are_not_finite_do_not_count():
    table = one(distances(0, 4, 10))
    table.loc[0, "value"] = np.nan  # the angle at equal points
    assert first(table).n_pairs == 9


@pytest.mark.parametrize(
    ("matrix", "sentence"),
    [
        (distances(0, 1, 9), "One training"),
        (distances(0, 5, 1), "1 pair of points"),
        (distances(0, 2, 9), "Two trainings"),
        (np.full((3, 4), np.nan), "No row ended CONVERGED"),
        (np.array([[1.0, np.nan], [np.nan, 1.0]]), "No pair of points"),
        (np.ones((3, 4)), "nothing to agree on"),
    ],
)
def test_too_little_is_a_row_with_a_reason(matrix: NDArray, sentence: str):
    found = row(matrix)
    assert sentence in found.reason
    assert (np.isnan(found.score_low) and np.isnan(found.cv_mean_low)) or sentence == "nothing to agree on"
    if sentence != "Two trainings":
        assert np.isnan(found.score)


# --- the poster's tests, and what else can be read


def test_paired_tests_against_euclidean():
    table = tabulate({"euclidean": "ratio", "geodesic": "ratio", "density": "interval"}, euclidean=distances(0, 6, 30, 0.3),
                     geodesic=distances(1, 6, 30, 0.1), density=np.random.default_rng(0).normal(size=(6, 30)))  # fmt: skip
    summary = summarize(table).set_index("relation")
    a, b = (cv_per_pair(table, name, "encoder") for name in ("geodesic", "euclidean"))
    t, p = np.asarray(stats.ttest_rel(a, b), dtype=float)
    found = summary.loc["geodesic", list(TESTS)].astype(float)
    assert found.to_list() == pytest.approx([t, p, np.asarray(stats.wilcoxon(a, b), dtype=float)[1]], rel=1e-9)
    assert t < -5
    assert summary.loc[["euclidean", "density"], list(TESTS)].isna().to_numpy().all()


def test_equal_relations_have_no_paired_test():
    x = distances(0, 4, 9)
    summary = summarize(tabulate({"euclidean": "ratio", "same": "ratio"}, euclidean=x, same=x))
    assert summary[list(TESTS)].isna().to_numpy().all()


def test_endpoints_are_kept_apart_and_rows_sorted():
    encoder, projection = one(distances(0, 4, 9)), one(distances(1, 4, 9)).assign(endpoint="projection")
    both = pd.concat([projection, encoder])
    summary = summarize(both)
    assert summary["endpoint"].to_list() == ["encoder", "projection"]
    assert first(both).cv_mean == first(encoder).cv_mean


def test_columns():
    expected = ["relation", "endpoint", "scale", "n_models", "n_pairs", "ok_share"]
    expected += [f"{name}{end}" for name in STATISTICS for end in ("", "_low", "_high")] + [*TESTS, "reason"]
    assert list(summarize(one(distances(0, 3, 4))).columns) == expected


def test_cv_per_pair_is_what_the_mean_is_of():
    x = np.where(np.random.default_rng(0).random((6, 20)) < 0.1, np.nan, distances(0, 6, 20))
    cv = cv_per_pair(one(x), "d", "encoder")
    assert cv.index.name == "pair" and cv.mean() == pytest.approx(row(x).cv_mean, rel=1e-12)


def test_agreement_is_the_matrix_that_the_mean_is_of():
    table = one(distances(0, 4, 9))
    matrix = agreement(table, "d", "encoder")
    assert matrix.index.to_list() == [0, 1, 2, 3] and np.allclose(np.diag(matrix), 1)
    assert matrix.to_numpy()[np.triu_indices(4, 1)].mean() == pytest.approx(first(table).spearman, abs=1e-12)
