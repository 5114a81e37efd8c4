"""What a run folder says of itself: `run.json`, the `done.json` of its finished tasks, `results.json`."""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from egregium.errors import OptionError, RunError, StorageError
from egregium.runs.files import checksum, entries, read_json, storage_error, sync, write_json
from egregium.runs.task import Job, code_of

SCHEMA = 1
DONE = "done.json"
OWN = {"run.json", "plan.json", "results.json", "report.html", "lock", "tasks", "logs"}
_DONE_KINDS = {"address": str, "label": str, "call": str, "arguments": dict, "needs": list, "code": str, "files": dict}
_FILE_KINDS = {"sha256": str, "bytes": int}
_RUN_KINDS = {"config": dict, "provenance": dict, "history": list}


def record_results(root: Path) -> None:
    """Writes the checksums of the files beside `run.json` to `results.json`."""
    files = sorted(entry for entry in entries(root) if entry.is_file() and entry.name not in OWN)
    write_json(root / "results.json", {"schema": SCHEMA, "files": {file.name: checksum(file) for file in files}})


def unfinished(root: Path) -> str:
    """How far a run got that has no results on record yet, in words; empty for a finished one."""
    if os.path.exists(root / "results.json"):
        return ""
    try:
        planned = read_json(root / "plan.json")["tasks"]
        done = sum(is_complete(root / "tasks" / address, address) for address in planned)
    except (StorageError, KeyError, TypeError):
        return "no results are on record"
    return f"{done} of {len(planned)} tasks are finished"


def seal(job: Job) -> None:
    """Forces every file of a job's folder to the disk, then writes `done.json` with their checksums.

    Raises:
        OptionError: the task left a link, a device or a `done.json` of its own.
        StorageError: a file cannot be read or saved.
    """
    out = Path(job.out)
    files = {}
    for path in sorted(walk(out)):
        name = path.relative_to(out).as_posix()
        if path.is_symlink() or not (path.is_file() or path.is_dir()) or name == DONE:
            raise OptionError(f"task '{job.label}' left {name}: a task may leave plain files and folders, and no {DONE}")
        sync(path)
        if path.is_file():
            files[name] = {"sha256": checksum(path), "bytes": path.stat().st_size}
    done = {
        "schema": SCHEMA,
        "address": job.address,
        "label": job.label,
        "call": job.call,
        "arguments": job.arguments,
        "needs": list(job.needs),
        "code": code_of(job.call),
        "files": files,
    }
    write_json(out / DONE, done)


def walk(folder: Path) -> Iterator[Path]:
    """Everything inside a folder, at any depth; links are not followed."""
    for entry in entries(folder):
        yield entry
        if entry.is_dir() and not entry.is_symlink():
            yield from walk(entry)


def read_done(folder: Path) -> dict[str, Any]:
    """What a sealed folder says of itself.

    Raises:
        StorageError: `done.json` is missing, damaged or does not hold what it should.
    """
    done = read_json(folder / DONE)
    sound = isinstance(done, dict) and done.get("schema") == SCHEMA and _has(done, _DONE_KINDS)
    if not sound or not all(isinstance(file, dict) and _has(file, _FILE_KINDS) for file in done["files"].values()):
        raise StorageError(f"{folder / DONE} is damaged: it is not the record of a finished task; run the same command again")
    return done


def _has(record: dict[str, Any], kinds: dict[str, type]) -> bool:
    return all(isinstance(record.get(key), kind) for key, kind in kinds.items())


def is_complete(folder: Path, address: str | None = None) -> bool:
    """Whether a folder is sealed (for `address`, if given) and its files are there with the sizes on record.

    Raises:
        StorageError: the disk refuses to tell, which is not the same as an incomplete folder.
    """
    try:
        done = read_done(folder)
        sizes = {name: (folder / name).stat().st_size for name in done["files"]}
    except (FileNotFoundError, NotADirectoryError):
        return False
    except StorageError as error:
        unreadable = isinstance(error.__cause__, OSError)
        if unreadable and not isinstance(error.__cause__, FileNotFoundError | NotADirectoryError | IsADirectoryError):
            raise
        return False
    except OSError as error:
        raise storage_error("read", folder, error) from error
    return address in (None, done["address"]) and all(sizes[name] == file["bytes"] for name, file in done["files"].items())


def read_run(root: Path) -> dict[str, Any]:
    """The content of `run.json`.

    Raises:
        RunError: the folder is no run folder, or belongs to another version of the format.
        StorageError: the file is damaged.
    """
    if not os.path.isfile(root / "run.json"):
        raise RunError(f"{root} is not a run folder: it holds no run.json; name the folder that was given as --out")
    state = read_json(root / "run.json")
    if not isinstance(state, dict) or not isinstance(state.get("schema"), int):
        raise StorageError(f"{root / 'run.json'} is damaged: it does not describe a run; use another folder")
    if state["schema"] != SCHEMA:
        raise RunError(
            f"{root} was written in schema {state['schema']} and this egregium reads schema {SCHEMA}: "
            "use the version of egregium that wrote it, or another folder"
        )
    if not _has(state, _RUN_KINDS):
        raise StorageError(f"{root / 'run.json'} is damaged: it does not describe a run; use another folder")
    return state
