"""Bars on a terminal, lines elsewhere."""

import io
from collections.abc import Callable

from rich.console import Console

from egregium.runs.progress import Bars, Overall, Silent
from egregium.runs.task import Task


def shown(terminal: bool, tasks: list[Task]) -> str:
    stream = io.StringIO()
    bars = Bars("trainings", Console(file=stream, force_terminal=terminal, width=100))
    bars.begin(len(tasks))
    for task in tasks:
        bars.start(task)
        bars.update(task, {"done": 1, "total": 4})
        bars.update(task, {"done": 2, "loss": 0.125})
        if bars._display:
            bars._display.refresh()
    for task in tasks:
        bars.finish(task)
    bars.end()
    return stream.getvalue()


def test_lines_where_there_is_no_terminal(example: Callable[..., Task]) -> None:
    lines = shown(False, [example("sleepy", "seed [1]"), example("sleepy", "seed 2")]).splitlines()
    assert [line.split(" took ")[0] for line in lines] == ["trainings 1/2: seed [1]", "trainings 2/2: seed 2"]
    assert all(line.endswith(" s, loss 0.125") for line in lines)


def test_tasks_finished_before_are_counted(example: Callable[..., Task]) -> None:
    stream, task = io.StringIO(), example("sleepy", "last")
    bars = Bars("trainings", Console(file=stream, width=100))
    bars.begin(1, finished=4)
    bars.start(task)
    bars.finish(task)
    assert stream.getvalue().startswith("trainings 5/5: last took ")


def test_bars_on_a_terminal(example: Callable[..., Task]) -> None:
    text = shown(True, [example("sleepy", "seed [1]"), example("sleepy", "seed 2")])
    assert "trainings 0/2" in text and "seed [1]" in text and "loss 0.125" in text and " 50 %" in text


def test_bars_without_any_task_say_nothing() -> None:
    assert shown(True, []) == "" == shown(False, [])


def test_bars_write_to_stderr_by_default() -> None:
    assert Bars()._console.stderr


def test_silence_is_a_progress_and_bars_want_to_know_all() -> None:
    assert isinstance(Bars(), Overall) and not isinstance(Silent(), Overall)
