"""The figures of the page: which panels stand together, what is said below them, and why one is left out."""

from dataclasses import dataclass

import numpy as np
from matplotlib.figure import Figure

from egregium.report import figures
from egregium.report.results import Estimate, Results
from egregium.report.style import figure, styled
from egregium.report.words import SCORE, describe, endpoint_words, number, ordered, why_undefined


@dataclass(frozen=True)
class Plate:
    """A figure with its file name, heading and caption; `drawing` is None where it is left out, and the caption says why."""

    name: str
    title: str
    caption: str
    drawing: Figure | None = None


def plates(results: Results) -> list[Plate]:
    """All figures of a study in the order of the page."""
    return [score_plate(results), cv_plate(results), agreement_plate(results), latent_plate(results), geodesic_plate(results)]


@styled
def score_plate(results: Results) -> Plate:
    name, title = "score_rank", "What survives retraining"
    marks = {endpoint: _marks(results, endpoint) for endpoint in results.endpoints}
    marks = {endpoint: found for endpoint, found in marks.items() if any(m.score.known and m.spearman.known for m in found)}
    if not marks:
        return Plate(name, title, _left_out(why_undefined(results) or "no relation has both a score and a rank agreement."))
    fig = figure(9.2, 5.4 * len(marks))
    for ax, (endpoint, found) in zip(_column(fig, len(marks)), marks.items(), strict=True):
        ax.set_title(_capital(endpoint_words(endpoint)))
        figures.score_against_rank(ax, found)
    return Plate(
        name,
        title,
        f"Every relation: the share of what it says that retraining would change ({SCORE} after one scale per training; left "
        "is better) against how far trainings agree in the order of the pairs (Spearman; up is better), with 95 % intervals "
        "from resampling trainings. Numbers run from the best score to the worst; the key gives the CV, which says nothing "
        "alone: an estimator that is merely constant has a small one, and stands low and to the right all the same. One scale "
        "per training changes neither axis, so that some relations share a number.",
        fig,
    )


@styled
def cv_plate(results: Results) -> Plate:
    name, title = "cv", "Coefficient of variation, pair by pair"
    wanted = ("euclidean", "geodesic", "chord")
    cvs = {
        end: {rel: results.pair_cv(rel, end) for rel in wanted if rel in results.relations(end)} for end in results.endpoints
    }
    cvs = {end: found for end, found in cvs.items() if any(cv.size for cv in found.values())}
    if not cvs:
        return Plate(name, title, _left_out(why_undefined(results) or "no pair was measured in two trainings."))
    fig = figure(9.2, 3.1 * len(cvs))
    for ax, (endpoint, found) in zip(_column(fig, len(cvs)), cvs.items(), strict=True):
        figures.cv_histogram(ax, found, {rel: results.estimate(rel, endpoint, "cv_mean") for rel in found}, faint=("chord",))
        ax.set_title(_capital(endpoint_words(endpoint)))
    return Plate(
        name,
        title,
        "Standard deviation over mean, over trainings, of each pair's distance (dashed: mean over pairs). Low CV alone proves "
        "nothing: adding a constant to every distance lowers it. Read it with the figure above. Values beyond the last bin are "
        "counted in it.",
        fig,
    )


@styled
def agreement_plate(results: Results) -> Plate:
    name, title = "agreement", "The same pairs in two trainings"
    panels = []
    for endpoint in results.endpoints:
        for relation in ("euclidean", "geodesic"):
            values = results.values(relation, endpoint) if relation in results.relations(endpoint) else None
            if values is not None and len(values) >= 2 and values.iloc[:2].notna().all(axis=0).sum() >= 2:
                panels.append((endpoint, relation, values.iloc[:2]))
    if not panels:
        return Plate(name, title, _left_out(why_undefined(results) or "no two trainings have both distances."))
    rows = (len(panels) + 1) // 2
    fig = figure(9.2, 4.7 * rows)
    axes = fig.subplots(rows, 2, squeeze=False).ravel()
    for ax, (endpoint, relation, two) in zip(axes, panels, strict=False):
        overall = results.estimate(relation, endpoint, "spearman")
        a, b = two.to_numpy()
        figures.agreement(ax, a, b, relation=relation, overall=overall, names=tuple(map(str, two.index)))
        if len(results.endpoints) > 1:
            place = endpoint_words(endpoint).removeprefix("endpoints by ")
            ax.set_title(f"{_capital(describe(relation).short)} · {place}", pad=20)
    for ax in axes[len(panels) :]:
        ax.set_axis_off()
    return Plate(
        name,
        title,
        "A dot per pair of test points: its distance in the first training against the second (the first two, not chosen), "
        "each divided by its mean. On the dashed line nothing would have changed.",
        fig,
    )


