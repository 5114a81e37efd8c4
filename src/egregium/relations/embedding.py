"""Placing points in an explicit space from their distances alone."""

import math
from collections.abc import Iterator
from dataclasses import dataclass

import torch
from scipy.sparse.csgraph import shortest_path
from torch import Tensor

from egregium.errors import NotConvergedError, OptionError, ShapeError, TensorError
from egregium.geodesics.options import require_on_fail, require_steps
from egregium.relations.placement import Factors, Places, Tables, descended, joined, relocated, rows
from egregium.relations.stress import classical_scaling
from egregium.spaces import ConstantCurvature, Euclidean, Explicit, Product, Scaled, Sphere, Torus
from egregium.spaces.explicit import plain
from egregium.spaces.product import require_riemannian
from egregium.status import Status

SIEVE = ((3, 12), (10, 3))  # after so many steps so many starts are followed further
KEPT, MOVES = 3, 3  # starts followed to the end, and how often points of these are put elsewhere
SPREAD = (1.5, 5.0)  # extent of the points in units of the curvature, from which curved factors start
NUDGE = 0.03  # of the extent of the points: starts are off by that, for none to be a saddle or the same
FULL = 1.05  # diameters of closed factors at the start, in units of the largest distance


@dataclass(frozen=True, eq=False, repr=False)
class Embedding:
    """N points of an explicit space whose distances are as near as possible to those given.

    Attributes:
        space: the space; where its scale was free, with the scales that were found.
        points: `(N, width)`.
        distances: `(N, N)`, of these points.
        distortion: mean of `|d / D - 1|` over the pairs that are known.
        worst: the largest of these.
        stress: `sqrt(sum (d - D)^2 / sum D^2)` (Kruskal's first).
        status: CONVERGED where the loss no longer falls by `rtol`, else MAX_STEPS.
        steps: steps from the best start.
    """

    space: Explicit
    points: Tensor
    distances: Tensor
    distortion: Tensor
    worst: Tensor
    stress: Tensor
    status: Status
    steps: int

    @property
    def ok(self) -> bool:
        """Whether CONVERGED."""
        return self.status == Status.CONVERGED

    def __repr__(self) -> str:
        return (
            f"Embedding({len(self.points)} points in {self.space!r}, distortion {float(self.distortion):.3g} (worst "
            f"{float(self.worst):.3g}), stress {float(self.stress):.3g}, {self.steps} steps: {self.status.name})"
        )


def embed(
    distances: Tensor,
    space: Explicit,
    *,
    scale: bool = True,
    starts: int = 48,
    seed: int = 0,
    rtol: float = 1e-4,
    max_steps: int = 1000,
    on_fail: str = "raise",
) -> Embedding:
    r"""Points `x_i` of an explicit space that minimise `sum_ij (d(x_i, x_j) / D_ij - 1)^2` over the pairs that are known.

    The best of several local minima, by Levenberg-Marquardt steps in normal coordinates at the points, from classical scaling
    whose axes are dealt to the factors at random: most starts are given up after a few steps, the best followed to the end,
    where points that fit better elsewhere are put there, and the descent goes on.
    Distances are all that is used, so that nothing depends on coordinates in which they were measured.

    Args:
        distances: D `(N, N)`, symmetric, positive off the diagonal; NaN where not known. Those of `eg.pairwise`, of a graph, or
            of any table.
        space: explicit; its curvature says the kind and, with `scale=False`, the size.
        scale: whether every curved or closed factor (every circle of a torus) may be scaled to fit.
        starts: how many placements are tried.
        seed: of these.
        rtol: relative decrease of the loss below which it is at rest.
        max_steps: steps from each of the best starts.
        on_fail: "raise" `NotConvergedError`, whose `.result` is the `Embedding`, or "mark" it in `status`.

    Cost: `N^2 / 2` distances and a linear system of `N dim` unknowns a step; 3 steps from each start, 10 from the best 12 and
    some 20 to 100 from the best 3: half a second for 40 points; memory for `(N dim)^2` numbers.

    Raises: `ShapeError`, `TensorError`, `OptionError`, `NotConvergedError`.

    References: Gu, Sala, Gunel, Re 2019 (Learning mixed-curvature representations in product spaces); Cox and Cox 1991
    (Multidimensional scaling on a sphere); de Leeuw and Heiser 1982.

    >>> angle = torch.arange(8.0).double() * torch.pi / 4
    >>> apart = (angle - angle[:, None]).abs()
    >>> ring = 3 * torch.minimum(apart, 2 * torch.pi - apart)
    >>> found = embed(ring, Sphere(1))
    >>> round(found.distortion.item(), 6), round(float(found.space.s), 4)
    (0.0, 3.0)
    """
    require_on_fail(on_fail)
    matrix = checked(distances)
    options = {"starts": starts, "seed": seed, "rtol": rtol, "max_steps": max_steps, "scale": scale}
    (found,) = embeddings(matrix[None], space, like=distances, **options)
    if on_fail == "raise" and not found.ok:
        raise NotConvergedError(
            f"the embedding was not at rest after {found.steps} steps: {found!r}. "
            'Use on_fail="mark" to keep it, more max_steps or a larger rtol.',
            found,
        )
    return found


