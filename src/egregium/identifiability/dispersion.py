r"""How much a relation changes from one training to the next: statistics of a study's table, with intervals.

For one relation at one endpoint the table is a matrix `x_ap` of `R` trainings by `P` pairs of points. Every statistic is built
from *pairs of distinct trainings*; the scale type of the relation selects it:

- ratio (a distance): `CV_p = std_a(x_ap) / mean_a(x_ap)` with ddof 1;
- interval (a log-density): `std_a(x_ap - o_a)` after removing one offset per training;
- circular (an angle, in radians): `sqrt(-2 ln |mean_a exp(i x_ap)| R / (R - 1))`, close to the ordinary std where it is small;
- signed (a curvature): `std_a(x_ap)`.

A low CV alone proves nothing: a constant added to every value lowers it. The headline is therefore
`score = 1 - ICC(2,1)`, the share of variance that is disagreement between trainings, after one scale per training for ratio
relations (each divided by the training's mean), one offset per training for interval relations, on the unit circle for circular
ones and of the raw values for signed ones. A constant added to values whose training means agree leaves it exactly unchanged,
while it lowers CV. Spearman and Kendall stand beside it.

**Intervals** (95 %) resample trainings with replacement (balanced: Davison et al. 1986); the pairs of points stay fixed. A
resample holds a training more than once, and a training never disagrees with its own copy, so the plain std of a resample
is too small by `sqrt((R - 1) / R)` on average. Here a training never meets its own copy: variance is
`sum_{a != b} w_a w_b (x_a - x_b)^2 / 2` over `sum_{a != b} w_a w_b`, with `w_a` how often training `a` was drawn, which is
unbiased; correlations and ICC likewise. The root of a variance is still biased downward, in the estimate as in its
resamples, so both ends are moved by twice the difference between the estimate and the mean of its resamples; the tails are
those of Student's t with `R - 1` degrees of freedom, times `sqrt(R / (R - 1))` (Hesterberg 2015), because percentile
intervals are too short for few trainings; and the interval is extended to hold the estimate.

How often such an interval of the mean CV holds the truth, in simulations of 50 pairs with 5, 10 and 30 trainings: 0.86,
0.90, 0.94 with independent errors (a plain percentile interval: less than half) and 0.87, 0.90, 0.93 with distortions
shared by all pairs; in the latter of the score 0.91, 0.90, 0.92 and of Spearman 0.92, 0.92, 0.94. Where single trainings go
very wrong (error of log-normal size) that of the mean CV falls to 0.60, 0.72, 0.79: a few trainings cannot tell of the bad
one that was not drawn. `pytest -m slow tests/identifiability/test_coverage.py` repeats these simulations.

References:
    Shrout and Fleiss 1979, Psychological Bulletin 86, 420-428; Davison, Hinkley and Schechtman 1986, Biometrika 73, 555-566;
    Hesterberg 2015, The American Statistician 69, 371-386.
"""

import warnings

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy import stats

from egregium.errors import OptionError
from egregium.identifiability.icc import components, over_pairs
from egregium.identifiability.matrices import Matrix, matrices, matrix
from egregium.identifiability.ranks import rank_agreement
from egregium.protocols import Scale

STATISTICS = ("cv_mean", "cv_median", "std", "spearman", "kendall", "icc", "score")
TESTS = ("t_over_pairs", "t_over_pairs_p", "wilcoxon_over_pairs_p")
BASELINE = "euclidean"
FEWEST_RESAMPLES = 20
ALTERNATIONS = 30


