"""Interventions on causal variables, and sets of them with a law."""

import math
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from numbers import Real
from typing import NamedTuple

import torch
from torch import Tensor
from torch.distributions import Distribution, Normal, TransformedDistribution, constraints

from egregium.causal.mechanisms import Constant, Linear, Mechanism, Shifted, support
from egregium.errors import OptionError, TensorError

HALVES = (  # of the line, and intervals: the supports of laws that some numbers never come of
    constraints.greater_than,
    constraints.greater_than_eq,
    constraints.less_than,
    constraints.interval,
    constraints.half_open_interval,
)


class Variable(NamedTuple):
    """What makes a causal variable: its parents, its mechanism and the law of its noise."""

    parents: tuple[int, ...]
    mechanism: Mechanism
    noise: Distribution


class Intervention(ABC):
    """A change of the mechanisms of some variables, its targets; atomic where there is one."""

    @property
    @abstractmethod
    def targets(self) -> tuple[int, ...]:
        """The variables whose mechanism is changed, in increasing order."""

    @property
    @abstractmethod
    def fresh(self) -> tuple[int, ...]:
        """The targets whose noise is drawn anew when a world is compared with itself before the intervention."""

    @abstractmethod
    def replaced(self, i: int, variable: Variable) -> Variable:
        """What becomes of the target i."""

    @property
    def perfect(self) -> bool:
        """Whether targets no longer depend on their parents, and have a density."""
        return False


@dataclass(frozen=True, eq=False)
class Do(Intervention):
    """Set variables to values: `Do({0: 1.5})`; a value may be a tensor, one for each row that the changed model solves.

    Raises: `OptionError` for what is no mapping, or values that are no numbers; `TensorError` for tensors that are not finite
    real numbers `()` or `(N,)`.
    """

    values: Mapping[int, float | Tensor]

    def __post_init__(self) -> None:
        _require_targets(self, self.values)
        _require_values(self, self.values)

    @property
    def targets(self) -> tuple[int, ...]:
        return tuple(sorted(self.values))

    @property
    def fresh(self) -> tuple[int, ...]:
        return ()

    def replaced(self, i: int, variable: Variable) -> Variable:
        return Variable((), Constant(self.values[i]), variable.noise)


@dataclass(frozen=True, eq=False)
class Perfect(Intervention):
    """Cut variables off their parents and draw them from laws of their own: `Perfect({0: Normal(0.0, 1.0)})`.

    Raises: `OptionError` for what is no mapping, or laws without a density on the line.
    """

    laws: Mapping[int, Distribution]

    def __post_init__(self) -> None:
        _require_targets(self, self.laws)
        for law in self.laws.values():
            require_law(law)

    @property
    def targets(self) -> tuple[int, ...]:
        return tuple(sorted(self.laws))

    @property
    def fresh(self) -> tuple[int, ...]:
        return self.targets

    @property
    def perfect(self) -> bool:
        return True

    def replaced(self, i: int, variable: Variable) -> Variable:
        return Variable((), Linear(), self.laws[i])


@dataclass(frozen=True, eq=False)
class Soft(Intervention):
    """Give variables other mechanisms.

    Args:
        mechanisms: of the targets.
        parents: of the targets where they are not those they had; none of them may be new ancestors that close a cycle.
        noise: laws of the targets' noise where it is drawn anew; other targets keep the noise that they had.
    """

    mechanisms: Mapping[int, Mechanism]
    parents: Mapping[int, Sequence[int]] | None = None
    noise: Mapping[int, Distribution] | None = None

    def __post_init__(self) -> None:
        _require_targets(self, self.mechanisms)
        for name in ("parents", "noise"):
            if not set(getattr(self, name) or {}) <= set(self.mechanisms):
                raise OptionError(f"Soft({name}) speaks of variables that are not targets {self.targets}.")
        for law in (self.noise or {}).values():
            require_law(law)

    @property
    def targets(self) -> tuple[int, ...]:
        return tuple(sorted(self.mechanisms))

    @property
    def fresh(self) -> tuple[int, ...]:
        return tuple(sorted(self.noise or {}))

    def replaced(self, i: int, variable: Variable) -> Variable:
        parents = tuple(sorted((self.parents or {}).get(i, variable.parents)))
        return Variable(parents, self.mechanisms[i], (self.noise or {}).get(i, variable.noise))


@dataclass(frozen=True, eq=False)
class Shift(Intervention):
    """Add to variables, which depend on their parents and on their noise as before: `Shift({0: 2.0})`.

    Raises: see `Do`.
    """

    by: Mapping[int, float | Tensor]

    def __post_init__(self) -> None:
        _require_targets(self, self.by)
        _require_values(self, self.by)

    @property
    def targets(self) -> tuple[int, ...]:
        return tuple(sorted(self.by))

    @property
    def fresh(self) -> tuple[int, ...]:
        return ()

    def replaced(self, i: int, variable: Variable) -> Variable:
        return variable._replace(mechanism=Shifted(variable.mechanism, self.by[i]))


