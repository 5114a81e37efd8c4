"""Checking a run folder: every checksum, and a sample of tasks computed once more."""

import os
import random
import tempfile
from pathlib import Path
from typing import Any

from egregium.errors import OptionError, StorageError
from egregium.runs.code import code_version
from egregium.runs.files import TEMPORARY, checksum, make_folder, read_json
from egregium.runs.pool import Pool
from egregium.runs.progress import Overall, Progress, Silent
from egregium.runs.records import DONE, read_done, read_run, walk
from egregium.runs.task import Job, Task, code_of, content_address


def verify(folder_path: Path | str, *, sample: int = 3, seed: int = 0, progress: Progress | None = None) -> list[str]:
    """Problems found in a run folder, a sentence each; an empty list where there are none.

    Recomputes the checksum of every file of every finished task and of the recorded results, and runs `sample` tasks,
    drawn with `seed`, once more in a temporary folder to compare their files byte by byte. The folder is only read.

    Raises:
        OptionError: `sample` is negative.
        RunError: the folder is no run folder.
        StorageError: `run.json` is damaged.
    """
    if sample < 0:
        raise OptionError(f"sample is {sample}: expected the number of tasks to run again, 0 or more")
    root = Path(folder_path).absolute()
    state = read_run(root)
    problems = changed_results(root)
    sound: dict[str, dict[str, Any]] = {}
    folders = sorted((root / "tasks").glob("*")) if os.path.isdir(root / "tasks") else []
    for folder in folders:
        if not folder.name.startswith(TEMPORARY):
            done, found = _check_task(folder)
            problems += found
            if done and not found:
                sound[folder.name] = done
    code = state["provenance"].get("code")
    if sample and code != code_version():
        problems.append(
            f"the run was made with another version of the code ({str(code)[:12]}; this is {code_version()[:12]}): "
            "only tasks that the difference does not reach can be run again to compare, use the version that made it"
        )
    return problems + _rerun(root, sound, sample, seed, progress or Silent())


def changed_results(root: Path) -> list[str]:
    """Results of a run that differ from the checksums on record, a sentence each; nothing is computed anew."""
    if not os.path.exists(root / "results.json"):
        return []
    try:
        files = read_json(root / "results.json")["files"]
        return [problem for name in sorted(files) if (problem := _compare(root / name, files[name], f"result {name}"))]
    except (StorageError, KeyError, TypeError, AttributeError):
        return [f"{root / 'results.json'} is damaged: run the same command again to write it anew"]


def _check_task(folder: Path) -> tuple[dict[str, Any] | None, list[str]]:
    try:
        done = read_done(folder)
        present = {path.relative_to(folder).as_posix() for path in walk(folder) if path.is_symlink() or not path.is_dir()}
    except StorageError as error:
        return None, [str(error)]
    what = f"task '{done['label']}' ({folder.name})"
    problems = [
        problem
        for name, file in sorted(done["files"].items())
        if (problem := _compare(folder / name, file["sha256"], f"{what}: {name}"))
    ]
    problems += [f"{what}: {name} is not on record" for name in sorted(present - done["files"].keys() - {DONE})]
    if content_address(done["call"], done["arguments"], done["needs"], done["code"]) != folder.name:
        problems.append(f"{what}: its {DONE} has been changed, or it was made while the code was being changed")
    return done, problems


def _compare(path: Path, expected: str, what: str) -> str | None:
    if not os.path.isfile(path):
        return f"{what} is missing"
    try:
        return None if checksum(path) == expected else f"{what} has been changed: its checksum differs from the record"
    except StorageError as error:
        return str(error)


def _rerun(root: Path, sound: dict[str, dict], sample: int, seed: int, progress: Progress) -> list[str]:
    able = [
        name
        for name, done in sorted(sound.items())
        if done["code"] == code_of(done["call"]) and sound.keys() >= set(done["needs"])
    ]
    chosen = random.Random(seed).sample(able, min(sample, len(able)))
    problems = []
    if isinstance(progress, Overall):
        progress.begin(len(chosen))
    try:
        with tempfile.TemporaryDirectory(prefix="egregium-verify-") as place, Pool(1, Path(place)) as pool:
            for name in chosen:
                job = _again(root, sound[name], Path(place))
                problems += _run_and_compare(pool, job, sound[name], progress)
    finally:
        if isinstance(progress, Overall):
            progress.end()
    return problems


def _again(root: Path, done: dict[str, Any], place: Path) -> Job:
    return Job(
        address=done["address"],
        label=done["label"],
        call=done["call"],
        arguments=done["arguments"],
        needs=tuple(done["needs"]),
        inputs=tuple(str(root / "tasks" / need) for need in done["needs"]),
        out=str(make_folder(place / done["address"])),
        log=str(place / f"{done['address']}.log"),
    )


def _run_and_compare(pool: Pool, job: Job, done: dict[str, Any], progress: Progress) -> list[str]:
    task = Task(job.call, job.arguments, label=job.label)
    progress.start(task)
    pool.submit(job)
    while (event := pool.wait()[-1]).progress is not None:
        progress.update(task, event.progress)
    progress.finish(task)
    what = f"task '{job.label}' ({job.address})"
    if event.error:
        return [f"{what} could not be run again: {event.error}"]
    again = read_done(Path(job.out))["files"]
    changed = sorted(name for name in again.keys() | done["files"].keys() if again.get(name) != done["files"].get(name))
    return [f"{what}: {', '.join(changed)} came out differently when it was run again"] if changed else []
