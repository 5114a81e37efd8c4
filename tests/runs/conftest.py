"""Run folders of example tasks, for the tests of the machinery."""

import os
import signal
import warnings
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from egregium.runs.files import checksum
from egregium.runs.folder import RunFolder
from egregium.runs.task import Task
from egregium.testing.tasks import JOURNAL

EXAMPLE = "egregium.testing.tasks:"


@pytest.fixture
def opened(tmp_path: Path) -> Iterator[Callable[..., RunFolder]]:
    """Opens a run folder under a name; all are closed after the test."""
    folders = []

    def open_folder(name: str = "run", config: dict | None = None, **options: object) -> RunFolder:
        folder = RunFolder.open(tmp_path / name, {"models": 2} if config is None else config, {}, **options)  # type: ignore[arg-type]
        folders.append(folder)
        return folder

    yield open_folder
    for folder in folders:
        folder.close()


@pytest.fixture
def example() -> Callable[..., Task]:
    """`example("sleepy", "name", *needs, **arguments)` makes a task of `egregium.testing.tasks`."""

    def make(function: str, name: str, *needs: Task, **arguments: object) -> Task:
        return Task(EXAMPLE + function, {"name": name, **arguments}, needs, name)

    return make


@pytest.fixture
def diamond(example: Callable[..., Task]) -> list[Task]:
    """Four tasks, the last of which needs two that need the first."""
    first = example("sleepy", "first")
    left, right = example("sleepy", "left", first), example("sleepy", "right", first)
    return [example("sleepy", "last", left, right), left, right, first]


@pytest.fixture
def journal(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[], list[str]]:
    """Names of the example tasks that began so far, in order, repeats included."""
    path = tmp_path / "journal.txt"
    monkeypatch.setenv(JOURNAL, str(path))
    return lambda: path.read_text().split() if path.exists() else []


@pytest.fixture
def content() -> Callable[[RunFolder], dict[str, str]]:
    """Checksums of every file under the finished tasks of a run folder."""

    def read(folder: RunFolder) -> dict[str, str]:
        files = (path for path in folder.tasks.rglob("*") if path.is_file())
        return {path.relative_to(folder.tasks).as_posix(): checksum(path) for path in files}

    return read


@pytest.fixture
def forked() -> Iterator[Callable[[Callable[[], object]], int]]:
    """Starts a function in a fork of this process, which has torch loaded already, and returns the process number.

    The fork ends with 0, or with 1 after an exception, or with 130 after Ctrl-C; it never returns into pytest, and does
    not outlive the test.
    """
    children = []

    def fork(function: Callable[[], object]) -> int:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)  # threads of torch do not take part in the fork
            child = os.fork()
        if child:
            children.append(child)
            return child
        code = 1
        try:
            signal.alarm(120)
            signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's background jobs are born deaf to Ctrl-C
            function()
            code = 0
        except KeyboardInterrupt:
            code = 130
        finally:
            os._exit(code)

    yield fork
    for child in children:
        with suppress(ChildProcessError):
            if os.waitpid(child, os.WNOHANG)[0] == 0:
                os.kill(child, signal.SIGKILL)
                os.waitpid(child, 0)
