"""Surfaces whose geodesics are known in closed form: what every solver must get right.

Each is a frozen dataclass with `decode (N, d) -> (N, D)`, `sample(n, generator) -> (n, d)` in float64, and, but for the
ellipsoid, `distance(z0, z1)`, exact to rounding. Any two sampled points have one shortest geodesic, and it stays inside
the chart that `decode` is, well away from other geodesics of the same length.
"""

from dataclasses import dataclass
from math import pi
from typing import Protocol, runtime_checkable

import torch
from torch import Tensor

from egregium.testing.twins import generator_of


@runtime_checkable
class Surface(Protocol):
    """A decoder with points on it between which geodesics are easy to name."""

    @property
    def dim(self) -> int: ...
    def decode(self, z: Tensor) -> Tensor: ...
    def sample(self, n: int, generator: torch.Generator) -> Tensor: ...


@runtime_checkable
class SolvedSurface(Surface, Protocol):
    """A surface that knows its distance `(*batch)` of points `(*batch, d)`."""

    def distance(self, z0: Tensor, z1: Tensor) -> Tensor: ...


class _Sheet:
    """What has two dimensions."""

    @property
    def dim(self) -> int:
        return 2


def _uniform(n: int, low: float, high: float, generator: torch.Generator) -> Tensor:
    return low + (high - low) * torch.rand(n, generator=generator, dtype=torch.float64)


def _great_circle(x: Tensor, y: Tensor) -> Tensor:
    """Angle between unit vectors, exact at every size: `2 atan2(|x - y|, |x + y|)`."""
    return 2 * torch.atan2((x - y).norm(dim=-1), (x + y).norm(dim=-1))


@dataclass(frozen=True)
class StereographicSphere(_Sheet):
    """A sphere seen from its north pole, `z -> r (2 z, |z|^2 - 1) / (|z|^2 + 1)`.

    Samples fill a cap of 70 degrees around a point 60 degrees from the south pole, so that the chart stretches areas by
    a factor of up to 30 between them.

    >>> StereographicSphere().distance(torch.zeros(2), torch.tensor([1.0, 0.0])).item() / pi
    0.5...
    """

    radius: float = 1.0

    def decode(self, z: Tensor) -> Tensor:
        square = (z**2).sum(-1, keepdim=True)
        return self.radius * torch.cat([2 * z, square - 1], -1) / (square + 1)

    def sample(self, n: int, generator: torch.Generator) -> Tensor:
        height = _uniform(n, torch.cos(torch.tensor(pi * 70 / 180)).item(), 1.0, generator)
        around = _uniform(n, -pi, pi, generator)
        across = (1 - height**2).sqrt()
        cap = torch.stack([across * around.cos(), across * around.sin(), -height], -1)
        tilt = torch.tensor(pi / 3, dtype=torch.float64)
        x = tilt.cos() * cap[:, 0] - tilt.sin() * cap[:, 2]
        z = tilt.sin() * cap[:, 0] + tilt.cos() * cap[:, 2]
        return torch.stack([x, cap[:, 1]], -1) / (1 - z)[:, None]

    def distance(self, z0: Tensor, z1: Tensor) -> Tensor:
        return self.radius * _great_circle(self.decode(z0) / self.radius, self.decode(z1) / self.radius)


@dataclass(frozen=True)
class SphericalCoordinates(_Sheet):
    """A sphere by colatitude and longitude `(theta, phi)`; samples keep to an open hemisphere away from the poles."""

    radius: float = 1.0

    def decode(self, z: Tensor) -> Tensor:
        theta, phi = z.unbind(-1)
        return self.radius * torch.stack([theta.sin() * phi.cos(), theta.sin() * phi.sin(), theta.cos()], -1)

    def sample(self, n: int, generator: torch.Generator) -> Tensor:
        return torch.stack([_uniform(n, 0.2, pi - 0.2, generator), _uniform(n, -1.3, 1.3, generator)], -1)

    def distance(self, z0: Tensor, z1: Tensor) -> Tensor:
        return self.radius * _great_circle(self.decode(z0) / self.radius, self.decode(z1) / self.radius)


@dataclass(frozen=True)
class Cylinder(_Sheet):
    """`(phi, h) -> (r cos phi, r sin phi, h)`: curved to the eye and flat inside; less than half a turn is sampled."""

    radius: float = 1.0

    def decode(self, z: Tensor) -> Tensor:
        phi, height = z.unbind(-1)
        return torch.stack([self.radius * phi.cos(), self.radius * phi.sin(), height], -1)

    def sample(self, n: int, generator: torch.Generator) -> Tensor:
        return torch.stack([_uniform(n, -1.5, 1.5, generator), _uniform(n, -2.0, 2.0, generator)], -1)

    def distance(self, z0: Tensor, z1: Tensor) -> Tensor:
        turn, rise = (z1 - z0).unbind(-1)
        return torch.hypot(self.radius * turn, rise)


@dataclass(frozen=True)
class SwissRoll(_Sheet):
    """`(t, h) -> (t cos t, h, t sin t)`: a flat sheet rolled up, so that chords tunnel from one turn to the next."""

    def decode(self, z: Tensor) -> Tensor:
        t, height = z.unbind(-1)
        return torch.stack([t * t.cos(), height, t * t.sin()], -1)

    def sample(self, n: int, generator: torch.Generator) -> Tensor:
        return torch.stack([_uniform(n, 1.5 * pi, 4.5 * pi, generator), _uniform(n, 0.0, 20.0, generator)], -1)

    def distance(self, z0: Tensor, z1: Tensor) -> Tensor:
        def unrolled(t: Tensor) -> Tensor:
            return 0.5 * (t * (1 + t**2).sqrt() + t.asinh())

        return torch.hypot(unrolled(z1[..., 0]) - unrolled(z0[..., 0]), z1[..., 1] - z0[..., 1])


