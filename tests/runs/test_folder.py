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
from egregium.runs.folder import RunFolder, is_complete, read_done, read_run, seal
from egregium.runs.task import Task, code_of

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


def test_another_configuration_is_named(opened: Open, example: Make) -> None:
    with opened(config={"models": 30, "spec": {"latent": 2, "lr": 0.1}, "seed": 0}) as folder:
        execute([example("sleepy", "a")], folder, in_process=True)
    with pytest.raises(RunError) as caught:
        opened(config={"models": 40, "spec": {"latent": 2, "lr": 0.2}, "pairs": 5, "seed": 0})
    sentence = str(caught.value)
    assert (
        "another configuration (models: 30 there, 40 here; pairs: none there, 5 here; spec.lr: 0.1 there, 0.2 here)" in sentence
    )
    assert "another folder" in sentence and "--force" in sentence and "data" not in sentence and "code" not in sentence


def test_a_run_that_has_not_begun_may_be_corrected(opened: Open) -> None:
    """A command that failed before its first task leaves nothing that another would spoil."""
    opened(config={"models": 30}).close()
    opened(config={"models": 40}).close()


def test_other_data_and_another_code_are_named(tmp_path: Path, example: Make) -> None:
    with RunFolder.open(tmp_path / "run", {"data_checksum": "a" * 64}, {"code": "b" * 32}) as folder:
        execute([example("sleepy", "a")], folder, in_process=True)
    with pytest.raises(RunError, match=r"other data .*aaaa.* there, .*cccc.* here"):
        RunFolder.open(tmp_path / "run", {"data_checksum": "c" * 64}, {"code": "b" * 32})
    with pytest.raises(RunError, match=r"another version of the code .*bbbb.* there, dddd.* here"):
        RunFolder.open(tmp_path / "run", {"data_checksum": "a" * 64}, {"code": "d" * 32})
    with pytest.raises(RunError, match=r"other data .* and another version of the code"):
        RunFolder.open(tmp_path / "run", {"data_checksum": "c" * 64}, {"code": "d" * 32})


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


@pytest.mark.parametrize("text", ["", "{", "[]", '{"schema": "1"}', '{"schema": 1}', '{"schema": 1, "config": 3}'])
def test_a_damaged_description_is_a_sentence(opened: Open, tmp_path: Path, text: str) -> None:
    opened().close()
    (tmp_path / "run" / "run.json").write_text(text)
    with pytest.raises(StorageError, match=r"run.json is damaged"):
        opened()


def test_another_schema_is_a_sentence(opened: Open, tmp_path: Path) -> None:
    opened().close()
    (tmp_path / "run" / "run.json").write_text('{"schema": 2}')
    with pytest.raises(RunError, match="written in schema 2 and this egregium reads schema 1"):
        opened()


@pytest.mark.parametrize("config", [{"lr": float("nan")}, {"spec": object()}])
def test_a_configuration_is_json(opened: Open, config: dict) -> None:
    with pytest.raises(OptionError, match="config"):
        opened(config=config)


def test_a_closed_folder_takes_no_tasks(opened: Open, example: Make) -> None:
    folder = opened()
    folder.close()
    with pytest.raises(RunError, match="is closed"):
        execute([example("sleepy", "a")], folder, in_process=True)


def corrupt(done: Path, how: str) -> None:
    record = json.loads(done.read_text())
    match how:
        case "missing":
            done.unlink()
        case "truncated":
            done.write_bytes(done.read_bytes()[:50])
        case "empty":
            done.write_bytes(b"")
        case "another address":
            done.write_text(json.dumps({**record, "address": "0" * 32}))
        case "without files":
            done.write_text(json.dumps({**record, "files": 3}))
        case "odd file":
            done.write_text(json.dumps({**record, "files": {"sum.json": 3}}))
        case "file lost":
            (done.parent / "sum.json").unlink()
        case "file cut":
            (done.parent / "sum.json").write_bytes(b"{")
        case "a folder":
            done.unlink()
            done.mkdir()


@pytest.mark.parametrize(
    "how",
    ["missing", "truncated", "empty", "another address", "without files", "odd file", "file lost", "file cut", "a folder"],
)
def test_what_is_not_whole_is_made_again(opened: Open, example: Make, content: Callable, journal: Callable, how: str) -> None:
    task, other = example("sleepy", "a"), example("sleepy", "b")
    with opened() as folder:
        execute([task, other], folder, in_process=True)
        before = content(folder)
        corrupt(folder.path(task) / "done.json", how)
        assert not folder.finished(task) and folder.finished(other)
    with opened() as folder:
        assert not folder.path(task).exists()
        execute([task, other], folder, in_process=True)
        assert content(folder) == before
    assert journal() == ["a", "b", "a"]


def test_a_disk_that_refuses_to_read_is_not_taken_for_an_unfinished_task(
    opened: Open, example: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    task = example("sleepy", "a")
    with opened() as folder:
        execute([task], folder, in_process=True)

    def refuse(path: Path) -> bytes:
        if path.name == "done.json":
            raise OSError(errno.EIO, "bad sector")
        return original(path)

    original = Path.read_bytes
    with monkeypatch.context() as patch:
        patch.setattr(Path, "read_bytes", refuse)
        with pytest.raises(StorageError, match="input/output error"):
            opened()
    assert is_complete(folder.path(task), task.address)


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


def test_done_json_says_what_was_done(opened: Open, example: Make) -> None:
    need, task = example("sleepy", "need"), None
    task = example("sleepy", "task", need, seconds=0.0)
    with opened() as folder:
        execute([task], folder, in_process=True)
        done = read_done(folder.path(task))
    assert done["call"] == task.call and done["arguments"] == task.arguments and done["needs"] == [need.address]
    assert done["address"] == task.address and done["code"] == code_of(task.call) and done["label"] == "task"
    assert sorted(done["files"]) == ["numbers.safetensors", "sum.json"]


@pytest.mark.parametrize("kind", ["link", "pipe", "record"])
def test_a_task_may_leave_plain_files_only(opened: Open, example: Make, kind: str) -> None:
    job = opened().job(example("sleepy", "a"))
    match kind:
        case "link":
            (Path(job.out) / "link").symlink_to("/")
        case "pipe":
            os.mkfifo(Path(job.out) / "pipe")
        case "record":
            (Path(job.out) / "done.json").write_text("{}")
    with pytest.raises(OptionError, match="plain files and folders"):
        seal(job)


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


def test_results_are_recorded_by_checksum(opened: Open, tmp_path: Path) -> None:
    folder = opened()
    (tmp_path / "run" / "table.parquet").write_bytes(b"table")
    folder.record_results()
    assert list(json.loads((tmp_path / "run" / "results.json").read_text())["files"]) == ["table.parquet"]
