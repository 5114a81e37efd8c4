"""How a run shows that it goes on: not at all, by bars on a terminal, or by plain lines elsewhere; always on stderr."""

import time
from typing import Protocol, runtime_checkable

from rich.console import Console
from rich.progress import BarColumn, ProgressColumn, TaskID, TextColumn, TimeRemainingColumn
from rich.progress import Progress as RichProgress
from rich.progress import Task as RichTask
from rich.text import Text

from egregium.runs.task import Task


class Progress(Protocol):
    """Hears of each task of a run: `info` is `{"done": 3, "total": 50, "loss": 1.2}`, every key optional."""

    def start(self, task: Task) -> None: ...
    def update(self, task: Task, info: dict) -> None: ...
    def finish(self, task: Task) -> None: ...


@runtime_checkable
class Overall(Progress, Protocol):
    """A `Progress` that also hears how many tasks are to come, how many are done, and when the run is over, well or badly."""

    def begin(self, tasks: int, finished: int = 0) -> None: ...
    def end(self) -> None: ...


class Silent:
    """Shows nothing."""

    def start(self, task: Task) -> None:
        """Nothing."""

    def update(self, task: Task, info: dict) -> None:
        """Nothing."""

    def finish(self, task: Task) -> None:
        """Nothing."""


class Bars:
    """A bar for every running task, with its loss, under one for all tasks; both with the time still needed.

    Where stderr is not a terminal, a line at the end of each task.

    Args:
        title: a word for what the run as a whole does.
        console: where to write; default stderr.
    """

    def __init__(self, title: str = "tasks", console: Console | None = None) -> None:
        self._title = title
        self._console = console or Console(stderr=True)
        self._count, self._finished = 0, 0
        self._infos: dict[Task, dict] = {}
        self._started: dict[Task, float] = {}
        self._bars: dict[Task, TaskID] = {}
        self._display: RichProgress | None = None

    def begin(self, tasks: int, finished: int = 0) -> None:
        """Opens the display for a run with so many tasks to come after the `finished` ones."""
        self._count, self._finished = finished + tasks, finished
        self._infos, self._started, self._bars = {}, {}, {}
        if self._console.is_terminal and tasks:
            label = TextColumn("{task.description}", markup=False)
            columns = (label, BarColumn(), TextColumn("{task.percentage:>3.0f} %"), _Loss(), TimeRemainingColumn())
            display = RichProgress(*columns, console=self._console, transient=True)
            self._total = display.add_task(self._title_now(), total=self._count, completed=finished)
            self._display = display
            display.start()

    def start(self, task: Task) -> None:
        """Adds the bar of a task."""
        self._infos[task] = {}
        self._started[task] = time.monotonic()
        if self._display:
            self._bars[task] = self._display.add_task(task.label, total=None, loss=None)

    def update(self, task: Task, info: dict) -> None:
        """Moves the bar of a task, and with it the bar of all."""
        self._infos[task] = {**self._infos.get(task, {}), **info}
        if self._display and task in self._bars:
            known = self._infos[task].get
            self._display.update(self._bars[task], completed=known("done"), total=known("total"), loss=known("loss"))
            self._move_total()

    def finish(self, task: Task) -> None:
        """Takes the bar of a task away, or writes its line."""
        self._finished += 1
        loss = self._infos.pop(task, {}).get("loss")
        if self._display:
            self._display.remove_task(self._bars.pop(task))
            self._move_total()
        else:
            seconds = time.monotonic() - self._started[task]
            ending = "" if loss is None else f", loss {loss:.4g}"
            line = f"{self._title_now()}: {task.label} took {seconds:.1f} s{ending}"
            self._console.print(line, markup=False, highlight=False, soft_wrap=True)

    def end(self) -> None:
        """Closes the display."""
        if self._display:
            self._display.stop()
            self._display = None

    def _title_now(self) -> str:
        return f"{self._title} {self._finished}/{self._count}"

    def _move_total(self) -> None:
        assert self._display is not None
        parts = [min(1.0, info.get("done", 0) / info["total"]) for info in self._infos.values() if info.get("total")]
        self._display.update(self._total, completed=self._finished + sum(parts), description=self._title_now())


class _Loss(ProgressColumn):
    """The loss a task last reported."""

    def render(self, task: RichTask) -> Text:
        loss = task.fields.get("loss")
        return Text("" if loss is None else f"loss {loss:.4g}", style="cyan")
