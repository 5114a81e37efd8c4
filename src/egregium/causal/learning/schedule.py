"""How an objective changes while training goes on."""

from dataclasses import dataclass

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
