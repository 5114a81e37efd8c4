"""Small trainings of every method, for all tests of this folder."""

import signal
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache

import pytest
import torch
from torch import Tensor

from egregium.causal.learning import METHODS, Learned, Method, fit

SMALL = {"hidden": (16, 16), "steps": 60, "batch_size": 32}


@dataclass(frozen=True, eq=False)
class Small:
    """Pairs of a chain of two variables seen through a rotation, and what trains on them."""

    x: Tensor
    x_after: Tensor
    targets: Tensor

    def method(self, kind: type[Method], **options: object) -> Method:
        return kind(2, **(SMALL | options))  # pyright: ignore[reportArgumentType]

    def given(self, kind: type[Method]) -> Tensor | None:
        return self.targets if kind.needs_targets else None

    def fit(self, kind: type[Method], *, seed: int = 0, out: object = None, **options: object) -> Learned:
        method, targets = self.method(kind, **options), self.given(kind)
        return fit(method, self.x, self.x_after, targets=targets, seed=seed, out=out, progress=False)  # pyright: ignore


@pytest.fixture(autouse=True)
def heard() -> Iterator[None]:
    """Ctrl-C is heard, though the tests may run where it is ignored, as in the background of a shell."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.fixture(scope="session")
def small(pairs: Callable) -> Small:
    truth = pairs(((0.0, 0), (1.2, 0)), 400)
    turn = torch.tensor([[0.8, 0.6], [-0.6, 0.8]], dtype=torch.float64)
    return Small(truth.z @ turn, truth.z_after @ turn, truth.targets)


@pytest.fixture(params=METHODS.values(), ids=list(METHODS))
def kind(request: pytest.FixtureRequest) -> type[Method]:
    return request.param


@pytest.fixture(scope="session")
def trained(small: Small) -> Callable[[type[Method]], Learned]:
    return cache(small.fit)
