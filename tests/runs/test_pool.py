"""Workers answer, survive what tasks do to them, and do not outlive the process that started them."""

import re
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from egregium.errors import DataError, EgregiumError, RunError
from egregium.runs.files import read_json
from egregium.runs.pool import Event, Pool, _environment, as_error
from egregium.runs.records import read_done
from egregium.runs.task import Job, Task

Make = Callable[..., Task]


def make_job(task: Task, tmp_path: Path) -> Job:
    out = tmp_path / task.address
    out.mkdir()
    log = str(tmp_path / f"{task.address}.log")
    return Job(task.address, task.label, task.call, task.arguments, (), (), str(out), log)


@pytest.fixture(scope="module")
def pool(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pool]:
    """One worker for the whole file: that it lives through all of it is part of what is tested."""
    with Pool(1, tmp_path_factory.mktemp("logs")) as pool:
        yield pool


def answer(pool: Pool, job: Job) -> Event:
    pool.submit(job)
    assert pool.free == 0
    while (event := pool.wait()[-1]).progress is not None:
        pass
    return event


def test_what_a_task_prints_goes_to_its_log(pool: Pool, tmp_path: Path, example: Make) -> None:
    job = make_job(example("printing", "p"), tmp_path)
    assert answer(pool, job) == Event(job)
    assert Path(job.log).read_text() == "printed by Python\ncomplained by Python\nwritten past Python\n"
    process = read_json(Path(job.out) / "process.json")
    assert process["stdin"] == "" and process["threads"] == 1
    assert process["address"] == Task(job.call, {"number": 2.5, "letters": ["b", "a"]}).address, "for any seed of the hash"
    assert list(read_done(Path(job.out))["files"]) == ["process.json"]


def test_a_silent_task_leaves_no_log(pool: Pool, tmp_path: Path, example: Make) -> None:
    job = make_job(example("sleepy", "s"), tmp_path)
    assert answer(pool, job).error is None and not Path(job.log).exists()


@pytest.mark.parametrize(
    ("kind", "error", "sentence"),
    [
        ("sentence", DataError, r"^the file has 3 columns where 4 are expected: check it \(in task 'f'\)$"),
        ("foreign", RunError, r"^task 'f' failed: ZeroDivisionError: a foreign error; finished tasks are kept\n"),
        ("exit", RunError, r"^task 'f' failed: it left the process by sys.exit\(3\); finished"),
    ],
)
def test_a_failure_arrives_with_its_sentence(
    pool: Pool, tmp_path: Path, example: Make, kind: str, error: type[EgregiumError], sentence: str
) -> None:
    event = answer(pool, make_job(example("failing", "f", kind=kind), tmp_path))
    assert type(event.error) is error and re.search(sentence, str(event.error))
    if kind == "foreign":
        assert "Traceback" in str(event.error) and "tasks.py" in str(event.error)


def test_a_call_that_cannot_be_found_is_told(pool: Pool, tmp_path: Path) -> None:
    event = answer(pool, make_job(Task("egregium.testing.tasks:nothing", {}), tmp_path))
    assert isinstance(event.error, RunError) and "cannot be found" in str(event.error)


def test_a_log_that_cannot_be_written_is_told(pool: Pool, tmp_path: Path, example: Make) -> None:
    job = make_job(example("sleepy", "s"), tmp_path)
    Path(job.log).mkdir()
    assert "cannot write the log" in str(answer(pool, job).error)


def test_a_busy_pool_takes_no_more(pool: Pool, tmp_path: Path, example: Make) -> None:
    job = make_job(example("sleepy", "s"), tmp_path)
    pool.submit(job)
    with pytest.raises(RunError, match="all workers are busy"):
        pool.submit(job)
    while pool.free == 0:
        pool.wait()


def test_a_crash_is_told_with_the_last_words_and_the_next_job_runs(pool: Pool, tmp_path: Path, example: Make) -> None:
    workers = list(pool._workers)
    assert len(workers) == 1, "one worker should have lived through every job before this"
    event = answer(pool, make_job(example("crashing", "c", signal=11), tmp_path))
    assert "was killed by SIGSEGV; finished tasks are kept" in str(event.error)
    assert "about to crash" in str(event.error) and "Segmentation fault" in str(event.error) and "crashing" in str(event.error)
    assert workers[0].process.returncode == -11 and pool.free == 1
    assert answer(pool, make_job(example("sleepy", "after"), tmp_path)).error is None


def test_a_worker_ends_in_the_middle_of_a_task_when_its_stdin_ends(pool: Pool, tmp_path: Path, example: Make) -> None:
    job = make_job(example("sleepy", "long", seconds=600, steps=1), tmp_path)
    pool.submit(job)
    [worker] = pool._workers
    while not Path(job.log).exists():
        time.sleep(0.005)
    assert worker.process.stdin
    worker.process.stdin.close()
    assert "ended with exit code 0" in str(pool.wait()[-1].error) and worker.process.returncode == 0


def test_an_interpreter_that_does_not_start_is_told(tmp_path: Path, example: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    broken = tmp_path / "python"
    broken.write_text("#!/bin/sh\necho no such library >&2\nexit 127\n")
    broken.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(broken))
    with Pool(1, tmp_path) as pool:
        error = answer(pool, make_job(example("sleepy", "s"), tmp_path)).error
    assert isinstance(error, RunError) and "ended with exit code 127" in str(error) and "no such library" in str(error)
    monkeypatch.setattr(sys, "executable", str(tmp_path / "missing"))
    with Pool(1, tmp_path) as pool, pytest.raises(EgregiumError, match="cannot start a worker process"):
        pool.submit(make_job(example("sleepy", "t"), tmp_path))


@pytest.mark.parametrize("name", ["NotConvergedError", "Nonsense", "annotations", "__builtins__", ""])
def test_only_errors_of_this_library_are_made_from_a_name(tmp_path: Path, example: Make, name: str) -> None:
    job = make_job(example("sleepy", "s"), tmp_path)
    assert type(as_error(job, {"type": name, "sentence": "no", "trace": ""})) is RunError


def test_a_worker_has_one_thread_and_a_fixed_hash_seed() -> None:
    environment = _environment()
    assert environment["OMP_NUM_THREADS"] == environment["MKL_NUM_THREADS"] == environment["OPENBLAS_NUM_THREADS"] == "1"
    assert environment["PYTHONHASHSEED"] == "0"
