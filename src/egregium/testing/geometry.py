"""Laws of the whole geometry of a space, explicit, learned or a product of such, by the verbs that measure it.

As in `egregium.testing.laws`, each function returns the laws that are broken, and `require` turns them into one failure. What
a space says of itself is held against its own metric, by differences, and against its own transport and curvature:

>>> import torch
>>> from egregium.spaces import Hyperbolic
>>> from egregium.testing.laws import require
>>> z = Hyperbolic(2).random(4, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
>>> require(geodesic_breaches(Hyperbolic(2), z), curvature_breaches(Hyperbolic(2), z))
"""

from typing import Any

import torch
from torch import Tensor

from egregium.geodesics import connect
from egregium.geodesics.geodesic import Geodesic
from egregium.numerics.cubature import gauss_legendre
from egregium.protocols import Space
from egregium.relations import angle, curvature, distance, exp, log, transport
from egregium.testing.laws import Breach, Judge, vectors

TIMES = (0.1, 0.35, 0.6, 0.9)
STEP = 1e-4
NODES = 8


def geodesic_breaches(
    space: Space, z: Tensor, *, tolerance: float = 1e-9, equation: float = 1e-5, seed: int = 0, **options: Any
) -> list[Breach]:
    """Broken laws of distance, geodesics, exponential, logarithm and transport between points z `(N, width)`, N >= 3.

    Points are to be so near that shortest geodesics are the only ones. The geodesic `equation` is that of the metric, by
    differences: of explicit spaces right to 1e-5; curves of learned ones are drawn through nodes, where some 1e-3 are usual.
    `options` are keywords of `connect`.
    """
    judge, (a, b, c) = Judge(tolerance), (z, z.roll(1, 0), z.roll(2, 0))
    g = connect(space, a, b, **options)
    size = g.length
    far, rest, still, back = distance(space, torch.cat([a, b, a, b]), torch.cat([c, c, a, a]), **options).chunk(4)
    judge.law("different points have positive distance", (~(size > 0)).to(z), 0.0)
    judge.law("a point has no distance from itself", still, 0.0)
    judge.law("distance is symmetric", back / size - 1)
    judge.law("the triangle inequality holds", ((far - size - rest) / size).clamp_min(0))
    judge.law("a geodesic goes from one end to the other", torch.stack([g(0.0) - a, g(1.0) - b]))
    way, home = log(space, torch.cat([a, b]), torch.cat([b, a]), **options).chunk(2)
    judge.law("the distance is the length of the logarithm", space.norm(a, way) / size - 1)
    judge.law("exp inverts log", exp(space, a, way, **_shooting(options)) - b)
    u, v = vectors(space, a, 2, seed)
    moved = transport(space, g[torch.arange(len(z)).repeat(4)], torch.cat([u, v, u - 2 * v, way]))
    first, second, both, ahead = moved.chunk(4)
    scale = space.norm(a, u) * space.norm(a, v)
    judge.law("transport keeps inner products", (space.inner(b, first, second) - space.inner(a, u, v)) / scale)
    judge.law("transport is linear", both - first + 2 * second)
    judge.law("a geodesic carries its own direction", ahead + home)
    _equation(judge, space, g, equation)
    return judge.breaches


def _shooting(options: dict[str, Any]) -> dict[str, Any]:
    return {name: options[name] for name in ("rtol", "on_fail") if name in options}


def _equation(judge: Judge, space: Space, g: Geodesic, allowed: float) -> None:
    """Uniform speed, and Lagrange's equation `d/dt (G z') = grad(z' G z') / 2` along the space."""
    for t in TIMES:
        z, v = g(t), g.velocity(t)
        judge.law("geodesics have uniform speed", space.norm(z, v) / g.length - 1, 0.01 * allowed)
        ahead, behind = (_momentum(space, g, t + side * STEP) for side in (1, -1))
        frame = space.frame(z)
        force = torch.stack([_energy_slope(space, z, v, e) for e in frame.unbind(-1)], -1)
        missed = (frame.mT @ ((ahead - behind) / (2 * STEP))[..., None])[..., 0] - force
        judge.law("geodesics keep Lagrange's equation", missed / g.length[:, None], allowed)


def _momentum(space: Space, g: Geodesic, t: float) -> Tensor:
    return (space.metric(g(t)) @ g.velocity(t)[..., None])[..., 0]


