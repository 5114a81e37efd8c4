"""Explicit spaces in 200 digits, of the coordinates as they are stored: through the sphere or hyperboloid that they mean."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from mpmath import mp, mpf

mp.dps = 200
Point = Sequence[Any]
Distance = Callable[[Point, Point], Any]


def euclidean(x: Point, y: Point) -> Any:
    return mp.norm([a - b for a, b in zip(x, y, strict=True)])


def sphere(curvature: float) -> Distance:
    return Model(curvature, normal=False).distance


def normal_coordinates(curvature: float) -> Distance:
    return euclidean if curvature == 0 else Model(curvature).distance


@dataclass(frozen=True)
class Model:
    """The unit sphere (`sign` 1) or hyperboloid (-1) that a curvature means, as the set of vectors with product `sign`.

    Points and tangent vectors are lists of coordinates; `normal` ones of a space of constant curvature, or unit vectors.
    """

    curvature: float
    normal: bool = True

    @property
    def sign(self) -> int:
        return 1 if self.curvature > 0 else -1

    @property
    def k(self) -> Any:
        return mp.sqrt(abs(mpf(self.curvature)))

    def dot(self, a: Point, b: Point) -> Any:
        return sum(x * y for x, y in zip(a[1:], b[1:], strict=True)) + self.sign * a[0] * b[0]

    def lifted(self, z: Point) -> list[Any]:
        if not self.normal:
            return _unit(z)
        r = mp.norm(list(z))
        return [self._cosine(self.k * r), *(self._sine(self.k * r) * a for a in _direction(z))]

    def lifted_vector(self, z: Point, v: Point) -> list[Any]:
        """The velocity of the lifted point, in units of the curvature."""
        if not self.normal:
            x = _unit(z)
            return _combined(1, v, -sum(a * b for a, b in zip(x, v, strict=True)), x)
        r, u = mp.norm(list(z)), _direction(z)
        radial = sum(a * b for a, b in zip(u, v, strict=True))
        across = _combined(1, v, -radial, u)
        stretch = self._sine(self.k * r) / r if r > 0 else self.k
        along = _combined(self.k * radial * self._cosine(self.k * r), u, stretch, across)
        return [-self.sign * self.k * radial * self._sine(self.k * r), *along]

    def lowered(self, x: Point) -> list[Any]:
        if not self.normal:
            return list(x)
        sine = mp.norm(list(x[1:]))
        r = (mp.atan2(sine, x[0]) if self.sign > 0 else mp.asinh(sine)) / self.k
        return [r * a for a in _direction(x[1:])]

    def lowered_vector(self, x: Point, w: Point) -> list[Any]:
        if not self.normal:
            return list(w)
        sine, u = mp.norm(list(x[1:])), _direction(x[1:])
        radial = sum(a * b for a, b in zip(u, w[1:], strict=True))
        r = mp.norm(self.lowered(x))
        return _combined(radial / (self.k * x[0]), u, r / sine if sine > 0 else 1 / self.k, _combined(1, w[1:], -radial, u))

    def angle(self, x: Point, y: Point) -> Any:
        difference = _combined(1, x, -1, y)
        if self.sign > 0:
            return 2 * mp.atan2(mp.norm(difference), mp.norm(_combined(1, x, 1, y)))
        return 2 * mp.asinh(mp.sqrt(max(self.dot(difference, difference), mpf(0))) / 2)

    def distance(self, z0: Point, z1: Point) -> Any:
        return self.angle(self.lifted(z0), self.lifted(z1)) / self.k

    def exp(self, z: Point, v: Point) -> list[Any]:
        x, w = self.lifted(z), self.lifted_vector(z, v)
        angle = mp.sqrt(self.dot(w, w))
        return self.lowered(_combined(self._cosine(angle), x, self._sine(angle) / angle, w))

    def log(self, z0: Point, z1: Point) -> list[Any]:
        x, y = self.lifted(z0), self.lifted(z1)
        return self.lowered_vector(x, self._way(x, y))

    def transport(self, z0: Point, z1: Point, v: Point) -> list[Any]:
        x, y, w = self.lifted(z0), self.lifted(z1), self.lifted_vector(z0, v)
        share = self.dot(y, w) / (self.sign + self.dot(x, y))
        return self.lowered_vector(y, _combined(1, w, -share, _combined(1, x, 1, y)))

    def _way(self, x: Point, y: Point) -> list[Any]:
        across = _combined(1, y, -self.sign * self.dot(x, y), x)
        angle = self.angle(x, y)
        return [angle / self._sine(angle) * a for a in across]

    def _cosine(self, a: Any) -> Any:
        return mp.cos(a) if self.sign > 0 else mp.cosh(a)

    def _sine(self, a: Any) -> Any:
        return mp.sin(a) if self.sign > 0 else mp.sinh(a)


def torus(radii: Sequence[float]) -> Distance:
    def distance(x: Point, y: Point) -> Any:
        ways = [a - b - 2 * mp.pi * mp.nint((a - b) / (2 * mp.pi)) for a, b in zip(x, y, strict=True)]
        return mp.norm([mpf(radius) * way for radius, way in zip(radii, ways, strict=True)])

    return distance


def product(parts: Sequence[tuple[Distance, int]]) -> Distance:
    """Of factors with their widths."""

    def distance(x: Point, y: Point) -> Any:
        squares, start = [], 0
        for factor, width in parts:
            squares.append(factor(x[start : start + width], y[start : start + width]) ** 2)
            start += width
        return mp.sqrt(sum(squares))

    return distance


def gradient(distance: Distance, x: Point, y: Point) -> list[Any]:
    """In x, by central differences that are right to some 50 digits at distances of 1e-6 and more."""
    step = mpf(10) ** -60
    found = []
    for k in range(len(x)):
        ahead, behind = list(x), list(x)
        ahead[k], behind[k] = ahead[k] + step, behind[k] - step
        found.append((distance(ahead, y) - distance(behind, y)) / (2 * step))
    return found


def stored(z: Any) -> list[Any]:
    """The numbers of a tensor `(n,)`, exactly."""
    return [mpf(value) for value in z.double().tolist()]


def _unit(x: Point) -> list[Any]:
    size = mp.norm(list(x))
    return [a / size for a in x]


def _direction(x: Point) -> list[Any]:
    return _unit(x) if any(x) else [mpf(1), *(mpf(0) for _ in x[1:])]


def _combined(a: Any, x: Point, b: Any, y: Point) -> list[Any]:
    return [a * p + b * q for p, q in zip(x, y, strict=True)]
