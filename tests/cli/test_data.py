"""`egregium data list` and `fetch`, without the network."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from egregium.cli import main
from egregium.data import catalog


def test_list_names_every_data_set(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["data", "list", "--data-dir", str(tmp_path)]) == 0
    shown = capsys.readouterr().out
    for name in catalog.names():
        assert name in shown
    assert "MB to fetch" in shown


def test_list_as_json(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["data", "list", "--data-dir", str(tmp_path), "--json"]) == 0
    listed = json.loads(capsys.readouterr().out)
    assert tuple(listed) == catalog.names()
    assert listed["digits"]["present"] is True
    assert listed["mnist"]["present"] is False
    assert listed["mnist"]["shape"] == [1, 28, 28]


def test_fetch_what_is_already_there(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["data", "fetch", "digits", "--json"]) == 0
    assert Path(json.loads(capsys.readouterr().out)["folder"]).is_dir()


def test_fetch_shows_where_the_files_are(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def fetch(name: str, *, data_dir: Path | None, progress: Callable[[str, int, int], None]) -> Path:
        for done in (1, 2):
            progress("a.gz", done, 2)
        return tmp_path / name

    monkeypatch.setattr(catalog, "fetch", fetch)
    assert main(["data", "fetch", "mnist"]) == 0
    assert str(tmp_path / "mnist") in "".join(capsys.readouterr().out.splitlines()[-2:])


def test_an_unknown_name_is_one_sentence(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["data", "fetch", "imagenet"]) == 2
    shown = capsys.readouterr().err
    assert shown.startswith("egregium: No data set is called 'imagenet'")
    assert shown.count("\n") == 1


def test_ctrl_c_during_a_download(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    def interrupted(*_: object, **__: object) -> Path:
        raise KeyboardInterrupt

    monkeypatch.setattr(catalog, "fetch", interrupted)
    assert main(["data", "fetch", "mnist"]) == 130
    assert "the same command fetches the rest" in capsys.readouterr().err
