"""Round spheres in unit vectors."""

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from egregium.errors import OptionError, TensorError
from egregium.numerics.compensated import dot
from egregium.numerics.refined import refined, tracked
from egregium.numerics.reflection import mirrored
from egregium.numerics.trigonometry import Trigonometry
from egregium.spaces.explicit import require_dimension, require_number, root
from egregium.spaces.immersed import Immersed
from egregium.spaces.space_form import SpaceForm

UNIT = Trigonometry(1.0)
TINY = torch.finfo(torch.float64).tiny
NEAR = 0.95  # cosine from which on angles are not taken from it
OFF = 1e-3  # by which the length of a unit vector may be off: rounding of half precision


@dataclass(frozen=True)
class Sphere(SpaceForm, Immersed):
    r"""The n-sphere of a given curvature, of radius `1 / sqrt(curvature)`, in unit vectors of n + 1 numbers at any curvature.

    Tangent vectors at x are velocities of the unit vector, orthogonal to x; parts along x count for nothing. What the length
    of a vector is does not matter: points are its direction. With `y' = y |x| / |y|` the angle of x and y is

    .. math:: \theta = 2 \operatorname{atan2}(|y' - x|, \; |y' + x|),

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
        require_number("Sphere(curvature)", self.curvature)
        if not self.curvature > 0:
            raise OptionError(
                f"Sphere(n, curvature): the curvature must be positive; got {self.curvature}. Hyperbolic is negative, "
                "ConstantCurvature may be anything."
            )

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
            shortest, longest = dot(z, z).detach().double().aminmax()
            off = torch.maximum(1 - shortest.sqrt(), longest.sqrt() - 1)
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

    def retracted(self, z: Tensor) -> Tensor:
        return _unit(z)

    def off(self, z: Tensor) -> Tensor:
        return torch.linalg.vector_norm(z, dim=-1, keepdim=True).log()

    def tangent(self, z: Tensor, v: Tensor) -> Tensor:
        """The part of v orthogonal to z."""
        z, v = self.prepare(z, v, names=("z", "v"))
        return v - z * ((v * z).sum(-1, keepdim=True) / (z * z).sum(-1, keepdim=True))

    def random(
        self,
        *batch: int,
        generator: torch.Generator | None = None,
        dtype: torch.dtype = torch.float32,
        device: torch.device | str | None = None,
    ) -> Tensor:
        """Uniform points `(*batch, n + 1)`."""
        return _unit(torch.randn(*batch, self.width, generator=generator, dtype=dtype, device=device))

    def _metric(self, z: Tensor) -> Tensor:
        u = _unit(z)
        return self.radius**2 * (torch.eye(self.width, dtype=z.dtype, device=z.device) - u[:, :, None] * u[:, None])

    def _inner(self, z: Tensor, u: Tensor, v: Tensor) -> Tensor:
        return self.radius**2 * dot(_across(u, z), _across(v, z))[:, 0]

    def _frame(self, z: Tensor) -> Tensor:
        """All axes but the first, reflected as the first is to z."""
        axes = torch.eye(self.width, dtype=z.dtype, device=z.device).expand(len(z), -1, -1)[:, 1:]
        return mirrored(_unit(z)[:, None].expand_as(axes), axes).mT / self.radius

    def _dist(self, z0: Tensor, z1: Tensor) -> Tensor:
        return self.radius * refined(_angle_of_cosine, lambda x, y: _angle(*_chords(x, y)), z0, z1)[:, 0]

    def _exp(self, z: Tensor, v: Tensor) -> Tensor:
        v = _across(v, z)
        angle = root(dot(v, v))
        return (angle.cos() / dot(z, z).sqrt()) * z + UNIT.sinc(angle) * v

    def _log(self, z0: Tensor, z1: Tensor) -> Tensor:
        return refined(_way_of_cosine, self._way, z0, z1)

    def _way(self, z0: Tensor, z1: Tensor) -> Tensor:
        chords = _chords(z0, z1)
        way = _angle(*chords) * self._direction(z0, *chords)
        if tracked(way):  # between equal points directions have no gradient, but the logarithm has
            way = torch.where((z0 == z1).all(-1, keepdim=True), _across(z1 - z0, z0), way)
        return way

    def _transport(self, z0: Tensor, z1: Tensor, v: Tensor) -> Tensor:
        """A rotation in the plane of both ends."""
        chords = _chords(z0, z1)
        v, way, angle = _across(v, z0), self._direction(z0, *chords), _angle(*chords)
        turned = v - dot(way, v) * (angle.sin() * _unit(z0) + 2 * (0.5 * angle).sin() ** 2 * way)
        return _across(turned, z1)

    def _direction(self, z0: Tensor, apart: Tensor, together: Tensor) -> Tensor:
        """Unit tangent vectors at z0 along a chord; zero where that is, any where its ends are antipodes."""
        short, long = dot(apart, apart), dot(together, together)
        way = apart * long + together * short
        size = root(short * long * (short + long))
        if not bool(long.all()):
            lost = long == 0
            way, size = torch.where(lost, self._frame(z0)[:, :, 0], way), torch.where(lost, 1 / self.radius, size)
        return way / size.clamp_min(TINY)

    def _log_volume(self, z: Tensor) -> Tensor:
        """Against the area of the unit sphere."""
        return torch.full_like(z[:, 0], self.n * math.log(self.radius))


def _angle_of_cosine(x: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
    """Angles `(N, 1)`, and where they are right."""
    cosine = dot(x, y) / (dot(x, x) * dot(y, y)).sqrt()
    return cosine.acos(), cosine.abs() < NEAR


def _way_of_cosine(x: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
    """Tangent vectors at x towards y as long as the angle, and where they are right."""
    long, wide = dot(x, x).sqrt(), dot(y, y).sqrt()
    cosine = dot(x, y) / (long * wide)
    slope = cosine.acos() / ((1 - cosine) * (1 + cosine)).sqrt()
    return (slope / wide) * y - (slope * cosine / long) * x, cosine.abs() < NEAR


def _chords(x: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
    """`y' - x` and `y' + x`, where y' is y brought to the length of x: each right to a few roundings of itself."""
    apart, together, square = y - x, y + x, dot(y, y)
    excess = dot(apart, together) / (square + (dot(x, x) * square).sqrt()) * y
    return apart - excess, together - excess


def _angle(apart: Tensor, together: Tensor) -> Tensor:
    """Angles `(N, 1)` between vectors of equal length with this difference and this sum."""
    return 2 * torch.atan2(root(dot(apart, apart)), root(dot(together, together)))


def _across(v: Tensor, z: Tensor) -> Tensor:
    """The part of v orthogonal to z."""
    return v - z * (dot(v, z) / dot(z, z))


def _unit(z: Tensor) -> Tensor:
    return z / dot(z, z).sqrt()
