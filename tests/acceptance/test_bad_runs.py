"""Acceptance 8: bad run folders, disks, tasks and commands end in a typed error; commands with a sentence and exit code 2."""

import errno
import os
from pathlib import Path

import pytest
from tests.acceptance.bad_input import Cases, judged

from egregium.cli import main
from egregium.runs import verify
from egregium.runs.engine import execute
from egregium.runs.files import read_json, read_table, write_json
from egregium.runs.folder import RunFolder
from egregium.runs.task import Task

case = Cases()


@case
def folder_under_a_file(here):
    (here / "file").write_text("in the way")
    return RunFolder.open(here / "file" / "run", {}, {})


@case
def folder_full_of_other_things(here):
    (here / "thesis.tex").write_text("precious")
    return RunFolder.open(here, {}, {})


@case
def folder_of_another_configuration(here):
    with RunFolder.open(here / "run", {"models": 2}, {}) as folder:
        execute([Task("egregium.testing.tasks:sleepy", {"name": "a"})], folder, in_process=True)
    return RunFolder.open(here / "run", {"models": 3}, {})


@case
def folder_in_use(here):
    with RunFolder.open(here / "run", {}, {}):
        return RunFolder.open(here / "run", {}, {})


@case
def folder_with_a_damaged_configuration(here):
    RunFolder.open(here / "run", {}, {}).close()
    (here / "run" / "run.json").write_text("{")
    return RunFolder.open(here / "run", {}, {})


@case
def full_disk(here, monkeypatch):
    def full(descriptor: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", full)
    return write_json(here / "x.json", {})


@case
def failing_disk(here, monkeypatch):
    write_json(here / "x.json", {})

    def broken(*arguments: object, **options: object) -> None:
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    monkeypatch.setattr(Path, "read_bytes", broken)
    monkeypatch.setattr("builtins.open", broken)
    return read_json(here / "x.json")


@case
def damaged_json(here):
    (here / "x.json").write_text('{"a": ')
    return read_json(here / "x.json")


@case
def damaged_table(here):
    (here / "x.parquet").write_bytes(b"no table")
    return read_table(here / "x.parquet")


@case
def json_of_objects(here, model):
    return write_json(here / "x.json", {"model": model})


@case
def task_outside_the_library():
    return Task("os:system", {"command": "true"})


@case
def task_that_fails(here):
    with RunFolder.open(here / "run", {}, {}) as folder:
        return execute([Task("egregium.testing.tasks:failing", {"name": "a", "kind": "foreign"})], folder, in_process=True)


@case
def worker_that_dies(here):
    with RunFolder.open(here / "run", {}, {}) as folder:
        return execute([Task("egregium.testing.tasks:crashing", {"name": "a"})], folder, workers=1)


@case
def verification_of_no_run(here):
    return verify.verify(here)


@pytest.mark.parametrize("name", case)
def test_case(name: str, request: pytest.FixtureRequest) -> None:
    print(f"{name}: {judged(case[name], request)}")


COMMANDS = {
    "an unknown command": ("studdy", "digits"),
    "a study of nothing": ("study",),
    "a study of missing data": ("study", "missing.npy"),
    "a study without models": ("study", "digits", "--models", "0"),
    "a study without pairs": ("study", "digits", "--pairs", "none"),
    "a study with an unknown option": ("study", "digits", "--speed", "high"),
    "a study of an unknown relation": ("study", "digits", "--relations", "friendship"),
    "a study with hidden layers in words": ("study", "digits", "--hidden", "many"),
    "a report of no run": ("report", "nowhere"),
    "a verification of no run": ("verify", "nowhere"),
    "fetching unknown data": ("data", "fetch", "imagenet"),
}


@pytest.mark.parametrize("words", COMMANDS.values(), ids=COMMANDS)
def test_command(words: tuple[str, ...], here: Path, capfd: pytest.CaptureFixture[str]) -> None:
    assert main(list(words)) == 2
    said = capfd.readouterr().err.strip().splitlines()
    assert said[-1].startswith("egregium: ") and "Traceback" not in "".join(said)
    assert not (here.parent / "outside.png").exists()
