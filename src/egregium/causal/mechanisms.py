"""Causal mechanisms: how a variable comes of its noise and its parents, invertible in the noise.

Everywhere here `noise` and `value` are `(N,)` and `parents` `(N, k)`, the parents' values in the graph's order.
"""

import math
from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.distributions import Distribution, constraints

from egregium.causal.zuko import MonotonicRQSTransform
from egregium.errors import ModelError, OptionError, ShapeError

OfParents = Callable[[Tensor], Tensor]
REACH = 60  # doublings of the bracket in which a monotone mechanism is inverted
NEWTON = 100  # most steps of its inversion; bisection alone takes 60 in float64


class Mechanism(ABC):
    """A map `z = f(e; z_pa)` that is a diffeomorphism of the line in the noise e, for all values of the parents."""

    @abstractmethod
    def forward(self, noise: Tensor, parents: Tensor) -> Tensor:
        """The variable, `(N,)`."""

    @abstractmethod
    def inverse(self, value: Tensor, parents: Tensor) -> Tensor:
        """The noise that gives a value, `(N,)`."""

    @abstractmethod
    def log_derivative(self, noise: Tensor, parents: Tensor) -> Tensor:
        """`log |df / de|`, `(N,)`."""

    def log_prob(self, value: Tensor, parents: Tensor, law: Distribution) -> Tensor:
        """Log-density `(N,)` of the variable given its parents, where the noise has a law; -inf outside its support."""
        noise = self.inverse(value, parents)
        return log_density(law, noise) - self.log_derivative(noise, parents)


@dataclass(frozen=True)
class Linear(Mechanism):
    r"""`z = bias + weights^T z_pa + scale e`.

    >>> Linear((2.0,)).forward(torch.tensor([0.5]), torch.tensor([[1.0]]))
    tensor([2.5000])
    """

    weights: tuple[float, ...] = ()
    scale: float = 1.0
    bias: float = 0.0

    def __post_init__(self) -> None:
        object.__setattr__(self, "weights", tuple(float(weight) for weight in self.weights))
        if not (self.scale and all(map(math.isfinite, (self.scale, self.bias, *self.weights)))):
            raise OptionError(f"Linear expects finite weights and a scale that is not zero, to be invertible; got {self}.")

    def forward(self, noise: Tensor, parents: Tensor) -> Tensor:
        return self._location(parents) + self.scale * noise

    def inverse(self, value: Tensor, parents: Tensor) -> Tensor:
        return (value - self._location(parents)) / self.scale

    def log_derivative(self, noise: Tensor, parents: Tensor) -> Tensor:
        return torch.full_like(noise, math.log(abs(self.scale)))

    def _location(self, parents: Tensor) -> Tensor:
        return self.bias + parents @ parents.new_tensor(self.weights)


@dataclass(frozen=True)
class AdditiveNoise(Mechanism):
    """`z = location(z_pa) + e`; `location` maps `(N, k)` to `(N,)`."""

    location: OfParents

    def forward(self, noise: Tensor, parents: Tensor) -> Tensor:
        return self.location(parents) + noise

    def inverse(self, value: Tensor, parents: Tensor) -> Tensor:
        return value - self.location(parents)

    def log_derivative(self, noise: Tensor, parents: Tensor) -> Tensor:
        return torch.zeros_like(noise)


@dataclass(frozen=True)
class LocationScale(Mechanism):
    """`z = location(z_pa) + exp(log_scale(z_pa)) e`; both map `(N, k)` to `(N,)`."""

    location: OfParents
    log_scale: OfParents

    def forward(self, noise: Tensor, parents: Tensor) -> Tensor:
        return self.location(parents) + self.log_scale(parents).exp() * noise

    def inverse(self, value: Tensor, parents: Tensor) -> Tensor:
        return (value - self.location(parents)) * (-self.log_scale(parents)).exp()

    def log_derivative(self, noise: Tensor, parents: Tensor) -> Tensor:
        return self.log_scale(parents)


@dataclass(frozen=True)
class MonotoneSpline(Mechanism):
    """`z = location + exp(log_scale) h(e)`, h an increasing rational-quadratic spline; all of it hangs on the parents.

    Args:
        parameters: maps the parents `(N, k)` to `(N, 3 bins + 1)`: location, log-scale, and the logits of `bins` widths,
            `bins` heights and the `bins - 1` inner slopes of h. Zeros give `z = e`.
        bins: pieces of h.
        bound: h is the identity outside `[-bound, bound]`.

    References:
        Durkan et al. 2019, arXiv 1906.04032.
    """

    parameters: OfParents
    bins: int = 8
    bound: float = 5.0

    def __post_init__(self) -> None:
        if self.bins < 1 or not self.bound > 0:
            raise OptionError(f"MonotoneSpline expects bins >= 1 and bound > 0; got {self.bins} and {self.bound}.")

    def forward(self, noise: Tensor, parents: Tensor) -> Tensor:
        location, log_scale, spline = self._given(parents)
        return location + log_scale.exp() * spline(noise)

    def inverse(self, value: Tensor, parents: Tensor) -> Tensor:
        location, log_scale, spline = self._given(parents)
        return spline.inv((value - location) * (-log_scale).exp())

    def log_derivative(self, noise: Tensor, parents: Tensor) -> Tensor:
        _, log_scale, spline = self._given(parents)
        return log_scale + spline.log_abs_det_jacobian(noise, noise)

    def _given(self, parents: Tensor) -> tuple[Tensor, Tensor, Any]:
        found = self.parameters(parents)
        if found.shape != (len(parents), 3 * self.bins + 1):
            raise ModelError(
                f"MonotoneSpline(parameters) expects {3 * self.bins + 1} numbers a row for {self.bins} bins; got a tensor of "
                f"shape {tuple(found.shape)} for {len(parents)} rows."
            )
        location, log_scale, *shape = found.split([1, 1, self.bins, self.bins, self.bins - 1], -1)
        return location[:, 0], log_scale[:, 0], MonotonicRQSTransform(*shape, bound=self.bound)


