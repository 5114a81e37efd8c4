"""Sentences say what the intervals show: no more, no less."""

import math
from pathlib import Path

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from egregium.report import judgement, words
from egregium.report.results import Estimate, Results

NAMES = ("cv_mean", "spearman", "score")


def made_up(statistics: dict[str, dict[str, tuple[float, float, float]]], models: int = 5) -> Results:
    """Results whose summary holds (value, low, high) of every relation's cv_mean, spearman and score."""
    rows = [
        {"relation": relation, "endpoint": "encoder"}
        | {
            f"{name}{end}": value
            for name, found in known.items()
            for end, value in zip(("", "_low", "_high"), found, strict=True)
        }
        for relation, known in statistics.items()
    ]
    table = pd.DataFrame({"model": range(models), "pair": 0})
    return Results(Path("nowhere"), table, pd.DataFrame(rows), {}, {}, {})


def around(cv: float, spearman: float, score: float, half: float = 0.02) -> dict[str, tuple[float, float, float]]:
    return {name: (x, x - half, x + half) for name, x in zip(NAMES, (cv, spearman, score), strict=True)}


def answer(geodesic: tuple[float, float, float], other: tuple[float, float, float], half: float = 0.02) -> str:
    results = made_up({"geodesic": around(*geodesic, half), "chord": around(*other, half)})
    return judgement.answer([judgement.comparisons(results, "geodesic", "chord", "encoder")])


def test_better_in_all_three_is_a_win() -> None:
    assert (
        answer((0.1, 0.9, 0.1), (0.3, 0.6, 0.4))
        == "The geodesic distance beats the decoded chord in CV, in rank agreement and in ICC."
    )


def test_worse_in_all_three_is_a_loss() -> None:
    assert "loses to the decoded chord" in answer((0.3, 0.6, 0.4), (0.1, 0.9, 0.1))


def test_overlapping_intervals_decide_nothing() -> None:
    assert "not told apart" in answer((0.3, 0.6, 0.4), (0.31, 0.59, 0.41))


def test_a_lower_cv_alone_is_called_nothing() -> None:
    said = answer((0.1, 0.6, 0.4), (0.3, 0.9, 0.1))
    assert "better in CV, worse in rank agreement and ICC" in said and "A lower CV alone proves nothing." in said


def test_without_intervals_nothing_is_decided() -> None:
    assert "not told apart" in answer((0.1, 0.9, 0.1), (0.3, 0.6, 0.4), half=math.nan)


def test_undefined_statistics_are_called_so() -> None:
    assert "dispersion is not defined" in answer((math.nan, math.nan, math.nan), (0.3, 0.6, 0.4))


@given(*[st.floats(0, 1) for _ in range(6)])
def test_comparison_is_antisymmetric(a: float, b: float, c: float, d: float, e: float, f: float) -> None:
    results = made_up({"x": around(a, b, c), "y": around(d, e, f)})
    opposite = {"better": "worse", "worse": "better", "undecided": "undecided", "undefined": "undefined"}
    for there, back in zip(
        judgement.comparisons(results, "x", "y", "encoder"), judgement.comparisons(results, "y", "x", "encoder"), strict=True
    ):
        assert back.outcome == opposite[there.outcome]


def test_one_sentence_compares_with_all() -> None:
    near, far = around(0.3, 0.6, 0.4), around(0.1, 0.9, 0.1)
    results = made_up({"geodesic": near, "euclidean": near, "euclidean_aligned": near, "chord": far})
    assert judgement.answers(results) == [
        "The geodesic distance is not told apart from the Euclidean distance and the aligned Euclidean distance in CV, in rank "
        "agreement or in ICC; it loses to the decoded chord in CV, in rank agreement and in ICC."
    ]


def test_a_merely_constant_relation_is_named() -> None:
    results = made_up(
        {"geodesic": around(0.3, 0.8, 0.2), "independent_draw_256": around(0.05, 0.4, 0.6), "chord": around(0.1, 0.9, 0.1)}
    )
    (sentence,) = judgement.merely_constant(results, "encoder")
    assert "Independent-draw" in sentence or "independent-draw" in sentence
    assert "more constant, not more informative" in sentence


def test_the_strongest_baseline_is_that_of_lowest_score() -> None:
    results = made_up(
        {
            "geodesic": around(0.3, 0.8, 0.2),
            "euclidean_scaled": around(0.1, 0.5, 0.5),
            "euclidean_aligned": around(0.2, 0.5, 0.3),
        }
    )
    assert judgement.strongest_baseline(results, "encoder") == "euclidean_aligned"


def test_one_training_has_its_reason() -> None:
    assert "one training" in words.why_undefined(made_up({"chord": around(0, 0, 0)}, models=1))
    assert not words.why_undefined(made_up({"chord": around(0, 0, 0)}, models=2))


@pytest.mark.parametrize("relation", [*words.DESCRIPTIONS, "independent_draw_7", "my_own_number"])
def test_every_relation_has_words(relation: str) -> None:
    found = words.describe(relation)
    assert found.title[0].isupper() and found.what.endswith(".") and found.invariant and "_" not in found.title


def test_theory_follows_likelihood_and_endpoint() -> None:
    results = made_up({"geodesic_one": around(0, 0, 0)})
    results.run["config"] = {"model": {"likelihood": "gaussian", "decoders": 1}}
    assert words.theory(results, "geodesic_one", "projection") == "identifiable by theorem"
    assert words.theory(results, "geodesic_one", "encoder") == "identifiable only under assumptions"
    assert words.theory(results, "euclidean", "encoder") == "not identifiable"
    assert words.theory(results, "my_own_number", "encoder") == ""


@given(st.floats(1e-6, 1e6), st.floats(0, 0.5), st.floats(0, 0.5))
def test_numbers_with_intervals_read_back_within_their_last_digit(value: float, below: float, above: float) -> None:
    low, high = value * (1 - below), value * (1 + above)
    said = words.shown(Estimate(value, low, high)).translate(str.maketrans({"[": "", "]": "", ",": "", "−": "-"})).split()  # noqa: RUF001
    for word, exact in zip(said, (value, low, high), strict=True):
        places = len(word.split(".")[1]) if "." in word else 0
        assert float(word) == pytest.approx(exact, abs=0.500001 * 10.0**-places)


@given(st.floats(0, 1), st.floats(0, 1))
def test_more_change_never_reads_as_less(a: float, b: float) -> None:
    order = list(dict.fromkeys(words.share(x / 1000) for x in range(1201)))
    low, high = sorted((a, b))
    assert order.index(words.share(low)) <= order.index(words.share(high))


def test_unknown_numbers_are_dashes() -> None:
    assert (
        words.number(math.nan)
        == words.shown(Estimate(math.nan))
        == words.percent(math.nan)
        == words.p_value(math.nan)
        == words.NOTHING
    )
