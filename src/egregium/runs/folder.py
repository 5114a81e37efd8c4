"""Run folders: finished tasks under their addresses, beside the configuration and the provenance of the run.

run.json           schema, configuration, provenance, and what they were before a forced change
tasks/ADDRESS/     the files of a finished task, and `done.json` with their checksums, written last
logs/ADDRESS.log   what the task printed
plan.json          addresses of the tasks that the run set out to do
results.json       checksums of the files that the run left beside these, written last: a run without it is unfinished
lock               held by the one process that writes
"""

import fcntl
import os
import shutil
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import IO, Any

from egregium.errors import RunError, StorageError
from egregium.runs.code import code_version
from egregium.runs.comparison import differences
from egregium.runs.files import TEMPORARY, entries, make_folder, plain, rename, storage_error, temporary_name, write_json
from egregium.runs.records import OWN, SCHEMA, is_complete, read_done, read_run, record_results
from egregium.runs.task import Job, Task


@dataclass(frozen=True)
class RunFolder:
    """A folder that one run writes to, locked while this object is open; a context manager.

    Open it with `RunFolder.open`, and close it with `close()` or by leaving a `with` block; the kernel gives the lock
    back when the process dies, however it dies.
    """

    root: Path
    config: dict[str, Any]
    _lock: IO[str]

    @classmethod
    def open(cls, path: Path | str, config: dict, provenance: dict, force: bool = False) -> "RunFolder":
        """Creates a run folder, or goes on in one: clears away what a killed run left unfinished.

        Args:
            path: the folder; it is made if it does not exist.
            config: JSON-like; all that decides the result, with the checksum of the data under `"data_checksum"`.
            provenance: JSON-like; `egregium.runs.provenance.provenance()`, which holds the code version under `"code"`.
            force: go on although the configuration, the data or the code differ. Tasks that the difference does not reach
                are kept: a change of what measures leaves the trainings.

        Raises:
            RunError: the folder was made with another configuration, data or code, is in use, or is no run folder.
            StorageError: the folder cannot be made, locked, written or read.
        """
        root, config = Path(path).absolute(), plain(config, "config")
        provenance = {"code": code_version(), **plain(provenance, "provenance")}
        make_folder(root)
        _refuse_foreign(root)
        lock = _take_lock(root)
        try:
            state = {"schema": SCHEMA, "config": config, "provenance": provenance, "history": []}
            if os.path.exists(root / "run.json"):
                state = _continued(root, state, force)
            if state:
                write_json(root / "run.json", state)
            for name in ("tasks", "logs"):
                make_folder(root / name)
            _clean(root)
        except BaseException:
            lock.close()
            raise
        return cls(root, config, lock)

    def close(self) -> None:
        """Gives the lock back; finished tasks can still be read."""
        self._lock.close()

    def __enter__(self) -> "RunFolder":
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()

    @property
    def tasks(self) -> Path:
        """The folder of the finished tasks."""
        return self.root / "tasks"

    def path(self, task: Task) -> Path:
        """Where the files of a task are, once it is finished."""
        return self.tasks / task.address

    def log(self, task: Task) -> Path:
        """Where the task's own output goes."""
        return self.root / "logs" / f"{task.address}.log"

    def finished(self, task: Task) -> bool:
        """Whether the task's files are all there, by name and size; `verify` compares their content.

        Raises:
            StorageError: the disk refuses to tell.
        """
        return is_complete(self.path(task), task.address)

    def begin(self, tasks: Iterable[Task]) -> None:
        """Notes what the run sets out to do; from here until `record_results` it is unfinished.

        Raises:
            RunError: the run folder has been closed.
            StorageError: the folder cannot be written.
        """
        self._require_open()
        write_json(self.root / "plan.json", {"schema": SCHEMA, "tasks": [task.address for task in tasks]})
        if os.path.exists(self.root / "results.json"):
            _remove(self.root / "results.json")

    def job(self, task: Task) -> Job:
        """The task with a fresh folder to work in.

        Raises:
            RunError: the run folder has been closed.
            StorageError: no folder can be made.
        """
        self._require_open()
        return Job(
            address=task.address,
            label=task.label,
            call=task.call,
            arguments=task.arguments,
            needs=tuple(need.address for need in task.needs),
            inputs=tuple(str(self.path(need)) for need in task.needs),
            out=str(make_folder(self.tasks / temporary_name())),
            log=str(self.log(task)),
        )

    def publish(self, job: Job) -> None:
        """Moves a job's sealed folder to its address: from here on the task is finished.

        Raises:
            StorageError: the folder cannot be moved.
        """
        _publish(Path(job.out), self.tasks / job.address)

    def discard(self, job: Job) -> None:
        """Removes what an unfinished job wrote; what cannot be removed now is removed when the folder is next opened."""
        with suppress(StorageError):
            _remove(Path(job.out))

    def record_results(self) -> None:
        """Writes the checksums of the files beside `run.json` to `results.json`, so that `verify` can compare them.

        Raises:
            StorageError: a file cannot be read or written.
        """
        record_results(self.root)

    def _require_open(self) -> None:
        if self._lock.closed:
            raise RunError(f"the run folder {self.root} is closed: open it again with RunFolder.open")


