"""Round spheres in unit vectors."""

import math
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from egregium.errors import OptionError, TensorError
from egregium.numerics.compensated import dot
from egregium.spaces.explicit import require_dimension, root
from egregium.spaces.immersed import Immersed
from egregium.spaces.space_form import SpaceForm

OFF = 1e-3  # by which the length of a unit vector may be off: rounding of half precision


@dataclass(frozen=True)
class Sphere(SpaceForm, Immersed):
    r"""The n-sphere of a given curvature, of radius `1 / sqrt(curvature)`, in unit vectors of n + 1 numbers at any curvature.

    Tangent vectors at x are velocities of the unit vector, orthogonal to x; parts along x count for nothing. What the length
    of a vector is does not matter: points are its direction. With `a = y - x` and `b = y + x`, the angle of x and y is

    .. math:: \theta = \operatorname{atan2}(|a \wedge b| / 2, \; x \cdot y),

    right to rounding at tiny angles, and up to pi. At antipodes the gradient of the distance is taken as 0, and the logarithm
    is one of the shortest ways.

    Args:
        n: dimension.
        curvature: sectional curvature, positive.

    >>> north, east = torch.tensor([0.0, 0.0, 1.0]), torch.tensor([1.0, 0.0, 0.0])
    >>> round(Sphere(2, curvature=0.25).dist(north, east).item(), 6)
    3.141593
    """

    n: int
    curvature: float = 1.0

    def __post_init__(self) -> None:
        require_dimension("Sphere", self.n)
        if not 0 < self.curvature < math.inf:
            raise OptionError(
                f"Sphere(n, curvature): the curvature must be positive; got {self.curvature}. Hyperbolic is negative, "
                "ConstantCurvature may be anything."
            )

    @property
    def dim(self) -> int:
        return self.n

    @property
    def width(self) -> int:
        return self.n + 1

    @property
    def radius(self) -> float:
        """`1 / sqrt(curvature)`."""
        return 1 / math.sqrt(self.curvature)

    @property
    def injectivity_radius(self) -> float:
        return math.pi * self.radius

    @property
    def _kappa(self) -> float:
        return self.curvature

    def require_inside(self, *points: Tensor) -> None:
        for z in points:
            off = (torch.linalg.vector_norm(z.detach(), dim=-1) - 1).abs().amax()
            if bool(off > OFF):
                raise TensorError(
                    f"points of {self} are unit vectors of {self.width} numbers; got lengths that are off by "
                    f"{float(off):.2g}: space.project(x) is their direction."
                )

    def immerse(self, z: Tensor) -> Tensor:
        return self.radius * _unit(z)

    def project(self, x: Tensor) -> Tensor:
        """The direction of vectors `(*batch, n + 1)`.

        Raises: `TensorError` for zero.
        """
        (x,) = self.prepare(x, names=("x",))
        if bool((x == 0).all(-1).any()):
            raise TensorError("the zero vector has no direction, so that it is projected to no point of a sphere.")
        return _unit(x / x.abs().amax(-1, keepdim=True))

    def tangent(self, z: Tensor, v: Tensor) -> Tensor:
        """The part of v orthogonal to z."""
        z, v = self.prepare(z, v, names=("z", "v"))
        return v - z * ((v * z).sum(-1, keepdim=True) / (z * z).sum(-1, keepdim=True))

    def random(
        self,
        *batch: int,
        generator: torch.Generator | None = None,
        dtype: torch.dtype = torch.float32,
    ) -> Tensor:
        """Uniform points `(*batch, n + 1)`."""
        return _unit(torch.randn(*batch, self.width, generator=generator, dtype=dtype))

    def _metric(self, z: Tensor) -> Tensor:
        u = _unit(z)
        return self.radius**2 * (torch.eye(self.width, dtype=z.dtype, device=z.device) - u[:, :, None] * u[:, None])

    def _inner(self, z: Tensor, u: Tensor, v: Tensor) -> Tensor:
        return self.radius**2 * dot(_across(u, z), _across(v, z))[:, 0]

    def _frame(self, z: Tensor) -> Tensor:
        """All axes but the first, reflected as the first is to z."""
        u = _unit(z)
        sign = torch.where(u[:, :1] < 0, -1.0, 1.0)
        mirror = u + sign * F.one_hot(torch.zeros_like(u[:, 0], dtype=torch.int64), self.width)
        scale = (2 / dot(mirror, mirror))[..., None]
        axes = torch.eye(self.width, dtype=z.dtype, device=z.device) - scale * mirror[:, :, None] * mirror[:, None]
        return axes[:, :, 1:] / self.radius

    def _dist(self, z0: Tensor, z1: Tensor) -> Tensor:
        return self.radius * _angle(z0, z1)[:, 0]

    def _exp(self, z: Tensor, v: Tensor) -> Tensor:
        z, v = _unit(z), _across(v, z)
        angle = root(dot(v, v))
        return _unit(angle.cos() * z + torch.sinc(angle / math.pi) * v)

    def _log(self, z0: Tensor, z1: Tensor) -> Tensor:
        equal = (z0 == z1).all(-1, keepdim=True)  # where directions have no gradient, but the logarithm has
        return torch.where(equal, _across(z1 - z0, z0), _angle(z0, z1) * self._direction(z0, z1))

    def _transport(self, z0: Tensor, z1: Tensor, v: Tensor) -> Tensor:
        """A rotation in the plane of both ends."""
        v, way, angle = _across(v, z0), self._direction(z0, z1), _angle(z0, z1)
        turned = v - dot(way, v) * (angle.sin() * _unit(z0) + 2 * (0.5 * angle).sin() ** 2 * way)
        return _across(turned, z1)

    def _direction(self, z0: Tensor, z1: Tensor) -> Tensor:
        """Unit tangent vectors at z0 towards z1; zero where these are equal, any where they are antipodes."""
        far = dot(z0, z1) < 0
        way = _across(torch.where(far, z1 + z0, z1 - z0), z0)
        lost = far & (way == 0).all(-1, keepdim=True)
        way = torch.where(lost, self._frame(z0)[:, :, 0], way)
        size = root(dot(way, way))
        return way / torch.where(size > 0, size, 1.0)

    def _log_volume(self, z: Tensor) -> Tensor:
        """Against the area of the unit sphere."""
        return torch.full_like(z[:, 0], self.n * math.log(self.radius))


def _angle(x: Tensor, y: Tensor) -> Tensor:
    """Angles `(N, 1)` between vectors, not only of length 1."""
    near = dot(x, y) >= 0
    short, long = torch.where(near, y - x, y + x), torch.where(near, y + x, y - x)
    across = short - long * (dot(short, long) / dot(long, long))
    return torch.atan2(0.5 * root(dot(across, across)) * dot(long, long).sqrt(), dot(x, y))


def _across(v: Tensor, z: Tensor) -> Tensor:
    """The part of v orthogonal to z."""
    return v - z * (dot(v, z) / dot(z, z))


def _unit(z: Tensor) -> Tensor:
    return z / torch.linalg.vector_norm(z, dim=-1, keepdim=True)
