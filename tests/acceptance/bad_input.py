"""What the cases of acceptance 8 share: names, decoders, and the judge: each must end in a sentence or in a status."""

import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from types import FrameType

import pytest
import torch
from torch import Tensor, nn

from egregium.errors import EgregiumError
from egregium.geodesics import Geodesic, SupportGraph, connect
from egregium.spaces import Pullback
from egregium.status import Status

SHORTEST_SENTENCE = 25
LONGEST_WAIT = 120

ZERO, ONE = torch.zeros(2).double(), torch.ones(2).double()

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


def judged(case: Case, request: pytest.FixtureRequest) -> str:
    """What a case came to, run with the fixtures that its arguments name."""
    arguments = case.__code__.co_varnames[: case.__code__.co_argcount]
    return require_typed(partial(case, **{name: request.getfixturevalue(name) for name in arguments}))


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


def bowl(z: Tensor) -> Tensor:
    return torch.cat([z, (z**2).sum(-1, keepdim=True)], -1)


def wavy(z: Tensor) -> Tensor:
    return torch.cat([z, 5 * (2 * z).sin()], -1)


def logarithmic(z: Tensor) -> Tensor:
    return torch.cat([z, z[:, :1].log()], -1)


def joined(decoder: object, z0: Tensor = ZERO, z1: Tensor = ONE, **options: object) -> object:
    return connect(Pullback(decoder), z0, z1, on_fail="mark", **options)  # type: ignore[arg-type]


def fresh(layer: nn.Module) -> nn.Module:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        for part in layer.modules():
            if isinstance(part, nn.Linear):
                part.reset_parameters()
    return layer


def path_graph(points: Tensor) -> SupportGraph:
    edges = torch.stack([torch.arange(len(points) - 1), torch.arange(1, len(points))], -1)
    return SupportGraph(points, edges, torch.ones(len(edges)))
