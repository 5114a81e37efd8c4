"""What the comparison shows: which relation beats which, judged by intervals, in sentences."""

from dataclasses import dataclass
from typing import Literal

import numpy as np

from egregium.report import fit
from egregium.report.results import Estimate, Results
from egregium.report.words import describe, endpoint_words, in_prose, ordered, sentence_case, shown, why_undefined

Outcome = Literal["better", "worse", "undecided", "undefined"]

HEADLINE = "geodesic"
FEW_MODELS = 5
FEW_PAIRS = 30
FLAT = 1.02


@dataclass(frozen=True)
class Comparison:
    """One statistic of two relations at one endpoint, judged by whether their 95 % intervals are disjoint."""

    statistic: str
    one: str
    other: str
    first: Estimate
    second: Estimate
    outcome: Outcome

    @property
    def words(self) -> str:
        if self.outcome == "undecided" and not (self.first.bounded and self.second.bounded):
            return "= not told apart: too few trainings for intervals"
        verdicts = {
            "better": "▲ {} better",
            "worse": "▼ {} worse",
            "undecided": "= not told apart",
            "undefined": "not defined here",
        }
        return verdicts[self.outcome].format(describe(self.one).short)


def compare(results: Results, one: str, other: str, endpoint: str, statistic: str) -> Comparison:
    """Is `one` better than `other`? Lower is better for `cv_mean` and `score`, higher for `spearman`.

    Disjoint intervals decide; this is stricter than a test of the difference, since both share their trainings.
    """
    first, second = (results.estimate(name, endpoint, statistic) for name in (one, other))
    sign = 1 if statistic == "spearman" else -1
    outcome: Outcome = "undecided"
    if not (first.known and second.known):
        outcome = "undefined"
    elif first.bounded and second.bounded and (first.low > second.high or first.high < second.low):
        outcome = "better" if sign * (first.value - second.value) > 0 else "worse"
    return Comparison(statistic, one, other, first, second, outcome)


def comparisons(results: Results, one: str, other: str, endpoint: str) -> list[Comparison]:
    return [compare(results, one, other, endpoint, statistic) for statistic in ("cv_mean", "spearman", "score")]


def answer(found: list[list[Comparison]]) -> str:
    """One sentence that compares one relation with others; of each, its comparisons in the order CV, rank agreement, score."""
    alike: dict[tuple[Outcome, ...], list[list[Comparison]]] = {}
    for row in found:
        alike.setdefault(tuple(item.outcome for item in row), []).append(row)
    subjects = [f"the {in_prose(found[0][0].one)}", *["it"] * (len(alike) - 1)]
    said = sentence_case("; ".join(_compared(one, rows) for one, rows in zip(subjects, alike.values(), strict=True)))
    alone = any(outcomes.count("better") == 1 and outcomes[0] == "better" for outcomes in alike)
    return f"{said}.{' A lower CV alone proves nothing.' if alone else ''}"


def _compared(one: str, rows: list[list[Comparison]]) -> str:
    """The part of a sentence on relations that compare alike with `one`."""
    others = _listed([f"the {in_prose(row[0].other)}" for row in rows])
    names = {"cv_mean": "CV", "spearman": "rank agreement", "score": "ICC"}
    verbs: dict[Outcome, str] = {
        "better": "better", "worse": "worse", "undecided": "not told apart", "undefined": "not defined",
    }  # fmt: skip
    lists = {outcome: [names[item.statistic] for item in rows[0] if item.outcome == outcome] for outcome in verbs}
    wholes: dict[Outcome, str] = {
        "better": f"{one} beats {others} in CV, in rank agreement and in ICC",
        "worse": f"{one} loses to {others} in CV, in rank agreement and in ICC",
        "undecided": f"{one} is not told apart from {others} in CV, in rank agreement or in ICC",
        "undefined": f"whether {one} beats {others} is not decided, dispersion is not defined in this study",
    }
    whole = next((words for outcome, words in wholes.items() if len(lists[outcome]) == len(rows[0])), None)
    parts = [f"{verb} in {_listed(lists[outcome])}" for outcome, verb in verbs.items() if lists[outcome]]
    return whole or f"against {others} {one} is {', '.join(parts)}"


