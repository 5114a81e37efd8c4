"""Tables of studies with known content, and the one row of their summary."""

from types import SimpleNamespace

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from egregium.identifiability.dispersion import summarize


def tabulate(scales: dict[str, str], **values: NDArray) -> pd.DataFrame:
    """A study's table from one matrix of trainings by pairs for each relation; NaN becomes a STALLED row."""
    parts = []
    for relation, matrix in values.items():
        models, pairs = np.indices(matrix.shape)
        parts.append(
            pd.DataFrame(
                {
                    "model": models.ravel(), "pair": pairs.ravel(), "i": 0, "j": 1, "k": -1, "relation": relation,
                    "endpoint": "encoder", "n_points": 0, "value": matrix.ravel(), "lower": np.nan, "upper": np.nan,
                    "status": np.where(np.isfinite(matrix.ravel()), "CONVERGED", "STALLED"),
                }
            )
        )  # fmt: skip
    table = pd.concat(parts, ignore_index=True)
    table.attrs["scales"] = scales
    return table


def one(matrix: NDArray, scale: str = "ratio") -> pd.DataFrame:
    return tabulate({"d": scale}, d=matrix)


def row(matrix: NDArray, scale: str = "ratio", **options: int) -> SimpleNamespace:
    """The one row of the summary of one relation."""
    return first(one(matrix, scale), **options)


def first(table: pd.DataFrame, **options: int) -> SimpleNamespace:
    return SimpleNamespace(**summarize(table, **options).to_dict("records")[0])


def distances(seed: int, models: int, pairs: int, error: float = 0.2) -> NDArray:
    rng = np.random.default_rng(seed)
    return (0.3 + rng.gamma(4, 1, pairs)) * np.exp(error * rng.normal(size=(models, pairs)))
