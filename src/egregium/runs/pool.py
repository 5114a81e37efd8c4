"""A pool of long-lived worker processes: hand it jobs, hear what became of them."""

import json
import os
import selectors
import signal
import site
import subprocess
import sys
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any

from egregium import errors
from egregium.errors import EgregiumError, NotConvergedError, RunError
from egregium.runs.code import PACKAGE
from egregium.runs.files import storage_error
from egregium.runs.task import Job

_THREADS = ("OMP", "MKL", "OPENBLAS", "NUMEXPR", "VECLIB_MAXIMUM", "BLIS", "RAYON")
_TAIL_LINES, _TAIL_BYTES, _LINE_LENGTH = 14, 8000, 200


@dataclass(frozen=True)
class Event:
    """What became of a job: `progress` while it runs, then `error` if it failed, or neither: it is finished."""

    job: Job
    progress: dict[str, Any] | None = None
    error: EgregiumError | None = None


@dataclass(eq=False)
class _Worker:
    process: subprocess.Popen
    log: Path
    job: Job | None = None
    received: bytearray = field(default_factory=bytearray)


class Pool:
    """Up to `size` worker processes, started as they are needed and killed on leaving the `with` block.

    Args:
        size: how many jobs run at once.
        logs: folder for what the workers say outside their jobs.
    """

    def __init__(self, size: int, logs: Path) -> None:
        self._size, self._logs = size, logs
        self._workers: list[_Worker] = []
        self._started = 0
        self._selector = selectors.DefaultSelector()

    def __enter__(self) -> "Pool":
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        for worker in self._workers:
            worker.process.kill()
        for worker in list(self._workers):
            self._bury(worker)
        self._selector.close()

    @property
    def free(self) -> int:
        """How many more jobs can be submitted now."""
        return self._size - sum(worker.job is not None for worker in self._workers)

    def submit(self, job: Job) -> None:
        """Hands a job to an idle worker, or to a new one.

        Raises:
            RunError: all workers are busy.
            StorageError: no process can be started.
        """
        if self.free < 1:
            raise RunError("all workers are busy: wait for an event before submitting another job")
        worker = next((worker for worker in self._workers if worker.job is None), None) or self._start()
        worker.job = job
        assert worker.process.stdin is not None
        # a worker that has died meanwhile is reported by `wait`, at the end of its stdout
        with suppress(BrokenPipeError):
            worker.process.stdin.write(json.dumps(job.to_json()).encode() + b"\n")
            worker.process.stdin.flush()

    def wait(self) -> list[Event]:
        """Blocks until something has happened to a submitted job."""
        events: list[Event] = []
        while not events:
            for key, _ in self._selector.select():
                events += self._hear(key.data)
        return events

    def _start(self) -> _Worker:
        self._started += 1
        log = self._logs / f"worker-{os.getpid()}-{self._started}.log"
        try:
            with open(log, "wb") as stderr:
                process = subprocess.Popen(
                    [sys.executable, "-P", "-m", "egregium.runs.worker"],
                    stdin=subprocess.PIPE,
                    stdout=subprocess.PIPE,
                    stderr=stderr,
                    env=_environment(),
                )
        except OSError as error:
            raise storage_error("start a worker process with the log", log, error) from error
        worker = _Worker(process, log)
        self._workers.append(worker)
        self._selector.register(process.stdout, selectors.EVENT_READ, worker)  # pyright: ignore[reportArgumentType]
        return worker

    def _hear(self, worker: _Worker) -> list[Event]:
        assert worker.process.stdout is not None
        data = os.read(worker.process.stdout.fileno(), 1 << 16)
        if not data:
            job = worker.job
            code = self._bury(worker)
            return [] if job is None else [Event(job, error=_death(job, code, worker.log))]
        *lines, rest = (worker.received + data).split(b"\n")
        worker.received = rest
        return [event for line in lines if (event := self._understand(worker, bytes(line)))]

    def _understand(self, worker: _Worker, line: bytes) -> Event | None:
        job = worker.job
        # what an interpreter prints while it starts (a site's own customisation, say) comes before the protocol
        if job is None or not line.startswith(b'{"'):
            return None
        message = json.loads(line)
        if "progress" in message:
            return Event(job, progress=message["progress"])
        worker.job = None
        return Event(job, error=as_error(job, message["failed"]) if "failed" in message else None)

    def _bury(self, worker: _Worker) -> int:
        self._workers.remove(worker)
        with suppress(KeyError, ValueError):
            self._selector.unregister(worker.process.stdout)  # pyright: ignore[reportArgumentType]
        for stream in (worker.process.stdin, worker.process.stdout):
            with suppress(OSError):
                stream.close()  # pyright: ignore[reportOptionalMemberAccess]
        code = worker.process.wait()
        with suppress(OSError):
            if worker.log.stat().st_size == 0:
                worker.log.unlink()
        return code


def as_error(job: Job, failed: dict[str, str]) -> EgregiumError:
    """A job's failure as an exception: of its own class if that is one of ours, else a `RunError` with the traceback."""
    kind = getattr(errors, failed["type"], None) if failed["type"] else None
    if isinstance(kind, type) and issubclass(kind, EgregiumError) and not issubclass(kind, NotConvergedError):
        return kind(f"{failed['sentence']} (in task '{job.label}')")
    log = f" (it printed: {job.log})" if Path(job.log).exists() else ""
    trace = f"\n{failed['trace']}" if failed["trace"] else ""
    return RunError(f"task '{job.label}' failed: {failed['sentence']}; finished tasks are kept{log}{trace}")


def _death(job: Job, code: int, worker_log: Path) -> EgregiumError:
    if code >= 0:
        cause = f"ended with exit code {code}"
    else:
        name = {number.value: number.name for number in signal.Signals}.get(-code, f"signal {-code}")
        cause = f"was killed by {name}" + (", perhaps because memory ran out" if -code == signal.SIGKILL else "")
    tail = _tail(Path(job.log)) or _tail(worker_log)
    return RunError(
        f"the worker process of task '{job.label}' {cause}; finished tasks are kept: run the same command again"
        + (f"\n{tail}" if tail else "")
    )


def _tail(log: Path) -> str:
    try:
        with open(log, "rb") as file:
            file.seek(max(0, os.fstat(file.fileno()).st_size - _TAIL_BYTES))
            lines = file.read().decode(errors="replace").strip().splitlines()[-_TAIL_LINES:]
            return "\n".join(line[:_LINE_LENGTH] for line in lines)
    except OSError:
        return ""


def _environment() -> dict[str, str]:
    environment = {**os.environ, **{f"{name}_NUM_THREADS": "1" for name in _THREADS}}
    environment |= {"PYTHONHASHSEED": "0", "PYTHONUNBUFFERED": "1", "CUBLAS_WORKSPACE_CONFIG": ":4096:8"}
    home = str(PACKAGE.parent)
    if home not in [*site.getsitepackages(), site.getusersitepackages()]:
        # a checkout that is not installed: the worker must run this code and no other
        environment["PYTHONPATH"] = os.pathsep.join(filter(None, [home, environment.get("PYTHONPATH")]))
    return environment