def answers(results: Results) -> list[str]:
    """The answer in one sentence; where the kinds of endpoints give different ones, in one for each."""
    said: dict[str, list[str]] = {}
    for endpoint in results.endpoints:
        if found := headline(results, endpoint):
            said.setdefault(answer(found), []).append(endpoint_words(endpoint))
    return [
        words if len(where) == len(results.endpoints) else f"With {_listed(where)}: {words[:1].lower()}{words[1:]}"
        for words, where in said.items()
    ]


def same_by_construction(results: Results, endpoint: str) -> list[str]:
    """A sentence where the variants of the geodesic distance are one number, as they are with one decoder."""
    names = [name for name in ordered(results, endpoint) if name.startswith(HEADLINE)]
    rows = results.table.loc[results.table["endpoint"] == endpoint]
    values = {name: rows.loc[rows["relation"] == name, "value"].to_numpy() for name in names}
    same = [name for name in names if np.array_equal(values[name], values[names[0]], equal_nan=True)]
    if len(same) < 2:
        return []
    return [
        "With one decoder, all decoders, their mean and one of them are the same: "
        f"{_listed([in_prose(name) for name in same])} are one number by construction, and their rows repeat each other."
    ]


def headline(results: Results, endpoint: str) -> list[list[Comparison]]:
    """Geodesic against Euclidean, the strongest Euclidean baseline and the chord, where the study holds them."""
    names = results.relations(endpoint)
    if HEADLINE not in names or why_undefined(results):
        return []
    others = ("euclidean", strongest_baseline(results, endpoint), "chord")
    return [comparisons(results, HEADLINE, other, endpoint) for other in others if other and other in names]


def strongest_baseline(results: Results, endpoint: str) -> str | None:
    """The Euclidean baseline of lowest score, so that the geodesic is not compared with a straw man."""
    names = [name for name in results.relations(endpoint) if name.startswith("euclidean_")]
    known = [name for name in names if results.estimate(name, endpoint, "score").known]
    return min(known, key=lambda name: results.estimate(name, endpoint, "score").value, default=None)


def cautions(results: Results) -> list[str]:
    """What makes the comparisons weaker than their numbers look: few trainings, few pairs, a flat surface, a poor fit."""
    sentences = []
    if 1 < len(results.models) < FEW_MODELS:
        sentences.append(
            f"Only {len(results.models)} trainings: intervals that resample so few are too narrow. Ten or more are needed."
        )
    if results.n_pairs < FEW_PAIRS:
        sentences.append(f"Only {results.n_pairs} pairs: another draw of pairs may well change the order of the relations.")
    for ratio in results.diagnostics.get("ratios") or []:
        if ratio["name"] == "geodesic/chord" and ratio["median"] is not None and ratio["median"] < FLAT:
            sentences.append(
                f"The surface is flat between these points ({endpoint_words(ratio['endpoint'])}: geodesic / chord is "
                f"{ratio['median']:.3f} in the median), so that the study says nothing of geodesics against chords."
            )
    return sentences + fit.cautions(results.fits)


def merely_constant(results: Results, endpoint: str, against: str = HEADLINE) -> list[str]:
    """Sentences for relations whose CV lies below that of `against` while their rank agreement lies below it as well."""
    sentences = []
    for name in ordered(results, endpoint):
        cv, rank = (compare(results, name, against, endpoint, statistic) for statistic in ("cv_mean", "spearman"))
        if cv.outcome == "better" and rank.outcome == "worse":
            sentences.append(
                f"The {in_prose(name)} has a lower CV than the {in_prose(against)} ({shown(cv.first)} against "
                f"{shown(cv.second)}), yet trainings agree less on which pairs are far apart (Spearman {shown(rank.first)} "
                f"against {shown(rank.second)}): it is more constant, not more informative."
            )
    return sentences


def _listed(items: list[str]) -> str:
    return items[0] if len(items) == 1 else f"{', '.join(items[:-1])} and {items[-1]}"
