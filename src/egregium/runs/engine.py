"""The engine: runs what is not finished, in the order of needs, and loses nothing that is."""

from collections.abc import Callable, Sequence
from functools import cache
from itertools import islice
from pathlib import Path

from egregium.errors import OptionError
from egregium.runs.folder import RunFolder
from egregium.runs.pool import Pool, as_error
from egregium.runs.progress import Overall, Progress, Silent
from egregium.runs.task import Job, Task
from egregium.runs.worker import describe, perform


def execute(
    tasks: Sequence[Task],
    folder: RunFolder,
    *,
    workers: int = 2,
    progress: Progress | None = None,
    in_process: bool = False,
) -> list[Path]:
    """Finishes tasks, and before them whatever they need, in one run folder; the finished are not run again.

    Each task is made in a temporary folder that is forced to the disk and then renamed to its address, so that a
    kill, a crash or a power cut at any moment leaves finished tasks and rubbish that `RunFolder.open` removes. At the
    first failure, and at Ctrl-C, running tasks are stopped and the finished are kept.

    Args:
        tasks: what is wanted; needs that only finished tasks have are not run.
        folder: an open run folder.
        workers: how many worker processes, of one thread each.
        progress: hears of every task that starts, goes on and finishes.
        in_process: run the tasks here, one after the other, for tasks that refer to objects of this process; what they
            print stays on the terminal, where a worker's goes to `logs/`.

    Returns:
        The finished folders, in the order of `tasks`.

    Raises:
        EgregiumError: a task failed: with its own class and sentence where it raised an error of this library.
        RunError: a task failed with another error, or its worker died; the message ends with the traceback or its log.
        StorageError: the disk is full, read-only or forbidden.
    """
    if workers < 1:
        raise OptionError(f"workers is {workers}: at least 1 is needed")
    progress = progress or Silent()
    whole, pending = _in_order(tasks, lambda task: False), _in_order(tasks, cache(folder.finished))
    if pending:
        folder.begin(whole)
    if isinstance(progress, Overall):
        progress.begin(len(pending), len(whole) - len(pending))
    try:
        if in_process:
            _run_here(pending, folder, progress)
        elif pending:
            _run_in_workers(pending, folder, min(workers, len(pending)), progress)
    finally:
        if isinstance(progress, Overall):
            progress.end()
    return [folder.path(task) for task in tasks]


def _in_order(tasks: Sequence[Task], finished: Callable[[Task], bool]) -> list[Task]:
    """All that must run, each task once and after its needs."""
    order: dict[Task, None] = {}
    stack = [(task, False) for task in reversed(tasks)]
    while stack:
        task, needs_placed = stack.pop()
        if needs_placed:
            order[task] = None
        elif task not in order and not finished(task):
            stack.append((task, True))
            stack.extend((need, False) for need in reversed(task.needs))
    return list(order)


def _run_here(pending: list[Task], folder: RunFolder, progress: Progress) -> None:
    for task in pending:
        progress.start(task)
        job = folder.job(task)
        try:
            perform(job, lambda info, task=task: progress.update(task, info))
            folder.publish(job)
        except BaseException as error:
            folder.discard(job)
            if isinstance(error, Exception):
                raise as_error(job, describe(error)) from error
            raise
        progress.finish(task)


def _run_in_workers(pending: list[Task], folder: RunFolder, workers: int, progress: Progress) -> None:
    waiting = dict.fromkeys(pending)
    running: dict[str, tuple[Task, Job]] = {}
    blocking = set(pending)
    try:
        with Pool(workers, folder.root / "logs") as pool:
            while waiting or running:
                ready = (task for task in list(waiting) if blocking.isdisjoint(task.needs))
                for task in islice(ready, pool.free):
                    job = folder.job(task)
                    running[task.address] = (task, job)
                    del waiting[task]
                    pool.submit(job)
                    progress.start(task)
                # failures last: what has finished at the same moment is kept
                for event in sorted(pool.wait(), key=lambda event: event.error is not None):
                    task, job = running[event.job.address]
                    if event.error:
                        raise event.error
                    if event.progress is not None:
                        progress.update(task, event.progress)
                    else:
                        folder.publish(job)
                        del running[task.address]
                        blocking.remove(task)
                        progress.finish(task)
    finally:
        for _, job in running.values():
            folder.discard(job)
