"""What the study shows: the answer, the comparisons behind it, the table of relations, the tests over pairs."""

import math
from collections.abc import Iterable

import numpy as np

from egregium.report import judgement, words
from egregium.report.config import data_name
from egregium.report.markup import (
    Markup,
    absent,
    bullets,
    interval,
    join,
    paragraphs,
    relation_name,
    section,
    table,
    tag,
    whisker,
)
from egregium.report.results import Estimate, Results
from egregium.report.style import page_colour
from egregium.report.words import SCORE, counted, describe, endpoint_words, number, p_value, percent, real, sentence_case

DISPERSION = (
    f"Would change if you retrained ({SCORE})",
    "CV, mean over pairs",
    "CV, median",
    "Spearman",
    "Kendall",
    "Converged",
)
VALUES = ("Median over pairs", "90 % of pairs", "Converged")
_NO_CV = {"interval": "an interval scale", "circular": "a circle", "signed": "a scale with both signs"}


def heading(results: Results) -> str:
    name = data_name(results)
    return f"What survives retraining: {name}" if name else "What survives retraining"


def opening(results: Results) -> Markup:
    """Title, the size of the study in one line, and the answer in a box."""
    trainings, endpoints = len(results.models), len(results.endpoints)
    size = (
        f"{counted(trainings, 'training')} · {counted(results.n_pairs, 'pair')} of test points, the same in every training · "
        f"{counted(len(set(results.summary['relation'])), 'relation')} · {counted(endpoints, 'kind')} of endpoints"
    )
    reason = words.why_undefined(results)
    lines = [reason] if reason else judgement.answers(results)
    if not lines:
        lines = ["The study holds no geodesic distance to judge: see the table of relations."]
    box = tag("div", paragraphs(*lines), class_="verdict")
    kicker = tag("p", "egregium · report of a study", class_="kicker")
    return join([kicker, tag("h1", heading(results)), tag("p", size, class_="sub"), box])


def verdict(results: Results) -> Markup:
    """The comparisons behind the answer, endpoint by endpoint, and the warning about low CV."""
    warning = tag(
        "div",
        paragraphs(
            "A low CV alone proves nothing. Adding the same constant to every distance lowers the CV and teaches nothing; so "
            "does any estimator that returns nearly the same number for every pair. Believe a relation when its CV is low, "
            f"trainings agree on the order of the pairs (Spearman), and the score {SCORE} is low as well."
        ),
        class_="warning",
    )
    if words.why_undefined(results):
        undecided = "Whether the geodesic beats the Euclidean distance or the chord cannot be decided from one training."
        return section("verdict", "Verdict", paragraphs(undecided), warning, bullets(judgement.cautions(results)))
    parts: list[object] = [bullets(judgement.cautions(results))]
    for endpoint in results.endpoints:
        parts.append(_headline_table(results, endpoint, judgement.headline(results, endpoint)))
        parts.append(bullets(judgement.merely_constant(results, endpoint)))
    how = (
        "Two relations are told apart where their 95 % intervals do not overlap. This is a strict rule: both come from the "
        "same trainings, so that a difference can be real although the intervals overlap."
    )
    return section("verdict", "Verdict", warning, *parts, tag("p", how, class_="note"))


def relations(results: Results) -> Markup:
    """The table in plain language, one per kind of endpoint."""
    lead = (
        f"The score is {SCORE}(2,1) after one scale per training: the share of the differences between pairs that belongs to "
        "the training and not to the data. 0 is a property of the data, 1 an accident of the training. Spearman and Kendall "
        "say how far two trainings agree in the order of the pairs, on average."
    )
    single = bool(words.why_undefined(results))
    numbers = VALUES if single else DISPERSION
    parts: list[object] = [paragraphs(words.why_undefined(results) or lead)]
    for endpoint in results.endpoints:
        first = endpoint == results.endpoints[0]
        head = ("Relation", "What it is", *numbers) if first else ("Relation", *numbers)
        fill = _values if single else _dispersion
        rows = [
            (*_relation_words(results, relation, endpoint, explain=first), *fill(results, relation, endpoint))
            for relation in words.ordered(results, endpoint)
        ]
        parts.append(table(head, rows, caption=sentence_case(endpoint_words(endpoint)), kind="relations"))
        notes = judgement.same_by_construction(results, endpoint)
        parts.append(bullets(notes if single else [*notes, *_reasons(results, endpoint)]))
    return section("relations", "How much of this would change if you retrained?", *parts)