@dataclass(frozen=True, eq=False)
class InterventionLaw:
    """Interventions of which one is drawn for each pair of observations, with its probability.

    Args:
        interventions: the set; `None` is the one that changes nothing.
        probabilities: of each, positive and of sum 1; equal by default.

    Raises:
        OptionError: no interventions; probabilities that are no law with full support: what has none is to be left out.

    >>> [one.targets if one else () for one in InterventionLaw.atomic(2).interventions]
    [(), (0,), (1,)]
    """

    interventions: tuple[Intervention | None, ...]
    probabilities: tuple[float, ...] = ()

    def __post_init__(self) -> None:
        given = self.interventions
        if (
            not isinstance(given, Sequence)
            or not given
            or not all(one is None or isinstance(one, Intervention) for one in given)
        ):
            raise OptionError(f"InterventionLaw expects one or more interventions, or None for nothing; got {given!r}.")
        count = len(given)
        try:
            probabilities = tuple(map(float, self.probabilities)) or (1 / count,) * count
        except (TypeError, ValueError) as error:
            raise OptionError(f"InterventionLaw expects {count} probabilities; got {self.probabilities!r}.") from error
        object.__setattr__(self, "interventions", tuple(given))
        object.__setattr__(self, "probabilities", probabilities)
        if len(self.probabilities) != count or not math.isclose(sum(self.probabilities), 1, rel_tol=1e-6):
            raise OptionError(f"InterventionLaw expects {count} probabilities that sum to 1; got {self.probabilities}.")
        if not all(0 < one <= 1 for one in self.probabilities):
            raise OptionError(
                f"the law of interventions has full support on its set; got probabilities {self.probabilities}: leave out "
                "interventions that never happen."
            )

    @classmethod
    def atomic(
        cls, n: int, laws: Distribution | Sequence[Distribution] | None = None, probabilities: Sequence[float] = ()
    ) -> "InterventionLaw":
        """Nothing, and a perfect intervention on each of n variables: what identifies a latent causal model.

        Args:
            laws: of the variables when they are targets, N(0, 1) by default.
            probabilities: of nothing, and of each target; equal by default.

        Raises: `OptionError`.
        """
        if not isinstance(n, int) or n < 1:
            raise OptionError(f"InterventionLaw.atomic expects a number n >= 1 of variables; got {n!r}.")
        if laws is None:
            laws = standard_normal()
        each = [laws] * n if isinstance(laws, Distribution) else laws
        if not isinstance(each, Sequence) or len(each) != n:
            got = len(each) if isinstance(each, Sequence) else repr(each)
            raise OptionError(f"InterventionLaw.atomic expects one law or {n} of them; got {got}.")
        return cls((None, *(Perfect({i: law}) for i, law in enumerate(each))), probabilities)  # type: ignore[arg-type]

    def targets(self) -> tuple[tuple[int, ...], ...]:
        """The targets of each intervention, () for nothing."""
        return tuple(one.targets if one else () for one in self.interventions)

    def missing(self, n: int) -> tuple[tuple[int, ...], ...]:
        """Sets of targets out of {}, {0}, ..., {n - 1} that no perfect intervention of the set has.

        Where some are missing the theorem of Brehmer et al. 2022 (arXiv 2203.16437) says nothing about the model.
        """
        found = {one.targets if one else () for one in self.interventions if one is None or one.perfect}
        return tuple(one for one in ((), *((i,) for i in range(n))) if one not in found)

    def bounded(self) -> tuple[int, ...]:
        """Targets of perfect interventions whose law has no full support on the line, as far as torch tells."""
        perfect = [one for one in self.interventions if isinstance(one, Perfect)]
        return tuple(sorted({i for one in perfect for i, law in one.laws.items() if _bounded(law)}))

    def sample(self, number: int, *, generator: torch.Generator | None = None) -> Tensor:
        """Which intervention, `(number,)`."""
        return torch.multinomial(torch.tensor(self.probabilities, dtype=torch.float64), number, True, generator=generator)


def standard_normal() -> Normal:
    """N(0, 1) in float64."""
    return Normal(torch.zeros((), dtype=torch.float64), torch.ones((), dtype=torch.float64))


def require_law(law: object) -> None:
    """Check that something is the law of one real number, with a density.

    Raises: `OptionError`.
    """
    if not isinstance(law, Distribution) or law.event_shape or law.batch_shape:
        raise OptionError(f"expected the law of one number, such as torch.distributions.Normal(0.0, 1.0); got {law!r}.")
    if _discrete(law):
        raise OptionError(f"expected a law with a density, such as torch.distributions.Normal(0.0, 1.0); {law!r} is discrete.")


def _discrete(law: Distribution) -> bool:
    found = support(law)
    inside = isinstance(law, TransformedDistribution) and _discrete(law.base_dist)
    return inside or (found is not None and found.is_discrete)


def _bounded(law: Distribution) -> bool:
    """Whether the law's support is known to be less than the line; maps of the whole line leave it so."""
    if isinstance(support(law), HALVES):
        return True
    if not isinstance(law, TransformedDistribution):
        return False
    return all(isinstance(one.domain, type(constraints.real)) for one in law.transforms) and _bounded(law.base_dist)


def _require_targets(intervention: Intervention, given: object) -> None:
    targets = list(given) if isinstance(given, Mapping) else []
    if not targets or not all(isinstance(i, int) and not isinstance(i, bool) and i >= 0 for i in targets):
        name, got = type(intervention).__name__, f"the targets {targets}" if isinstance(given, Mapping) else repr(given)
        raise OptionError(f"{name} expects a mapping from variables, such as {{0: ...}}; got {got}.")


def _require_values(intervention: Intervention, values: Mapping[int, object]) -> None:
    name = type(intervention).__name__
    for i, value in values.items():
        if isinstance(value, Tensor):
            if value.is_complex() or value.ndim > 1 or not bool(torch.isfinite(value).all()):
                kind = f"{value.dtype} {tuple(value.shape)}"
                raise TensorError(
                    f"{name} expects finite real numbers, () or (N,) of N rows; variable {i} got {kind}: {value}."
                )
        elif not isinstance(value, Real) or not math.isfinite(value):
            raise OptionError(f"{name} expects a finite real number, or a tensor of them; variable {i} got {value!r}.")
