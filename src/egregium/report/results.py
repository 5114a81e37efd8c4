"""What a study left in its run folder, read once and asked many times."""

import math
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from egregium.errors import RunError
from egregium.identifiability.dispersion import cv_per_pair
from egregium.identifiability.matrices import matrix
from egregium.report.fit import Fit, read_fits
from egregium.runs.files import read_json, read_table, read_tensors

REQUIRED = ("run.json", "table.parquet", "summary.parquet")
OPTIONAL = ("diagnostics.json", "figures.safetensors")


class Estimate(NamedTuple):
    """A statistic with its 95 % interval; NaN where it is not defined."""

    value: float
    low: float = math.nan
    high: float = math.nan

    @property
    def known(self) -> bool:
        return math.isfinite(self.value)

    @property
    def bounded(self) -> bool:
        return self.known and math.isfinite(self.low) and math.isfinite(self.high)


UNKNOWN = Estimate(math.nan)


@dataclass(frozen=True)
class Results:
    """A finished study as the report sees it; parts that the run folder lacks are empty.

    `table` has a row per (model, pair, relation, endpoint), `summary` a row per (relation, endpoint).
    """

    folder: Path
    table: pd.DataFrame
    summary: pd.DataFrame
    run: dict
    diagnostics: dict
    arrays: dict[str, np.ndarray]

    @classmethod
    def read(cls, folder: Path) -> "Results":
        """Read a run folder.

        Raises:
            RunError: the folder does not exist or holds no finished study.
            StorageError: a file in it is damaged.
        """
        folder = Path(folder)
        if not folder.is_dir():
            raise RunError(f"There is no run folder at {folder}: give the folder that `egregium study --out` wrote.")
        missing = [name for name in REQUIRED if not (folder / name).is_file()]
        if missing:
            raise RunError(
                f"The folder {folder} holds no finished study ({', '.join(missing)} missing): "
                "run the same `egregium study` command again, it goes on where it stopped."
            )
        diagnostics, figures = (folder / name for name in OPTIONAL)
        tensors = read_tensors(figures)[0] if figures.is_file() else {}
        return cls(
            folder=folder,
            table=read_table(folder / "table.parquet"),
            summary=read_table(folder / "summary.parquet"),
            run=read_json(folder / "run.json"),
            diagnostics=read_json(diagnostics) if diagnostics.is_file() else {},
            arrays={key: tensor.numpy() for key, tensor in tensors.items()},
        )

    @property
    def models(self) -> list:
        return sorted(self.table["model"].unique().tolist())

    @cached_property
    def fits(self) -> list[Fit]:
        """How well each training fits its data; empty where the run folder does not hold it."""
        return read_fits(self.folder, self.models)

    @property
    def own_models(self) -> bool:
        """Whether the study measured models of the user's own, and trained none."""
        return self.run.get("config", {}).get("kind") == "study of models in memory"

    @property
    def n_pairs(self) -> int:
        return len(set(self.table["pair"]))

    @property
    def endpoints(self) -> list[str]:
        """Endpoints in the order of the page: the encoder's mean first."""
        return sorted(self.summary["endpoint"].unique().tolist(), key=lambda name: (name != "encoder", name))

    @cached_property
    def _rows(self) -> dict[tuple[str, str], dict[str, Any]]:
        return {(row["relation"], row["endpoint"]): row for row in self.summary.to_dict("records")}  # pyright: ignore

    def row(self, relation: str, endpoint: str) -> dict[str, Any]:
        """The row of the summary; empty where it has none."""
        return self._rows.get((relation, endpoint), {})

    def relations(self, endpoint: str) -> list[str]:
        return self.summary.loc[self.summary["endpoint"] == endpoint, "relation"].tolist()

    def setting(self, name: str) -> Any:
        """The first setting of that name anywhere in the resolved configuration, or None."""
        waiting = [self.run.get("config")]
        while waiting:
            found = waiting.pop(0)
            if isinstance(found, dict):
                if found.get(name) is not None:
                    return found[name]
                waiting += found.values()
        return None

    def estimate(self, relation: str, endpoint: str, statistic: str) -> Estimate:
        """A statistic of the summary with its interval; NaN where the summary lacks it."""
        row = self.row(relation, endpoint)
        return Estimate(*(float(row.get(name, math.nan)) for name in (statistic, f"{statistic}_low", f"{statistic}_high")))

    def values(self, relation: str, endpoint: str) -> pd.DataFrame:
        """Values of the trainings (rows) by the pairs (columns) that enter the statistics; NaN where one is not usable."""
        found = matrix(self.table, relation, endpoint)
        return pd.DataFrame(found.values, index=found.models, columns=found.pairs)

    def pair_cv(self, relation: str, endpoint: str) -> np.ndarray:
        """CV over trainings of every pair that enters the statistics; empty where it is not defined."""
        scale = self.table.attrs.get("scales", {}).get(relation)
        found = cv_per_pair(self.table, relation, endpoint) if scale == "ratio" else pd.Series(dtype=float)
        return found.dropna().to_numpy()

    def has(self, *keys: str) -> bool:
        return all(key in self.arrays for key in keys)
