"""Copy what a finished study found into this folder: `python docs/results/collect.py RUN NAME`.

Writes `NAME/summary.csv`, `NAME/summary.md`, `NAME/diagnostics.json` and the report's PNG figures.
Run `egregium report RUN` first.
"""

import shutil
import sys
from pathlib import Path

from egregium.identifiability.dispersion import summarize
from egregium.runs.files import read_json, read_table, write_bytes, write_json

HERE = Path(__file__).resolve().parent
SHOWN = ("cv_mean", "spearman", "icc", "score")


def collect(run: Path, name: str) -> None:
    """The figures and tables of one run folder, under `name`."""
    target = HERE / name
    target.mkdir(exist_ok=True)
    summary = summarize(read_table(run / "table.parquet"))
    write_bytes(target / "summary.csv", summary.to_csv(index=False, float_format="%.6g").encode())
    write_bytes(target / "summary.md", markdown(summary.to_dict("records")).encode())
    write_json(target / "diagnostics.json", read_json(run / "diagnostics.json"))
    for figure in sorted((run / "figures").glob("*.png")):
        shutil.copyfile(figure, target / figure.name)


def markdown(rows: list[dict]) -> str:
    """A table of the statistics with their 95 % intervals over trainings, best score first."""
    lines = ["| endpoint | relation | CV | Spearman | ICC | 1 - ICC | CONVERGED |", "|---|---|---|---|---|---|---|"]
    for row in sorted(rows, key=lambda row: (row["endpoint"], row["score"])):
        cells = [f"{row[one]:.3f} [{row[one + '_low']:.3f}, {row[one + '_high']:.3f}]" for one in SHOWN]
        cells = ["-" if cell.startswith("nan") else cell for cell in cells]
        lines.append(f"| {row['endpoint']} | `{row['relation']}` | {' | '.join(cells)} | {row['ok_share']:.3f} |")
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    collect(Path(sys.argv[1]), sys.argv[2])
