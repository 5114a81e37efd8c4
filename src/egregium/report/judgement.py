"""What the comparison shows: which relation beats which, judged by intervals, in sentences."""

from dataclasses import dataclass
from typing import Literal

from egregium.report.results import Estimate, Results
from egregium.report.words import describe, endpoint_words, in_prose, ordered, shown, why_undefined

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


def answer(found: list[Comparison]) -> str:
    """One sentence for three comparisons of the same two relations, in the order CV, rank agreement, score."""
    one, other = f"The {in_prose(found[0].one)}", f"the {in_prose(found[0].other)}"
    names = {"cv_mean": "CV", "spearman": "rank agreement", "score": "ICC"}
    lists = {
        outcome: [names[item.statistic] for item in found if item.outcome == outcome]
        for outcome in ("better", "worse", "undecided", "undefined")
    }
    if len(lists["undefined"]) == len(found):
        return f"{one} against {other}: not decided, dispersion is not defined in this study."
    if len(lists["better"]) == len(found):
        return f"{one} beats {other} in CV, in rank agreement and in ICC."
    if len(lists["worse"]) == len(found):
        return f"{one} loses to {other} in CV, in rank agreement and in ICC."
    if len(lists["undecided"]) == len(found):
        return f"{one} is not told apart from {other}, in CV, in rank agreement or in ICC."
    verbs = {"better": "better", "worse": "worse", "undecided": "not told apart", "undefined": "not defined"}
    parts = [f"{verb} in {_listed(lists[outcome])}" for outcome, verb in verbs.items() if lists[outcome]]
    tail = " A lower CV alone proves nothing." if lists["better"] == ["CV"] else ""
    return f"{one} against {other}: {', '.join(parts)}.{tail}"


def answers(results: Results) -> list[str]:
    """The answers of all comparisons; where the kinds of endpoints give different ones, each names its own."""
    said: dict[str, list[str]] = {}
    for endpoint in results.endpoints:
        for found in headline(results, endpoint):
            said.setdefault(answer(found), []).append(endpoint_words(endpoint))
    return [
        words if len(where) == len(results.endpoints) else f"With {_listed(where)}: {words[:1].lower()}{words[1:]}"
        for words, where in said.items()
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
    """What makes the comparisons weaker than their numbers look: few trainings, few pairs, a flat surface."""
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
    return sentences


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
