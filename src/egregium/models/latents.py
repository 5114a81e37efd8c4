"""Latent spaces of variational autoencoders: how an encoder's numbers become a posterior there, and the matching prior."""

from abc import ABC, abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.distributions import Distribution, Independent, Normal, kl_divergence

from egregium.distributions import Joint, PowerSpherical, Uniform, VonMises, VonMisesFisher, WrappedNormal
from egregium.errors import OptionError
from egregium.spaces import ConstantCurvature, Euclidean, Explicit, Hyperbolic, Product, Scaled, Sphere, Torus

Posterior = Literal["natural", "von-mises-fisher", "wrapped-normal"]


class Family(ABC):
    """Posteriors and the prior on one latent space.

    Of N observations an encoder gives `h (N, numbers)`.
    """

    numbers: int

    @abstractmethod
    def place(self, h: Tensor) -> Tensor:
        """The point `(N, width)` about which the posterior is symmetric."""

    @abstractmethod
    def posterior(self, h: Tensor) -> Distribution:
        """Of batch shape `(N,)` and event shape `(width,)`."""

    @abstractmethod
    def prior(self, batch: tuple[int, ...] = ()) -> Distribution:
        """Of event shape `(width,)`."""

    def drawn(self, h: Tensor) -> tuple[Tensor, Tensor]:
        """Points `(N, width)` of the posteriors, with gradients, and their divergence from the prior `(N,)`, in nats.

        In closed form where there is one, else estimated without bias from the draw itself.
        """
        q, p = self.posterior(h), self.prior((len(h),))
        return q.rsample(), kl_divergence(q, p)


@dataclass(frozen=True)
class Gaussian(Family):
    """Normal posteriors with diagonal covariance and the prior N(0, I) on a Euclidean space."""

    space: Euclidean

    @property
    def numbers(self) -> int:
        return 2 * self.space.n

    def place(self, h: Tensor) -> Tensor:
        return h[..., : self.space.n]

    def posterior(self, h: Tensor) -> Distribution:
        mean, log_variance = h.chunk(2, -1)
        return Independent(Normal(mean, (0.5 * log_variance).exp(), validate_args=False), 1, validate_args=False)

    def prior(self, batch: tuple[int, ...] = ()) -> Distribution:
        zero = torch.zeros(*batch, self.space.n, dtype=torch.float32)
        return Independent(Normal(zero, torch.ones_like(zero), validate_args=False), 1, validate_args=False)

    def drawn(self, h: Tensor) -> tuple[Tensor, Tensor]:
        mean, log_variance = h.chunk(2, -1)
        z = mean + torch.exp(0.5 * log_variance) * torch.randn_like(mean)
        return z, 0.5 * (mean.square() + log_variance.exp() - 1 - log_variance).sum(-1)


class Compact(Family):
    """A family whose prior is uniform."""

    space: Explicit

    def prior(self, batch: tuple[int, ...] = ()) -> Distribution:
        return Uniform(self.space, batch, validate_args=False)


@dataclass(frozen=True)
class Zonal(Compact):
    """Densities about an axis, and the uniform prior, on a sphere."""

    space: Sphere
    kind: type[PowerSpherical] | type[VonMisesFisher]

    @property
    def numbers(self) -> int:
        return self.space.width + 1

    def place(self, h: Tensor) -> Tensor:
        return F.normalize(h[..., :-1], dim=-1)

    def posterior(self, h: Tensor) -> Distribution:
        return self.kind(self.space, self.place(h), h[..., -1].exp(), validate_args=False)


@dataclass(frozen=True)
class Circular(Compact):
    """Von Mises posteriors, an angle and a concentration a circle, and the uniform prior, on a torus."""

    space: Torus

    @property
    def numbers(self) -> int:
        return 3 * self.space.n

    def place(self, h: Tensor) -> Tensor:
        cosine, sine, _ = h.chunk(3, -1)
        return torch.atan2(sine, cosine)

    def posterior(self, h: Tensor) -> Distribution:
        return VonMises(self.space, self.place(h), h[..., -self.space.n :].exp(), validate_args=False)


@dataclass(frozen=True)
class Wrapped(Family):
    """Wrapped normals with a scale a direction; the prior is uniform on compact spaces, else 1 wide about the origin."""

    space: Explicit

    @property
    def numbers(self) -> int:
        return self.space.width + self.space.dim

    def place(self, h: Tensor) -> Tensor:
        return self.space.project(h[..., : self.space.width])

    def posterior(self, h: Tensor) -> WrappedNormal:
        return WrappedNormal(self.space, self.place(h), (0.5 * h[..., self.space.width :]).exp(), validate_args=False)

    def prior(self, batch: tuple[int, ...] = ()) -> Distribution:
        if isinstance(_unscaled(self.space), Sphere | Torus):
            return Uniform(self.space, batch, validate_args=False)
        return WrappedNormal(self.space, torch.zeros(*batch, self.space.width, dtype=torch.float32), 1.0, validate_args=False)

    def drawn(self, h: Tensor) -> tuple[Tensor, Tensor]:
        z, log_density = self.posterior(h).rsample_with_log_prob()
        return z, log_density - self.prior().log_prob(z)


