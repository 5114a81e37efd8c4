"""What a command says: lines for people, JSON for scripts, and one sentence where something is wrong."""

import json
import math
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

import typer

INTERRUPTED = 130


def say(line: str, *, quiet_stdout: bool = False) -> None:
    """Print a line at once; to stderr where stdout is kept for JSON."""
    print(line, file=sys.stderr if quiet_stdout else sys.stdout, flush=True)


def emit(result: Mapping[str, object]) -> None:
    """Print a result as JSON on stdout, paths as text, NaN and infinity as null."""
    print(json.dumps(_plain(result), indent=2, allow_nan=False), flush=True)


def fail(sentence: str) -> int:
    """Print one sentence on stderr and give the exit code of an error."""
    print(f"egregium: {' '.join(sentence.split())}", file=sys.stderr, flush=True)
    return 2


@contextmanager
def resumable(advice: str) -> Iterator[None]:
    """Turn Ctrl-C into advice on how to go on, and the exit code that shells expect of it."""
    try:
        yield
    except KeyboardInterrupt:
        print(f"\nInterrupted. {advice}", file=sys.stderr, flush=True)
        raise typer.Exit(INTERRUPTED) from None


def _plain(value: object) -> object:
    match value:
        case Path():
            return str(value)
        case bool() | int() | str() | None:
            return value
        case float():
            return value if math.isfinite(value) else None
        case Mapping():
            return {str(key): _plain(item) for key, item in value.items()}
        case Sequence() | set():
            return [_plain(item) for item in value]
        case _ if hasattr(value, "item"):  # a numpy scalar
            return _plain(value.item())  # type: ignore[attr-defined]
        case _:
            return str(value)
