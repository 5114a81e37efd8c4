"""Densities on a sphere that depend on the angle to one axis alone."""

import math
from abc import abstractmethod
from typing import Any

import torch
from torch import Tensor
from torch.distributions import constraints

from egregium.distributions.frames import from_frame, unit
from egregium.distributions.on_space import On, PeakedAtLoc, number, require_loc, require_space
from egregium.numerics.compensated import dot
from egregium.numerics.gamma import log_sphere_area
from egregium.spaces import Sphere


class Zonal(PeakedAtLoc):
    """Base of densities on spheres with an axis `loc` `(*batch, n + 1)` and a concentration `(*batch)` about it.

    A subclass says how the angle is distributed: relative to the uniform density, with draws and means.
    """

    event_dims = {"loc": 1, "concentration": 0}  # noqa: RUF012
    space: Sphere
    concentration: Tensor

    def __init__(self, space: Sphere, loc: Tensor, concentration: float | Tensor, *, validate_args: bool | None = None) -> None:
        kind = type(self).__name__
        require_space(kind, space, Sphere, "WrappedNormal is on all explicit spaces.")
        check = self._validate_args if validate_args is None else validate_args
        if check:
            require_loc(kind, space, loc)
        given = number(kind, "concentration", concentration, loc, zero=True, check=check)
        super().__init__(space, validate_args, loc=loc, concentration=given)

    @property
    def arg_constraints(self) -> dict[str, constraints.Constraint]:
        return {"loc": On(self.space), "concentration": constraints.nonnegative}

    @abstractmethod
    def _log_relative(self, kappa: Tensor, versine: Tensor, rest: Tensor) -> Tensor:
        """Logarithm of the density over the uniform one, of squared sine and cosine of half the angle."""

    @abstractmethod
    def _angles(self, kappa: Tensor) -> Tensor:
        """An angle for each concentration, with its derivative in it."""

    @abstractmethod
    def _deficit(self, kappa: Tensor) -> Tensor:
        """`1 - E cos(angle)`."""

    @abstractmethod
    def _negentropy(self, kappa: Tensor) -> Tensor:
        """Divergence from the uniform density."""

    @property
    def mean(self) -> Tensor:
        """The mean of the coordinates, `(*batch, n + 1)`: a vector inside of the sphere, shorter the less concentrated."""
        length = 1 - self._deficit(self._all("concentration", self.batch_shape))
        return (length[..., None] * unit(self.loc.double())).to(self.loc)

    def log_prob(self, value: Tensor) -> Tensor:
        """Log-density at points `(*sample, *batch, n + 1)` against the Riemannian volume, in nats."""
        x = self._points(value)
        axis, x = unit(self._all("loc", x.shape[:-1])), unit(x)
        versine, rest = 0.25 * dot(x - axis, x - axis)[..., 0], 0.25 * dot(x + axis, x + axis)[..., 0]
        relative = self._log_relative(self.concentration.double(), versine, rest)
        return (relative - self._log_volume).to(self.loc.dtype)

    def rsample(self, sample_shape: Any = ()) -> Tensor:
        """Points `(*sample_shape, *batch, n + 1)` that move with loc and concentration; gradients are unbiased."""
        shape = torch.Size(sample_shape) + self.batch_shape
        axis = unit(self._all("loc", shape))
        angle = self._angles(self._all("concentration", shape).contiguous())[..., None]
        direction = unit(torch.randn(*shape, self.space.n, dtype=axis.dtype, device=axis.device))
        across = self.space.radius * from_frame(self.space, axis, direction)
        return (angle.cos() * axis + angle.sin() * across).to(self.loc.dtype)

    def entropy(self) -> Tensor:
        """Differential entropy against the Riemannian volume, `(*batch)`, in nats."""
        kappa = self._all("concentration", self.batch_shape)
        return (self._log_volume - self._negentropy(kappa)).to(self.loc.dtype)

    @property
    def _log_volume(self) -> float:
        return log_sphere_area(self.space.n) + self.space.n * math.log(self.space.radius)


def apart(p: Zonal, q: Zonal) -> Tensor:
    """`1 - cos` of the angle of two axes, in float64."""
    difference = unit(p.loc.double()) - unit(q.loc.double())
    return 0.5 * dot(difference, difference)[..., 0]