@dataclass(frozen=True)
class Several(Family):
    """The families of the factors of a product, side by side."""

    space: Product  # its factors are those of the parts
    parts: tuple[Family, ...]

    @property
    def numbers(self) -> int:
        return sum(part.numbers for part in self.parts)

    def place(self, h: Tensor) -> Tensor:
        return torch.cat([part.place(one) for part, one in self._each(h)], -1)

    def posterior(self, h: Tensor) -> Distribution:
        return Joint(self.space, *(part.posterior(one) for part, one in self._each(h)), validate_args=False)

    def prior(self, batch: tuple[int, ...] = ()) -> Distribution:
        return Joint(self.space, *(part.prior(batch) for part in self.parts), validate_args=False)

    def drawn(self, h: Tensor) -> tuple[Tensor, Tensor]:
        points, divergences = zip(*(part.drawn(one) for part, one in self._each(h)), strict=True)
        return torch.cat(points, -1), torch.stack(divergences).sum(0)

    def _each(self, h: Tensor) -> Iterator[tuple[Family, Tensor]]:
        yield from zip(self.parts, h.split([part.numbers for part in self.parts], -1), strict=True)


def family(space: Explicit, posterior: Posterior = "natural") -> Family:
    """The family of posteriors on a space.

    "natural" are normals on Euclidean spaces, power spherical densities on spheres, von Mises densities on tori, and wrapped
    normals elsewhere, on spheres and tori that are scaled too.

    Raises: `OptionError` for products of distances that add (`p=1`), and spaces that have no such densities.

    >>> type(family(Product(Sphere(2), Torus(1)))).__name__
    'Several'
    """
    match space:
        case Product(p=2):
            return Several(space, tuple(family(factor, posterior) for factor in space.factors))
        case Scaled(space=Product() as inner):
            return family(Product(*(Scaled(factor, space.s) for factor in inner.factors), p=inner.p), posterior)
        case Euclidean():
            return Gaussian(space)
        case Sphere() if posterior != "wrapped-normal":
            return Zonal(space, VonMisesFisher if posterior == "von-mises-fisher" else PowerSpherical)
        case Torus() if posterior != "wrapped-normal":
            return Circular(space)
        case Sphere() | Torus() | ConstantCurvature() | Scaled():
            return Wrapped(space)
    raise OptionError(f"there are no posteriors on {space!r}: take another latent space, a Product with p=2 of simpler ones.")


class Latent(nn.Module):
    """A latent space and its family; with `learned` the curvatures of its hyperbolic and curved factors are weights.

    Negative curvatures stay negative; those of `ConstantCurvature` may pass through zero. Spheres and tori keep theirs, on
    which neither their uniform priors nor their posteriors depend.
    """

    def __init__(self, space: Explicit, posterior: Posterior = "natural", *, learned: bool = False) -> None:
        super().__init__()
        self.initial = space
        self.kind: Posterior = posterior
        curved = list(_curved(space)) if learned else []
        self.curvatures = nn.ParameterList(nn.Parameter(_raw(factor)) for factor in curved)

    @property
    def space(self) -> Explicit:
        """The space with its curvatures as they are now."""
        return _with_curvatures(self.initial, iter(self.curvatures)) if len(self.curvatures) else self.initial

    @cached_property
    def _fixed(self) -> Family:
        return family(self.initial, self.kind)

    @property
    def family(self) -> Family:
        """Posteriors and prior on the space as it is now."""
        return family(self.space, self.kind) if len(self.curvatures) else self._fixed


def _unscaled(space: Explicit) -> Explicit:
    return _unscaled(space.space) if isinstance(space, Scaled) else space


def _curved(space: Explicit) -> Iterator[ConstantCurvature]:
    """Factors of which the curvature can be learned, in order."""
    if isinstance(space, ConstantCurvature):
        yield space
    elif isinstance(space, Scaled):
        yield from _curved(space.space)
    elif isinstance(space, Product):
        for factor in space.factors:
            yield from _curved(factor)


def _raw(space: ConstantCurvature) -> Tensor:
    """What is learned of a curvature: its logarithm where it is negative by kind."""
    curvature = torch.as_tensor(space.curvature, dtype=torch.float32).detach()
    return (-curvature).log() if isinstance(space, Hyperbolic) else curvature.clone()


def _with_curvatures(space: Explicit, raw: Iterator[Tensor]) -> Explicit:
    if isinstance(space, Hyperbolic):
        return Hyperbolic(space.n, -next(raw).exp())
    if isinstance(space, ConstantCurvature):
        return ConstantCurvature(space.n, next(raw))
    if isinstance(space, Scaled):
        return Scaled(_with_curvatures(space.space, raw), space.s)
    if isinstance(space, Product):
        return Product(*(_with_curvatures(factor, raw) for factor in space.factors), p=space.p)
    return space