@styled
def latent_plate(results: Results) -> Plate:
    name, title = "latents", "The same test points in different trainings"
    spaces = [results.arrays[key] for key in (f"latents/{i}" for i in range(4)) if key in results.arrays]
    if not spaces:
        return Plate(name, title, _left_out("the study kept no latent points for it."))
    labels = results.arrays.get("labels")
    fig = figure(9.2, 9.2 / max(len(spaces), 2) + (0.45 if len(spaces) > 2 else 0.3))
    for i, (ax, points) in enumerate(zip(fig.subplots(1, len(spaces), squeeze=False)[0], spaces, strict=True)):
        figures.latent_scatter(ax, points, labels, title=f"training {results.models[i] if i < len(results.models) else i}")
    d = spaces[0].shape[1]
    how = f" The {d} latent dimensions are shown on the first two principal axes of each training." if d > 2 else ""
    how += " The latent space has one dimension (across); upwards the points are only spread out." if d == 1 else ""
    coloured = " Colour and shape of a mark are its label." if labels is not None else " The data has no labels."
    again = "Each training draws the same data differently; this is what a distance has to survive." if len(spaces) > 1 else ""
    return Plate(name, title, f"Encoder means of the same {len(spaces[0]):,} test points. {again}{coloured}{how}", fig)


@styled
def geodesic_plate(results: Results) -> Plate:
    name, title = "geodesic", "A geodesic and the straight line"
    keys = tuple(f"map/{key}" for key in ("grid", "log_volume", "geodesic", "straight"))
    if not results.has(*keys):
        d = results.arrays["latents/0"].shape[1] if results.has("latents/0") else 2
        why = (
            f"the latent space has {d} dimensions and a map needs two."
            if d != 2
            else "the study kept no map of a latent plane."
        )
        return Plate(name, title, _left_out(why))
    strips = [kind for kind in ("geodesic", "straight") if results.has(f"map/{kind}_images")]
    heights = [4.9] + [_strip_height(results.arrays[f"map/{kind}_images"]) for kind in strips]
    fig = figure(9.2, sum(heights))
    axes = fig.subplots(len(heights), 1, squeeze=False, gridspec_kw={"height_ratios": heights})[:, 0]
    figures.geodesic_map(axes[0], *(results.arrays[key] for key in keys), points=results.arrays.get("map/points"))
    for ax, kind in zip(axes[1:], strips, strict=True):
        words = {"geodesic": "decoded along the geodesic", "straight": "decoded along the straight line"}[kind]
        figures.image_strip(ax, results.arrays[f"map/{kind}_images"], title=words)
    return Plate(
        name,
        title,
        "One pair of test points in the first training, over the log-volume of the expected metric: where it is dark the "
        "decoder changes fast and a step in latent space costs more. "
        + ("Below, what the decoder shows at equal steps along both." if strips else ""),
        fig,
    )


def _marks(results: Results, endpoint: str) -> list[figures.Mark]:
    made = []
    for relation in ordered(results, endpoint):
        cv = results.estimate(relation, endpoint, "cv_mean")
        note = f"CV {number(cv.value)}" if cv.known else ""
        score, rank = (results.estimate(relation, endpoint, statistic) for statistic in ("score", "spearman"))
        made.append(figures.Mark(relation, score, Estimate(*rank), note))
    return made


def _strip_height(images: np.ndarray) -> float:
    """Height in inches of a strip that fills the width, between a third of an inch and two, and its heading."""
    shape = images.shape
    square = len(shape) == 3 or (len(shape) == 4 and shape[1] in (1, 3, 4))
    wanted = 8.6 / len(images) * shape[-2] / shape[-1] if square else 0.9
    return 0.35 + float(np.clip(wanted, 0.35, 2.0))


def _column(fig: Figure, rows: int) -> list:
    return list(fig.subplots(rows, 1, squeeze=False)[:, 0])


def _left_out(why: str) -> str:
    return f"This figure is left out: {why[0].lower()}{why[1:]}"


def _capital(sentence: str) -> str:
    return sentence[:1].upper() + sentence[1:]
