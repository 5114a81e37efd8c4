"""`egregium report` and `egregium verify`: what they call, print and return. The work itself is a stand-in here."""

import json
import sys
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import pytest

from egregium.cli import main
from egregium.runs.files import write_json


@pytest.fixture
def run(tmp_path: Path) -> Path:
    """What passes for a finished run folder at first sight."""
    (tmp_path / "run.json").write_text("{}")
    (tmp_path / "results.json").write_text('{"files": {}}')
    return tmp_path


@pytest.fixture
def verifying(monkeypatch: pytest.MonkeyPatch) -> Callable[[list[str]], list[dict[str, object]]]:
    """Let `verify` find these problems; gives the list of its calls."""

    def install(problems: list[str]) -> list[dict[str, object]]:
        calls: list[dict[str, object]] = []

        def verify(folder_path: Path, *, sample: int, seed: int, progress: object) -> list[str]:
            calls.append({"path": folder_path, "sample": sample, "seed": seed})
            return problems

        monkeypatch.setitem(sys.modules, "egregium.runs.verify", SimpleNamespace(verify=verify))
        return calls

    return install


def test_report_prints_where_the_page_is(
    run: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(sys.modules, "egregium.report", SimpleNamespace(write_report=lambda folder: folder / "index.html"))
    assert main(["report", str(run)]) == 0
    assert capsys.readouterr().out.rstrip().endswith(f"Report: {run / 'index.html'}")
    assert main(["report", str(run), "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == {"run": str(run), "report": str(run / "index.html")}


def test_a_sound_run(run: Path, verifying: Callable, capsys: pytest.CaptureFixture[str]) -> None:
    (run / "tasks" / "one").mkdir(parents=True)
    calls = verifying([])
    assert main(["verify", str(run)]) == 0
    assert calls == [{"path": run, "sample": 3, "seed": 0}]
    assert capsys.readouterr().out.rstrip().endswith(f"{run} is sound.")


def test_a_run_without_tasks_is_sound_by_its_checksums(
    run: Path, verifying: Callable, capsys: pytest.CaptureFixture[str]
) -> None:
    verifying([])
    assert main(["verify", str(run)]) == 0
    assert capsys.readouterr().out.rstrip().endswith("is sound by its checksums; it holds no tasks to compute anew.")


def test_problems_are_listed_and_the_exit_code_is_one(
    run: Path, verifying: Callable, capsys: pytest.CaptureFixture[str]
) -> None:
    calls = verifying(["a/model.safetensors has changed", "b is missing"])
    assert main(["verify", str(run), "--sample", "0", "--seed", "7"]) == 1
    assert calls == [{"path": run, "sample": 0, "seed": 7}]
    assert capsys.readouterr().out.splitlines()[1:] == [
        "- a/model.safetensors has changed",
        "- b is missing",
        f"Problems found in {run}: 2",
    ]


def test_problems_as_json(run: Path, verifying: Callable, capsys: pytest.CaptureFixture[str]) -> None:
    verifying(["b is missing"])
    assert main(["verify", str(run), "--json"]) == 1
    assert json.loads(capsys.readouterr().out) == {"run": str(run), "problems": ["b is missing"], "unfinished": None}


@pytest.fixture
def unfinished(run: Path) -> Path:
    """A run that has not come to its only task."""
    write_json(run / "plan.json", {"tasks": ["0" * 32]})
    (run / "results.json").unlink()
    return run


def test_an_unfinished_run_is_not_called_sound(
    unfinished: Path, verifying: Callable, capsys: pytest.CaptureFixture[str]
) -> None:
    run = unfinished
    verifying([])
    assert main(["verify", str(run)]) == 0
    assert capsys.readouterr().out.splitlines()[1:] == [
        f"{run} is unfinished: 0 of 1 tasks are finished and sound; the same command goes on."
    ]


def test_an_unfinished_run_has_no_report(unfinished: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["report", str(unfinished)]) == 2
    assert "is unfinished: 0 of 1 tasks are finished; the same `egregium study`" in capsys.readouterr().err


def test_ctrl_c_during_verify(run: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    def interrupted(*_: object, **__: object) -> list[str]:
        raise KeyboardInterrupt

    monkeypatch.setitem(sys.modules, "egregium.runs.verify", SimpleNamespace(verify=interrupted))
    assert main(["verify", str(run)]) == 130
    assert "Interrupted." in capsys.readouterr().err
