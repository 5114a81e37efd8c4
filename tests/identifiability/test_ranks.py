"""Rank agreement against scipy, with ties, gaps and in blocks."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

import egregium.identifiability.ranks as ranks
from egregium.errors import ShapeError
from egregium.identifiability.ranks import rank_agreement


def reference(a: np.ndarray, b: np.ndarray) -> tuple[float, float]:
    both = np.isfinite(a) & np.isfinite(b)
    a, b = a[both], b[both]
    if len(a) < 2 or np.ptp(a) == 0 or np.ptp(b) == 0:
        return np.nan, np.nan
    rho = np.corrcoef(stats.rankdata(a), stats.rankdata(b))[0, 1]
    return float(rho), float(np.asarray(stats.kendalltau(a, b), dtype=float)[0])


@settings(max_examples=60, deadline=None)
@given(
    seed=st.integers(0, 10**6),
    rows=st.integers(2, 5),
    targets=st.integers(2, 12),
    values=st.integers(2, 30),
    gaps=st.floats(0, 0.4),
)
def test_equals_scipy_with_ties_and_gaps(seed: int, rows: int, targets: int, values: int, gaps: float):
    rng = np.random.default_rng(seed)
    table = rng.integers(0, values, (rows, targets)).astype(float)
    table[rng.random(table.shape) < gaps] = np.nan
    rho, tau = rank_agreement(table)
    for a in range(rows):
        for b in range(rows):
            expected = reference(table[a], table[b])
            assert (rho[a, b], tau[a, b]) == pytest.approx(expected, abs=1e-12, nan_ok=True)


def test_increasing_maps_change_nothing():
    table = np.random.default_rng(0).normal(size=(4, 20))
    mapped = np.stack([table[0], np.exp(table[1]), table[2] ** 3, 5 * table[3] - 1])
    for plain, other in zip(rank_agreement(table), rank_agreement(mapped), strict=True):
        np.testing.assert_array_equal(plain, other)


def test_blocks_change_nothing(monkeypatch: pytest.MonkeyPatch):
    table = np.random.default_rng(0).normal(size=(3, 17))
    table[1, 4] = np.nan
    whole = rank_agreement(table)
    monkeypatch.setattr(ranks, "BLOCK", 3 * 17 * 5)
    np.testing.assert_allclose(whole, rank_agreement(table), atol=1e-14)


def test_a_vector_is_refused():
    with pytest.raises(ShapeError, match="matrix of trainings by targets"):
        rank_agreement(np.ones(4))
