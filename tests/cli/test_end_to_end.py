"""The whole way by commands alone, nothing replaced: study, study again, report, verify, and verify after damage."""

import json
from pathlib import Path

import numpy as np
import pytest

from egregium.cli import main


def test_from_an_array_to_a_verified_report(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    angle = np.random.default_rng(0).uniform(0, 2 * np.pi, 80)
    np.save("ring.npy", np.stack([np.cos(angle), np.sin(angle), np.cos(2 * angle), np.sin(2 * angle)], 1).astype(np.float32))
    size = "--models 2 --pairs 4 --decoders 2 --hidden 8 --epochs 2 --workers 1 --relations euclidean,chord,geodesic"
    study = ["study", "ring.npy", *size.split(), "--json"]
    run = Path("runs/ring")

    assert main(study) == 0
    result = json.loads(capsys.readouterr().out)
    assert {row["relation"] for row in result["summary"]} == {"euclidean", "chord", "geodesic"}
    table = (run / "table.parquet").read_bytes()

    assert main(study) == 0, "the same command goes on, here with nothing left to do"
    assert (run / "table.parquet").read_bytes() == table
    assert main([*study, "--pairs", "5"]) == 2
    assert "another configuration (pairs: 4 there, 5 here)" in capsys.readouterr().err

    assert main(["report", str(run), "--json"]) == 0
    page = Path(json.loads(capsys.readouterr().out)["report"])
    assert page.read_text().lower().startswith("<!doctype html>")

    assert main(["verify", str(run), "--sample", "0"]) == 0
    (run / "table.parquet").write_bytes(table[:-1] + b"x")
    assert main(["verify", str(run), "--sample", "0"]) == 1
    assert "table.parquet" in capsys.readouterr().out
    assert main(["report", str(run)]) == 2, "no report of a table that was changed after the study"
    assert "result table.parquet has been changed" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("options", "advice"),
    [
        ("--latent-dim 4", "--latent-dim"),
        ("--conv", "--mlp"),
        ("--decoders 200", "--decoders"),
        ("--pairs 1000", "--pairs"),
        ("--likelihood bernoulli", "--likelihood gaussian"),
        ("--size 8", "--size"),
    ],
)
def test_what_cannot_work_names_the_option_before_a_folder_is_made(
    options: str, advice: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    np.save(tmp_path / "table.npy", np.random.default_rng(0).standard_normal((80, 3)))
    assert main(["study", str(tmp_path / "table.npy"), *options.split(), "--out", str(tmp_path / "run")]) == 2
    assert advice in capsys.readouterr().err
    assert not (tmp_path / "run").exists()


def test_the_data_line_warns_of_a_column_that_numbers_the_rows(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    rows = [f"{row},{row % 7},{row / 3}" for row in range(40)]
    (tmp_path / "cells.csv").write_text("\n".join(["cell,count,x", *rows]))
    assert main(["study", str(tmp_path / "cells.csv"), "--conv", "--out", str(tmp_path / "run")]) == 2
    (line,) = (line for line in capsys.readouterr().out.splitlines() if line.startswith("Data:"))
    assert "A different whole number in each row: column cell; if that numbers the rows, remove it" in line
