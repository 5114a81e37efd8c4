"""Laws that every space, distance and relation must keep: run them on your own before you trust a number that rests on it.

Each function returns the laws that are broken, an empty list for none, and `require` turns them into one failure:

>>> import torch
>>> from egregium.spaces import Euclidean
>>> z = torch.randn(5, 3, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
>>> require(space_breaches(Euclidean(3), z), closed_form_breaches(Euclidean(3), z))

Points are given by the caller, in float64, because only he knows where his space is regular. Vectors are drawn by a seed.
"""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from egregium.protocols import ClosedForm, ImmersedSpace, Relation, Space
from egregium.status import Status

STEP = 1e-5


@dataclass(frozen=True)
class Breach:
    """A law that is broken: its sentence, by how much, and how much is allowed."""

    law: str
    size: float
    allowed: float

    def __str__(self) -> str:
        return f"{self.law}: off by {self.size:.2g}, allowed are {self.allowed:.2g}"


def require(*found: list[Breach]) -> None:
    """Fail with every broken law in words.

    Raises: `AssertionError` unless all lists are empty.
    """
    broken = [breach for breaches in found for breach in breaches]
    if broken:
        raise AssertionError("broken laws: " + "; ".join(map(str, broken)))


class Judge:
    """Collects the laws whose defects exceed the tolerance; NaN always does."""

    def __init__(self, tolerance: float) -> None:
        self.tolerance = tolerance
        self.breaches: list[Breach] = []

    def law(self, sentence: str, defect: Tensor, allowed: float | None = None) -> None:
        allowed = self.tolerance if allowed is None else allowed
        if defect.numel() and not bool((defect.abs() <= allowed).all()):
            worst = defect.abs().nan_to_num(nan=torch.inf).max().item()
            self.breaches.append(Breach(sentence, worst, allowed))

    def shape(self, name: str, found: Tensor, expected: tuple[int, ...]) -> bool:
        """Whether a shape is as it must be; a breach otherwise."""
        if tuple(found.shape) == expected:
            return True
        self.breaches.append(Breach(f"{name} has shape {expected}, not {tuple(found.shape)}", torch.inf, 0.0))
        return False


def vectors(space: Space, z: Tensor, count: int, seed: int) -> list[Tensor]:
    """Random tangent vectors at z, `(*batch, width)` each: combinations of the frame."""
    generator = torch.Generator().manual_seed(seed)
    frame = space.frame(z)
    drawn = [torch.randn(*z.shape[:-1], space.dim, 1, generator=generator, dtype=torch.float64) for _ in range(count)]
    return [(frame @ one.to(z))[..., 0] for one in drawn]


def _relative(found: Tensor, expected: Tensor, scale: Tensor) -> Tensor:
    return (found - expected) / scale.clamp_min(torch.finfo(scale.dtype).tiny)


def space_breaches(space: Space, z: Tensor, *, tolerance: float = 1e-9, seed: int = 0) -> list[Breach]:
    """Broken laws of a metric at points z `(N, width)`: symmetric, positive, and told alike by `inner`, `norm` and `frame`.

    For an immersed space also that the metric is that of its immersion, by finite differences (to 1e-6).
    """
    judge, before = Judge(tolerance), z.clone()
    n, width, dim = len(z), space.width, space.dim
    metric, frame = space.metric(z), space.frame(z)
    if not (judge.shape("metric(z)", metric, (n, width, width)) and judge.shape("frame(z)", frame, (n, width, dim))):
        return judge.breaches
    size = torch.linalg.matrix_norm(metric)
    judge.law("the metric is symmetric", _relative(metric, metric.mT, size[:, None, None]))
    restricted = frame.mT @ metric @ frame
    judge.law("the frame is orthonormal", restricted - torch.eye(dim, dtype=z.dtype, device=z.device))
    u, v = vectors(space, z, 2, seed)
    contracted = torch.einsum("ni,nij,nj->n", u, metric, v)
    lengths = [torch.einsum("ni,nij,nj->n", one, metric, one) for one in (u, v)]
    judge.law("the metric is positive", torch.stack(lengths).clamp_max(0) - (torch.stack(lengths) == 0).to(z), 0.0)
    norms = [length.clamp_min(0).sqrt() for length in lengths]
    inner, norm = space.inner(z, u, v), space.norm(z, u)
    if judge.shape("inner(z, u, v)", inner, (n,)) and judge.shape("norm(z, v)", norm, (n,)):
        judge.law("inner(z, u, v) contracts the metric with u and v", _relative(inner, contracted, norms[0] * norms[1]))
        judge.law("norm(z, u)^2 is inner(z, u, u)", _relative(norm**2, space.inner(z, u, u), norm**2))
    _batch_laws(judge, space, z, metric)
    if isinstance(space, ImmersedSpace):
        judge.law("the metric is that of the immersion", _by_differences(space, z, u) / norms[0] - 1, max(tolerance, 1e-6))
    judge.law("arguments are not changed", z - before, 0.0)
    return judge.breaches


