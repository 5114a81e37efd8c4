"""Laws of a division: disjoint parts, nothing lost, the same for the same seed, and prefixes under a limit."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from egregium.data.selection import Parts, Selection
from egregium.errors import DataError, OptionError

fractions = st.floats(0.001, 0.999)
seeds = st.integers(0, 2**32 - 1)


@given(count=st.integers(2, 300), fraction=fractions, seed=seeds)
def test_a_split_loses_and_repeats_nothing(count: int, fraction: float, seed: int) -> None:
    train, test = Selection(fraction, seed).rows(count, None)
    assert sorted([*train, *test]) == list(range(count))
    assert len(train) >= 1 and len(test) >= 1
    assert abs(len(test) - fraction * count) <= 1


@given(count=st.integers(2, 300), test=st.none() | st.integers(1, 300), seed=seeds, limit=st.integers(1, 20))
def test_a_limit_gives_a_prefix(count: int, test: int | None, seed: int, limit: int) -> None:
    less, more = (Selection(seed=seed, limit=limit + extra).rows(count, test) for extra in (0, 7))
    for short, long in zip(less, more, strict=True):
        assert len(short) <= limit
        np.testing.assert_array_equal(short, long[: len(short)])


def test_a_published_test_part_keeps_its_order_and_the_training_part_is_shuffled() -> None:
    train, test = Selection().rows(50, 20)
    assert sorted(train) == list(range(50)) and list(train) != list(range(50))
    assert list(test) == list(range(20))


def test_the_stream_is_frozen() -> None:
    """A split belongs to results that are on disk: these numbers must never change."""
    train, test = Selection(test_fraction=0.3, seed=7).rows(10, None)
    assert (train.tolist(), test.tolist()) == ([7, 6, 9, 4, 3, 2, 8], [0, 1, 5])


def test_labels_follow_their_rows() -> None:
    numbers = np.arange(40)
    parts = Selection(seed=3, limit=9).apply(Parts(train=numbers[:, None].astype(np.float32), train_labels=numbers))
    assert parts.test is not None and parts.train_labels is not None and parts.test_labels is not None
    np.testing.assert_array_equal(parts.train[:, 0], parts.train_labels)
    np.testing.assert_array_equal(parts.test[:, 0], parts.test_labels)


@pytest.mark.parametrize("fraction", [0, 1, -0.5, 2, math.nan, math.inf])
def test_fraction_out_of_range(fraction: float) -> None:
    with pytest.raises(OptionError, match="test_fraction"):
        Selection(test_fraction=fraction)


@pytest.mark.parametrize(
    "options", [{"seed": -1}, {"seed": 2**32}, {"seed": 1.5}, {"seed": True}, {"limit": 0}, {"limit": 2.0}]
)
def test_seed_or_limit_out_of_range(options: dict) -> None:
    with pytest.raises(OptionError, match=next(iter(options))):
        Selection(**options)


@pytest.mark.parametrize(("train", "test"), [(0, None), (1, None), (0, 5), (5, 0)])
def test_too_few_examples(train: int, test: int | None) -> None:
    with pytest.raises(DataError, match="at least"):
        Selection().rows(train, test)
