"""Tables that are none are refused with a sentence; those that look odd and are sound give their statistics."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from tests.identifiability.tables import distances, first, one, tabulate

from egregium.errors import DataError, OptionError
from egregium.identifiability.dispersion import agreement, cv_per_pair, summarize
from egregium.status import Status


def without_column(table: pd.DataFrame) -> pd.DataFrame:
    return table.drop(columns=["status"])


def without_scales(table: pd.DataFrame) -> pd.DataFrame:
    table.attrs.clear()
    return table


def with_scale(scales: object) -> Callable[[pd.DataFrame], pd.DataFrame]:
    def spoil(table: pd.DataFrame) -> pd.DataFrame:
        table.attrs["scales"] = scales
        return table

    return spoil


MALFORMED = {
    "lacks the columns status": without_column,
    "no rows": lambda table: table.iloc[:0],
    "does not say the scale type": without_scales,
    "of the relation 'd' \\(it says 'nominal'\\)": with_scale({"d": "nominal"}),
    "of the relation 'd' \\(it says None\\)": with_scale({"e": "ratio"}),
    "expected a dict": with_scale("ratio"),
    "rows twice, the first for model 0, pair 0": lambda table: pd.concat([table, table.iloc[:2]]),
    "unknown status 'FINE'": lambda table: table.assign(status="FINE"),
    "expected numbers": lambda table: table.assign(value=table["value"].astype(str)),
    "empty cells in the columns pair": lambda table: table.assign(pair=table["pair"].where(table["pair"] > 0)),
    "a distance is not negative": lambda table: table.assign(value=-table["value"]),
}


CALLS = [summarize, lambda table: cv_per_pair(table, "d", "encoder"), lambda table: agreement(table, "d", "encoder")]


@pytest.mark.parametrize("sentence", MALFORMED)
@pytest.mark.parametrize("call", CALLS)
def test_malformed_tables_are_a_sentence(sentence: str, call: Callable[[pd.DataFrame], object]):
    with pytest.raises(DataError, match=sentence):
        call(MALFORMED[sentence](one(distances(0, 3, 4))))


def test_a_table_that_went_through_csv_gives_the_same_statistics(tmp_path: Path):
    scales = {"geodesic": "ratio", "angle": "circular", "density": "interval", "independent_draw_32": "ratio"}
    values = distances(0, 4, 12)
    values[0, 0] = np.nan
    table = tabulate(scales, **dict.fromkeys(scales, values)).assign(model=lambda t: t["model"].map("{:03d}".format))
    table.to_csv(tmp_path / "table.csv", index=False)
    back = pd.read_csv(tmp_path / "table.csv")
    assert back["model"].dtype != table["model"].dtype, "names of trainings came back as numbers"
    pd.testing.assert_frame_equal(summarize(back), summarize(table))


def test_negative_values_of_failed_rows_are_no_error():
    table = one(distances(0, 3, 10))
    table.loc[0, ["value", "status"]] = [-1.0, Status.STALLED.name]
    assert first(table).n_pairs == 9


def test_options_out_of_range_are_a_sentence():
    table = tabulate({"d": "ratio", "density": "interval"}, d=distances(0, 3, 4), density=distances(0, 3, 4))
    with pytest.raises(OptionError, match="at least 20; got 5"):
        summarize(table, resamples=5)
    with pytest.raises(OptionError, match="no relation 'e' at endpoint 'encoder'; it has d \\(encoder\\)"):
        cv_per_pair(table, "e", "encoder")
    with pytest.raises(OptionError, match="interval scale"):
        cv_per_pair(table, "density", "encoder")
