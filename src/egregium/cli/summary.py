"""The summary of a finished study, for the terminal and for scripts."""

import math
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from egregium.runs.files import read_table

COLUMNS = {"cv_mean": "CV", "spearman": "rank corr.", "ok_share": "solved"}


def records(run: Path) -> list[dict[str, Any]]:
    """Rows of `summary.parquet` as dictionaries."""
    return [{str(name): value for name, value in row.items()} for row in read_table(run / "summary.parquet").to_dict("records")]


def show(run: Path, console: Console | None = None) -> None:
    """Print how far each relation agrees between trainings, the most reproducible first, one table an endpoint."""
    rows = records(run)
    for endpoint in sorted({row["endpoint"] for row in rows}):
        table = Table(
            title=f"How far trainings agree (endpoints by {endpoint})",
            caption="score = 1 - ICC after one scale per training: 0 agree fully, 1 not at all",
            title_justify="left",
            caption_justify="left",
        )
        table.add_column("relation", no_wrap=True)
        for heading in ("score", "95 % interval", *COLUMNS.values()):
            table.add_column(heading, justify="right", no_wrap=True)
        for row in sorted((row for row in rows if row["endpoint"] == endpoint), key=_rank):
            interval = "-" if math.isnan(row["score_low"]) else f"{row['score_low']:.3f} .. {row['score_high']:.3f}"
            table.add_row(row["relation"], _number(row["score"]), interval, *(_number(row[name]) for name in COLUMNS))
        (console or Console()).print(table)
    for reason in dict.fromkeys(row["reason"] for row in rows if row.get("reason") and math.isnan(row["score"])):
        (console or Console()).print(f"No score: {reason}", highlight=False, soft_wrap=True)


def _rank(row: dict[str, Any]) -> tuple[bool, float, str]:
    missing = math.isnan(row["score"])
    return missing, 0.0 if missing else row["score"], row["relation"]


def _number(value: float) -> str:
    return "-" if math.isnan(value) else f"{value:.3f}"