def pair_tests(results: Results) -> Markup:
    """The tests as the poster did them, labelled for what they assume."""
    rows = {(end, rel): results.row(rel, end) for end in results.endpoints for rel in words.ordered(results, end)}
    found = {
        key: [real(row.get(name)) for name in ("t_over_pairs", "t_over_pairs_p", "wilcoxon_over_pairs_p")]
        for key, row in rows.items()
    }
    body = [
        (relation_name(relation), endpoint, number(t), p_value(t_p), p_value(wilcoxon_p))
        for (endpoint, relation), (t, t_p, wilcoxon_p) in found.items()
        if math.isfinite(t) or math.isfinite(wilcoxon_p)
    ]
    lead = (
        "Over pairs, which share trainings: not independent. The published comparison tests the CVs of the pairs of one "
        "relation against those of Euclidean distance as if each pair were an experiment of its own. All pairs are measured in "
        "the same few trainings, so that these p-values are far too small; they stand here to be compared with the literature "
        "and decide nothing above. Negative t: lower CV than Euclidean distance."
    )
    if not body:
        return section(
            "tests", "Tests over pairs", paragraphs(lead), absent("no test could be made: it needs CVs of several pairs.")
        )
    head = ("Relation", "Endpoints", "Paired t over pairs", "p of t", "p of Wilcoxon's signed ranks")
    return section("tests", "Tests over pairs", paragraphs(lead), table(head, body))


def _headline_table(results: Results, endpoint: str, found: list[list[judgement.Comparison]]) -> Markup:
    """The geodesic's three statistics, and below them those it is compared with, each with the outcome."""
    statistics = ("cv_mean", "spearman", "score")

    def cells(relation: str, outcomes: Iterable[str]) -> list[Markup]:
        drawn = (_drawn(results.estimate(relation, endpoint, statistic), page_colour(relation)) for statistic in statistics)
        return [
            join([cell, tag("span", outcome, class_="change") if outcome else ""])
            for cell, outcome in zip(drawn, outcomes, strict=True)
        ]

    if not found:
        return absent("the study holds no geodesic distance, or nothing to compare it with.")
    body = [(relation_name(judgement.HEADLINE), *cells(judgement.HEADLINE, ("", "", "")))]
    body += [(relation_name(row[0].other), *cells(row[0].other, (item.words for item in row))) for row in found]
    heads = ("CV, mean over pairs (lower is better)", "Spearman (higher is better)", f"Score {SCORE} (lower is better)")
    return table(("Distance", *heads), body, caption=sentence_case(endpoint_words(endpoint)), kind="headline")


def _reasons(results: Results, endpoint: str) -> list[str]:
    """The sentences of the summary about statistics that are missing, each with the relations it is about."""
    about: dict[str, list[str]] = {}
    for relation in words.ordered(results, endpoint):
        reason = str(results.row(relation, endpoint).get("reason") or "")
        if reason:
            about.setdefault(reason, []).append(describe(relation).short)
    everything = len(results.relations(endpoint))
    return [reason if len(names) == everything else f"{', '.join(names)}: {reason}" for reason, names in about.items()]


def _relation_words(results: Results, relation: str, endpoint: str, *, explain: bool) -> tuple[object, ...]:
    """The first cells of a relation's row: its name, and where asked for what it is in a cell of its own."""
    known = describe(relation)
    notes = {"Unchanged by": known.invariant if explain else "", "Theory:": words.theory(results, relation, endpoint)}
    small = [tag("span", tag("b", label), f" {value}", class_="change") for label, value in notes.items() if value]
    named = relation_name(relation, code=True)
    return (named, join([known.what, *small])) if explain else (join([named, *small]),)


def _dispersion(results: Results, relation: str, endpoint: str) -> tuple[object, ...]:
    """The cells under DISPERSION; on scales where a CV means nothing the standard deviation stands in its place."""
    score, spread, middle, rank, kendall = (
        results.estimate(relation, endpoint, statistic)
        for statistic in ("score", "cv_mean", "cv_median", "spearman", "kendall")
    )
    scale = str(results.row(relation, endpoint).get("scale", ""))
    change = tag("span", sentence_case(words.share(score.value)), class_="change") if score.known else ""
    cv: object = interval(spread)
    if not spread.known and scale in _NO_CV:
        std = results.estimate(relation, endpoint, "std")
        cv = (
            join([tag("span", f"no CV on {_NO_CV[scale]}; std", class_="change"), interval(std)])
            if std.known
            else interval(std)
        )
    return (
        join([_drawn(score, page_colour(relation)), change]),
        cv,
        interval(middle),
        interval(rank),
        interval(kendall),
        _ok_share(results, relation, endpoint),
    )


def _values(results: Results, relation: str, endpoint: str) -> tuple[object, ...]:
    """The cells under VALUES: what one training measured."""
    values = results.values(relation, endpoint).to_numpy()
    values = values[np.isfinite(values)]
    quantiles = np.quantile(values, [0.05, 0.5, 0.95]) if values.size else np.full(3, math.nan)
    low, middle, high = map(float, quantiles)
    return number(middle), f"{number(low)} to {number(high)}", _ok_share(results, relation, endpoint)


def _ok_share(results: Results, relation: str, endpoint: str) -> str:
    return percent(real(results.row(relation, endpoint).get("ok_share")))


def _drawn(estimate: Estimate, ink: str) -> Markup:
    return join([whisker(estimate, ink), interval(estimate)])
