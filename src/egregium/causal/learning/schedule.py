"""How an objective changes while training goes on, and until when targets are held."""

from dataclasses import dataclass
from typing import ClassVar

from egregium.causal.learning.method import Method
from egregium.errors import OptionError

FREE = 0.3  # share of the rise after which causes are let in
DOUBT = 0.01


@dataclass(frozen=True)
class Phase:
    """Attributes:
    beta: weight of divergences.
    blend: share of the prior that knows of causes, on a target's coordinate; the rest is N(0, 1).
    doubt: probability that a target, found beforehand or given, is wrong.
    """

    beta: float
    blend: float
    doubt: float


@dataclass(frozen=True)
class Schedule:
    """Rises to 1, geometric of beta and linear of the blend, until a share of the training; without doubt until then."""

    first_beta: float
    until: float

    def at(self, share: float) -> Phase:
        """The phase at a share, from 0 to 1, of the training."""
        risen = min(1.0, share / self.until)
        blend = max(0.0, (risen - FREE) / (1 - FREE))
        return Phase(self.first_beta ** (1 - risen), blend, DOUBT if risen == 1 else 0.0)


@dataclass(frozen=True)
class Targeted(Method):
    """Hyper-parameters of methods that have a posterior of targets.

    Args:
        first_beta: weight of divergences, at first.
        held: share of the steps in which targets are held and the objective rises.

    Raises:
        OptionError: a value out of its range.
    """

    first_beta: float = 0.01
    held: float = 0.5

    uses_targets: ClassVar[bool] = True

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.held > 1:
            raise OptionError(f"{self.name}(held=) expects a share of the steps, above 0 and at most 1; got {self.held!r}.")

    def schedule(self) -> Schedule:
        """Of beta and the blend."""
        return Schedule(self.first_beta, self.held)