def summarize(table: pd.DataFrame, *, resamples: int = 200, seed: int = 0) -> pd.DataFrame:
    """How much every relation changes between trainings: a row per (relation, endpoint) of a study's table.

    Only rows with status CONVERGED and a finite value count. Where at least 80 % of the pairs have a value in every training,
    the others are left out, so that all trainings are compared on the same pairs; otherwise every value at hand is used, each
    two trainings being compared on the pairs that both have.

    Columns: `relation, endpoint, scale`; `n_models` trainings and `n_pairs` pairs used; `ok_share` of all expected rows that
    are usable; `cv_mean, cv_median` over pairs (ratio scales); `std`, its mean over pairs, in units of the relation;
    `spearman, kendall`, means over pairs of distinct trainings; `icc`; `score = 1 - icc`; each of these with `_low` and
    `_high`, the 95 % interval from resampling trainings (for three trainings or more). `t_over_pairs, t_over_pairs_p,
    wilcoxon_over_pairs_p`: the paired two-sided tests of Syrota et al. 2025 of the CV per pair against relation `euclidean`
    at the same endpoint, negative t where the relation varies less. Pairs share their trainings, so these are *not*
    independent observations and the p-values are far too small: they are for comparison with published numbers only.
    `reason`: a sentence where statistics or intervals are NaN that the scale type would have, else empty.

    One training or one pair is a valid table; its dispersion is NaN and `reason` says why.

    Args:
        table: a row per (model, pair, relation, endpoint) with columns `value` and `status` (a `Status` name), and the scale
            type of every relation in `table.attrs["scales"]`.
        resamples: number of resamples of the trainings, at least 20; the same ones for all relations.
        seed: of the resamples.

    Raises:
        DataError: the table is empty, lacks columns or scales, or holds duplicates, unknown statuses or negative distances.
        OptionError: `resamples` is too small.
    """
    if resamples < FEWEST_RESAMPLES:
        raise OptionError(f"summarize(resamples=): expected at least {FEWEST_RESAMPLES}; got {resamples}.")
    found = matrices(table)
    draws = _draws(found[0].n_table_models, resamples, seed)
    baselines = {cell.endpoint: _cv(cell) for cell in found if cell.relation == BASELINE and cell.scale == "ratio"}
    return pd.DataFrame([_row(cell, draws, baselines.get(cell.endpoint)) for cell in found])


def cv_per_pair(table: pd.DataFrame, relation: str, endpoint: str) -> pd.Series:
    """`CV = std / mean` over trainings (ddof 1) of every pair that `summarize` uses, indexed by pair.

    Invariant under one scale common to all trainings; not under an offset. NaN with one training; pairs whose mean is zero
    (equal points) are left out.

    Raises:
        DataError: the table is malformed.
        OptionError: the table has no such relation at this endpoint, or its scale is not a ratio scale.
    """
    cell = matrix(table, relation, endpoint)
    if cell.scale != "ratio":
        raise OptionError(
            f"cv_per_pair: {relation!r} has {cell.scale} scale, on which std / mean means nothing; "
            "read `std` and `score` of summarize."
        )
    return _cv(cell)


def agreement(table: pd.DataFrame, relation: str, endpoint: str) -> pd.DataFrame:
    """Spearman correlation over pairs of points between every two trainings, `(R, R)`, indexed by model.

    Invariant under every increasing map of a training's values. NaN where it is undefined.

    Raises:
        DataError: the table is malformed.
        OptionError: the table has no such relation at this endpoint.
    """
    cell = matrix(table, relation, endpoint)
    return pd.DataFrame(rank_agreement(cell.values)[0], index=cell.models, columns=cell.models)


def _draws(models: int, resamples: int, seed: int) -> NDArray[np.float64]:
    """How often each training counts in each resample `(B, R)`; balanced: over all of them every training counts equally."""
    drawn = np.random.default_rng(seed).permutation(np.repeat(np.arange(models), resamples)).reshape(resamples, models)
    return (drawn[:, :, None] == np.arange(models)).sum(1).astype(float)


def _cv(cell: Matrix) -> pd.Series:
    mean, std = _moments(cell.values, np.ones((1, len(cell.models))))
    positive = mean[0] > 0
    return pd.Series(std[0, positive] / mean[0, positive], index=cell.pairs[positive], name="cv", dtype=float)


