"""Example tasks for trying out and testing the machinery in `egregium.runs`: they sleep, print, fail and crash."""

import os
import signal
import sys
import time
from pathlib import Path

import torch

from egregium.errors import DataError
from egregium.runs.files import read_json, read_tensors, write_json, write_tensors
from egregium.runs.task import Report, Task

JOURNAL = "EGREGIUM_TEST_JOURNAL"
"""Environment variable: a file to which every example task appends its name when it begins."""


def _note(arguments: dict) -> None:
    if os.environ.get(JOURNAL):
        descriptor = os.open(os.environ[JOURNAL], os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o666)
        os.write(descriptor, f"{arguments['name']}\n".encode())
        os.close(descriptor)


def sleepy(arguments: dict, inputs: list[Path], out: Path, progress: Report) -> None:
    """Sleeps `seconds` in `steps` and writes random numbers seeded by `name`, plus the sums of its inputs."""
    _note(arguments)
    steps = arguments.get("steps", 4)
    for step in range(steps):
        time.sleep(arguments.get("seconds", 0.0) / steps)
        progress({"done": step + 1, "total": steps, "loss": 1.0 / (step + 1)})
    generator = torch.Generator().manual_seed(sum(arguments["name"].encode()))
    numbers = torch.randn(arguments.get("size", 16), generator=generator)
    total = sum((read_tensors(folder / "numbers.safetensors")[0]["numbers"].sum() for folder in inputs), numbers.sum())
    write_tensors(out / "numbers.safetensors", {"numbers": numbers}, {"name": arguments["name"]})
    write_json(out / "sum.json", {"sum": float(total), "inputs": [read_json(folder / "sum.json")["sum"] for folder in inputs]})


def printing(arguments: dict, inputs: list[Path], out: Path, progress: Report) -> None:
    """Prints to stdout and stderr, from Python and past it, tries to read from stdin, and says what its process is like."""
    print("printed by Python")
    print("complained by Python", file=sys.stderr)
    sys.stdout.flush()
    os.write(1, b"written past Python\n")
    address = Task("egregium.testing.tasks:printing", {"letters": ["b", "a"], "number": 2.5}).address
    write_json(out / "process.json", {"stdin": sys.stdin.read(), "threads": torch.get_num_threads(), "address": address})


def failing(arguments: dict, inputs: list[Path], out: Path, progress: Report) -> None:
    """Fails: with an error of this library for `kind` "sentence", of Python for "foreign", by `sys.exit` for "exit"."""
    _note(arguments)
    write_json(out / "half.json", {"half": True})
    if arguments["kind"] == "sentence":
        raise DataError("the file has 3 columns where 4 are expected: check it")
    if arguments["kind"] == "exit":
        sys.exit(3)
    raise ZeroDivisionError("a foreign error")


def crashing(arguments: dict, inputs: list[Path], out: Path, progress: Report) -> None:
    """Prints a line and kills its own process with the signal `signal`."""
    _note(arguments)
    print("about to crash", flush=True)
    os.kill(os.getpid(), arguments.get("signal", signal.SIGKILL))
    time.sleep(60)


def unseeded(arguments: dict, inputs: list[Path], out: Path, progress: Report) -> None:
    """Draws from the global generator, as no task should: the engine seeds it by the address of the task."""
    write_tensors(out / "numbers.safetensors", {"numbers": torch.randn(4)})


def fickle(arguments: dict, inputs: list[Path], out: Path, progress: Report) -> None:
    """Writes the process's own number: never the same twice, which `verify` must notice."""
    write_json(out / "sum.json", {"sum": os.getpid()})
