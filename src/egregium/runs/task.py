"""Tasks: pieces of a run that are named by their content, so that a finished one is never computed again."""

import importlib
import inspect
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from egregium.errors import OptionError, RunError
from egregium.runs.code import code_behind
from egregium.runs.files import digest, plain

Report = Callable[[dict], None]
"""Receives `{"done": 3, "total": 50, "loss": 1.2}` and the like while a task goes on."""

TaskFunction = Callable[[dict, list[Path], Path, Report], None]
"""What a task calls: arguments, finished folders of its needs, a fresh folder for its files, a report of progress."""

_CALL = re.compile(r"egregium(\.[A-Za-z_]\w*)+:[A-Za-z_]\w*")


@dataclass(frozen=True, eq=False)
class Task:
    """One call of a function of the package on JSON arguments and on the files of other tasks.

    Two tasks of one `address` are the same task: it hashes the call, the arguments, the addresses of the needs and the
    code that the call reaches, so that a change elsewhere costs nothing. The label is for people and is not hashed.

    Args:
        call: `"egregium.module:function"`; the function is a `TaskFunction`.
        arguments: a JSON-like dict; the task keeps a copy.
        needs: tasks whose files the function reads, in the order in which it receives them.
        label: a few words for progress bars and errors.

    Raises:
        OptionError: the call lies outside the package, or the arguments are not JSON-like.

    >>> Task("egregium.testing.tasks:sleepy", {"name": "a", "seconds": 0.1}, label="a").label
    'a'
    """

    call: str
    arguments: dict[str, Any]
    needs: tuple["Task", ...] = ()
    label: str = ""
    address: str = field(init=False)

    def __post_init__(self) -> None:
        if not _CALL.fullmatch(self.call):
            raise OptionError(f"a task calls {self.call!r}: expected 'egregium.module:function', a function of this package")
        arguments = plain(self.arguments, "arguments")
        if not isinstance(arguments, dict):
            raise OptionError(f"the arguments of {self.call} are a {type(self.arguments).__name__}: expected a dict")
        object.__setattr__(self, "arguments", arguments)
        object.__setattr__(self, "needs", tuple(self.needs))
        needs = [need.address for need in self.needs]
        object.__setattr__(self, "address", content_address(self.call, arguments, needs, code_of(self.call)))
        object.__setattr__(self, "label", self.label or f"{self.call.rpartition(':')[2]} {self.address[:8]}")

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Task) and other.address == self.address

    def __hash__(self) -> int:
        return hash(self.address)


def code_of(call: str) -> str:
    """Hash of the code that a call reaches."""
    return code_behind(call.partition(":")[0])


def content_address(call: str, arguments: dict, needs: Iterable[str], code: str) -> str:
    """The address of a task, 32 hexadecimal digits, from its content."""
    return digest({"call": call, "arguments": arguments, "needs": list(needs), "code": code})[:32]


def resolve(call: str) -> TaskFunction:
    """The function that a call names.

    Raises:
        RunError: there is none, or it is not defined inside the egregium package.
    """
    if not _CALL.fullmatch(call):
        raise RunError(f"a task calls {call!r}: expected 'egregium.module:function', a function of this package")
    module_name, _, name = call.partition(":")
    try:
        found = getattr(importlib.import_module(module_name), name)
    except (ImportError, AttributeError) as error:
        raise RunError(f"a task calls {call}, which cannot be found ({error}): is this another version of egregium?") from error
    if not inspect.isfunction(found) or not found.__module__.startswith("egregium."):
        raise RunError(f"a task calls {call}, which is not a function defined in the egregium package")
    return found


@dataclass(frozen=True)
class Job:
    """A task made ready for one process: plain paths, and a fresh folder `out` that is renamed when it is finished."""

    address: str
    label: str
    call: str
    arguments: dict[str, Any]
    needs: tuple[str, ...]
    inputs: tuple[str, ...]
    out: str
    log: str

    def to_json(self) -> dict[str, Any]:
        """The job as a JSON-like dict."""
        return {**vars(self), "needs": list(self.needs), "inputs": list(self.inputs)}

    @classmethod
    def from_json(cls, stored: dict[str, Any]) -> "Job":
        """Inverse of `to_json`."""
        return cls(**{**stored, "needs": tuple(stored["needs"]), "inputs": tuple(stored["inputs"])})
