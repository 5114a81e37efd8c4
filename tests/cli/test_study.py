"""`egregium study`: the options that reach the study, what is printed, and Ctrl-C. The study itself is a stand-in here."""

import json
import sys
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import pandas as pd
import pytest

from egregium.cli import main
from egregium.errors import RunError
from egregium.runs.files import write_table

SUMMARY = pd.DataFrame(
    {
        "relation": ["euclidean", "geodesic"],
        "endpoint": ["encoder", "encoder"],
        "cv_mean": [0.3, 0.1],
        "spearman": [0.6, 0.9],
        "icc": [0.7, float("nan")],
        "ok_share": [1.0, 0.98],
        "score": [0.3, 0.05],
        "score_low": [0.2, float("nan")],
        "score_high": [0.4, float("nan")],
    }
)

Call = dict[str, object]


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch) -> list[Call]:
    """Every call of the stand-in study, which writes nothing but a summary."""
    made: list[Call] = []

    def run_study(options: dict[str, object], out: Path, *, workers: int, force: bool, progress: object) -> Path:
        made.append({"options": options, "out": out, "workers": workers, "force": force, "progress": progress})
        out.mkdir(parents=True, exist_ok=True)
        write_table(out / "summary.parquet", SUMMARY)
        return out

    stand_in(monkeypatch, run_study)
    return made


def stand_in(monkeypatch: pytest.MonkeyPatch, run_study: Callable[..., Path]) -> None:
    campaign = SimpleNamespace(run_study=run_study, described=lambda options: f"the data {options['data']}")
    monkeypatch.setitem(sys.modules, "egregium.identifiability.campaign", campaign)


def test_defaults(calls: list[Call], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["study", "digits"]) == 0
    (call,) = calls
    assert call["out"] == Path("runs/digits")
    assert (call["workers"], call["force"]) == (2, False)
    assert call["options"] == {
        "data": "digits",
        "data_dir": None,
        "size": None,
        "standardize": False,
        "limit": None,
        "models": 30,
        "pairs": 100,
        "latent_dim": 2,
        "decoders": 8,
        "convolutional": False,
        "hidden": None,
        "likelihood": "gaussian",
        "epochs": None,
        "relations": None,
        "seed": 0,
    }


def test_every_option_arrives(calls: list[Call], tmp_path: Path) -> None:
    given = (
        "--models 3 --pairs 7 --latent-dim 5 --decoders 4 --conv --hidden 64,32 --likelihood bernoulli --epochs 2 --size 28 "
    )
    given += "--limit 500 --standardize --relations euclidean,geodesic --seed 9 --workers 1 --force"
    assert main(["study", "mnist", *given.split(), "--data-dir", str(tmp_path), "--out", str(tmp_path / "run")]) == 0
    (call,) = calls
    assert (call["out"], call["workers"], call["force"]) == (tmp_path / "run", 1, True)
    assert call["options"] == {
        "data": "mnist",
        "data_dir": str(tmp_path),
        "size": 28,
        "standardize": True,
        "limit": 500,
        "models": 3,
        "pairs": 7,
        "latent_dim": 5,
        "decoders": 4,
        "convolutional": True,
        "hidden": [64, 32],
        "likelihood": "bernoulli",
        "epochs": 2,
        "relations": ["euclidean", "geodesic"],
        "seed": 9,
    }
    json.dumps(call["options"])


@pytest.mark.parametrize(
    ("data", "name"),
    [("fashion-mnist", "fashion-mnist"), ("some/cells.npy", "cells"), ("photos/", "photos"), ("faces.tar.gz", "faces")],
)
def test_the_run_folder_is_named_after_the_data(
    data: str, name: str, calls: list[Call], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["study", data]) == 0
    assert calls[0]["out"] == Path("runs") / name


def test_it_ends_with_the_summary_and_the_next_command(
    calls: list[Call], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = tmp_path / "my run"
    assert main(["study", "digits", "--models", "1", "--out", str(run)]) == 0
    shown = capsys.readouterr().out
    assert "1 training x 100 pairs" in shown.splitlines()[0]
    assert shown.index("geodesic") < shown.index("euclidean"), "the most reproducible relation stands first"
    assert shown.rstrip().endswith(f"egregium report '{run}'")


def test_json_keeps_stdout_for_the_result(calls: list[Call], tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["study", "digits", "--out", str(tmp_path / "run"), "--json"]) == 0
    shown = capsys.readouterr()
    result = json.loads(shown.out)
    assert result["run"] == str(tmp_path / "run")
    assert result["table"] == str(tmp_path / "run" / "table.parquet")
    assert [row["relation"] for row in result["summary"]] == ["euclidean", "geodesic"]
    assert result["summary"][1]["icc"] is None, "NaN is no JSON"
    assert "study of digits" in shown.err


def test_ctrl_c_says_how_to_go_on(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    def interrupted(*_: object, **__: object) -> Path:
        raise KeyboardInterrupt

    stand_in(monkeypatch, interrupted)
    run = tmp_path / "my run"
    assert main(["study", "digits", "--seed", "3", "--out", str(run)]) == 130
    shown = capsys.readouterr().err
    assert f"finished is kept in {run}" in shown
    assert f"egregium study digits --seed 3 --out '{run}'" in shown


def test_an_error_of_the_study_is_one_sentence(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def failing(*_: object, **__: object) -> Path:
        raise RunError("The folder was made with other options; name another one or give --force.")

    stand_in(monkeypatch, failing)
    assert main(["study", "digits", "--out", str(tmp_path)]) == 2
    shown = capsys.readouterr().err
    assert shown == "egregium: The folder was made with other options; name another one or give --force.\n"
