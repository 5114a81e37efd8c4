"""The pictures of a study, each a function that draws on the axes it is given and returns them.

None of them touches pyplot or matplotlib's settings; they work on axes from anywhere.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib import patheffects
from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator, PercentFormatter

from egregium.errors import ShapeError
from egregium.report.labels import label_points
from egregium.report.results import UNKNOWN, Estimate
from egregium.report.style import (
    CLASS_COLOURS,
    CLASS_MARKERS,
    INK,
    MUTED,
    PAPER,
    VOLUME,
    bare,
    colour,
    dress,
    styled,
)
from egregium.report.words import SCORE, describe, shown

MOST_POINTS = 3000
LEAST_SPAN = 0.5  # of log-volume on the colours of a map: less is a surface that is nearly even, and should look so
LETTER = np.array([0.06, 0.085])  # width and height of a letter of a class name, as shares of the picture
MOST_CLASSES = len(CLASS_COLOURS) * len(CLASS_MARKERS)


@dataclass(frozen=True)
class Mark:
    """A relation in the plane of score against rank agreement; `note` follows its name on the label."""

    relation: str
    score: Estimate
    spearman: Estimate
    note: str = ""


@styled
def cv_histogram(ax: Axes, cvs: Mapping[str, np.ndarray], means: Mapping[str, Estimate], *, faint: Sequence[str] = ()) -> Axes:
    """Histograms of the coefficient of variation per pair, one per relation; `faint` ones as an outline behind.

    `cvs` maps a relation to its CV of every pair `(P,)`, `means` to the mean over pairs with its interval.
    """
    values = {name: cv[np.isfinite(cv)] for name, cv in cvs.items()}
    pooled = np.concatenate(list(values.values()))
    if not pooled.size:
        raise ShapeError("A histogram of CV got no finite value: it needs pairs measured in at least two trainings.")
    reach = float(np.quantile(pooled, 0.995)) * 1.05 or 1.0
    bins = np.linspace(0, reach, 34).tolist()
    labels = {name: f"{describe(name).title}\nmean {shown(means.get(name, UNKNOWN))}" for name in values}
    for name, cv in sorted(values.items(), key=lambda item: item[0] not in faint):
        light = name in faint
        ax.hist(
            np.minimum(cv, reach),
            bins=bins,
            color=colour(name),
            alpha=0.22 if light else 0.5,
            label=labels[name],
            histtype="stepfilled",
            edgecolor="none",
            zorder=1 if light else 2,
        )
        ax.hist(
            np.minimum(cv, reach),
            bins=bins,
            color=colour(name),
            alpha=0.45 if light else 1.0,
            histtype="step",
            linewidth=1.3,
            zorder=3,
        )
        if cv.size:
            ax.axvline(float(cv.mean()), color=colour(name), linewidth=1.4, linestyle=(0, (4, 2)), zorder=4)
    ax.set_xlim(0, reach)
    ax.set_xlabel("coefficient of variation over trainings, one value per pair")
    ax.set_ylabel("pairs")
    ax.yaxis.set_major_locator(MaxNLocator(5, integer=True))
    handles = dict(zip(*reversed(ax.get_legend_handles_labels()), strict=True))
    ax.legend(
        [handles[label] for label in labels.values()], labels.values(), loc="upper right", handlelength=1.2, labelspacing=0.7
    )
    return dress(ax)


@styled
def latent_scatter(ax: Axes, points: np.ndarray, labels: np.ndarray | None = None, *, title: str = "") -> Axes:
    """Points of one latent space, coloured by label: `(N, 2)` as they are, `(N, d > 2)` on their first two principal axes.

    Classes are named near the median of their points, where no other name stands; more than 28 of them are shown on one
    scale of brightness instead. At most 3,000 points are drawn, evenly picked.
    """
    plane, share = in_plane(points)
    picked = np.unique(np.linspace(0, len(plane) - 1, min(len(plane), MOST_POINTS)).astype(int))
    size = float(np.clip(9000 / max(len(picked), 1), 3.5, 16))
    style = {"s": size, "linewidths": 0, "alpha": 0.75, "rasterized": True}
    classes = np.unique(labels) if labels is not None else np.empty(0)
    if labels is None:
        ax.scatter(*plane[picked].T, color=colour("geodesic"), **style)
    elif len(classes) > MOST_CLASSES:
        ax.scatter(*plane[picked].T, c=labels[picked], cmap="cividis", **style)
    else:
        for rank, value in enumerate(classes):
            shape, row = rank % len(CLASS_COLOURS), rank // len(CLASS_COLOURS)
            mine = picked[labels[picked] == value]
            ax.scatter(*plane[mine].T, color=CLASS_COLOURS[shape], marker=CLASS_MARKERS[row], **style)
    low, high = np.quantile(plane, [0.002, 0.998], axis=0)
    half = float((high - low).max()) * 0.56 or 1.0
    ax.set_xlim(*((low + high)[0] / 2 + np.array([-half, half])))
    ax.set_ylim(*((low + high)[1] / 2 + np.array([-half, half])))
    if labels is not None and len(classes) <= MOST_CLASSES:
        outline = [patheffects.withStroke(linewidth=3, foreground=PAPER)]
        for place, value in zip(name_places(plane, labels, classes, 2 * half), classes, strict=True):
            ax.annotate(
                str(value), place, ha="center", va="center", fontsize=11, fontweight="bold", color=INK, path_effects=outline
            )
    ax.set_aspect("equal")
    ax.set_title(title)
    if share is not None:
        ax.set_xlabel(f"principal axes: {share:.0%} of variance", fontsize=8.5)
    return bare(ax)


@styled
def geodesic_map(
    ax: Axes,
    grid: np.ndarray,
    log_volume: np.ndarray,
    geodesic: np.ndarray,
    straight: np.ndarray,
    points: np.ndarray | None = None,
) -> Axes:
    """A geodesic and the latent straight line over the log-volume of the metric, in a latent plane.

    `grid` `(G, G, 2)` latent points and `log_volume` `(G, G)` at them; curves `(K, 2)`; `points` `(N, 2)` faint behind.
    """
    finite = log_volume[np.isfinite(log_volume)]
    low, high = np.quantile(finite, [0.02, 0.98]) if finite.size else (0.0, 1.0)
    middle, half = (low + high) / 2, max(high - low, LEAST_SPAN) / 2
    mesh = ax.pcolormesh(
        grid[..., 0],
        grid[..., 1],
        log_volume,
        cmap=VOLUME,
        vmin=middle - half,
        vmax=middle + half,
        shading="gouraud",
        rasterized=True,
    )
    if points is not None:
        picked = np.unique(np.linspace(0, len(points) - 1, min(len(points), MOST_POINTS)).astype(int))
        ax.scatter(*points[picked].T, s=3, color="#24292f", alpha=0.3, linewidths=0, rasterized=True)
    for curve in (straight, geodesic):
        ax.plot(*curve.T, color="#ffffff", linewidth=5, alpha=0.95, zorder=3)
    ax.plot(*geodesic.T, color=colour("geodesic"), linewidth=2.6, label="geodesic", zorder=4)
    ax.plot(*straight.T, color=colour("straight"), linewidth=2.6, linestyle=(0, (3, 1.2)), label="straight line", zorder=4)
    ends = geodesic[[0, -1]]
    ax.scatter(*ends.T, s=44, color="#ffffff", edgecolors="#1b1f24", linewidths=1.4, zorder=5)
    ax.set_xlim(float(grid[..., 0].min()), float(grid[..., 0].max()))
    ax.set_ylim(float(grid[..., 1].min()), float(grid[..., 1].max()))
    ax.set_aspect("equal")
    bar = ax.figure.colorbar(mesh, cax=ax.inset_axes((1.035, 0.1, 0.028, 0.8)))
    bar.outline.set_visible(False)  # pyright: ignore[reportCallIssue]
    bar.set_label("log-volume (how much the decoder stretches)")
    ax.legend(loc="upper center", bbox_to_anchor=(0.5, -0.08), ncols=2, handlelength=2.6)
    ax.set_xlabel("$z_1$", loc="right")
    ax.set_ylabel("$z_2$", loc="top", rotation=0)
    return dress(ax)


@styled
def image_strip(ax: Axes, images: np.ndarray, *, title: str = "") -> Axes:
    """Decoded outputs `(M, *shape)` side by side: `(H, W)` and `(C, H, W)` as images, anything else as curves of numbers."""
    if images.ndim < 2 or not len(images):
        raise ShapeError(f"A strip of images got shape {images.shape}, expected (M, *shape) with at least one number each.")
    kind = images.shape[1:]
    if len(kind) == 2 or (len(kind) == 3 and kind[0] in (1, 3, 4)):
        tiles = images[:, None] if len(kind) == 2 else images
        gap = max(1, tiles.shape[-1] // 14)
        framed = np.pad(tiles, ((0, 0), (0, 0), (0, 0), (0, gap)), constant_values=np.nan)
        strip = np.concatenate(list(framed), axis=2)[:, :, :-gap].transpose(1, 2, 0)
        _show(ax, strip)
    else:
        flat = images.reshape(len(images), -1).astype(float)
        low, high = float(np.nanmin(flat)), float(np.nanmax(flat))
        rows = (flat - low) / ((high - low) or 1.0) * 0.9
        across = np.linspace(0, 0.9, flat.shape[1])
        for place, row in enumerate(rows):
            ax.plot(place + across, row, color=INK, linewidth=0.9)
        ax.set_ylim(-0.05, 0.95)
        ax.set_xlim(-0.05, len(flat))
    ax.set_axis_off()
    ax.set_title(title)
    return ax


@styled
def agreement(
    ax: Axes, a: np.ndarray, b: np.ndarray, *, relation: str, overall: Estimate = UNKNOWN, names: tuple = ("a", "b")
) -> Axes:
    """One relation in two trainings, a dot per pair; `a`, `b` `(P,)`, each divided by its mean so that a scale does not count.

    The Spearman correlation of these two trainings is written beside `overall`, the mean over all of them.
    """
    both = np.isfinite(a) & np.isfinite(b)
    if both.sum() < 2:
        raise ShapeError(f"Agreement of two trainings needs at least two pairs measured in both, got {int(both.sum())}.")
    a, b = a[both] / a[both].mean(), b[both] / b[both].mean()
    reach = float(max(a.max(), b.max())) * 1.05
    ax.plot([0, reach], [0, reach], color=MUTED, linewidth=0.9, linestyle=(0, (3, 2)), zorder=1)
    ax.scatter(a, b, s=24, color=colour(relation), alpha=0.75, linewidths=0.5, edgecolors=PAPER, zorder=2)
    ax.set_xlim(0, reach)
    ax.set_ylim(0, reach)
    ax.set_aspect("equal")
    words = f"Spearman {spearman(a, b):.2f}" + (f"; over all trainings {shown(overall)}" if overall.known else "")
    ax.set_title(describe(relation).title, pad=20)
    ax.text(0, 1.025, words, transform=ax.transAxes, va="bottom", fontsize=9)
    ax.set_xlabel(f"training {names[0]} (mean = 1)")
    ax.set_ylabel(f"training {names[1]} (mean = 1)")
    ax.xaxis.set_major_locator(MaxNLocator(4))
    ax.yaxis.set_major_locator(MaxNLocator(4))
    return dress(ax, grid=True)


@styled
def score_against_rank(ax: Axes, marks: Sequence[Mark]) -> Axes:
    """Every relation as a point: the share that retraining would change across, rank agreement between trainings upwards.

    Whiskers are 95 % intervals. Points are numbered in the order of their scores, and a key beside the axes names them;
    relations at the same place share a number. Good relations stand at the upper left; one that
    is merely constant stands low and to the right however small its CV.
    """
    known = [mark for mark in marks if mark.score.known and mark.spearman.known]
    if not known:
        raise ShapeError("No relation has both a score and a rank agreement: they need at least two trainings.")
    bars = []
    for mark in known:
        ink = colour(mark.relation)
        x, y = (_whisker(estimate) for estimate in (mark.score, mark.spearman))
        ax.plot(x, [mark.spearman.value] * 2, color=ink, linewidth=1.2, alpha=0.65, zorder=2, solid_capstyle="butt")
        ax.plot([mark.score.value] * 2, y, color=ink, linewidth=1.2, alpha=0.65, zorder=2, solid_capstyle="butt")
        ax.scatter(mark.score.value, mark.spearman.value, s=52, color=ink, edgecolors=PAPER, linewidths=0.9, zorder=4)
        bars += [(x[0], mark.spearman.value, x[1], mark.spearman.value), (mark.score.value, y[0], mark.score.value, y[1])]
    _limits(ax, np.array(bars))
    ax.xaxis.set_major_formatter(PercentFormatter(1))
    ax.set_xlabel(f"score {SCORE}: share of what it says that retraining would change")
    ax.set_ylabel("rank agreement between trainings (Spearman)")
    for place, ha, va, words in (
        (0.01, "left", "top", "↖ survives retraining"),
        (0.99, "right", "bottom", "does not survive ↘"),
    ):
        ax.text(place, 0.985 if va == "top" else 0.015, words, transform=ax.transAxes, ha=ha, va=va, color=MUTED, fontsize=9)
    dress(ax, grid=True)
    groups = _together(sorted(known, key=lambda mark: mark.score.value))
    xy = np.array([(group[0].score.value, group[0].spearman.value) for group in groups])
    numbers = [str(place) for place in range(1, len(groups) + 1)]
    _key(ax, dict(zip(numbers, groups, strict=True)))
    label_points(ax, xy, numbers, [colour(group[0].relation) for group in groups], bars=np.array(bars))
    return ax


def spearman(a: np.ndarray, b: np.ndarray) -> float:
    """Spearman correlation of two `(P,)` arrays; ties take their mean rank.

    >>> round(spearman(np.array([1.0, 2.0, 3.0]), np.array([1.0, 4.0, 9.0])), 6)
    1.0
    """

    def ranks(x: np.ndarray) -> np.ndarray:
        _, inverse, counts = np.unique(x, return_inverse=True, return_counts=True)
        return (np.cumsum(counts) - (counts - 1) / 2)[inverse]

    ra, rb = ranks(a), ranks(b)
    ra, rb = ra - ra.mean(), rb - rb.mean()
    norm = float(np.sqrt((ra**2).sum() * (rb**2).sum()))
    return float((ra * rb).sum()) / norm if norm else float("nan")


def name_places(plane: np.ndarray, labels: np.ndarray, classes: np.ndarray, span: float) -> list[tuple[float, float]]:
    """Where to name each class: on that of its points nearest to their median whose name would stand clear of those before.

    `span` is the side of the picture that `plane` `(N, 2)` is drawn in. Where all of a class is covered, the median.
    """
    placed: list[tuple[np.ndarray, int]] = []
    for value in classes:
        mine, letters = plane[labels == value], len(str(value))
        centre = np.median(mine, axis=0)
        places = np.concatenate([centre[None], mine[np.linalg.norm(mine - centre, axis=1).argsort()]])
        free = np.full(len(places), True)
        for other, length in placed:
            apart = np.abs(places - other) / (span * np.array([0.5 * LETTER[0] * (letters + length), LETTER[1]]))
            free &= apart.max(1) > 1
        placed.append((places[int(free.argmax())], letters))
    return [(float(place[0]), float(place[1])) for place, _ in placed]


def in_plane(points: np.ndarray) -> tuple[np.ndarray, float | None]:
    """Points in a plane `(N, 2)`, and the share of variance it holds where it is a projection, else None.

    One-dimensional points are spread evenly upwards, in their own order, so that they do not hide each other.
    """
    if points.ndim != 2 or not points.shape[1]:
        raise ShapeError(f"Latent points have shape {points.shape}, expected (N, d) with d >= 1.")
    points = points.astype(float)
    if points.shape[1] == 1:
        return np.stack([points[:, 0], np.linspace(0, np.ptp(points), len(points))], axis=1), None
    if points.shape[1] == 2:
        return points, None
    centred = points - points.mean(0)
    _, lengths, axes = np.linalg.svd(centred, full_matrices=False)
    total = float((lengths**2).sum())
    return centred @ axes[:2].T, float((lengths[:2] ** 2).sum()) / total if total else 1.0


def _show(ax: Axes, strip: np.ndarray) -> None:
    """Image strip `(H, W, C)` with transparent gaps where it is NaN."""
    gaps = np.isnan(strip).all(2)
    finite = strip[np.isfinite(strip)]
    low, high = (float(finite.min()), float(finite.max())) if finite.size else (0.0, 1.0)
    if low >= -0.5 and high <= 1.5:  # outputs of a decoder of images in [0, 1] overshoot a little
        low, high = 0.0, 1.0
    strip = np.clip((strip - low) / ((high - low) or 1.0), 0, 1)
    if strip.shape[2] == 1:
        strip = np.repeat(strip, 3, axis=2)
    clear = np.where(gaps, 0.0, 1.0)[..., None]
    ax.imshow(np.concatenate([np.nan_to_num(strip[..., :3]), clear], axis=2), interpolation="nearest", aspect="equal")


def _key(ax: Axes, groups: Mapping[str, Sequence[Mark]]) -> None:
    """The numbers of the points with what they stand for, in a column to the right of the axes."""
    lines = [(number, mark) for number, group in groups.items() for mark in group]
    for place, (number, mark) in enumerate(lines):
        y = 0.97 - place * min(0.07, 0.97 / len(lines))
        words = describe(mark.relation).short + (f" · {mark.note}" if mark.note else "")
        style = {"transform": ax.transAxes, "va": "center", "fontsize": 9}
        ax.scatter(1.03, y, s=40, color=colour(mark.relation), transform=ax.transAxes, clip_on=False, linewidths=0)
        ax.text(1.085, y, number, ha="right", fontweight="bold", **style)
        ax.text(1.1, y, words, ha="left", **style)


def _whisker(estimate: Estimate) -> tuple[float, float]:
    return (estimate.low, estimate.high) if estimate.bounded else (estimate.value, estimate.value)


def _limits(ax: Axes, bars: np.ndarray) -> None:
    """Limits around all whiskers with room for labels."""
    x0, y0, x1, y1 = bars[:, 0].min(), bars[:, 1].min(), bars[:, 2].max(), bars[:, 3].max()
    dx, dy = max(x1 - x0, 0.1), max(y1 - y0, 0.1)
    ax.set_xlim(x0 - 0.06 * dx, x1 + 0.06 * dx)
    ax.set_ylim(y0 - 0.17 * dy, y1 + 0.17 * dy)


def _together(marks: Sequence[Mark]) -> list[list[Mark]]:
    """Marks grouped by place: a scale per training changes neither score nor ranks, so that some coincide exactly."""
    groups: list[list[Mark]] = []
    for mark in marks:
        for group in groups:
            if np.allclose([group[0].score.value, group[0].spearman.value], [mark.score.value, mark.spearman.value], atol=1e-6):
                group.append(mark)
                break
        else:
            groups.append([mark])
    return groups