def _refuse_foreign(root: Path) -> None:
    names = {entry.name for entry in entries(root)}
    foreign = sorted(name for name in names - OWN if not name.startswith(TEMPORARY))
    if foreign and "run.json" not in names:
        raise RunError(f"{root} holds other files ({', '.join(foreign[:3])}) and no run: name a new or empty folder")


def _take_lock(root: Path) -> IO[str]:
    try:
        lock = open(root / "lock", "a+")  # noqa: SIM115 (held until the folder is closed)
    except OSError as error:
        raise storage_error("write", root / "lock", error) from error
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        lock.close()
        raise RunError(f"{root} is in use by another process: wait until it has ended, or use another folder") from error
    except OSError as error:
        lock.close()
        raise storage_error("lock", root / "lock", error) from error
    return lock


def _continued(root: Path, state: dict, force: bool) -> dict | None:
    """What to write to `run.json` of a folder that has one; None where it stays as it is."""
    old = read_run(root)
    found = differences(old, state)
    if found and not force and _begun(root):
        raise RunError(
            f"{root} was made with {' and '.join(found)}: "
            "use another folder (--out), or --force to go on in this one with the tasks that still fit"
        )
    kept = {"config": old["config"], "provenance": old["provenance"]}
    if kept == {"config": state["config"], "provenance": state["provenance"]}:
        return None
    return {**state, "history": [*old["history"], kept]}


def _begun(root: Path) -> bool:
    """Whether a run folder holds anything that a different run would spoil."""
    tasks = root / "tasks"
    return os.path.exists(root / "results.json") or (os.path.isdir(tasks) and bool(entries(tasks)))


def _clean(root: Path) -> None:
    """Removes the unfinished, and promotes a folder that was sealed by a run that died before it could rename it."""
    tasks = root / "tasks"
    for log in (root / "logs").glob("worker-*.log"):
        _remove(log)
    for entry in [*entries(root), *entries(tasks)]:
        if not entry.name.startswith(TEMPORARY):
            if entry.parent == tasks and not is_complete(entry, entry.name):
                _remove(entry)
        elif entry.parent == tasks and is_complete(entry) and not is_complete(tasks / read_done(entry)["address"]):
            _publish(entry, tasks / read_done(entry)["address"])
        else:
            _remove(entry)


def _publish(sealed: Path, target: Path) -> None:
    if target.exists():
        _remove(target)
    rename(sealed, target)


def _remove(path: Path) -> None:
    # renamed first: a worker that outlives its run by a moment can then no longer write into the folder being removed
    doomed = path.with_name(temporary_name())
    try:
        os.replace(path, doomed)
        if doomed.is_dir() and not doomed.is_symlink():
            shutil.rmtree(doomed)
        else:
            doomed.unlink()
    except OSError as error:
        raise storage_error("remove", path, error) from error
