"""What is finished is never run again, what fails is told, and what a disk or a kill interrupts is made good."""

import errno
import os
import signal
import time
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from egregium.errors import DataError, OptionError, RunError, StorageError
from egregium.runs.engine import execute
from egregium.runs.files import read_json
from egregium.runs.folder import RunFolder
from egregium.runs.task import Task

Open = Callable[..., RunFolder]
Make = Callable[..., Task]
Journal = Callable[[], list[str]]
Content = Callable[[RunFolder], dict[str, str]]


class Heard:
    """A `Progress` that writes everything down."""

    def __init__(self) -> None:
        self.said: list[tuple] = []

    def begin(self, tasks: int, finished: int = 0) -> None:
        self.said.append(("begin", tasks, finished))

    def start(self, task: Task) -> None:
        self.said.append(("start", task.label))

    def update(self, task: Task, info: dict) -> None:
        self.said.append(("update", task.label, info))

    def finish(self, task: Task) -> None:
        self.said.append(("finish", task.label))

    def end(self) -> None:
        self.said.append(("end",))


def test_needs_come_first_and_each_task_runs_once(opened: Open, diamond: list[Task], journal: Journal) -> None:
    folder = opened()
    paths = execute(diamond, folder, in_process=True)
    assert journal() == ["first", "left", "right", "last"]
    assert paths == [folder.path(task) for task in diamond] and all(folder.finished(task) for task in diamond)
    inputs = read_json(folder.path(diamond[0]) / "sum.json")["inputs"]
    assert inputs == [read_json(folder.path(task) / "sum.json")["sum"] for task in diamond[1:3]]


def test_progress_hears_what_was_finished_before(opened: Open, diamond: list[Task]) -> None:
    heard = Heard()
    with opened() as folder:
        execute(diamond[1:2], folder, in_process=True)
        execute(diamond, folder, in_process=True, progress=heard)
    assert heard.said[0] == ("begin", 2, 2)


def test_nothing_finished_runs_again(opened: Open, diamond: list[Task], journal: Journal, example: Make) -> None:
    with opened() as folder:
        execute(diamond[1:2], folder, in_process=True)
    with opened() as folder:
        execute(diamond, folder, in_process=True)
        execute([example("sleepy", "more", *diamond), *diamond], folder, in_process=True)
    assert journal() == ["first", "left", "right", "last", "more"]


def test_needs_of_the_finished_are_not_wanted(opened: Open, diamond: list[Task], journal: Journal) -> None:
    with opened() as folder:
        execute(diamond, folder, in_process=True)
        (folder.path(diamond[3]) / "done.json").unlink()
        execute(diamond[:1], folder, in_process=True)
    assert len(journal()) == 4


def test_a_long_chain_of_needs(opened: Open, example: Make) -> None:
    task = example("failing", "deepest", kind="sentence")
    for index in range(3000):
        task = Task(task.call, {"name": str(index)}, (task,))
    heard = Heard()
    with pytest.raises(DataError, match="in task 'deepest'"):
        execute([task], opened(), in_process=True, progress=heard)
    assert heard.said[0] == ("begin", 3001, 0)


def test_no_workers_are_an_error(opened: Open) -> None:
    with pytest.raises(OptionError, match="workers is 0: at least 1"):
        execute([], opened(), workers=0)


def test_workers_and_this_process_give_the_same_bytes(
    opened: Open, diamond: list[Task], example: Make, content: Content, journal: Journal
) -> None:
    tasks = [*diamond, example("unseeded", "a"), example("unseeded", "b"), example("sleepy", "big", size=100_000)]
    heard = Heard()
    here, there = opened("here"), opened("there")
    state = torch.get_rng_state(), torch.get_num_threads()
    execute(tasks[::-1], here, in_process=True)
    assert torch.equal(torch.get_rng_state(), state[0]) and torch.get_num_threads() == state[1]
    first = journal()
    execute(tasks, there, workers=2, progress=heard)
    assert content(here) == content(there)
    assert len(content(here)) == 4 * 3 + 2 * 2 + 3
    assert sorted(journal()[len(first) :]) == sorted(first)
    assert heard.said[0] == ("begin", 7, 0) and heard.said[-1] == ("end",)
    assert heard.said.index(("finish", "first")) < heard.said.index(("start", "left"))
    assert ("update", "first", {"done": 1, "total": 4, "loss": 1.0}) in heard.said
    assert os.listdir(there.root / "logs") == [] and sorted(os.listdir(there.tasks)) == sorted(task.address for task in tasks)