def checked(distances: Tensor) -> Tensor:
    """A matrix of distances in float64, on the host.

    Raises: `TensorError`; `ShapeError`.
    """
    if not isinstance(distances, Tensor) or not distances.is_floating_point():
        found = distances.dtype if isinstance(distances, Tensor) else type(distances).__name__
        raise TensorError(f"distances must be a float tensor (N, N); got {found}: wrap them with torch.as_tensor.")
    if distances.ndim != 2 or distances.shape[0] != distances.shape[1] or len(distances) < 3:
        raise ShapeError(f"distances must have shape (N, N) with N >= 3; got {tuple(distances.shape)}.")
    matrix = distances.detach().double().cpu()
    known = ~matrix.isnan()
    if not (known.equal(known.T) and torch.allclose(matrix.nan_to_num(), matrix.T.nan_to_num(), rtol=1e-5, atol=0)):
        raise TensorError("distances must be symmetric, with NaN for pairs that are not known in both places.")
    off = known & ~torch.eye(len(matrix), dtype=torch.bool)
    if not bool(off.any(1).all()):
        raise TensorError("every point needs at least one known distance to another: leave out those that have none.")
    if not bool(((matrix > 0) & torch.isfinite(matrix))[off].all()):
        raise TensorError("distances between different points must be positive and finite: join points that are equal.")
    return 0.5 * (matrix + matrix.T).fill_diagonal_(0)


def embeddings(
    tables: Tensor, space: Explicit, *, like: Tensor, starts: int, seed: int, rtol: float, max_steps: int, scale: bool = True
) -> list[Embedding]:
    """The embedding of each of some checked tables `(B, N, N)`, all descended together; numbers are as those of `like`.

    Raises: `OptionError`.
    """
    require_steps(max_steps)
    if not isinstance(space, Explicit):
        raise OptionError(f"embed places points in explicit spaces, such as Hyperbolic(2); got {space!r}.")
    if starts < 1 or not 0 < rtol < 1:
        raise OptionError(f"embed needs starts >= 1 and 0 < rtol < 1; got {starts}, {rtol}.")
    problem = _Problem.of(tables, space, scale)
    generator = torch.Generator().manual_seed(seed)
    places = problem.starts(starts, generator)
    for until, kept in (*SIEVE, (max_steps, KEPT)):
        places = descended(problem.tables, places, min(until, max_steps), rtol).best(kept)
    for _ in range(MOVES):
        moved = relocated(problem.tables, places, generator)
        places = joined(places, descended(problem.tables, moved, max_steps, rtol)).best(KEPT)
    places = places.best(1)
    return [problem.embedding(rows(places, torch.tensor([k])), table, like) for k, table in enumerate(tables)]


