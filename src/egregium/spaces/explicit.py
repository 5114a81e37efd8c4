"""What spaces with closed-form geometry share: checked, computed in double precision, in pieces that stay in the cache."""

import sys
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from egregium.errors import OptionError
from egregium.numerics.planes import plane
from egregium.numerics.refined import tracked
from egregium.spaces.points import require_points

PIECE = 1 << 17  # numbers of a tensor at a time, where no gradients are recorded
SHORT = 8  # numbers of a row up to which torch works on rows slower than on coordinates


def by_coordinate(rows: Tensor) -> Tensor:
    """Rows `(N, n)` in float64 of which, where they are short, each coordinate lies together, which torch is faster at.

    The axis of length 1 is for torch, whose copy of transposed matrices is four times slower than that of anything else.
    """
    if rows.shape[-1] > SHORT:
        return rows.double().contiguous()
    if rows.dtype == torch.float64 and rows.T.is_contiguous():
        return rows
    return rows.new_empty((1, *rows.shape[::-1]), dtype=torch.float64).copy_(rows.T[None])[0].T


class Explicit(ABC):
    """A space that knows its geodesics.

    Points and tangent vectors are `(*batch, width)`, numbers about them `(*batch)`; nothing is broadcast. Tangent vectors are
    velocities of the coordinates. All is computed in float64 and rounded to the points' dtype in the end, so that
    float32 loses no more than the rounding of its inputs and of its results.

    What a subclass gives are the methods with an underscore, of rows `(N, width)` in float64.
    """

    @property
    @abstractmethod
    def dim(self) -> int:
        """Dimension."""

    @property
    @abstractmethod
    def width(self) -> int:
        """Numbers per point."""

    @property
    @abstractmethod
    def injectivity_radius(self) -> float:
        """The distance up to which geodesics from a point are the only shortest ones; infinite where all are."""

    @abstractmethod
    def random(
        self,
        *batch: int,
        generator: torch.Generator | None = None,
        dtype: torch.dtype = torch.float32,
        device: torch.device | str | None = None,
    ) -> Tensor:
        """Random points `(*batch, width)`."""

    @abstractmethod
    def _metric(self, z: Tensor) -> Tensor: ...
    @abstractmethod
    def _inner(self, z: Tensor, u: Tensor, v: Tensor) -> Tensor: ...
    @abstractmethod
    def _frame(self, z: Tensor) -> Tensor: ...
    @abstractmethod
    def _dist(self, z0: Tensor, z1: Tensor) -> Tensor: ...
    @abstractmethod
    def _exp(self, z: Tensor, v: Tensor) -> Tensor: ...
    @abstractmethod
    def _log(self, z0: Tensor, z1: Tensor) -> Tensor: ...
    @abstractmethod
    def _transport(self, z0: Tensor, z1: Tensor, v: Tensor) -> Tensor: ...
    @abstractmethod
    def _log_volume(self, z: Tensor) -> Tensor: ...
    @abstractmethod
    def _riemann(self, z: Tensor) -> Tensor: ...
    @abstractmethod
    def _ricci(self, z: Tensor) -> Tensor: ...
    @abstractmethod
    def _jacobi_operator(self, z: Tensor, v: Tensor, u: Tensor) -> Tensor: ...

    def prepare(self, *points: Tensor, names: Sequence[str] = ()) -> tuple[Tensor, ...]:
        """`points` checked to be tensors `(*batch, width)` of one shape, dtype and device."""
        require_points(*points, width=self.width, names=names)
        return points

    def require_inside(self, *points: Tensor) -> None:  # noqa: B027, spaces that fill their coordinates have no bounds
        """Check that prepared points lie on the space.

        Raises: `TensorError`.
        """

    def metric(self, z: Tensor) -> Tensor:
        """Metric, `(*batch, width, width)`; where the width is more than the dimension it is zero across the space."""
        return self._computed(self._metric, (z,))

    def inner(self, z: Tensor, u: Tensor, v: Tensor) -> Tensor:
        """Inner product of tangent vectors, `(*batch)`; invariant."""
        return self._computed(self._inner, (z,), (u, v), names=("z", "u", "v"))

    def norm(self, z: Tensor, v: Tensor) -> Tensor:
        """Length of tangent vectors, `(*batch)`; invariant."""
        return self._computed(lambda z, v: root(self._inner(z, v, v)), (z,), (v,), names=("z", "v"))

    def frame(self, z: Tensor) -> Tensor:
        """Orthonormal frame, `(*batch, width, dim)`, a basis vector a column."""
        return self._computed(self._frame, (z,))

    def dist(self, z0: Tensor, z1: Tensor) -> Tensor:
        """Distance, `(*batch)`; gradient 0 at equal points; at the cut locus 0 on spheres, that of one of the ways on tori."""
        return self._computed(self._dist, (z0, z1))

    def exp(self, z: Tensor, v: Tensor) -> Tensor:
        """Where the geodesic from z with velocity v is at time 1, `(*batch, width)`."""
        return self._computed(self._exp, (z,), (v,), names=("z", "v"))

    def log(self, z0: Tensor, z1: Tensor) -> Tensor:
        """Initial velocity at z0 of the shortest geodesic that is at z1 at time 1, `(*batch, width)`; any of several."""
        return self._computed(self._log, (z0, z1))

    def transport(self, z0: Tensor, z1: Tensor, v: Tensor) -> Tensor:
        """Parallel transport of tangent vectors v from z0 along the shortest geodesic to z1, `(*batch, width)`."""
        return self._computed(self._transport, (z0, z1), (v,), names=("z0", "z1", "v"))

    def geodesic(self, z0: Tensor, z1: Tensor, t: float) -> Tensor:
        """The point at time t of the shortest geodesic from z0 to z1 in unit time, `(*batch, width)`."""
        require_number("geodesic(t): the time", t)
        return self._computed(lambda a, b: self._exp(a, t * self._log(a, b)), (z0, z1))

    def midpoint(self, z0: Tensor, z1: Tensor) -> Tensor:
        """The point halfway, `(*batch, width)`."""
        return self.geodesic(z0, z1, 0.5)

    def log_volume(self, z: Tensor) -> Tensor:
        """Logarithm of the volume element in the coordinates, `(*batch)`."""
        return self._computed(self._log_volume, (z,))

    def riemann(self, z: Tensor) -> Tensor:
        """Riemann tensor with all indices down, `(*batch, width, width, width, width)`."""
        return self._computed(self._riemann, (z,))

    def ricci(self, z: Tensor) -> Tensor:
        """Ricci tensor, `(*batch, width, width)`."""
        return self._computed(self._ricci, (z,))

    def scalar(self, z: Tensor) -> Tensor:
        """Scalar curvature, `(*batch)`."""

        def traced(z: Tensor) -> Tensor:
            frame = self._frame(z)
            return torch.einsum("nia,nij,nja->n", frame, self._ricci(z), frame)

        return self._computed(traced, (z,))

    def sectional(self, z: Tensor, u: Tensor, v: Tensor) -> Tensor:
        """Sectional curvature of the plane that u and v span, `(*batch)`; NaN where they are parallel."""

        def of(z: Tensor, u: Tensor, v: Tensor) -> Tensor:
            u, v, parallel = plane(u, v, lambda a, b: self._inner(z, a, b))
            return self._inner(z, self._jacobi_operator(z, v, u), u).masked_fill(parallel, torch.nan)

        return self._computed(of, (z,), (u, v), names=("z", "u", "v"))

    def jacobi_operator(self, z: Tensor, v: Tensor, u: Tensor) -> Tensor:
        """`R(u, v) v`, `(*batch, width)`: how the curvature drives apart or together the neighbours u of a geodesic along v."""
        return self._computed(self._jacobi_operator, (z,), (v, u), names=("z", "v", "u"))

    def project(self, x: Tensor) -> Tensor:
        """The point of the space that coordinates x `(*batch, width)` mean, for such as are not quite on it."""
        (x,) = self.prepare(x, names=("x",))
        return x

    def tangent(self, z: Tensor, v: Tensor) -> Tensor:
        """The part of vectors v `(*batch, width)` that is tangent to the space at z."""
        return self.prepare(z, v, names=("z", "v"))[1]

    def embed(self, z: Tensor) -> Tensor:
        """Coordinates that a decoder on this space receives, smooth on the whole of it."""
        return z

    def decode(self, z: Tensor) -> Tensor:
        """What is observed at points: their coordinates."""
        return z

    def retracted(self, z: Tensor) -> Tensor:
        """The points of the space that coordinates near it mean, without checks and differentiable: for maps from the space."""
        return z

    def off(self, z: Tensor) -> Tensor:
        """By how much coordinates miss the space, `(*batch, width - dim)`, smooth and with independent slopes."""
        return z[..., :0]

    def turns(self, z0: Tensor, z1: Tensor) -> list[Tensor]:
        """Coordinates of the points z1 to which geodesics from z0 may go another way round, the nearest first."""
        return [z1]

    def _computed(
        self, rule: Callable[..., Tensor], points: Sequence[Tensor], vectors: Sequence[Tensor] = (), names: Sequence[str] = ()
    ) -> Tensor:
        """`rule` of rows, in float64; points are checked to lie on the space."""
        given = self.prepare(*points, *vectors, names=names)
        rows = [one.reshape(-1, self.width) for one in given]

        def of(piece: Sequence[Tensor]) -> Tensor:
            arranged = [by_coordinate(one) for one in piece]
            self.require_inside(*arranged[: len(points)])
            return rule(*arranged)

        if torch.is_grad_enabled() and any(map(tracked, given)):
            value = of(rows).to(given[0].dtype)
        else:
            value = _in_pieces(of, rows, max(1, PIECE // self.width))
        return value.reshape((*given[0].shape[:-1], *value.shape[1:]))


def _in_pieces(rule: Callable[[Sequence[Tensor]], Tensor], rows: Sequence[Tensor], size: int) -> Tensor:
    """`rule` of `size` rows at a time, in the dtype of the rows."""
    value, number = rows[0].new_empty(0), len(rows[0])
    for start in range(0, number, size):
        part = rule([one[start : start + size] for one in rows])
        if start == 0:
            value = rows[0].new_empty((number, *part.shape[1:]))
        value[None, start : start + size] = part[None]
    return value


def root(x: Tensor) -> Tensor:
    """Square roots with subgradient 0 at 0; 0 of what rounding has made negative."""
    if not tracked(x):
        return x.clamp_min(0).sqrt()
    positive = x > 0
    return torch.where(positive, torch.where(positive, x, 1.0).sqrt(), 0.0)


def require_dimension(kind: str, n: int) -> None:
    """Check that `n` is a dimension.

    Raises: `OptionError`.
    """
    if not isinstance(n, int) or isinstance(n, bool) or n < 1:
        raise OptionError(f"{kind}(n): n must be a whole number of at least 1; got {n!r}.")


def require_number(what: str, value: object, *, learned: bool = False) -> None:
    """Check that `value` is a finite number, or where it may be `learned` a tensor `()` of one.

    Raises: `OptionError`.
    """
    number = isinstance(value, (int, float)) and not isinstance(value, bool)
    if learned and isinstance(value, Tensor):
        number = value.shape == () and value.is_floating_point()
    if not number or not abs(plain(value)) <= sys.float_info.max:  # type: ignore[arg-type]
        found = f"a tensor {tuple(value.shape)}" if isinstance(value, Tensor) else repr(value)
        raise OptionError(f"{what} is a finite number{', or a float tensor ()' if learned else ''}; got {found}.")


def plain(x: float | Tensor) -> float:
    """A number without its gradient."""
    return float(x.detach() if isinstance(x, Tensor) else x)
