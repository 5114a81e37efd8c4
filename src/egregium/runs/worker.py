"""A worker process: receives jobs as JSON lines on stdin, answers with JSON lines on what was its stdout.

`python -P -m egregium.runs.worker`. It runs many jobs, one after the other, in one thread, and ends when its stdin ends:
that is how it notices, in the middle of a job too, that the process which started it is gone.
"""

import ctypes
import faulthandler
import json
import os
import queue
import random
import signal
import sys
import threading
import time
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, Any

import numpy
import torch

from egregium.errors import EgregiumError
from egregium.runs.files import storage_error
from egregium.runs.records import seal
from egregium.runs.task import Job, Report, resolve

_SET_PARENT_DEATH_SIGNAL = 1
_REPORT_EVERY = 0.1
_TRACEBACK_LINES = 14

Send = Callable[[dict[str, Any]], None]


def perform(job: Job, report: Report) -> None:
    """Runs a job in this process, under the same conditions in every process, and seals its folder."""
    function = resolve(job.call)
    with _same_conditions(job.address):
        function(job.arguments, [Path(folder) for folder in job.inputs], Path(job.out), report)
    seal(job)


@contextmanager
def _same_conditions(address: str) -> Iterator[None]:
    """One thread, deterministic algorithms, global generators seeded from the address; restored afterwards.

    So the result of a job depends neither on what ran before it nor on whether it runs in a worker.
    """
    seed = int(address[:8], 16)
    threads, states = torch.get_num_threads(), (torch.get_rng_state(), numpy.random.get_state(), random.getstate())
    strict = torch.are_deterministic_algorithms_enabled(), torch.is_deterministic_algorithms_warn_only_enabled()
    torch.set_num_threads(1)
    torch.use_deterministic_algorithms(True, warn_only=True)
    torch.default_generator.manual_seed(seed)
    numpy.random.seed(seed)
    random.seed(seed)
    try:
        yield
    finally:
        torch.set_num_threads(threads)
        torch.use_deterministic_algorithms(strict[0], warn_only=strict[1])
        torch.set_rng_state(states[0])
        numpy.random.set_state(states[1])
        random.setstate(states[2])


def describe(error: Exception) -> dict[str, str]:
    """An error as it travels: the name of its class, its sentence, and for foreign errors the end of the traceback."""
    if isinstance(error, EgregiumError):
        return {"type": type(error).__name__, "sentence": str(error), "trace": ""}
    lines = "".join(traceback.format_exception(error)).strip().splitlines()
    sentence = f"{type(error).__name__}: {error}" if str(error) else type(error).__name__
    return {"type": "", "sentence": sentence, "trace": "\n".join(lines[-_TRACEBACK_LINES:])}


def main() -> None:
    """The life of a worker."""
    # a Ctrl-C in the terminal reaches the whole group; the parent decides what becomes of its workers
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    _die_with_parent()
    jobs: queue.SimpleQueue[dict[str, Any]] = queue.SimpleQueue()
    threading.Thread(target=_watch, args=(_take(0, os.O_RDONLY, "r"), jobs), daemon=True).start()
    send = _sender(_take(1, os.O_WRONLY, "w"))
    os.dup2(2, 1)
    faulthandler.enable(file=2, all_threads=False)
    torch.set_num_interop_threads(1)
    while True:
        send(_answer(Job.from_json(jobs.get()), send))


def _answer(job: Job, send: Send) -> dict[str, Any]:
    try:
        with _output_to(job.log):
            perform(job, _throttled(send))
    except Exception as error:
        return {"failed": describe(error)}
    except SystemExit as error:
        return {"failed": {"type": "", "sentence": f"it left the process by sys.exit({error.code!r})", "trace": ""}}
    return {"done": job.address}


def _die_with_parent() -> None:
    if sys.platform == "linux":
        # the end of stdin suffices; the kernel is faster where a job holds the interpreter for long
        with suppress(OSError, AttributeError):
            ctypes.CDLL(None).prctl(_SET_PARENT_DEATH_SIGNAL, signal.SIGKILL)


def _take(descriptor: int, flags: int, mode: str) -> IO[str]:
    """A private copy of a standard stream, so that a task which prints or reads cannot disturb the protocol."""
    private = os.dup(descriptor)
    null = os.open(os.devnull, flags)
    os.dup2(null, descriptor)
    os.close(null)
    return open(private, mode, encoding="utf-8", newline="\n")


def _watch(stream: IO[str], jobs: "queue.SimpleQueue[dict[str, Any]]") -> None:
    for line in stream:
        if not line.endswith("\n"):
            break
        jobs.put(json.loads(line))
    os._exit(0)


def _sender(stream: IO[str]) -> Send:
    def send(message: dict[str, Any]) -> None:
        try:
            # numbers of numpy and torch in a report of progress become floats
            stream.write(json.dumps(message, default=float) + "\n")
            stream.flush()
        except BrokenPipeError:
            os._exit(0)

    return send


def _throttled(send: Send) -> Report:
    last = -_REPORT_EVERY

    def report(info: dict) -> None:
        nonlocal last
        now = time.monotonic()
        if now - last >= _REPORT_EVERY:
            last = now
            send({"progress": info})

    return report


@contextmanager
def _output_to(log: str) -> Iterator[None]:
    """Sends what this process prints, from Python or below, to a log file; an empty one is removed."""
    before = os.dup(2)
    try:
        descriptor = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o666)
    except OSError as error:
        os.close(before)
        raise storage_error("write the log", log, error) from error
    _redirect(descriptor)
    os.close(descriptor)
    try:
        yield
    finally:
        _redirect(before)
        os.close(before)
        with suppress(OSError):
            if os.path.getsize(log) == 0:
                os.unlink(log)


def _redirect(descriptor: int) -> None:
    for stream in (sys.stdout, sys.stderr):
        with suppress(OSError, ValueError):
            stream.flush()
    os.dup2(descriptor, 1)
    os.dup2(descriptor, 2)


if __name__ == "__main__":
    main()
