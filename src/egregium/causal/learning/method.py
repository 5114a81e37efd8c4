"""What all methods share that learn latent variables from pairs: hyper-parameters, and what a trained network answers."""

import math
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import MISSING, dataclass, fields
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from egregium.causal.learning.solutions import Solution
from egregium.errors import ModelError, OptionError


@dataclass(frozen=True)
class Method(ABC):
    """Hyper-parameters of a way to learn n latent variables from pairs of observations; `fit` trains it.

    Args:
        n: latent variables.
        hidden: widths of the perceptrons.
        components: principal components of the observations that the networks see; all numbers of an observation by default.
        steps: of Adam.
        batch_size: pairs a step.
        lr: the highest learning rate, reached after 100 steps; it falls to 0 on a cosine.

    Raises:
        OptionError: a value out of its range.
    """

    n: int
    hidden: tuple[int, ...] = (64, 64)
    components: int | None = None
    steps: int = 4000
    batch_size: int = 512
    lr: float = 3e-3

    name: ClassVar[str]
    needs_targets: ClassVar[bool] = False
    uses_targets: ClassVar[bool] = False  # where they are known

    def __post_init__(self) -> None:
        if isinstance(self.hidden, Sequence):
            object.__setattr__(self, "hidden", tuple(self.hidden))
        for one in fields(self):
            value = getattr(self, one.name)
            if isinstance(one.default, float) and not (_real(value) and 0 < value < math.inf):
                raise OptionError(f"{self.name}({one.name}=) expects a positive finite number; got {value!r}.")
            if (one.name == "n" or isinstance(one.default, int)) and not _whole(value):
                raise OptionError(f"{self.name}({one.name}=) expects a whole number of at least 1; got {value!r}.")
        if self.components is not None and not _whole(self.components):
            raise OptionError(
                f"{self.name}(components=) expects a whole number of at least 1, or None; got {self.components!r}."
            )
        if not isinstance(self.hidden, tuple) or not self.hidden or not all(map(_whole, self.hidden)):
            raise OptionError(f"{self.name}(hidden=) expects whole numbers of at least 1, one a layer; got {self.hidden!r}.")

    @abstractmethod
    def build(self, width: int, generator: torch.Generator) -> "PairModel":
        """The untrained network for observations `(N, width)`, its weights drawn from the generator."""

    def to_json(self) -> dict[str, Any]:
        """The hyper-parameters as a JSON object, with the key "method" telling their kind."""
        given = {one.name: getattr(self, one.name) for one in fields(self)}
        return {"method": self.name} | {name: list(one) if isinstance(one, tuple) else one for name, one in given.items()}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> "Method":
        """Inverse of `to_json`, for this method. Raises: `ModelError`, `OptionError`."""
        given = {name: value for name, value in data.items() if name != "method"}
        known = {one.name: one for one in fields(cls)}
        missing = [name for name, one in known.items() if one.default is MISSING and name not in given]
        if data.get("method") != cls.name or missing or not set(given) <= set(known):
            raise ModelError(f"this is no specification of the method {cls.name}: {dict(data)!r}.")
        return cls(**given)


def _whole(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 1


def _real(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


class PairModel(nn.Module, ABC):
    """A network that is trained on pairs of standardised observations `(B, width)`, and then encodes and decodes them.

    Args:
        solution: how variables come of what `encode` gives: the same for methods that know of no causes.
    """

    def __init__(self, solution: Solution) -> None:
        super().__init__()
        self.solution = solution

    @abstractmethod
    def objective(self, x: Tensor, y: Tensor, targets: Tensor | None, share: float, generator: torch.Generator) -> Tensor:
        """What is minimised at a share, from 0 to 1, of the training: a scalar of pairs x before and y after `(B, width)`.

        `targets` `(B,)`, 0 for none and i + 1 for variable i, are there only for methods that need them.
        """

    def start(self, x: Tensor, y: Tensor, targets: Tensor) -> None:
        """Begin from what all pairs `(N, width)` and their targets `(N,)`, -1 where these are open, tell at once."""

    @abstractmethod
    def encode(self, x: Tensor) -> Tensor:
        """Latent variables `(N, n)`, before any solution: noises, where the method knows of causes."""

    @abstractmethod
    def decode(self, e: Tensor) -> Tensor:
        """`(N, n) -> (N, width)`."""

    @abstractmethod
    def found_targets(self, x: Tensor, y: Tensor) -> Tensor:
        """The likeliest target `(N,)` of each pair, 0 for none and i + 1 for latent variable i."""
