"""The uniform density on a compact space."""

import math
from typing import Any

import torch
from torch import Tensor
from torch.distributions import register_kl

from egregium.distributions.on_space import OnSpace
from egregium.errors import OptionError
from egregium.numerics.gamma import log_sphere_area
from egregium.spaces import Explicit, Product, Scaled, Sphere, Torus


class Uniform(OnSpace):
    r"""The uniform density on a compact space, with respect to its Riemannian volume.

    .. math:: p(x) = 1 / \operatorname{vol}, \qquad \operatorname{vol} S^n = R^n \, 2 \pi^{(n+1)/2} / \Gamma((n+1)/2),
        \qquad \operatorname{vol} T^n = \prod_i 2 \pi R_i .

    Invariant under isometries. Points are `(*batch, width)`, log-densities `(*batch)` in nats.

    Args:
        space: `Sphere` of any curvature, `Torus`, a `Product` of such, or one of these `Scaled`.
        batch_shape: of the distribution.
        dtype: of what is drawn.

    Raises: `OptionError` for spaces of infinite volume, and for products of distances that add (`p=1`).

    >>> Uniform(Sphere(2, curvature=0.25)).log_prob(torch.tensor([0.0, 0.0, 1.0])).exp() * 16 * math.pi
    tensor(1.0000)
    """

    has_rsample = True

    def __init__(
        self,
        space: Explicit,
        batch_shape: Any = (),
        *,
        dtype: torch.dtype = torch.float32,
        device: torch.device | str | None = None,
        validate_args: bool | None = None,
    ) -> None:
        log_volume(space)
        super().__init__(space, validate_args)
        self.dtype, self.device = dtype, device
        self._batch_shape = torch.Size(batch_shape)

    def expand(self, batch_shape: Any, _instance: Any = None) -> Any:
        new = super().expand(batch_shape, _instance)
        new.dtype, new.device = self.dtype, self.device
        return new

    def rsample(self, sample_shape: Any = ()) -> Tensor:
        """Points `(*sample_shape, *batch_shape, width)`."""
        shape = torch.Size(sample_shape) + self.batch_shape
        return self.space.random(*shape, dtype=self.dtype, device=self.device)

    def log_prob(self, value: Tensor) -> Tensor:
        """Minus the logarithm of the volume, of the points' dtype; gradient 0."""
        points = self._points(value)
        return (-log_volume(self.space)).to(value).expand(points.shape[:-1])

    def entropy(self) -> Tensor:
        """The logarithm of the volume."""
        return log_volume(self.space).to(self.dtype).expand(self.batch_shape)


def log_volume(space: Explicit) -> Tensor:
    """Logarithm of the Riemannian volume of a compact space, `()`, in float64.

    Raises: `OptionError` for spaces of infinite volume.
    """
    if isinstance(space, Scaled):
        return log_volume(space.space) + space.dim * torch.as_tensor(space.s, dtype=torch.float64).log()
    if isinstance(space, Product) and space.p == 2:
        return torch.stack([log_volume(factor) for factor in space.factors]).sum()
    if isinstance(space, Sphere):
        return torch.tensor(log_sphere_area(space.n) + space.n * math.log(space.radius), dtype=torch.float64)
    if isinstance(space, Torus):
        return (2 * math.pi * torch.tensor(space.radii, dtype=torch.float64)).log().sum()
    raise OptionError(
        f"Uniform: a compact space is expected, Sphere, Torus or products of such with p=2; got {space!r}: on spaces of "
        "infinite volume take WrappedNormal or RiemannianNormal."
    )


@register_kl(Uniform, Uniform)
def _uniform_uniform(p: Uniform, q: Uniform) -> Tensor:
    require_one_space(p, q)
    return torch.zeros(torch.broadcast_shapes(p.batch_shape, q.batch_shape), dtype=p.dtype)


def require_one_space(p: OnSpace, q: OnSpace) -> None:
    """Check that two densities are on one space.

    Raises: `OptionError`.
    """
    if not alike(p.space, q.space):
        raise OptionError(f"densities are compared on one space; got {p.space!r} and {q.space!r}.")


def alike(a: object, b: object) -> bool:
    """Whether spaces are equal, learned curvatures and scales by their values."""
    if isinstance(a, Explicit) and type(a) is type(b):
        return all(alike(one, getattr(b, name)) for name, one in vars(a).items())
    if isinstance(a, tuple) and isinstance(b, tuple) and len(a) == len(b):
        return all(alike(one, other) for one, other in zip(a, b, strict=True))
    return bool(a == b)
