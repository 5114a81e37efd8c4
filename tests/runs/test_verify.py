"""What was changed after it was finished is found."""

import json
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from egregium.errors import OptionError, RunError
from egregium.runs.engine import execute
from egregium.runs.files import checksum, write_json
from egregium.runs.folder import RunFolder
from egregium.runs.records import unfinished
from egregium.runs.task import Task
from egregium.runs.verify import verify

Open = Callable[..., RunFolder]
Make = Callable[..., Task]


@pytest.fixture
def run(opened: Open, diamond: list[Task]) -> RunFolder:
    """A finished run, closed, with a result beside its tasks."""
    with opened() as folder:
        execute(diamond, folder, in_process=True)
        (folder.root / "table.parquet").write_bytes(b"the table")
        folder.record_results()
    return folder


def test_a_sample_is_run_again_and_compared(opened: Open, diamond: list[Task], example: Make, content: Callable) -> None:
    fickle, forged = example("fickle", "fickle"), example("sleepy", "forged")
    with opened() as folder:
        execute([*diamond, fickle, forged], folder, in_process=True)
        forge(folder.path(forged))
        before = content(folder)
    assert verify(folder.root, sample=0) == [], "a result and its record changed together look right"
    problems = verify(folder.root, sample=10)
    assert sorted(problems) == [
        f"task '{task.label}' ({task.address}): sum.json came out differently when it was run again"
        for task in (fickle, forged)
    ]
    assert content(folder) == before and sorted(os.listdir(folder.root)) == ["lock", "logs", "plan.json", "run.json", "tasks"]


def forge(folder: Path) -> None:
    """Changes a task's result and the record of it."""
    file, record = folder / "sum.json", folder / "done.json"
    file.write_text('{"sum": 0.0, "inputs": []}')
    done = json.loads(record.read_text())
    done["files"]["sum.json"] = {"sha256": checksum(file), "bytes": file.stat().st_size}
    write_json(record, done)


def test_an_untouched_run_has_no_problems(run: RunFolder) -> None:
    assert verify(run.root, sample=0) == []


def test_an_unfinished_run_says_how_far_it_got(opened: Open, diamond: list[Task], run: RunFolder) -> None:
    assert unfinished(run.root) == ""
    with opened("half") as folder:
        assert unfinished(folder.root) == "no results are on record"
        execute(diamond, folder, in_process=True)
        (folder.path(diamond[0]) / "done.json").unlink()
        assert unfinished(folder.root) == "3 of 4 tasks are finished"


def test_a_finished_run_that_is_given_more_to_do_is_unfinished_until_that_is_done(
    opened: Open, example: Make, run: RunFolder
) -> None:
    with opened() as folder:
        execute([example("sleepy", "one more")], folder, in_process=True)
        assert unfinished(folder.root) == "1 of 1 tasks are finished"
        folder.record_results()
        assert unfinished(folder.root) == ""


def test_a_changed_file_is_found(run: RunFolder, diamond: list[Task]) -> None:
    file = run.path(diamond[1]) / "numbers.safetensors"
    data = bytearray(file.read_bytes())
    data[-1] ^= 1
    file.write_bytes(data)
    assert run.finished(diamond[1]), "its size is the same"
    [problem] = verify(run.root, sample=0)
    assert "task 'left'" in problem and "numbers.safetensors has been changed" in problem


def test_lost_and_added_files_are_found(run: RunFolder, diamond: list[Task]) -> None:
    (run.path(diamond[0]) / "sum.json").unlink()
    (run.path(diamond[0]) / "more.json").write_text("{}")
    problems = verify(run.root, sample=0)
    assert len(problems) == 2 and "sum.json is missing" in problems[0] and "more.json is not on record" in problems[1]


def test_a_changed_record_is_found(run: RunFolder, diamond: list[Task]) -> None:
    record = run.path(diamond[0]) / "done.json"
    done = json.loads(record.read_text())
    write_json(record, {**done, "arguments": {"name": "another"}})
    [problem] = verify(run.root, sample=0)
    assert "done.json has been changed" in problem


def test_a_damaged_record_is_found(run: RunFolder, diamond: list[Task]) -> None:
    (run.path(diamond[0]) / "done.json").write_text("{")
    [problem] = verify(run.root, sample=0)
    assert "is damaged" in problem


@pytest.mark.parametrize(("change", "words"), [("edit", "has been changed"), ("remove", "is missing")])
def test_a_changed_result_is_found(run: RunFolder, change: str, words: str) -> None:
    table = run.root / "table.parquet"
    table.write_bytes(b"THE TABLE") if change == "edit" else table.unlink()
    [problem] = verify(run.root, sample=0)
    assert problem.startswith("result table.parquet ") and words in problem


def test_a_damaged_list_of_results_is_found(run: RunFolder) -> None:
    (run.root / "results.json").write_text("[]")
    assert "results.json is damaged" in verify(run.root, sample=0)[0]


def test_another_version_of_the_code_cannot_compare(tmp_path: Path) -> None:
    RunFolder.open(tmp_path / "run", {}, {"code": "0" * 32}).close()
    [problem] = verify(tmp_path / "run")
    assert "another version of the code (000000000000" in problem
    assert verify(tmp_path / "run", sample=0) == []


def test_what_is_no_run_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(RunError, match="is not a run folder"):
        verify(tmp_path)


def test_a_negative_sample_is_an_error(run: RunFolder) -> None:
    with pytest.raises(OptionError, match="sample is -1"):
        verify(run.root, sample=-1)