def test_a_killed_worker_is_told_and_the_finished_is_kept(opened: Open, example: Make, journal: Journal) -> None:
    tasks = [example("sleepy", "a"), example("crashing", "c", signal=int(signal.SIGKILL)), example("sleepy", "b")]
    with opened() as folder:
        with pytest.raises(RunError, match=r"task 'c' was killed by SIGKILL.*run the same command again\nabout to crash"):
            execute(tasks, folder, workers=1)
        assert journal() == ["a", "c"]
        assert os.listdir(folder.tasks) == [tasks[0].address]
        execute([tasks[0], tasks[2]], folder, in_process=True)
    assert journal() == ["a", "c", "b"]


@pytest.mark.parametrize(("kind", "error"), [("sentence", DataError), ("foreign", RunError), ("exit", SystemExit)])
def test_a_failing_task_stops_the_run(opened: Open, example: Make, journal: Journal, kind: str, error: type) -> None:
    tasks = [example("sleepy", "a"), example("failing", "f", kind=kind), example("sleepy", "b")]
    heard = Heard()
    with opened() as folder:
        with pytest.raises(error) as caught:
            execute(tasks, folder, in_process=True, progress=heard)
        assert os.listdir(folder.tasks) == [tasks[0].address]
    assert journal() == ["a", "f"] and heard.said[-1] == ("end",)
    if kind == "sentence":
        assert str(caught.value) == "the file has 3 columns where 4 are expected: check it (in task 'f')"
    if kind == "foreign":
        assert "task 'f' failed: ZeroDivisionError: a foreign error" in str(caught.value)
        assert "tasks.py" in str(caught.value)


def test_ctrl_c_keeps_the_finished_and_leaves_no_worker(
    opened: Open, tmp_path: Path, example: Make, journal: Journal, forked: Callable, content: Content
) -> None:
    tasks = [example("sleepy", "a"), example("sleepy", "long", seconds=60), example("sleepy", "b")]

    def run() -> None:
        with RunFolder.open(tmp_path / "run", {"models": 2}, {}) as folder:
            execute(tasks, folder, workers=1)

    child = forked(run)
    wait_for(lambda: journal() == ["a", "long"])
    assert len(descendants(tmp_path)) == 1
    os.kill(child, signal.SIGINT)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 130
    assert os.listdir(tmp_path / "run" / "tasks") == [tasks[0].address]
    assert not descendants(tmp_path)


def wait_for(condition: Callable[[], bool], seconds: float = 60.0) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "what was waited for did not happen"
        time.sleep(0.005)