@dataclass(frozen=True)
class Paraboloid(_Sheet):
    r"""`(x, y) -> (x, y, a (x^2 + y^2))`; geodesics by Clairaut's relation `rho^2 dphi/ds = c`, `rho` the distance to the axis.

    In `s = +- sqrt(rho^2 - c^2)`, negative before the turning point, both the angle swept and the length are elementary,
    with `A = 1 + 4 a^2 c^2` and `B = 4 a^2`:

        length = 1/2 [s sqrt(A + B s^2) + A/sqrt(B) asinh(s sqrt(B/A))],
        angle  = [c sqrt(B) asinh(s sqrt(B/A)) + atan2(s, c sqrt(A + B s^2))],

    so that only c is left to be found, by bisection. Samples keep to a sector of 144 degrees: the geodesic that passes the
    axis on its other side is longer.

    References: do Carmo 1976, Differential Geometry of Curves and Surfaces, section 4.4.
    """

    steepness: float = 1.0

    def decode(self, z: Tensor) -> Tensor:
        return torch.cat([z, self.steepness * (z**2).sum(-1, keepdim=True)], -1)

    def sample(self, n: int, generator: torch.Generator) -> Tensor:
        rho, phi = _uniform(n, 0.05**2, 1.5**2, generator).sqrt(), _uniform(n, -0.4 * pi, 0.4 * pi, generator)
        return torch.stack([rho * phi.cos(), rho * phi.sin()], -1)

    def distance(self, z0: Tensor, z1: Tensor) -> Tensor:
        rho0, rho1 = z0.double().norm(dim=-1), z1.double().norm(dim=-1)
        near, far = torch.minimum(rho0, rho1), torch.maximum(rho0, rho1)
        cosine, sine = (z0 * z1).sum(-1).double(), (z0[..., 0] * z1[..., 1] - z0[..., 1] * z1[..., 0]).abs().double()
        angle = torch.atan2(sine, cosine)
        # At `near` the parameter s runs from near (the two on one meridian) to -near (the geodesic through the axis).
        low, high = -near, near
        for _ in range(60):
            middle = 0.5 * (low + high)
            swept, _ = self._swept(middle, near, far)
            low, high = torch.where(swept > angle, middle, low), torch.where(swept > angle, high, middle)
        return self._swept(0.5 * (low + high), near, far)[1]

    def _swept(self, s: Tensor, near: Tensor, far: Tensor) -> tuple[Tensor, Tensor]:
        """Angle and length from `near`, where the parameter is s, out to `far`."""
        c = ((near - s) * (near + s)).clamp_min(0).sqrt()
        b = 2 * self.steepness
        a = 1 + (b * c) ** 2

        def primitives(s: Tensor) -> tuple[Tensor, Tensor]:
            root, bend = (a + (b * s) ** 2).sqrt(), torch.asinh(b * s / a.sqrt())
            return b * c * bend + torch.atan2(s, c * root), 0.5 * (s * root + a / b * bend)

        angle0, length0 = primitives(s)
        angle1, length1 = primitives(((far - c) * (far + c)).sqrt())
        return angle1 - angle0, length1 - length0


@dataclass(frozen=True)
class Ellipsoid(_Sheet):
    """An ellipsoid of revolution by geographic latitude and longitude, in radians, with its two semi-axes.

    Its distance is the inverse problem of geodesy (Karney 2013, arXiv 1109.4448), for which GeographicLib is the oracle.
    """

    equatorial: float = 1.0
    polar: float = 0.8

    @property
    def flattening(self) -> float:
        return 1 - self.polar / self.equatorial

    def decode(self, z: Tensor) -> Tensor:
        latitude, longitude = z.unbind(-1)
        shrink = (self.polar / self.equatorial) ** 2
        normal = self.equatorial / (latitude.cos() ** 2 + shrink * latitude.sin() ** 2).sqrt()
        across = normal * latitude.cos()
        return torch.stack([across * longitude.cos(), across * longitude.sin(), shrink * normal * latitude.sin()], -1)

    def sample(self, n: int, generator: torch.Generator) -> Tensor:
        return torch.stack([_uniform(n, -1.2, 1.2, generator), _uniform(n, -1.05, 1.05, generator)], -1)


@dataclass(frozen=True)
class LinearDecoder:
    """`z -> W z` with a random `W (D, d)`: straight lines are geodesics, and the metric is the same everywhere.

    >>> LinearDecoder(2, 5, seed=0).matrix.shape
    torch.Size([5, 2])
    """

    d: int
    D: int
    seed: int

    @property
    def dim(self) -> int:
        return self.d

    @property
    def matrix(self) -> Tensor:
        return torch.randn(self.D, self.d, generator=generator_of("linear", self.seed), dtype=torch.float64)

    def decode(self, z: Tensor) -> Tensor:
        return z @ self.matrix.to(z).mT

    def sample(self, n: int, generator: torch.Generator) -> Tensor:
        return torch.randn(n, self.d, generator=generator, dtype=torch.float64)

    def distance(self, z0: Tensor, z1: Tensor) -> Tensor:
        return self.decode(z1 - z0).norm(dim=-1)


SOLVED: tuple[SolvedSurface, ...] = (
    StereographicSphere(), SphericalCoordinates(), Cylinder(), SwissRoll(), Paraboloid(), LinearDecoder(3, 10, seed=0),
)  # fmt: skip
"""One of each surface that knows its distance."""