def _batch_laws(judge: Judge, space: Space, z: Tensor, metric: Tensor) -> None:
    """Leading dimensions of every kind, and no influence between rows."""
    n, width = z.shape
    alone = space.metric(z[0])
    if judge.shape("metric of one point", alone, (width, width)):
        scale = torch.linalg.matrix_norm(metric[0])
        judge.law("a point's metric does not depend on its batch", _relative(alone, metric[0], scale), 1e-12)
    nested = space.metric(z[: n - n % 2].reshape(2, -1, width)) if n > 1 else metric[:0]
    if n > 1 and judge.shape("metric of a nested batch", nested, (2, n // 2, width, width)):
        flat = metric[: n - n % 2]
        judge.law("nested batches are read row by row", _relative(nested.reshape(flat.shape), flat, flat.abs().amax()), 1e-12)


def _by_differences(space: ImmersedSpace, z: Tensor, u: Tensor) -> Tensor:
    """`|x(z + h u) - x(z - h u)| / 2 h`."""
    return (space.immerse(z + STEP * u) - space.immerse(z - STEP * u)).norm(dim=-1) / (2 * STEP)


def closed_form_breaches(
    space: Space, z: Tensor, *, tolerance: float = 1e-9, seed: int = 0, reach: float | None = None
) -> list[Breach]:
    """Broken laws of a space's own `dist, exp, log, transport` at points z `(N, width)`, near enough for unique geodesics.

    Vectors are drawn at random; `reach` is the length of the longest, where they must not lead too far.
    """
    if not isinstance(space, ClosedForm):
        raise TypeError(f"{type(space).__name__} has no dist, exp, log and transport; use space_breaches.")
    judge = Judge(tolerance)
    u, v = vectors(space, z, 2, seed)
    u = u if reach is None else u * (reach / space.norm(z, u).max())
    there = space.exp(z, u)
    log = space.log(z, there)
    judge.law("log inverts exp", space.norm(z, log - u))
    judge.law("exp inverts log", space.dist(space.exp(z, log), there))
    judge.law("the distance is the length of the logarithm", space.dist(z, there) - space.norm(z, log))
    judge.law("exp of zero stays", space.dist(space.exp(z, torch.zeros_like(u)), z))
    carried = [space.transport(z, there, one) for one in (u, v)]
    judge.law("transport keeps inner products", space.inner(there, carried[0], carried[1]) - space.inner(z, u, v))
    judge.law("a geodesic carries its own direction", space.norm(there, carried[0] + space.log(there, z)))
    return judge.breaches + distance_breaches(space, space.dist, z, tolerance=tolerance, seed=seed)


def distance_breaches(
    space: Space, distance: Callable[[Tensor, Tensor], Tensor], z: Tensor, *, tolerance: float = 1e-6, seed: int = 0
) -> list[Breach]:
    """Broken axioms of `distance(z0, z1) -> (N,)` between points z `(N, width)`, N >= 3, and its agreement with the metric.

    The metric's norm must be the rate at which distance grows: to 1e-3, since distances of near points are differences.
    """
    judge = Judge(tolerance)
    a, b, c = z, z.roll(1, 0), z.roll(2, 0)
    ab = distance(a, b)
    if not judge.shape("distance(z0, z1)", ab, (len(z),)):
        return judge.breaches
    judge.law("different points have positive distance", (~(ab > 0)).to(z), 0.0)
    judge.law("a point has no distance from itself", distance(a, a), 0.0)
    judge.law("distance is symmetric", _relative(distance(b, a), ab, ab))
    judge.law("the triangle inequality holds", ((distance(a, c) - ab - distance(b, c)) / ab).clamp_min(0))
    (u,) = vectors(space, z, 1, seed)
    small = 1e-4 * ab / space.norm(z, u)
    near = distance(z, z + small[:, None] * u) if space.width == space.dim else small * space.norm(z, u)
    judge.law("distance grows at the rate of the metric", near / (small * space.norm(z, u)) - 1, 1e-3)
    return judge.breaches


def relation_breaches(relation: Relation, space: Space, *points: Tensor) -> list[Breach]:
    """Broken laws of a relation at `relation.arity` points `(N, width)` each: form, bounds, and no influence of batch mates."""
    judge = Judge(0.0)
    judge.law("arity is 1, 2 or 3", torch.tensor(float(relation.arity not in (1, 2, 3))))
    judge.law("scale is ratio, interval, circular or signed",
              torch.tensor(float(relation.scale not in ("ratio", "interval", "circular", "signed"))))  # fmt: skip
    found = relation(space, *points)
    n = len(points[0])
    if not all([judge.shape(name, part, (n,)) for name, part in zip(found._fields, found, strict=True)]):
        return judge.breaches
    ok = found.status == Status.CONVERGED
    judge.law("values that are CONVERGED are finite", (~torch.isfinite(found.value[ok])).double())
    judge.law("lower <= value", (found.lower - found.value)[ok].clamp_min(0))
    judge.law("value <= upper", (found.value - found.upper)[ok].clamp_min(0))
    if relation.scale == "ratio":
        judge.law("ratio scales are not negative", found.value[ok].clamp_max(0))
    one = relation(space, *(z[:1] for z in points))
    scale = found.value[:1].abs().clamp_min(1e-300)
    judge.law("a row does not depend on its batch", ((one.value - found.value[:1]) / scale)[ok[:1]], 1e-10)
    return judge.breaches
