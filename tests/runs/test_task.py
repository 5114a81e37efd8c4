"""A task is its content: the same address for the same work, another for any difference."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from egregium.errors import OptionError, RunError
from egregium.runs import task as module
from egregium.runs.task import Job, Task, resolve

SLEEPY = "egregium.testing.tasks:sleepy"


@given(st.dictionaries(st.text(), st.integers() | st.text() | st.lists(st.floats(allow_nan=False, allow_infinity=False))))
def test_the_order_of_arguments_and_the_label_do_not_matter(arguments: dict) -> None:
    a, b = Task(SLEEPY, arguments, label="a"), Task(SLEEPY, dict(reversed(arguments.items())), label="b")
    assert a.address == b.address and a == b and len({a, b}) == 1
    assert len(a.address) == 32


def test_any_difference_is_another_address(monkeypatch: pytest.MonkeyPatch) -> None:
    first, second = Task(SLEEPY, {"name": "first"}), Task(SLEEPY, {"name": "second"})
    tasks = [
        first,
        second,
        Task("egregium.testing.tasks:failing", {"name": "first"}),
        Task(SLEEPY, {"name": "first"}, (second,)),
    ]
    tasks += [Task(SLEEPY, {}, (first, second)), Task(SLEEPY, {}, (second, first)), Task(SLEEPY, {}, (first,))]
    with monkeypatch.context() as patch:
        patch.setattr(module, "code_behind", lambda name: "another")
        tasks.append(Task(SLEEPY, {"name": "first"}))
    assert len({task.address for task in tasks}) == len(tasks)


def test_a_task_keeps_its_own_arguments() -> None:
    hidden = [256]
    task = Task(SLEEPY, {"hidden": hidden, "shape": (1, 8, 8)})
    address = task.address
    hidden.append(128)
    assert task.arguments == {"hidden": [256], "shape": [1, 8, 8]} and task.address == address


@pytest.mark.parametrize(
    "call",
    [
        "",
        "os:system",
        "egregium:fit",
        "egregium.models",
        "egregium.models:",
        "egregium.a:b.c",
        "egregium.a-b:c",
        "xegregium.a:b",
        "egregium.a:b\n",
    ],
)
def test_calls_outside_the_package_are_refused(call: str) -> None:
    with pytest.raises(OptionError, match=r"expected 'egregium\.module:function'"):
        Task(call, {})
    with pytest.raises(RunError):
        resolve(call)


@pytest.mark.parametrize("arguments", [{"a": float("nan")}, {"a": object()}, {1: 2}, [1], None])
def test_arguments_are_json(arguments: dict) -> None:
    with pytest.raises(OptionError, match="arguments"):
        Task(SLEEPY, arguments)


@pytest.mark.parametrize(
    ("call", "reason"),
    [
        ("egregium.nowhere:fit", "cannot be found"),
        ("egregium.testing.tasks:nothing", "cannot be found"),
        ("egregium.testing.tasks:JOURNAL", "not a function"),
        ("egregium.testing.tasks:Path", "not a function"),
        ("egregium.testing.tasks:os", "not a function"),
        ("egregium.runs.task:dataclass", "not a function defined in the egregium package"),
    ],
)
def test_only_functions_of_the_package_are_resolved(call: str, reason: str) -> None:
    with pytest.raises(RunError, match=reason):
        resolve(call)


def test_resolving_finds_the_function() -> None:
    assert resolve(SLEEPY).__name__ == "sleepy"


def test_a_job_comes_back_from_json() -> None:
    job = Job("a", "label", SLEEPY, {"x": 1}, ("b",), ("tasks/b",), "out", "log")
    assert Job.from_json(job.to_json()) == job