@dataclass(frozen=True)
class _Problem:
    """Tables in units `(B,)`, the root mean square of their distances, and `filled` `(B, N, N)` where they are not known."""

    tables: Tables
    unit: Tensor
    filled: Tensor

    @staticmethod
    def of(matrices: Tensor, space: Explicit, scale: bool) -> "_Problem":
        first, second = torch.triu_indices(matrices.shape[1], matrices.shape[1], 1)
        lengths = matrices[:, first, second]
        unit = lengths.square().nanmean(1).sqrt() if scale else torch.ones(len(lengths), dtype=torch.float64)
        known = (~lengths.isnan()).double()
        each = tuple(_factors(space))
        free = torch.tensor([scale and not isinstance(factor, Euclidean) for factor in each])
        filled = torch.stack([_filled(matrix) for matrix in matrices]) / unit[:, None, None]
        tables = Tables(
            Factors(space, each, torch.tensor([_radius(factor) for factor in each]), free, first, second),
            (lengths / unit[:, None]).nan_to_num(1.0),
            known / known.sum(1, keepdim=True),
            filled.amax((1, 2)),
        )
        return _Problem(tables, unit, filled)

    def starts(self, number: int, generator: torch.Generator) -> Places:
        """Classical scaling of each table, its axes dealt to the factors in order, and then at random."""
        each = self.tables.factors.each
        numbers = [_numbers(factor) for factor in each]
        scaling = [classical_scaling(filled, sum(numbers)) for filled in self.filled]
        points, scales = [], []
        for k in range(number):
            sizes = self._sizes(SPREAD[k % len(SPREAD)])
            for axes, size in zip(scaling, sizes, strict=True):
                off = torch.randn(axes.shape, generator=generator, dtype=axes.dtype)
                turn = torch.linalg.qr(torch.randn(2 * axes.shape[1:], generator=generator, dtype=axes.dtype)).Q
                axes = axes + NUDGE * axes.square().mean().sqrt() * off
                parts = (axes @ turn if k else axes).split(numbers, 1)
                points.append(torch.cat([_placed(*one) for one in zip(each, parts, size, strict=True)], 1))
            scales.append(sizes.log())
        table = torch.arange(len(scaling)).repeat(number)
        return Places.at(self.tables, table, torch.stack(points), torch.cat(scales))

    def _sizes(self, spread: float) -> Tensor:
        """Scales `(B, F)` from which to start: closed factors together as large as the table, others spread over theirs."""
        of, reach = self.tables.factors, self.tables.reach
        closed = torch.tensor([math.isfinite(factor.injectivity_radius) for factor in of.each])
        whole = FULL / math.pi / max(1, int(closed.sum())) ** 0.5
        sizes = torch.where(closed, whole, 1 / spread) * reach[:, None] / of.radii
        return torch.where(of.free, sizes, 1.0)

    def embedding(self, place: Places, matrix: Tensor, like: Tensor) -> Embedding:
        """The one of a table, in its units."""
        of, unit, points = self.tables.factors, float(self.unit[place.table]), place.points[0]
        scales = zip(of.each, of.free.tolist(), place.scales[0].exp().tolist(), strict=True)
        parts = [Scaled(factor, unit * scale) if free else factor for factor, free, scale in scales]
        lengths = torch.cat([torch.full((f.width,), unit if isinstance(f, Euclidean) else 1.0) for f in of.each])
        points, space = points * lengths, parts[0] if len(parts) == 1 else Product(*parts)
        n = len(points)
        apart = space.dist(points[:, None].expand(-1, n, -1), points.expand(n, n, -1))
        known = ~matrix.isnan() & ~torch.eye(n, dtype=torch.bool)
        found, given = apart[known], matrix[known]
        error = (found / given - 1).abs()
        stress = (found - given).norm() / given.norm()
        numbers = (x.to(like) for x in (points, apart, error.mean(), error.max(), stress))
        status = Status.CONVERGED if bool(place.rests) else Status.MAX_STEPS
        return Embedding(space, *numbers, status=status, steps=int(place.steps))


def _factors(space: Explicit) -> Iterator[Explicit]:
    """The factors of a product, of products in it, and the circles of tori, in the order of their coordinates."""
    require_riemannian(space)
    if isinstance(space, Product):
        for factor in space.factors:
            yield from _factors(factor)
    elif isinstance(space, Torus):
        yield from (Torus(1, radius) for radius in space.radii)  # type: ignore[union-attr]
    else:
        yield space


def _radius(factor: Explicit) -> float:
    """Radius of curvature of a factor, or of a circle; 1 where it is flat."""
    if isinstance(factor, Scaled):
        return plain(factor.s) * _radius(factor.space)
    if math.isfinite(factor.injectivity_radius):
        return factor.injectivity_radius / math.pi
    return abs(plain(factor.curvature) or 1.0) ** -0.5 if isinstance(factor, ConstantCurvature) else 1.0


def _numbers(factor: Explicit) -> int:
    """How many axes of classical scaling place a point on a factor."""
    return factor.width + 1 if isinstance(factor, Torus) else factor.width


def _placed(factor: Explicit, axes: Tensor, size: Tensor) -> Tensor:
    """Points at which axes `(N, k)` of classical scaling put a point of a factor of that size."""
    if isinstance(factor, Torus):
        return torch.atan2(axes[:, 1:], axes[:, :1])
    if isinstance(factor, Scaled):
        return _placed(factor.space, axes, size * plain(factor.s))
    return factor.project(axes) if isinstance(factor, Sphere) else axes / size


def _filled(matrix: Tensor) -> Tensor:
    """With shortest paths over the known pairs in place of those that are not."""
    if not bool(matrix.isnan().any()):
        return matrix
    filled = torch.from_numpy(shortest_path(matrix.nan_to_num(torch.inf).numpy(), directed=False))
    return filled.where(torch.isfinite(filled), filled[torch.isfinite(filled)].max())
