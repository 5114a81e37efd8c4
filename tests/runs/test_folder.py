"""A run folder knows whose it is, lets one process in, and tells the finished from the unfinished."""

import errno
import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from egregium.errors import EgregiumError, OptionError, RunError, StorageError
from egregium.runs import folder as module
from egregium.runs.code import code_version
from egregium.runs.engine import execute
from egregium.runs.folder import RunFolder
from egregium.runs.records import read_run, seal
from egregium.runs.task import Task

Open = Callable[..., RunFolder]
Make = Callable[..., Task]


def test_a_new_folder(opened: Open, tmp_path: Path) -> None:
    opened(config={"models": 2, "spec": {"hidden": (4, 4)}})
    state = json.loads((tmp_path / "run" / "run.json").read_text())
    assert state["schema"] == 1 and state["history"] == []
    assert state["config"] == {"models": 2, "spec": {"hidden": [4, 4]}}
    assert state["provenance"] == {"code": code_version()}
    assert sorted(os.listdir(tmp_path / "run")) == ["lock", "logs", "run.json", "tasks"]


def test_reopening_changes_nothing(opened: Open, tmp_path: Path) -> None:
    opened().close()
    before = (tmp_path / "run" / "run.json").read_bytes()
    opened().close()
    assert (tmp_path / "run" / "run.json").read_bytes() == before


def test_a_run_that_has_not_begun_may_be_corrected(opened: Open) -> None:
    """A command that failed before its first task leaves nothing that another would spoil."""
    opened(config={"models": 30}).close()
    opened(config={"models": 40}).close()


def test_force_goes_on_and_remembers(opened: Open, tmp_path: Path, example: Make) -> None:
    task = example("sleepy", "a")
    with opened(config={"models": 30}) as first:
        execute([task], first, in_process=True)
    with opened(config={"models": 40}, force=True) as second:
        assert second.finished(task)
    state = read_run(tmp_path / "run")
    assert state["config"] == {"models": 40}
    assert [old["config"] for old in state["history"]] == [{"models": 30}]


def test_another_version_of_torch_is_remembered_without_force(tmp_path: Path) -> None:
    RunFolder.open(tmp_path, {}, {"torch": "1"}).close()
    RunFolder.open(tmp_path, {}, {"torch": "2"}).close()
    state = read_run(tmp_path)
    assert state["provenance"]["torch"] == "2" and [old["provenance"]["torch"] for old in state["history"]] == ["1"]


def test_a_second_opening_is_locked_out(opened: Open) -> None:
    first = opened()
    with pytest.raises(RunError, match="in use by another process"):
        opened()
    first.close()
    opened()


def test_a_second_process_is_locked_out_until_the_first_is_killed(opened: Open, tmp_path: Path, forked: Callable) -> None:
    reader, writer = os.pipe()  # the child says when it holds the lock

    def hold() -> None:
        with RunFolder.open(tmp_path / "run", {"models": 2}, {}):
            os.write(writer, b"x")
            signal.pause()

    child = forked(hold)
    os.read(reader, 1)
    with pytest.raises(RunError, match="in use"):
        opened()
    os.kill(child, 9)
    os.waitpid(child, 0)
    opened()


def test_the_lock_is_not_inherited_by_programs_that_are_started(opened: Open) -> None:
    folder = opened()
    sleeper = subprocess.Popen([sys.executable, "-S", "-c", "input()"], stdin=subprocess.PIPE)
    folder.close()
    opened()
    sleeper.communicate(b"\n")


def test_a_folder_of_other_things_is_refused(tmp_path: Path) -> None:
    (tmp_path / "thesis.tex").write_text("precious")
    with pytest.raises(RunError, match=r"holds other files \(thesis.tex\) and no run"):
        RunFolder.open(tmp_path, {}, {}, force=True)
    assert os.listdir(tmp_path) == ["thesis.tex"]


def test_a_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StorageError, match="a file of that name is in the way"):
        RunFolder.open(tmp_path / "file", {}, {})


@pytest.mark.parametrize("config", [{"lr": float("nan")}, {"spec": object()}])
def test_a_configuration_is_json(opened: Open, config: dict) -> None:
    with pytest.raises(OptionError, match="config"):
        opened(config=config)


def test_a_closed_folder_takes_no_tasks(opened: Open, example: Make) -> None:
    folder = opened()
    folder.close()
    with pytest.raises(RunError, match="is closed"):
        execute([example("sleepy", "a")], folder, in_process=True)


def test_leftovers_are_removed_and_sealed_work_is_kept(opened: Open, example: Make, tmp_path: Path) -> None:
    half, sealed = example("sleepy", "half"), example("sleepy", "sealed")
    with opened() as folder:
        for task in (half, sealed):
            job = folder.job(task)
            (Path(job.out) / "inner").mkdir()
            (Path(job.out) / "inner" / "part").write_text("part")
            if task is sealed:
                seal(job)
        (tmp_path / "run" / ".tmp-0123").write_text("half of run.json")
    with opened() as folder:
        assert folder.finished(sealed) and not folder.finished(half)
        assert os.listdir(folder.tasks) == [sealed.address]
        assert (folder.path(sealed) / "inner" / "part").read_text() == "part"
    assert sorted(os.listdir(tmp_path / "run")) == ["lock", "logs", "run.json", "tasks"]


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_an_unwritable_place_is_a_sentence(tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    with pytest.raises(StorageError, match="permission is denied"):
        RunFolder.open(tmp_path / "run", {}, {})


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EACCES, errno.EROFS])
@pytest.mark.parametrize("call", ["fsync", "replace", "write", "mkdir", "flock"])
def test_a_failing_disk_is_a_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, call: str, code: int) -> None:
    def fail(*arguments: object, **options: object) -> None:
        raise OSError(code, os.strerror(code))

    with monkeypatch.context() as patch:
        patch.setattr(module.fcntl if call == "flock" else os, call, fail)
        with pytest.raises(StorageError, match=r"^cannot .*; ") as caught:
            RunFolder.open(tmp_path / "run", {}, {})
    assert isinstance(caught.value, EgregiumError)
    RunFolder.open(tmp_path / "run", {}, {}).close()
