"""What the terminal shows of a finished study."""

import io
from pathlib import Path

import pandas as pd
from rich.console import Console

from egregium.cli.summary import show
from egregium.runs.files import write_table


def test_a_study_without_scores_says_why(tmp_path: Path) -> None:
    nan = float("nan")
    row = {
        "endpoint": "encoder",
        "score": nan,
        "score_low": nan,
        "score_high": nan,
        "cv_mean": nan,
        "spearman": nan,
        "ok_share": 1.0,
    }
    rows = [row | {"relation": name, "reason": "One training has usable values."} for name in ("chord", "geodesic")]
    write_table(tmp_path / "summary.parquet", pd.DataFrame(rows))
    stream = io.StringIO()
    show(tmp_path, Console(file=stream, width=100))
    assert stream.getvalue().count("No score: One training has usable values.") == 1