def _energy_slope(space: Space, z: Tensor, v: Tensor, e: Tensor) -> Tensor:
    """Derivative of `|v|^2 / 2` along e, with v held fixed in coordinates."""
    ahead, behind = (torch.einsum("ni,nij,nj->n", v, space.metric(z + side * STEP * e), v) for side in (1, -1))
    return (ahead - behind) / (4 * STEP)


def curvature_breaches(space: Space, z: Tensor, *, tolerance: float = 1e-9, seed: int = 0) -> list[Breach]:
    """Broken laws of the curvature tensor at points z `(N, width)`: its symmetries, Bianchi's first, and its traces."""
    judge = Judge(tolerance)
    frame, tensor = space.frame(z), curvature.riemann(space, z)
    r = torch.einsum("nijkl,nia,njb,nkc,nld->nabcd", tensor, frame, frame, frame, frame)
    judge.law("the curvature tensor is skew in its first pair", r + r.transpose(1, 2))
    judge.law("the curvature tensor is skew in its last pair", r + r.transpose(3, 4))
    judge.law("the curvature tensor is symmetric in its pairs", r - r.permute(0, 3, 4, 1, 2))
    judge.law("Bianchi's first identity holds", r + r.permute(0, 1, 3, 4, 2) + r.permute(0, 1, 4, 2, 3))
    ricci = frame.mT @ curvature.ricci(space, z) @ frame
    judge.law("Ricci's tensor is the trace of the curvature", ricci - torch.einsum("nabac->nbc", r))
    judge.law("scalar curvature is the trace of Ricci's", curvature.scalar(space, z) - torch.einsum("nbb->n", ricci))
    if space.dim > 1:
        u, v = vectors(space, z, 2, seed)
        area = space.inner(z, u, u) * space.inner(z, v, v) - space.inner(z, u, v) ** 2
        plane = torch.einsum("nijkl,ni,nj,nk,nl->n", tensor, u, v, u, v) / area
        judge.law("sectional curvature is the curvature of a plane", curvature.sectional(space, z, u, v) - plane)
    return judge.breaches


def excess_breaches(space: Space, z: Tensor, *, tolerance: float = 1e-6, **options: Any) -> list[Breach]:
    """Whether on a surface the angles of geodesic triangles exceed pi by the integral of the curvature, at z `(N, width)`.

    The theorem of Gauss and Bonnet ties distances, angles, areas and curvature together. Sides are to be shorter than the
    radius of curvature, for the integral to be that exact. Cost: 320 geodesics a triangle.
    """
    if space.dim != 2:
        raise ValueError(f"triangles enclose an area on surfaces; {space!r} has {space.dim} dimensions.")
    judge, corners = Judge(tolerance), [z, z.roll(1, 0), z.roll(2, 0)]
    a, b, c = corners
    angles = [angle(space, *turned, **options) for turned in ((a, b, c), (b, c, a), (c, a, b))]
    integral = _integral(space, a, b, c, options)
    judge.law("angles exceed pi by the integral of the curvature", torch.stack(angles).sum(0) - torch.pi - integral)
    return judge.breaches


def _integral(space: Space, a: Tensor, b: Tensor, c: Tensor, options: dict[str, Any]) -> Tensor:
    """Of the curvature over triangles, swept by the geodesics from a to the side opposite."""
    side = connect(space, b, c, **options)
    nodes, weights = gauss_legendre(NODES, a)
    s, t = torch.cartesian_prod(nodes, nodes).unbind(-1)

    def swept(s: Tensor, t: Tensor) -> Tensor:
        ends = side(s)
        start = a[:, None].expand_as(ends)
        return exp(space, start, t[:, None] * log(space, start, ends, **options), **_shooting(options))

    point = swept(s, t)  # (N, NODES^2, width)
    across = (swept(s + STEP, t) - swept(s - STEP, t)) / (2 * STEP)
    along = (swept(s, t + STEP) - swept(s, t - STEP)) / (2 * STEP)
    gram = torch.stack([space.inner(point, u, v) for u in (across, along) for v in (across, along)], -1)
    element = torch.linalg.det(gram.unflatten(-1, (2, 2))).clamp_min(0).sqrt()
    return (0.5 * element * curvature.scalar(space, point)) @ torch.outer(weights, weights).flatten()