def _moments(values: NDArray[np.float64], weights: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Mean and std over trainings, `(B, P)`, a training never against its own copy; with unit weights the std of ddof 1."""
    present = np.isfinite(values)
    there = present.astype(float)
    centre = np.where(present, values, 0).sum(0) / np.maximum(there.sum(0), 1)
    x = np.where(present, values - centre, 0)
    count = weights @ there
    total, squares = weights @ x, weights @ (x * x)
    with np.errstate(divide="ignore", invalid="ignore"):
        mean = centre + total / count
    variance = np.maximum(count * squares - total**2, 0) / _distinct(weights, there)
    return mean, np.sqrt(variance)


def _distinct(weights: NDArray[np.float64], there: NDArray[np.float64]) -> NDArray[np.float64]:
    """`sum_{a != b} w_a w_b` over the trainings that have the pair, `(B, P)`; NaN where that is a single one."""
    count = (weights @ there) ** 2 - weights**2 @ there
    return np.where(count > 0, count, np.nan)


def _circular_std(values: NDArray[np.float64], weights: NDArray[np.float64]) -> NDArray[np.float64]:
    """Circular std over trainings, `(B, P)`, with the same correction for copies as `_moments`."""
    present = np.isfinite(values)
    there = present.astype(float)
    angles = np.where(present, values, 0)
    turned = there * (angles - np.angle((there * np.exp(1j * angles)).sum(0)))
    count = weights @ there
    with np.errstate(divide="ignore", invalid="ignore"):
        # 1 - |mean exp|^2 from differences, because small angles would be lost in the cosine
        drop = weights @ (2 * np.sin(turned / 2) ** 2) / count
        lost = drop * (2 - drop) - (weights @ np.sin(turned) / count) ** 2
    # opposite angles have no mean direction: their infinite std is capped at that of the smallest resultant in double precision
    lost = np.clip(lost, 0, 1 - np.finfo(float).eps)
    return np.sqrt(-np.log1p(-lost) * count**2 / _distinct(weights, there))


def _aligned(values: NDArray[np.float64], scale: Scale) -> NDArray:
    """The values that trainings are compared on: one scale (ratio) or offset (interval) per training removed, angles as points.

    That is the training's mean. With missing values means over different pairs cannot be compared, so a training's level is
    judged on its own pairs against the pattern common to all, by alternation. A training that collapsed to zero keeps zeros.
    """
    if scale == "circular":
        return np.exp(1j * values)
    if scale == "signed" or values.size == 0:
        return values
    present = np.isfinite(values)
    x = np.where(present, values, 0)
    trainings = np.maximum(present.sum(0), 1)
    level = x.sum(1) / np.maximum(present.sum(1), 1)
    for _ in range(0 if present.all() else ALTERNATIONS):
        if scale == "ratio":
            pattern = (x / _positive(level)).sum(0) / trainings
            level = x.sum(1) / _positive(present @ pattern)[:, 0]
        else:
            pattern = np.where(present, x - level[:, None], 0).sum(0) / trainings
            level = np.where(present, x - pattern, 0).sum(1) / np.maximum(present.sum(1), 1)
    return values / _positive(level) if scale == "ratio" else values - level[:, None]


def _positive(level: NDArray[np.float64]) -> NDArray[np.float64]:
    """Levels of trainings `(R, 1)` to divide by; 1 where all of a training's values are zero."""
    return np.where(level > 0, level, 1.0)[:, None]


def _statistics(cell: Matrix, weights: NDArray[np.float64]) -> dict[str, NDArray[np.float64]]:
    """Every statistic for each row of `weights` `(B, R)`; arrays `(B,)`."""
    compared = _aligned(cell.values, cell.scale)
    nothing = np.full(len(weights), np.nan)
    found = {"cv_mean": nothing, "cv_median": nothing}
    if cell.scale == "circular":
        std = _circular_std(cell.values, weights)
    else:
        _, std = _moments(compared if cell.scale == "interval" else cell.values, weights)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "(Mean of empty|All-NaN) slice", RuntimeWarning)
        found["std"] = np.nanmean(std, axis=1)
        if cell.scale == "ratio":
            mean, std = _moments(cell.values, weights)
            cv = np.divide(std, mean, out=np.full_like(std, np.nan), where=mean > 0)
            found |= {"cv_mean": np.nanmean(cv, axis=1), "cv_median": np.nanmedian(cv, axis=1)}
    found |= dict(zip(("spearman", "kendall"), _mean_ranks(cell, weights), strict=True))
    score = components(compared).disagreement(weights)
    return found | {"icc": 1 - score, "score": score}


def _mean_ranks(cell: Matrix, weights: NDArray[np.float64]) -> list[NDArray[np.float64]]:
    """Spearman and Kendall, means over pairs of distinct trainings for which they are defined."""
    if _cut(cell):
        return [np.full(len(weights), np.nan)] * 2
    found = []
    for ranks in rank_agreement(cell.values):
        defined = np.isfinite(ranks) & ~np.eye(len(ranks), dtype=bool)
        with np.errstate(divide="ignore", invalid="ignore"):
            count = over_pairs(weights, defined.astype(float))
            found.append(over_pairs(weights, np.where(defined, ranks, 0)) / count)
    return found