@dataclass(frozen=True)
class Monotone(Mechanism):
    """`z = function(e, z_pa)` of any strictly monotone differentiable function onto the line; inverted by Newton's method.

    The function works on `(N,)` and `(N, k)` row by row; that is found out by its derivatives.
    """

    function: Callable[[Tensor, Tensor], Tensor]

    def forward(self, noise: Tensor, parents: Tensor) -> Tensor:
        return self.function(noise, parents)

    def inverse(self, value: Tensor, parents: Tensor) -> Tensor:
        with torch.no_grad():
            found = self._root(value.detach(), parents.detach())
        reached, slope = self._with_slope(found, parents)
        return found - (reached - value) / slope.detach()  # gradients of the implicit function

    def log_derivative(self, noise: Tensor, parents: Tensor) -> Tensor:
        return self._with_slope(noise, parents)[1].abs().log()

    def _with_slope(self, noise: Tensor, parents: Tensor) -> tuple[Tensor, Tensor]:
        value, slope, *_ = torch.func.jvp(lambda e: self.function(e, parents), (noise,), (torch.ones_like(noise),))
        return value, slope

    def _root(self, value: Tensor, parents: Tensor) -> Tensor:
        """Newton's steps, kept in a bracket by bisection."""
        low, high, sign = self._bracket(value, parents)
        noise = (low + high) / 2
        for _ in range(NEWTON):
            reached, slope = self._with_slope(noise, parents)
            above = sign * (reached - value) > 0
            low, high = torch.where(above, low, noise), torch.where(above, noise, high)
            step = noise - (reached - value) / slope
            following = torch.where((step > low) & (step < high), step, (low + high) / 2)
            if torch.equal(following, noise) or bool(((following - noise).abs() <= _rounding(noise)).all()):
                break
            noise = following
        return noise

    def _bracket(self, value: Tensor, parents: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        reach = torch.ones_like(value)
        sign = torch.sign(self.function(reach, parents) - self.function(-reach, parents))
        for _ in range(REACH):
            low, high = (sign * (self.function(end, parents) - value) for end in (-reach, reach))
            short = (low > 0) | (high < 0)
            if not bool(short.any()):
                return -reach, reach, sign
            reach = torch.where(short, 2 * reach, reach)
        raise ModelError(
            "Monotone(function): no noise gives some of the values; the function must be strictly monotone in its first "
            "argument and onto the whole line, for all values of the parents."
        )


@dataclass(frozen=True)
class Constant(Mechanism):
    """`z = value` whatever the noise: what `Do` leaves. Densities are against the other variables; the noise is lost."""

    value: float | Tensor

    def forward(self, noise: Tensor, parents: Tensor) -> Tensor:
        return torch.zeros_like(noise) + _for_rows(self.value, noise)

    def inverse(self, value: Tensor, parents: Tensor) -> Tensor:
        raise ModelError("a variable that was set by Do has lost its noise: abduct before the intervention.")

    def log_derivative(self, noise: Tensor, parents: Tensor) -> Tensor:
        return torch.full_like(noise, -torch.inf)

    def log_prob(self, value: Tensor, parents: Tensor, law: Distribution) -> Tensor:
        return torch.where(value == _for_rows(self.value, value), 0.0, -torch.inf).to(value)


@dataclass(frozen=True)
class Shifted(Mechanism):
    """Another mechanism, and a number more: what `Shift` leaves."""

    mechanism: Mechanism
    by: float | Tensor

    def forward(self, noise: Tensor, parents: Tensor) -> Tensor:
        return self.mechanism.forward(noise, parents) + _for_rows(self.by, noise)

    def inverse(self, value: Tensor, parents: Tensor) -> Tensor:
        return self.mechanism.inverse(value - _for_rows(self.by, value), parents)

    def log_derivative(self, noise: Tensor, parents: Tensor) -> Tensor:
        return self.mechanism.log_derivative(noise, parents)

    def log_prob(self, value: Tensor, parents: Tensor, law: Distribution) -> Tensor:
        return self.mechanism.log_prob(value - _for_rows(self.by, value), parents, law)


def support(law: Distribution) -> constraints.Constraint | None:
    """Where a law has its mass; None where it does not tell."""
    try:
        found = law.support
    except (NotImplementedError, AttributeError):
        return None
    return found if isinstance(found, constraints.Constraint) and not constraints.is_dependent(found) else None


def log_density(law: Distribution, value: Tensor) -> Tensor:
    """Log-density of any numbers: minus infinity outside the law's support, NaN of NaN."""
    known = support(law)
    inside = torch.ones_like(value, dtype=torch.bool) if known is None else known.check(value)
    if bool(inside.all()):
        return law.log_prob(value)
    found = torch.where(value.isnan(), torch.nan, -torch.inf).to(value)
    found[inside] = law.log_prob(value[inside])
    return found


def _for_rows(value: float | Tensor, rows: Tensor) -> float | Tensor:
    """What an intervention sets or adds, if it fits the rows `(N,)` of a model."""
    if isinstance(value, Tensor) and value.ndim and value.shape != rows.shape:
        raise ShapeError(
            f"an intervention's values {tuple(value.shape)} are to fit the {len(rows)} rows of the call, one each: give one "
            f"number, or a tensor ({len(rows)},)."
        )
    return value


def _rounding(x: Tensor) -> Tensor:
    return 2 * torch.finfo(x.dtype).eps * x.abs().clamp_min(1.0)
