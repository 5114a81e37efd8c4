"""Results that a benchmark keeps as they come: a CSV file, a row a measurement."""

import csv
from collections.abc import Mapping
from pathlib import Path

Row = Mapping[str, str]


def finished(path: Path) -> list[Row]:
    """The rows kept so far."""
    if not path.exists():
        return []
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def keep(path: Path, row: Row) -> None:
    """Add a row; a run that is stopped leaves whole rows behind."""
    rows = [*finished(path), row]
    path.parent.mkdir(parents=True, exist_ok=True)
    beside = path.with_suffix(".part")
    with beside.open("w", newline="") as file:
        writer = csv.DictWriter(file, list(row), lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
    beside.replace(path)
