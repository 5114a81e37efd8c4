"""Which rows are for training and which for testing: published parts are kept, others are split by a seeded shuffle."""

import math
from dataclasses import dataclass, replace

import numpy as np

from egregium.errors import DataError, OptionError


@dataclass(frozen=True, eq=False)
class Parts:
    """What a reader found: float32 arrays `(N, *shape)`, int64 labels `(N,)`; `test` is None where the source has no test part.

    `classes[label]` is the name of a label, or `classes` is empty where labels were integers to begin with. `note` is a
    sentence about what looks like an oversight, if anything does.
    """

    train: np.ndarray
    test: np.ndarray | None = None
    train_labels: np.ndarray | None = None
    test_labels: np.ndarray | None = None
    classes: tuple[str, ...] = ()
    origin: str = ""
    note: str = ""


@dataclass(frozen=True)
class Selection:
    """How a source is divided: `test_fraction` of its rows where it has no test part, at most `limit` rows of each part.

    Raises:
        OptionError: `test_fraction` outside (0, 1), `seed` outside 0 .. 2**32 - 1, or `limit` below 1.
    """

    test_fraction: float = 0.2
    seed: int = 0
    limit: int | None = None

    def __post_init__(self) -> None:
        if not (math.isfinite(self.test_fraction) and 0 < self.test_fraction < 1):
            raise OptionError(f"test_fraction is {self.test_fraction}: give a share above 0 and below 1, such as 0.2.")
        if not _whole(self.seed) or not 0 <= self.seed < 2**32:
            raise OptionError(f"seed is {self.seed!r} (--seed): give an integer from 0 to {2**32 - 1}.")
        if self.limit is not None and (not _whole(self.limit) or self.limit < 1):
            raise OptionError(f"limit is {self.limit!r} (--limit): give a number of examples of at least 1, or None for all.")

    def rows(self, train: int, test: int | None, *, shuffle: bool = False) -> tuple[np.ndarray, np.ndarray]:
        """Row numbers of the training and of the test examples, for a source with `train` and `test` rows.

        Where `test` is None both index the same `train` rows, and are disjoint. Training rows come in a random order, so
        that any stretch of them is a fair sample (files are often sorted by class); a published test part keeps its order
        unless `shuffle` or a `limit` asks otherwise. A smaller limit gives a prefix of what a larger one gives.

        >>> Selection(test_fraction=0.4, limit=2).rows(5, None)
        (array([3, 4]), array([2, 0]))
        """
        if train < 1 or test == 0:
            raise DataError(f"The source holds {train} training and {test or 0} test examples; both parts need at least one.")
        if test is not None:
            kept = np.arange(test) if self.limit is None and not shuffle else self._shuffled(test, 1)
            return self._shuffled(train, 0)[: self.limit], kept[: self.limit]
        if train < 2:
            raise DataError("The source holds one example and no test part; at least two are needed, one of each.")
        order = self._shuffled(train, 0)
        held = min(max(round(self.test_fraction * train), 1), train - 1)
        return order[held:][: self.limit], order[:held][: self.limit]

    def apply(self, parts: Parts) -> Parts:
        """The parts with a test part and no more rows than the limit."""
        train, test = self.rows(len(parts.train), None if parts.test is None else len(parts.test))
        pool, pool_labels = (parts.train, parts.train_labels) if parts.test is None else (parts.test, parts.test_labels)
        return replace(
            parts,
            train=parts.train[train],
            test=pool[test],
            train_labels=None if parts.train_labels is None else parts.train_labels[train],
            test_labels=None if pool_labels is None else pool_labels[test],
        )

    def _shuffled(self, count: int, stream: int) -> np.ndarray:
        # RandomState, not Generator: its stream is frozen by NumPy's policy (NEP 19), so a split outlives upgrades.
        return np.random.RandomState([self.seed, stream]).permutation(count)


def _whole(value: object) -> bool:
    return isinstance(value, int | np.integer) and not isinstance(value, bool)