def _cut(cell: Matrix) -> bool:
    """Angles all round the circle have no order: their ranks would depend on where the circle is cut."""
    finite = cell.values[np.isfinite(cell.values)]
    return cell.scale == "circular" and bool(((finite < 0) | (finite > np.pi)).any())


def _interval(point: float, resampled: NDArray[np.float64], models: int, bounds: tuple[float, float]) -> tuple[float, float]:
    """95 % interval of a statistic from its resamples; the construction and its reasons are at the head of the module."""
    finite = resampled[np.isfinite(resampled)]
    if models < 3 or not np.isfinite(point) or len(finite) < FEWEST_RESAMPLES / 2:
        return np.nan, np.nan
    tail = stats.norm.cdf(-np.sqrt(models / (models - 1)) * stats.t.ppf(0.975, models - 1))
    low, high = np.quantile(finite, [tail, 1 - tail]) - 2 * (finite.mean() - point)
    low, high = np.clip([min(low, point), max(high, point)], *bounds)
    return float(min(low, point)), float(max(high, point))


_BOUNDS = {
    "cv_mean": (0, np.inf), "cv_median": (0, np.inf), "std": (0, np.inf), "spearman": (-1, 1), "kendall": (-1, 1),
    "icc": (-np.inf, 1), "score": (0, np.inf),
}  # fmt: skip


def _row(cell: Matrix, draws: NDArray[np.float64], baseline: pd.Series | None) -> dict[str, object]:
    models, pairs = len(cell.models), len(cell.pairs)
    row: dict[str, object] = {
        "relation": cell.relation, "endpoint": cell.endpoint, "scale": cell.scale,
        "n_models": models, "n_pairs": pairs, "ok_share": cell.ok_share,
    }  # fmt: skip
    points: dict[str, float] = dict.fromkeys(STATISTICS, np.nan)
    tests: dict[str, float] = dict.fromkeys(TESTS, np.nan)
    resampled: dict[str, NDArray[np.float64]] = {}
    if models >= 2 and pairs >= 2:
        weights = draws[:, cell.positions]
        points = {name: float(value[0]) for name, value in _statistics(cell, np.ones((1, models))).items()}
        resampled = _statistics(cell, weights[(weights > 0).sum(1) >= 2])
        if cell.scale == "ratio" and cell.relation != BASELINE and baseline is not None:
            tests = _paired(_cv(cell), baseline)
    for name in STATISTICS:
        low, high = _interval(points[name], resampled.get(name, np.empty(0)), models, _BOUNDS[name])
        row |= {name: points[name], f"{name}_low": low, f"{name}_high": high}
    return row | tests | {"reason": _reason(cell, points)}


def _paired(cv: pd.Series, baseline: pd.Series) -> dict[str, float]:
    """The paired tests of Syrota et al. 2025 of the CV per pair against the baseline's, on the pairs that both have."""
    difference = (cv - baseline).dropna().to_numpy()
    count = len(difference)
    if count < 2 or np.ptp(difference) == 0:
        return dict.fromkeys(TESTS, np.nan)
    t = difference.mean() / (difference.std(ddof=1) / np.sqrt(count))
    t_p = 2 * stats.t.sf(abs(t), count - 1)
    _, wilcoxon_p = np.asarray(stats.wilcoxon(difference), dtype=float)
    return dict(zip(TESTS, (float(t), float(t_p), float(wilcoxon_p)), strict=True))


def _reason(cell: Matrix, points: dict[str, float]) -> str:
    """Why statistics are missing, as a sentence; empty where none is that the scale type promises."""
    models, pairs = len(cell.models), len(cell.pairs)
    if models == 0:
        return "No row ended CONVERGED with a finite value, so there is nothing to compare."
    if models == 1:
        return "One training has usable values: how much they change from training to training takes at least two."
    if pairs < 2:
        return (
            f"{pairs or 'No'} pair of points has values in two trainings: agreement between trainings takes at least two pairs."
        )
    if not np.isfinite(points["score"]):
        return "The values do not vary between pairs of points that two trainings share: there is nothing to agree on."
    if not np.isfinite(points["spearman"]):
        if _cut(cell):
            return "Angles outside [0, pi] have no order, so rank correlations are not defined."
        return "No two trainings have pairs of points in common on which both vary, so rank correlations are not defined."
    if models == 2:
        return "Two trainings: the statistics are defined, but resampling trainings for an interval takes at least three."
    return ""
