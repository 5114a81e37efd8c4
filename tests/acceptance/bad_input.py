"""What both halves of acceptance 8 share: named cases, and the judge that each must end in a sentence or in a status."""

import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

import pytest
from torch import Tensor

from egregium.errors import EgregiumError
from egregium.geodesics import Geodesic
from egregium.status import Status

SHORTEST_SENTENCE = 25
LONGEST_WAIT = 120

Case = Callable[..., object]


class Cases(dict[str, Case]):
    """Named cases, filled by a decorator; pytest's fixtures are the arguments of each."""

    def __call__(self, case: Case) -> Case:
        name = case.__name__.replace("_", " ").strip()
        assert name not in self, f"two cases named {name}"
        self[name] = case
        return case


def require_typed(outcome: Callable[[], object]) -> str:
    """Run a case; it must raise an error of this library with a sentence, or return statuses none of which is CONVERGED."""
    try:
        with limited():
            found = outcome()
    except EgregiumError as error:
        sentence = str(error).splitlines()[0]  # what a failed task printed may follow
        assert len(sentence) >= SHORTEST_SENTENCE, f"no sentence: {sentence!r}"
        assert " " in sentence and "Traceback" not in sentence and "<class" not in sentence, f"no sentence: {sentence!r}"
        return f"{type(error).__name__}: {sentence}"
    if isinstance(found, Geodesic):
        found = found.status
    assert isinstance(found, Tensor), f"neither an error nor a status, but {found!r:.200}"
    assert (found != Status.CONVERGED).all(), f"reported as CONVERGED: {found.tolist()}"
    return f"status {sorted({Status(code).name for code in found.flatten().tolist()})}"


@contextmanager
def limited(seconds: int = LONGEST_WAIT) -> Iterator[None]:
    """Turn a hang into a failure."""

    def stop(number: int, frame: FrameType | None) -> None:
        pytest.fail(f"hangs: no answer after {seconds} s")

    before = signal.signal(signal.SIGALRM, stop)
    signal.alarm(seconds)
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)