def descendants(tmp_path: Path) -> list[str]:
    """Processes that have a file under the test's folder as their stderr: the workers of its runs."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            if os.readlink(process / "fd" / "2").startswith(str(tmp_path)):
                found.append(process.name)
        except OSError:
            continue
    return found


class Disk:
    """Counts what is asked of the disk, and does something at one of the requests instead of obeying."""

    CALLS = ("fsync", "replace", "write", "mkdir", "open")

    def __init__(self, patch: pytest.MonkeyPatch, root: Path, at: int, instead: Callable[[], None]) -> None:
        self.count, self._at, self._instead = 0, at, instead
        for name in self.CALLS:
            patch.setattr(os, name, self._wrapped(getattr(os, name)))

    def _wrapped(self, original: Callable) -> Callable:
        def call(*arguments: object, **options: object) -> object:
            self.count += 1
            if self.count == self._at:
                self._instead()
            return original(*arguments, **options)

        return call


def test_a_disk_that_fails_at_any_moment(opened: Open, diamond: list[Task], tmp_path: Path, content: Content) -> None:
    tasks, undisturbed = diamond[1:2], opened("undisturbed")
    execute(tasks, undisturbed, in_process=True)
    codes = [errno.ENOSPC, errno.EACCES, errno.EROFS]

    def attempt(name: str, at: int) -> int:
        def fail() -> None:
            raise OSError(codes[at % 3], "injected")

        with pytest.MonkeyPatch.context() as patch:
            disk = Disk(patch, tmp_path, at, fail)
            with RunFolder.open(tmp_path / name, {"models": 2}, {}) as folder:
                execute(tasks, folder, in_process=True)
            return disk.count

    total = attempt("whole", 0)
    assert total > 40
    for at in range(1, total + 1):
        with pytest.raises(StorageError, match=r"^cannot "):
            attempt(f"run{at}", at)
        attempt(f"run{at}", 0)
        with opened(f"run{at}") as folder:
            assert content(folder) == content(undisturbed), at
            assert sorted(os.listdir(folder.root)) == ["lock", "logs", "plan.json", "run.json", "tasks"]


def test_a_process_that_dies_at_any_moment(
    opened: Open, diamond: list[Task], tmp_path: Path, content: Content, forked: Callable, journal: Journal
) -> None:
    undisturbed = opened("undisturbed")
    execute(diamond, undisturbed, in_process=True)

    def attempt(at: int) -> None:
        with pytest.MonkeyPatch.context() as patch:
            Disk(patch, tmp_path, at, lambda: os._exit(9))
            with RunFolder.open(tmp_path / "run", {"models": 2}, {}) as folder:
                execute(diamond, folder, in_process=True)

    def finished() -> set[str]:
        return {task.label for task in diamond if (tmp_path / "run" / "tasks" / task.address / "done.json").exists()}

    deaths, at = 0, 0
    while not finished() >= {task.label for task in diamond}:
        # each life gets a little further than the clean-up after the last
        at = at + 1 if at < 45 else 20
        before, kept = len(journal()), finished()
        child = forked(lambda at=at: attempt(at))
        deaths += os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 9
        assert kept <= finished() and kept.isdisjoint(journal()[before:])
    assert deaths > 20
    with opened() as folder:
        assert content(folder) == content(undisturbed)


def test_kill_at_random_moments(
    opened: Open, tmp_path: Path, example: Make, content: Content, forked: Callable, journal: Journal
) -> None:
    first = [example("sleepy", f"a{index}", seconds=0.05) for index in range(8)]
    tasks = [*first, *(example("sleepy", f"b{index}", *first[index:], seconds=0.05) for index in range(4))]
    undisturbed = opened("undisturbed")
    execute(tasks, undisturbed, in_process=True)

    def run(in_process: bool) -> None:
        with RunFolder.open(tmp_path / "run", {"models": 2}, {}) as folder:
            execute(tasks, folder, workers=1, in_process=in_process)

    def finished() -> set[str]:
        return {task.label for task in tasks if (tmp_path / "run" / "tasks" / task.address / "done.json").exists()}

    # seconds after the first task of each life has begun; the last two lives have a worker process
    for index, delay in enumerate([0.0, 0.021, 0.063, 0.117, 0.048, 0.034, 0.002, 0.071]):
        before, kept = len(journal()), finished()
        child = forked(lambda index=index: run(in_process=index < 6))
        wait_for(lambda before=before: len(journal()) > before or len(finished()) == len(tasks))
        time.sleep(delay)
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
        wait_for(lambda: not descendants(tmp_path), seconds=5)
        assert kept <= finished() and kept.isdisjoint(journal()[before:])
    opened().close()  # a task that was sealed when the kill came, and not yet renamed, counts as finished from here on
    before, kept = len(journal()), finished()
    run(in_process=True)
    assert sorted([*kept, *journal()[before:]]) == sorted(task.label for task in tasks)
    with opened() as folder:
        assert content(folder) == content(undisturbed)
        assert sorted(os.listdir(folder.tasks)) == sorted(task.address for task in tasks)
