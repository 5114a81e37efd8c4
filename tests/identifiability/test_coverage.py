"""How often the intervals of `summarize` hold the truth, in simulations where it is known.

The quick tests have 100 repetitions. `pytest -m slow tests/identifiability/test_coverage.py` checks, with 400, the figures that
the head of `egregium.identifiability.dispersion` states.
"""

from collections.abc import Callable

import numpy as np
import pandas as pd
import pytest
from numpy.typing import NDArray

from egregium.identifiability.dispersion import summarize

PAIRS = 50
BASE = 0.3 + np.random.default_rng(0).gamma(4, 1, PAIRS)
DIRECTIONS = np.random.default_rng(1).normal(size=(3, PAIRS))
Draw = Callable[[np.random.Generator, int], NDArray]  # trainings -> values (R, P)


def independent(rng: np.random.Generator, models: int) -> NDArray:
    """Every value errs by itself."""
    return BASE * np.exp(0.15 * rng.normal(size=(models, PAIRS)))


def shared(rng: np.random.Generator, models: int) -> NDArray:
    """A training distorts all pairs along three directions, and a little each by itself."""
    return BASE * np.exp(0.1 * rng.normal(size=(models, 3)) @ DIRECTIONS + 0.02 * rng.normal(size=(models, PAIRS)))


def reckless(rng: np.random.Generator, models: int) -> NDArray:
    """Some trainings go very wrong: the size of error is log-normal over trainings."""
    size = 0.1 * np.exp(0.5 * rng.normal(size=(models, 1)))
    return BASE * np.exp(size * rng.normal(size=(models, PAIRS)))


def summary(draw: Draw, models: int, repeats: int) -> pd.DataFrame:
    """A row for each of `repeats` independent studies; ten at a time are relations of one table, which share resamples."""
    rng = np.random.default_rng(7)
    row, pair = np.indices((models, PAIRS))
    labels = pd.DataFrame({"model": row.ravel(), "pair": pair.ravel(), "endpoint": "encoder", "status": "CONVERGED"})
    found = []
    for seed in range(repeats // 10):
        table = pd.concat([labels.assign(relation=f"r{n}", value=draw(rng, models).ravel()) for n in range(10)])
        table.attrs["scales"] = {f"r{n}": "ratio" for n in range(10)}
        found.append(summarize(table, seed=seed))
    return pd.concat(found)


def truth(draw: Draw, name: str) -> float:
    """From very many trainings; score and Spearman are nearly unbiased, so a mean over large studies serves for them."""
    if name != "cv_mean":
        return float(summary(draw, 150, 10)[name].to_numpy().mean())
    values = draw(np.random.default_rng(8), 20_000)
    return float((values.std(0, ddof=1) / values.mean(0)).mean())


def coverage(draw: Draw, models: int, name: str, repeats: int) -> float:
    found, target = summary(draw, models, repeats), truth(draw, name)
    return float(((found[f"{name}_low"] <= target) & (target <= found[f"{name}_high"])).to_numpy().mean())


def percentile_coverage(draw: Draw, models: int, repeats: int) -> float:
    """What the textbook interval of the mean CV would do: plain std of each resample, plain percentiles."""
    rng, target = np.random.default_rng(7), truth(draw, "cv_mean")
    held = []
    for _ in range(repeats):
        resampled = draw(rng, models)[rng.integers(0, models, (200, models))]
        low, high = np.quantile((resampled.std(1, ddof=1) / resampled.mean(1)).mean(1), [0.025, 0.975])
        held.append(low <= target <= high)
    return float(np.mean(held))


@pytest.mark.parametrize(("draw", "models"), [(independent, 6), (independent, 20), (shared, 12)])
def test_intervals_of_cv(draw: Draw, models: int):
    assert coverage(draw, models, "cv_mean", 100) >= 0.8


def test_plain_percentile_intervals_would_not_do():
    assert percentile_coverage(independent, 6, 60) < 0.5 and percentile_coverage(independent, 20, 60) < 0.5


def test_intervals_of_agreement():
    assert coverage(shared, 8, "score", 100) >= 0.85


STATED: dict[tuple[Draw, str], tuple[float, ...]] = {
    (independent, "cv_mean"): (0.86, 0.90, 0.94),
    (shared, "cv_mean"): (0.87, 0.90, 0.93),
    (reckless, "cv_mean"): (0.60, 0.72, 0.79),
    (shared, "score"): (0.91, 0.90, 0.92),
    (shared, "spearman"): (0.92, 0.92, 0.94),
}


@pytest.mark.slow
@pytest.mark.parametrize(("draw", "name"), STATED)
@pytest.mark.parametrize("column", [0, 1, 2])
def test_figures_as_stated(draw: Draw, name: str, column: int):
    models = (5, 10, 30)[column]
    found = coverage(draw, models, name, repeats=400)
    print(f"{draw.__name__} {name} {models} trainings: {found:.3f}")
    assert found == pytest.approx(STATED[draw, name][column], abs=0.04)  # 0.02 is one standard error of 400 repetitions
