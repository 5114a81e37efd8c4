"""Hyperbolic spaces in normal coordinates, with conversions to the models of Lorentz, Poincare and Klein."""

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from egregium.errors import OptionError, TensorError
from egregium.numerics.compensated import dot
from egregium.spaces.constant_curvature import ConstantCurvature
from egregium.spaces.explicit import plain, root
from egregium.spaces.points import require_points


@dataclass(frozen=True, eq=False, repr=False)
class Hyperbolic(ConstantCurvature):
    r"""The n-dimensional hyperbolic space of a given negative curvature, in normal coordinates `r u` at an origin: n numbers.

    All of `R^n`, smooth everywhere. Other models end at a boundary (in float32 the Poincare ball ends at a distance of some 17
    from its centre, the hyperboloid loses distances below 1e-3): they are for exchange alone, and do not hold what normal
    coordinates do.

    Args:
        n: dimension.
        curvature: sectional curvature, negative, a number or a tensor `()`.

    References: Ratcliffe 2019, Foundations of Hyperbolic Manifolds; Nickel and Kiela 2018 (arXiv 1806.03417).

    >>> Hyperbolic(2).dist(torch.tensor([30.0, 0.0]), torch.tensor([0.0, 30.0])).item()
    59.306...
    """

    curvature: float | Tensor = -1.0

    def __post_init__(self) -> None:
        super().__post_init__()
        if not plain(self.curvature) < 0:
            raise OptionError(
                f"Hyperbolic(n, curvature): the curvature must be negative; got {plain(self.curvature):g}. Sphere is positive, "
                "ConstantCurvature may be anything."
            )

    def to_lorentz(self, z: Tensor) -> Tensor:
        """Points of the hyperboloid `-x_0^2 + |x|^2 = 1 / curvature`, `(*batch, n + 1)`, time first."""
        return self._computed(lambda z: torch.cat([self._scaled(z, torch.cosh), self._moved(z, torch.sinh)], -1), (z,))

    def from_lorentz(self, x: Tensor) -> Tensor:
        """Normal coordinates of points `(*batch, n + 1)` of the hyperboloid; their time is taken from the rest."""
        require_points(x, width=self.n + 1, names="x")
        return self._back(x[..., 1:], torch.asinh)

    def to_poincare(self, z: Tensor) -> Tensor:
        """Points of the Poincare ball of radius `1 / sqrt(-curvature)`, `(*batch, n)`."""
        return self._computed(lambda z: self._moved(z, lambda a: torch.tanh(0.5 * a)), (z,))

    def from_poincare(self, x: Tensor) -> Tensor:
        """Normal coordinates of points `(*batch, n)` of the Poincare ball.

        Raises: `TensorError` for points that are not inside.
        """
        return self._back(x, lambda a: 2 * torch.atanh(a), ball=True)

    def to_klein(self, z: Tensor) -> Tensor:
        """Points of Klein's ball of radius `1 / sqrt(-curvature)`, `(*batch, n)`, in which geodesics are straight."""
        return self._computed(lambda z: self._moved(z, torch.tanh), (z,))

    def from_klein(self, x: Tensor) -> Tensor:
        """Normal coordinates of points `(*batch, n)` of Klein's ball.

        Raises: `TensorError` for points that are not inside.
        """
        return self._back(x, torch.atanh, ball=True)

    @property
    def _root(self) -> float | Tensor:
        kappa = self._kappa
        return (-kappa).sqrt() if isinstance(kappa, Tensor) else math.sqrt(-kappa)

    def _scaled(self, z: Tensor, function: Callable[[Tensor], Tensor]) -> Tensor:
        return function(self._root * root(dot(z, z))) / self._root

    def _moved(self, z: Tensor, function: Callable[[Tensor], Tensor]) -> Tensor:
        """`f(k r) / k u`, with `f(0) = 0` and the slope that `f` has there."""
        r = root(dot(z, z))
        away = r > 0
        slope = function(torch.full_like(r, 1e-9)) / 1e-9
        return z * torch.where(away, function(self._root * r) / (self._root * torch.where(away, r, 1.0)), slope)

    def _back(self, x: Tensor, function: Callable[[Tensor], Tensor], ball: bool = False) -> Tensor:
        (x,) = self.prepare(x, names=("x",))
        if ball and bool((plain(self._root) * torch.linalg.vector_norm(x.detach().double(), dim=-1) >= 1).any()):
            raise TensorError(f"points of the ball lie within {1 / plain(self._root):.6g} of its centre; got others.")
        rows = x.reshape(-1, self.n).double()
        return self._moved(rows, function).to(x.dtype).reshape(x.shape)
