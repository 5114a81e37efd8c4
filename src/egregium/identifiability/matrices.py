"""The tidy table of a study as matrices: trainings by pairs of points, one for each relation at each endpoint."""

from dataclasses import dataclass
from typing import get_args

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from egregium.errors import DataError, OptionError
from egregium.identifiability.scope import scale_of
from egregium.protocols import Scale
from egregium.status import Status

COLUMNS = ("model", "pair", "relation", "endpoint", "value", "status")
COMPLETE_SHARE = 0.8


@dataclass(frozen=True)
class Matrix:
    """One relation at one endpoint, over the trainings and pairs of points that count.

    Attributes:
        values: `(R, P)`, NaN where a row is not usable.
        models, pairs: their labels, sorted.
        positions: `(R,)`, of `models` among all `n_table_models` trainings of the table, sorted.
        ok_share: usable rows, of all trainings of the table times all pairs of this relation.
    """

    relation: str
    endpoint: str
    scale: Scale
    models: pd.Index
    pairs: pd.Index
    values: NDArray[np.float64]
    positions: NDArray[np.intp]
    n_table_models: int
    ok_share: float


def matrices(table: pd.DataFrame) -> list[Matrix]:
    """Every (relation, endpoint) of a study's table, sorted.

    A row is usable where its status is CONVERGED and its value finite. A training without any usable row is left out. Where at
    least 80 % of the pairs are usable in every other training, the rest of the pairs is left out; else the pairs that fewer
    than two trainings have.

    Raises:
        DataError: the table is empty, lacks columns or scales, or holds duplicates, unknown statuses or negative distances.
    """
    scales = _checked_scales(table)
    models = _labels(table, "model")
    groups = table.groupby(["relation", "endpoint"], observed=True).indices.values()
    found = [_matrix(table.iloc[rows], models, scales) for rows in groups]
    return sorted(found, key=lambda one: (one.relation, one.endpoint))


def matrix(table: pd.DataFrame, relation: str, endpoint: str) -> Matrix:
    """One (relation, endpoint) of a study's table.

    Raises:
        DataError: as in `matrices`.
        OptionError: the table has no such relation at this endpoint.
    """
    scales = _checked_scales(table)
    rows = table.loc[((table["relation"] == relation) & (table["endpoint"] == endpoint)).to_numpy(dtype=bool)]
    if len(rows) == 0:
        known = sorted({f"{name} ({where})" for name, where in zip(table["relation"], table["endpoint"], strict=True)})
        raise OptionError(f"The table has no relation {relation!r} at endpoint {endpoint!r}; it has {', '.join(known)}.")
    return _matrix(rows, _labels(table, "model"), scales)


def _checked_scales(table: pd.DataFrame) -> dict[str, Scale]:
    """Scale types of the relations of a table that holds what it should."""
    missing = [name for name in COLUMNS if name not in table.columns]
    if missing:
        raise DataError(f"The table lacks the columns {', '.join(missing)}: give the table that Study.run returns.")
    if table.empty:
        raise DataError("The table has no rows: give the table that Study.run returns.")
    if not pd.api.types.is_numeric_dtype(table["value"]):
        raise DataError(f"The column `value` of the table holds {table['value'].dtype}: expected numbers.")
    empty = [name for name in COLUMNS if name != "value" and bool(np.any(table[name].isna()))]
    if empty:
        raise DataError(f"The table has empty cells in the columns {', '.join(empty)}: every row needs them.")
    unknown = sorted(set(map(str, table["status"].unique())) - set(Status.__members__))
    if unknown:
        raise DataError(f"The table has the unknown status {unknown[0]!r}: expected one of {', '.join(Status.__members__)}.")
    repeated = table.duplicated(["model", "pair", "relation", "endpoint"]).to_numpy(dtype=bool)
    if repeated.any():
        first = table.iloc[int(repeated.argmax())]
        where = ", ".join(f"{name} {first[name]}" for name in ("model", "pair", "relation", "endpoint"))
        raise DataError(f"The table has {repeated.sum()} rows twice, the first for {where}: keep one of each.")
    scales = _scales(table)
    ratio = table["relation"].isin([name for name, scale in scales.items() if scale == "ratio"]).to_numpy(dtype=bool)
    negative = ratio & (_usable(table) < 0)
    if negative.any():
        first = table.iloc[int(negative.argmax())]
        raise DataError(
            f"The relation {first['relation']!r} has ratio scale but the value {first['value']:.6g} (model {first['model']}, "
            f'pair {first["pair"]}): a distance is not negative; if it is no distance set its scale to "signed".'
        )
    return scales


def _scales(table: pd.DataFrame) -> dict[str, Scale]:
    """As the table says in its `attrs`, which a CSV file does not hold; else as the scope ledger knows by name."""
    given = table.attrs.get("scales", {})
    if not isinstance(given, dict):
        raise DataError(f'table.attrs["scales"] is {given!r}: expected a dict from the name of a relation to its scale type.')
    scales = {name: given.get(name, scale_of(str(name))) for name in table["relation"].unique()}
    for name, scale in scales.items():
        if scale not in get_args(Scale):
            raise DataError(
                f"The table does not say the scale type of the relation {name!r} (it says {scale!r}): "
                f'set table.attrs["scales"] = {{"{name}": ...}} to one of '
                f"{', '.join(get_args(Scale))} "
                "(a CSV file holds no attrs, and pandas drops them where frames with different ones are joined)."
            )
    return scales


def _labels(table: pd.DataFrame, column: str) -> pd.Index:
    return pd.Index(pd.factorize(table[column], sort=True)[1], name=column)


def _usable(rows: pd.DataFrame) -> NDArray[np.float64]:
    """The values of the rows, NaN where they are not CONVERGED and finite."""
    value = rows["value"].to_numpy(dtype=float, na_value=np.nan)
    converged = (rows["status"] == Status.CONVERGED.name).to_numpy(dtype=bool)
    return np.where(converged & np.isfinite(value), value, np.nan)


def _matrix(rows: pd.DataFrame, models: pd.Index, scales: dict[str, Scale]) -> Matrix:
    pairs = _labels(rows, "pair")
    values = np.full((len(models), len(pairs)), np.nan)
    values[models.get_indexer(pd.Index(rows["model"])), pairs.get_indexer(pd.Index(rows["pair"]))] = _usable(rows)
    present = np.isfinite(values)
    positions = np.flatnonzero(present.any(1))
    used = _used(present[positions])
    relation, endpoint = rows["relation"].iloc[0], rows["endpoint"].iloc[0]
    return Matrix(
        relation=str(relation),
        endpoint=str(endpoint),
        scale=scales[relation],
        models=models[positions],
        pairs=pairs[used],
        values=values[np.ix_(positions, used)],
        positions=positions,
        n_table_models=len(models),
        ok_share=float(present.mean()),
    )


def _used(present: NDArray[np.bool_]) -> NDArray[np.intp]:
    """Positions of the pairs of points to use, from which training has which `(R, P)`."""
    complete = np.flatnonzero(present.all(0) & present.any(0))
    if len(complete) >= COMPLETE_SHARE * present.shape[1]:
        return complete
    return np.flatnonzero(present.sum(0) >= min(2, max(1, len(present))))
