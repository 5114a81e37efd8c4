"""How an objective changes while training goes on."""

from dataclasses import dataclass

from egregium.causal.learning.method import Method
from egregium.errors import OptionError

FREE = 0.3  # share of the cooling after which causes are let in


@dataclass(frozen=True)
class Phase:
    """Attributes:
    alone: the autoencoder is trained without pairs.
    beta: weight of divergences.
    temperature: of the sum over targets.
    blend: share of the prior that knows of causes, on a target's coordinate; the rest is N(0, 1).
    cooling: the temperature still falls.
    """

    alone: bool
    beta: float
    temperature: float
    blend: float
    cooling: bool


@dataclass(frozen=True)
class Schedule:
    """Geometric falls of temperature and rises of beta to 1, between two shares of the training."""

    temperature: float
    first_beta: float
    warmup: float
    cooled: float

    def at(self, share: float) -> Phase:
        """The phase at a share, from 0 to 1, of the training."""
        cooling = min(1.0, max(0.0, (share - self.warmup) / (self.cooled - self.warmup)))
        return Phase(
            alone=share < self.warmup,
            beta=self.first_beta ** (1 - cooling),
            temperature=max(1.0, self.temperature ** (1 - cooling)),
            blend=min(1.0, max(0.0, (cooling - FREE) / (1 - FREE))),
            cooling=cooling < 1,
        )


@dataclass(frozen=True)
class Cooled(Method):
    """Hyper-parameters of methods whose training cools.

    Args:
        temperature: in nats a number of an observation, at first.
        first_beta: weight of divergences, at first.
        warmup: share of the steps in which the autoencoder is trained alone.
        cooled: share of the steps after which temperature and weight are 1.

    Raises:
        OptionError: a value out of its range.
    """

    temperature: float = 25.0
    first_beta: float = 0.01
    warmup: float = 0.1
    cooled: float = 0.5

    def __post_init__(self) -> None:
        super().__post_init__()
        if not self.warmup < self.cooled <= 1:
            raise OptionError(f"{self.name} expects 0 < warmup < cooled <= 1; got {self.warmup} and {self.cooled}.")

    def schedule(self, width: int) -> Schedule:
        """For observations `(N, width)`."""
        return Schedule(self.temperature * width, self.first_beta, self.warmup, self.cooled)
