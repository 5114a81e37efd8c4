r"""Spaces of constant curvature in normal coordinates, of which the curvature may be negative, zero or positive.

A point is `z = r u`: from the origin in the direction of the unit vector u a way of length r. With s and c of the curvature
(`egregium.numerics.trigonometry`), `phi` the angle at the origin between `z_0` and `z_1`, and `h = sin(phi / 2)`,

.. math:: s(d / 2)^2 = s((r_1 - r_0) / 2)^2 + s(r_0) s(r_1) h^2 .

All terms are positive, so that distances are as exact as these are. Far from the origin of a hyperbolic space a rounding of the
angle is magnified by s(r), up to 1e18; so `phi` comes from `rejection`, which has all digits of what the inputs say.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property, partial

import torch
import torch.nn.functional as F
from torch import Tensor

from egregium.errors import TensorError
from egregium.numerics.compensated import dot, rejection
from egregium.numerics.refined import refined, tracked
from egregium.numerics.reflection import mirrored
from egregium.numerics.trigonometry import Trigonometry
from egregium.spaces.explicit import plain, require_dimension, require_number, root
from egregium.spaces.space_form import SpaceForm

LEAST = 1e-150  # radius, whose square is a normal number still
MAGNIFIED = 32  # times as much a rounding of the angle at the origin may count
DEEPEST = 350.0  # radii in units of curvature beyond which products of two hyperbolic sines overflow


@dataclass(frozen=True, eq=False)
class ConstantCurvature(SpaceForm):
    """The n-dimensional space of constant curvature, in normal coordinates at an origin: n numbers, any curvature.

    The curvature may be a tensor `()`, also one that is learned: everything is smooth in it, through zero as well. Where it is
    positive the coordinates cover the sphere up to the antipode of the origin, at `r = pi / sqrt(curvature)`.

    Args:
        n: dimension.
        curvature: sectional curvature, a number or a tensor `()`.

    References: do Carmo 1992, Riemannian Geometry, chapter 8.

    >>> curvature = torch.tensor(0.0, requires_grad=True)
    >>> space = ConstantCurvature(2, curvature)
    >>> length = space.dist(torch.tensor([1.0, 0.0]).double(), torch.tensor([0.0, 1.0]).double())
    >>> length.backward()
    >>> round(length.item(), 6), round(curvature.grad.item(), 6)
    (1.414214, -0.117851)
    """

    n: int
    curvature: float | Tensor = 0.0

    def __post_init__(self) -> None:
        kind = type(self).__name__
        require_dimension(kind, self.n)
        require_number(f"{kind}(curvature)", self.curvature, learned=True)

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.n}, curvature={plain(self.curvature):g})"

    @property
    def injectivity_radius(self) -> float:
        curvature = plain(self.curvature)
        return torch.pi / curvature**0.5 if curvature > 0 else torch.inf

    @property
    def _kappa(self) -> float | Tensor:
        return self.trigonometry.curvature

    @property
    def trigonometry(self) -> Trigonometry:
        """Sine and cosine of this curvature."""
        curvature = self.curvature
        return Trigonometry(curvature.double() if isinstance(curvature, Tensor) else float(curvature))

    def require_inside(self, *points: Tensor) -> None:
        depth = max(0.0, -plain(self.curvature)) ** 0.5
        for z in points:
            if depth > 0 and bool(depth * z.detach().abs().amax() > DEEPEST):
                raise TensorError(
                    f"points of {self} lie at most {DEEPEST / depth:.3g} from the origin in each coordinate; got "
                    f"{float(z.detach().abs().max()):.3g}: farther out, distances overflow."
                )

    def _inner(self, z: Tensor, u: Tensor, v: Tensor) -> Tensor:
        at = _Polar.of(z)
        stretch = self.trigonometry.sinc(at.r)
        radial = dot(at.u, u) * dot(at.u, v)
        return (radial + stretch**2 * dot(rejection(u, at.d), rejection(v, at.d)))[:, 0]

    def _metric(self, z: Tensor) -> Tensor:
        at = _Polar.of(z)
        square = (self.trigonometry.sinc(at.r) ** 2)[..., None]
        along = at.u[:, :, None] * at.u[:, None, :]
        one = torch.eye(self.n, dtype=z.dtype, device=z.device)
        return along + square * (one - along)

    def _frame(self, z: Tensor) -> Tensor:
        """Radially first, then across: the axes reflected so that the first points away from the origin."""
        at = _Polar.of(z)
        axes = torch.eye(self.n, dtype=z.dtype, device=z.device).expand(len(z), -1, -1)[:, 1:]
        across = mirrored(at.u[:, None].expand_as(axes), axes) / self.trigonometry.sinc(at.r)[..., None]
        return torch.cat([at.u[:, None], across], 1).mT

    def _dist(self, z0: Tensor, z1: Tensor) -> Tensor:
        return self._refined(_quick_dist, lambda trig, z0, z1: _Triangle.of(trig, z0, z1).side, z0, z1)[:, 0]

    def _log(self, z0: Tensor, z1: Tensor) -> Tensor:
        return self._refined(_quick_log, _careful_log, z0, z1)

    def _exp(self, z: Tensor, v: Tensor) -> Tensor:
        return self._refined(_quick_exp, _careful_exp, z, v)

    def _refined(self, quick: Callable, careful: Callable, *rows: Tensor) -> Tensor:
        """Rules of a trigonometry and rows; where the curvature may be learned all is careful."""
        trig = self.trigonometry
        if isinstance(trig.curvature, Tensor):
            return careful(trig, *rows)
        return refined(partial(quick, trig), partial(careful, trig), *rows)

    def _transport(self, z0: Tensor, z1: Tensor, v: Tensor) -> Tensor:
        """A rotation in the plane of the origin and both ends, in frames that point away from the origin; the rest stays."""
        of = _Triangle.of(self.trigonometry, z0, z1)
        cosine, sine, versine = of.rotation
        radial, across = dot(of.start.u, v), of.start_stretch * rejection(v, of.start.d)
        within = dot(of.across, across)
        outward = cosine * radial - sine * within
        inward = sine * radial * dot(of.across, of.across) + cosine * within
        rest = across + (sine * radial * of.cosine - versine * within) * of.across - inward * of.start.u
        carried = outward * of.end.u + rest / of.trig.sinc(of.end.r)
        if tracked(carried):  # at the origin directions have no gradient, but the transport has
            moved = _swung(of.trig, z0, of.end, dot(of.end.u, v), rejection(v, of.end.d), of.trig.sinc(of.end.r))
            carried = torch.where(of.start.r == 0, carried + moved, carried)
            moved = _swung(of.trig, z1, of.start, radial, across, torch.ones_like(radial))
            carried = torch.where(of.end.r == 0, carried - moved, carried)
        return carried

    def _log_volume(self, z: Tensor) -> Tensor:
        return (self.n - 1) * self.trigonometry.sinc(_Polar.of(z).r)[:, 0].log()


def _quick_dist(trig: Trigonometry, z0: Tensor, z1: Tensor) -> tuple[Tensor, Tensor]:
    """Distances by the cosine of the angle at the origin, and where they are right."""
    across, _ = _seen_from_origin(trig, z0, z1)
    return across.length, across.sure


def _quick_log(trig: Trigonometry, z0: Tensor, z1: Tensor) -> tuple[Tensor, Tensor]:
    """Logarithms as sums of multiples of both ends, and where they are right."""
    across, cosine = _seen_from_origin(trig, z0, z1)
    slope, magnified = across.length / across.sine, trig.cosine(across.r0) * across.s1
    turn = across.r0 * across.s1 / across.s0
    outward = trig.sine(across.rise) - 2 * magnified * across.versine
    way = (slope * (outward - turn * cosine) / across.r0) * z0 + (slope * turn / across.r1) * z1
    size = (outward**2 + turn**2 * (1 - cosine**2)).sqrt()
    return way, across.sure & (magnified.abs() + turn <= MAGNIFIED * size)


def _quick_exp(trig: Trigonometry, z: Tensor, v: Tensor) -> tuple[Tensor, Tensor]:
    """Ends as sums of multiples of start and velocity, and where they are right."""
    r, speed = root(dot(z, z)), root(dot(v, v))
    radial, start, there = dot(z, v) / r, trig.sine(r), trig.cosine(r)
    stretch = start / r
    square = stretch**2 * (speed - radial) * (speed + radial)
    length = root(radial**2 + square)
    sinc, cosine = trig.sinc(length), trig.cosine(length)
    outwards = start * cosine + there * sinc * radial
    sine = root(outwards**2 + sinc**2 * square)
    scale = trig.arc(sine, there * cosine - trig.curvature * sinc * start * radial) / sine
    turn = sinc * stretch
    end = (scale * (outwards - turn * radial) / r) * z + (scale * turn) * v
    most = (start * cosine).abs() + ((there * sinc).abs() + turn) * speed
    return end, (4 * most <= MAGNIFIED * sine) & (stretch * speed <= MAGNIFIED * length)


def _seen_from_origin(trig: Trigonometry, z0: Tensor, z1: Tensor) -> tuple["_Across", Tensor]:
    """The side from z0 to z1, and the cosine of the angle at the origin, NaN for the origin itself."""
    r0, r1 = root(dot(z0, z0)), root(dot(z1, z1))
    cosine = dot(z0, z1) / (r0 * r1)
    return _Across(trig, r0, r1, r1 - r0, 0.5 - 0.5 * cosine), cosine


def _careful_log(trig: Trigonometry, z0: Tensor, z1: Tensor) -> Tensor:
    of = _Triangle.of(trig, z0, z1)
    slope = 1 / trig.sinc(of.side)
    across = slope * of.end_sine / of.start_stretch
    way = slope * of.outward * of.start.u + across * of.across
    return torch.where(of.at_centre, slope * of.way_at_centre, way) if tracked(way) else way


def _careful_exp(trig: Trigonometry, z: Tensor, v: Tensor) -> Tensor:
    at = _Polar.of(z)
    stretch, there = trig.sinc(at.r), trig.cosine(at.r)
    radial, across = dot(at.u, v), stretch * rejection(v, at.d)
    square = dot(across, across)
    length = root(radial**2 + square)
    sinc, cosine = trig.sinc(length), trig.cosine(length)
    outwards = at.r * stretch * cosine + there * sinc * radial
    # Towards the origin the two ways there nearly cancel, so that their difference is taken first.
    inwards = trig.sine(at.r - length) + there * sinc * _ratio(square, length + radial.abs())
    line = torch.where(radial < 0, inwards, outwards) * at.u + sinc * across
    outward = at.r * stretch * radial
    if tracked(line):  # at the origin directions have no gradient, but these forms have the one that is
        centre = at.r == 0
        line = torch.where(centre, cosine * z + sinc * v, line)
        outward = torch.where(centre, dot(z, v), outward)
    sine = root(dot(line, line))
    cosine = there * cosine - trig.curvature * sinc * outward
    return line * _ratio(trig.arc(sine, cosine), sine)


@dataclass(frozen=True)
class _Polar:
    """Points z `(N, n)`: radius `r` `(N, 1)`, a vector `d` along z, which at the origin is the first axis, and its `size`."""

    r: Tensor
    d: Tensor
    size: Tensor

    @cached_property
    def u(self) -> Tensor:
        """The unit vector along d."""
        return self.d / self.size

    @staticmethod
    def of(z: Tensor) -> "_Polar":
        r = root(dot(z, z))
        if bool(r.all()):
            return _Polar(r, z, r)
        axis = F.one_hot(torch.zeros_like(z[:, 0], dtype=torch.int64), z.shape[-1])
        return _Polar(r, torch.where(r > 0, z, axis.to(z)), torch.where(r > 0, r, 1.0))


@dataclass(frozen=True)
class _Across:
    """The side across from the origin in triangles whose other sides are `r0` and `r1`, with their difference `rise` and
    `versine = sin^2(phi / 2)` of the angle between them, all `(N, 1)`."""

    trig: Trigonometry
    r0: Tensor
    r1: Tensor
    rise: Tensor
    versine: Tensor

    @cached_property
    def s0(self) -> Tensor:
        """`s(r_0)`."""
        return self.trig.sine(self.r0)

    @cached_property
    def s1(self) -> Tensor:
        """`s(r_1)`."""
        return self.trig.sine(self.r1)

    @cached_property
    def products(self) -> Tensor:
        """`s(r_0) s(r_1)`, which magnifies the angle."""
        return self.s0 * self.s1

    @property
    def endless(self) -> bool:
        """Whether the curvature is known not to be positive."""
        return not isinstance(self.trig.curvature, Tensor) and self.trig.curvature <= 0

    @cached_property
    def square(self) -> Tensor:
        """`s(d / 2)^2`."""
        return self.trig.sine(0.5 * self.rise) ** 2 + self.products * self.versine

    @cached_property
    def rest(self) -> Tensor:
        """`c(d / 2)^2`."""
        trig = self.trig
        if self.endless:
            return 1 - trig.curvature * self.square
        return trig.cosine(0.5 * (self.r0 + self.r1)) ** 2 + trig.curvature * self.products * (1 - self.versine)

    @property
    def length(self) -> Tensor:
        """The distance d."""
        return 2 * self.trig.arc(root(self.square), self.square if self.endless else root(self.rest))

    @property
    def sine(self) -> Tensor:
        """`s(d)`."""
        return 2 * root(self.square) * root(self.rest)

    @property
    def sure(self) -> Tensor:
        """Whether d is right to a few roundings although the versine may be off by one of 1."""
        sure = self.products <= MAGNIFIED * self.square
        return sure if self.endless else sure & (self.trig.curvature * self.products <= MAGNIFIED * self.rest)


@dataclass(frozen=True)
class _Triangle:
    """The triangles of the origin with N pairs of points: `start`, `end`, the angle `phi` at the origin, and `rise`, the
    difference of the radii, by products that do not cancel."""

    trig: Trigonometry
    z0: Tensor
    z1: Tensor
    start: _Polar
    end: _Polar
    rise: Tensor
    across: Tensor
    cosine: Tensor

    @staticmethod
    def of(trig: Trigonometry, z0: Tensor, z1: Tensor) -> "_Triangle":
        start, end = _Polar.of(z0), _Polar.of(z1)
        rise = _ratio(dot(z1 - z0, z1 + z0), start.r + end.r)
        across, cosine = rejection(end.d, start.d) / end.size, dot(start.d, end.d) / (start.size * end.size)
        return _Triangle(trig, z0, z1, start, end, rise, across, cosine)

    @cached_property
    def start_stretch(self) -> Tensor:
        return self.trig.sinc(self.start.r)

    @cached_property
    def end_sine(self) -> Tensor:
        return self.trig.sine(self.end.r)

    @cached_property
    def versine(self) -> Tensor:
        """`sin^2(phi / 2)`: from the sine where phi is acute, from the cosine where it is obtuse."""
        acute, obtuse = self.cosine.clamp_min(0), self.cosine.clamp_max(0)
        return 0.5 * (dot(self.across, self.across) / (1 + acute) + obtuse * (obtuse - 1))

    @cached_property
    def side(self) -> Tensor:
        """Distance of both ends, `(N, 1)`."""
        trig, across = self.trig, _Across(self.trig, self.start.r, self.end.r, self.rise, self.versine)
        if not tracked(across.square):
            return across.length
        square = torch.where(self.at_centre, self._from_centre, across.square)
        rest = torch.where(self.at_centre, across.rest.detach() - trig.curvature * (square - square.detach()), across.rest)
        return 2 * trig.arc(root(square), root(rest))

    @cached_property
    def at_centre(self) -> Tensor:
        """Whether an end is the origin, `(N, 1)`."""
        return (self.start.r == 0) | (self.end.r == 0)

    @property
    def way_at_centre(self) -> Tensor:
        """The logarithm times `s(d) / d` from or to the origin, where directions have no gradient but this form of it has."""
        trig, z0, z1, u = self.trig, self.z0, self.z1, self.start.u
        narrow = 1 / self.start_stretch
        forward = narrow * z1 + (trig.cosine(self.start.r) - narrow) * dot(z1, u) * u
        return trig.sinc(self.end.r) * forward - trig.cosine(self.end.r) * z0 / narrow

    @property
    def _from_centre(self) -> Tensor:
        """`s(d / 2)^2` from or to the origin, where radii have no gradient but this form of them has."""
        trig, curvature = self.trig, self.trig.curvature
        squares = [0.25 * dot(z, z) * trig.sinc(0.5 * at.r) ** 2 for z, at in ((self.z0, self.start), (self.z1, self.end))]
        products = trig.sinc(self.start.r) * trig.sinc(self.end.r) * dot(self.z0, self.z1)
        return squares[0] + squares[1] - 2 * curvature * squares[0] * squares[1] - 0.5 * products

    @property
    def outward(self) -> Tensor:
        """The part of the geodesic's direction at the start that points away from the origin, times `s(d)`."""
        return self.trig.sine(self.rise) - 2 * self.trig.cosine(self.start.r) * self.end_sine * self.versine

    @property
    def rotation(self) -> tuple[Tensor, Tensor, Tensor]:
        """Of the angle psi by which a geodesic's direction turns against the outward one `cos(psi)`, `sin(psi) / sin(phi)` and
        `(1 - cos(psi) cos(phi)) / sin(phi)^2`, all `(N, 1)` and smooth also where both ends and the origin are on one line.

        By `tan(psi / 2) = -tan(phi / 2) c((r_1 + r_0) / 2) / c((r_1 - r_0) / 2)`, of Napier's analogies.
        """
        narrow, wide = self.trig.cosine(0.5 * self.rise), self.trig.cosine(0.5 * (self.start.r + self.end.r))
        acute, obtuse = narrow**2 * (1 - self.versine), wide**2 * self.versine
        size = acute + obtuse
        return (acute - obtuse) / size, -narrow * wide / size, 0.5 * (narrow**2 + wide**2) / size


def _swung(trig: Trigonometry, near: Tensor, far: _Polar, radial: Tensor, across: Tensor, stretch: Tensor) -> Tensor:
    """0, with the slope in `near`, at the origin, of a vector `(radial, across)` that is carried from there to `far`.

    An infinitesimal rotation in the plane of both, of `curvature tan(r / 2)` times the part of the move that is across.
    """
    half = trig.curvature * trig.sine(0.5 * far.r) / trig.cosine(0.5 * far.r)
    return half * (dot(near, across) * far.u - radial * rejection(near, far.d) / stretch)


def _ratio(a: Tensor, b: Tensor) -> Tensor:
    """`a / b`, 0 where a is; b is not negative, and a is 0 where b is."""
    return a / b.clamp_min(LEAST)
