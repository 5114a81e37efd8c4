"""What a run folder says of itself is checked before it is believed."""

import errno
import json
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from egregium.errors import OptionError, RunError, StorageError
from egregium.runs.engine import execute
from egregium.runs.folder import RunFolder
from egregium.runs.records import is_complete, read_done, seal
from egregium.runs.task import Task, code_of

Open = Callable[..., RunFolder]
Make = Callable[..., Task]


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


def test_results_are_recorded_by_checksum(opened: Open, tmp_path: Path) -> None:
    folder = opened()
    (tmp_path / "run" / "table.parquet").write_bytes(b"table")
    folder.record_results()
    assert list(json.loads((tmp_path / "run" / "results.json").read_text())["files"]) == ["table.parquet"]
