"""Placing points in an explicit space from their distances alone."""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from scipy.optimize import minimize
from torch import Tensor

from egregium.errors import NotConvergedError, OptionError, ShapeError, TensorError
from egregium.geodesics.options import require_on_fail, require_steps
from egregium.relations.stress import classical_scaling
from egregium.spaces import Euclidean, Explicit, Product, Scaled, Sphere, Torus
from egregium.status import Status

TRIED = 40  # steps from every start
KEPT = 3  # starts followed to the end
ROUND = 100  # steps between two charts
SPREAD = (1.5, 6.0)  # extent of the points in units of the curvature, from which curved factors start
EXACT = 0.01  # of rtol: root mean square of relative errors that is none
NUDGE = 1e-3  # of the extent of the points: starts are off by that, for none to be a saddle
FULL = 1.05  # circumferences of closed factors at the start, in units of twice the largest distance


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
    starts: int = 12,
    seed: int = 0,
    rtol: float = 1e-4,
    max_steps: int = 1000,
    on_fail: str = "raise",
) -> Embedding:
    r"""Points `x_i` of an explicit space that minimise `sum_ij (d(x_i, x_j) / D_ij - 1)^2` over the pairs that are known.

    The best of several local minima, by L-BFGS in normal coordinates at the points, from classical scaling in the directions
    of the factors. Distances are all that is used, so that nothing depends on coordinates in which they were measured.

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

    Cost: `N^2 / 2` distances a step, some 40 steps from each start and a few hundred from the best three.

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
    require_steps(max_steps)
    if not isinstance(space, Explicit):
        raise OptionError(f"embed places points in explicit spaces, such as Hyperbolic(2); got {space!r}.")
    if starts < 1 or not 0 < rtol < 1:
        raise OptionError(f"embed needs starts >= 1 and 0 < rtol < 1; got {starts}, {rtol}.")
    problem = _Problem.of(checked(distances), space, scale)
    generator = torch.Generator().manual_seed(seed)
    tried = [problem.descended(problem.start(k, generator), TRIED, rtol) for k in range(starts)]
    tried.sort(key=lambda place: place.loss)
    best = min((problem.descended(place, max_steps, rtol) for place in tried[:KEPT]), key=lambda place: place.loss)
    found = problem.result(best, distances)
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


@dataclass(frozen=True)
class _Place:
    """Points `(N, width)` and logarithms of scales `(k,)`, the loss there, and how many steps led to it."""

    points: Tensor
    scales: Tensor
    loss: float = math.inf
    steps: int = 0
    rests: bool = False


@dataclass(frozen=True)
class _Problem:
    """Known `lengths` `(P,)` of the pairs `first`, `second`, in units of their root mean square, and the factors to scale."""

    space: Explicit
    factors: list[tuple[Explicit, bool]]
    first: Tensor
    second: Tensor
    lengths: Tensor
    unit: float
    filled: Tensor

    @staticmethod
    def of(matrix: Tensor, space: Explicit, scale: bool) -> "_Problem":
        first, second = torch.triu_indices(len(matrix), len(matrix), 1)
        known = ~matrix[first, second].isnan()
        first, second = first[known], second[known]
        lengths = matrix[first, second]
        unit = float(lengths.square().mean().sqrt()) if scale else 1.0
        factors = [(factor, scale and not isinstance(factor, Euclidean)) for factor in _factors(space)]
        return _Problem(space, factors, first, second, lengths / unit, unit, _filled(matrix) / unit)

    def scaled(self, logarithms: Tensor) -> Explicit:
        """The space with its factors scaled."""
        scales = iter(logarithms.exp())
        parts = [Scaled(factor, next(scales)) if free else factor for factor, free in self.factors]
        return parts[0] if len(parts) == 1 else Product(*parts)

    def loss(self, points: Tensor, logarithms: Tensor) -> Tensor:
        """Mean square of the relative errors."""
        found = self.scaled(logarithms).dist(points[self.first], points[self.second])
        return (found / self.lengths - 1).square().mean()

    @property
    def softness(self) -> Tensor:
        """How far each point moves for one unit of loss, `(N, 1)`: the less, the nearer its neighbours."""
        stiff = torch.zeros(len(self.filled), dtype=torch.float64)
        for places in (self.first, self.second):
            stiff = stiff.index_add(0, places, self.lengths**-2)
        return stiff.rsqrt()[:, None] * stiff.mean().sqrt()

    def start(self, k: int, generator: torch.Generator) -> _Place:
        """The k-th placement: classical scaling, its axes dealt to the factors in order, and then at random."""
        numbers = [_numbers(factor) for factor, _ in self.factors]
        axes = classical_scaling(self.filled, sum(numbers))
        axes = axes + NUDGE * axes.norm() / len(axes) ** 0.5 * torch.randn(axes.shape, generator=generator, dtype=axes.dtype)
        if k:
            axes = axes @ torch.linalg.qr(torch.randn(axes.shape[1], axes.shape[1], generator=generator).double()).Q
        points, scales, reach = [], [], float(self.filled.max())
        for (factor, free), part in zip(self.factors, axes.split(numbers, 1), strict=True):
            closed = math.isfinite(factor.injectivity_radius)
            size = reach * FULL / factor.injectivity_radius if closed else reach / SPREAD[k % 2]
            size = size if free else 1.0
            points.append(_placed(factor, part / size))
            scales += [math.log(size)] if free else []
        return _Place(torch.cat(points, -1), torch.tensor(scales, dtype=torch.float64))

    def descended(self, place: _Place, most: int, rtol: float) -> _Place:
        """By L-BFGS, in a chart of normal coordinates at the points that is renewed every so often."""
        while place.steps < most and not place.rests:
            place = self._descended(place, min(ROUND, most - place.steps), rtol)
        return place

    def _descended(self, place: _Place, most: int, rtol: float) -> _Place:
        frame, soft = self.space.frame(place.points), self.softness
        n, d = len(place.points), self.space.dim

        def moved(y: np.ndarray) -> tuple[Tensor, Tensor, Tensor]:
            variables = torch.from_numpy(np.array(y)).requires_grad_()
            steps, scales = variables.split([n * d, len(place.scales)])
            points = self.space.exp(place.points, (frame @ (soft * steps.reshape(n, d))[..., None])[..., 0])
            return variables, points, place.scales + scales

        def evaluated(y: np.ndarray) -> tuple[float, np.ndarray]:
            variables, points, scales = moved(y)
            value = self.loss(points, scales) / unit
            (slope,) = torch.autograd.grad(value, variables)
            return float(value.detach()), slope.nan_to_num().numpy()

        unit = max(float(self.loss(place.points, place.scales)), torch.finfo(torch.float64).tiny)
        with torch.enable_grad():
            found: Any = minimize(evaluated, np.zeros(n * d + len(place.scales)), jac=True, method="L-BFGS-B",
                                  options={"maxiter": most, "ftol": 1e-3 * rtol, "gtol": 1e-12, "maxcor": 30})  # fmt: skip
            _, points, scales = moved(found.x)
        loss = unit * float(found.fun)
        rests = unit - loss <= rtol * unit or loss <= (EXACT * rtol) ** 2
        points = self.space.project(points.detach())
        return _Place(points, scales.detach(), loss, place.steps + int(found.nit), rests)

    def result(self, place: _Place, given: Tensor) -> Embedding:
        """In the units and the dtype of the distances."""
        free = iter(place.scales.exp().tolist())
        parts = [Scaled(factor, self.unit * next(free)) if scaled else factor for factor, scaled in self.factors]
        points = torch.cat([
            part * (self.unit if isinstance(factor, Euclidean) else 1.0)
            for (factor, _), part in zip(self.factors, place.points.split([f.width for f, _ in self.factors], -1), strict=True)
        ], -1)  # fmt: skip
        space = parts[0] if len(parts) == 1 else Product(*parts)
        n = len(points)
        apart = space.dist(points[:, None].expand(-1, n, -1), points.expand(n, n, -1))
        error = apart[self.first, self.second] / (self.unit * self.lengths) - 1
        stress = (error * self.lengths).norm() / self.lengths.norm()
        status = Status.CONVERGED if place.rests else Status.MAX_STEPS
        numbers = (x.to(given) for x in (points, apart, error.abs().mean(), error.abs().max(), stress))
        return Embedding(space, *numbers, status=status, steps=place.steps)


def _factors(space: Explicit) -> Iterator[Explicit]:
    """The factors of a product, of products in it, and the circles of tori, in the order of their coordinates."""
    if isinstance(space, Product):
        if space.p == 1:
            raise OptionError("embed is for the Riemannian product, p=2.")
        for factor in space.factors:
            yield from _factors(factor)
    elif isinstance(space, Torus):
        yield from (Torus(1, radius) for radius in space.radii)  # type: ignore[union-attr]
    else:
        yield space


def _numbers(factor: Explicit) -> int:
    """How many axes of classical scaling place a point on a factor."""
    return factor.width + 1 if isinstance(factor, Torus) else factor.width


def _placed(factor: Explicit, axes: Tensor) -> Tensor:
    """Points at which axes `(N, k)` of classical scaling, in units of the factor, put a point."""
    if isinstance(factor, Torus):
        return torch.atan2(axes[:, 1:], axes[:, :1])
    if isinstance(factor, Scaled):
        return _placed(factor.space, axes)
    return factor.project(axes) if isinstance(factor, Sphere) else axes


def _filled(matrix: Tensor) -> Tensor:
    """With shortest paths over the known pairs in place of those that are not."""
    filled = matrix.nan_to_num(torch.inf)
    if bool(torch.isfinite(filled).all()):
        return filled
    for k in range(len(filled)):
        filled = torch.minimum(filled, filled[:, k : k + 1] + filled[k : k + 1])
    return filled.where(torch.isfinite(filled), filled[torch.isfinite(filled)].max())
