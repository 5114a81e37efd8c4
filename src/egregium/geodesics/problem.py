r"""The discrete geodesic problem: curves through free vertices with fixed ends, energy as least squares in ambient space.

A curve of T segments has the energy `E = T sum_i |x_{i+1} - x_i|^2` with `x_i = phi(f(z_i))`. It depends on the vertices
only through their images, so its critical values are exactly invariant under reparametrisation of the latent space.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from egregium.geodesics.ends import Ends
from egregium.geodesics.path_metric import PathMetric
from egregium.geodesics.products import Products
from egregium.geodesics.second_order import SecondOrder
from egregium.numerics.conjugate import Linear, conjugate_gradients
from egregium.numerics.derivatives import jacobian, jacobian_and_hessian, row_chunks, vjp
from egregium.numerics.rows import Rows
from egregium.numerics.tridiagonal import BlockTridiagonal
from egregium.protocols import ImmersedSpace

CACHED = 1 << 20  # numbers of Jacobians at a time: more leave the cache
HELD = 1 << 22  # numbers of output at a time whose graphs are held
WIDE = 24  # latent dimensions from which on products with the second variation cost less than its blocks
ROUGHLY = 0.01
PRODUCTS = 40


@dataclass(frozen=True)
class Evaluation(Rows):
    """Curves `x` `(P, T + 1, A)`, their energies `(P,)` and the energy's gradient at the free vertices `(P, T - 1, d)`.

    `noise` `(P,)` is the relative uncertainty of chords and metric steps that rounding of the decoder's output leaves.
    """

    x: Tensor
    energy: Tensor
    gradient: Tensor
    noise: Tensor


@dataclass(frozen=True)
class Problem(Rows):
    """P pairs of end points `z0, z1` `(P, d)` with their images `x0, x1` `(P, A)` under `immerse`.

    `least` `(P,)` bounds the distance from below: the chord, or what the space knows better. `known` is what is at hand of the
    decoder at the ends.
    """

    immerse: Callable[[Tensor], Tensor]
    z0: Tensor
    z1: Tensor
    x0: Tensor
    x1: Tensor
    least: Tensor
    known: Ends | None = None

    @classmethod
    def between(cls, space: ImmersedSpace, z0: Tensor, z1: Tensor) -> "Problem":
        """The problem of joining prepared points `z0, z1` `(P, d)` of `space`."""
        x0, x1 = space.immerse(torch.cat([z0, z1])).chunk(2)
        problem = cls(space.immerse, z0, z1, x0, x1, space.least_distance(z0, z1).double())
        return problem.with_ends() if problem.wide else problem

    def __len__(self) -> int:
        return len(self.z0)

    def with_ends(self) -> "Problem":
        """With what is asked of the decoder at the ends at hand."""
        return replace(self, known=self.ends)

    @property
    def ends(self) -> Ends:
        """The decoder to first order at z0 and z1. Cost: 6 + 4 d decoder calls a pair, where not at hand."""
        if self.known is not None:
            return self.known
        return Ends.of(self.immerse, torch.stack([self.z0, self.z1], 1), self.x0.shape[-1], self.wide)

    @property
    def chord(self) -> Tensor:
        """Ambient distance of the ends, `(P,)`."""
        return torch.linalg.vector_norm(self.x1 - self.x0, dim=-1).double()

    @property
    def lower(self) -> Tensor:
        """`least` with room for its rounding, `(P,)`."""
        return rounded_down(self.least, self.z0.dtype)

    @property
    def size(self) -> Tensor:
        """Norm of the larger end, `(P,)`: what rounding of the decoder's output is relative to."""
        return torch.linalg.vector_norm(torch.stack([self.x0, self.x1]), dim=-1).double().amax(0)

    @property
    def wide(self) -> bool:
        """Whether there are too many latent dimensions for Jacobians at every vertex."""
        return self.z0.shape[-1] >= WIDE

    def held(self, vertices: Tensor) -> list[slice]:
        """Slices of pairs whose graphs at free vertices `(P, T - 1, d)` are held together, so that memory stays bounded."""
        budget = CACHED if self.wide and not vertices.is_cuda else HELD
        return row_chunks(max(1, len(self)), vertices.shape[1] * self.x0.shape[-1], budget)

    def nodes(self, vertices: Tensor) -> Tensor:
        """Free vertices `(P, T - 1, d)` with the ends put back, `(P, T + 1, d)`."""
        return torch.cat([self.z0[:, None], vertices, self.z1[:, None]], 1)

    def straight(self, segments: int) -> Tensor:
        """Free vertices of the latent straight line, `(P, T - 1, d)`."""
        t = torch.arange(1, segments, dtype=self.z0.dtype, device=self.z0.device) / segments
        return torch.lerp(self.z0[:, None], self.z1[:, None], t[None, :, None])

    def energy(self, vertices: Tensor) -> Tensor:
        """Energies `(P,)`. Cost: 1 decoder call a vertex."""
        energies = []
        for rows in self.held(vertices):
            inner = self.immerse(vertices[rows].flatten(0, 1)).unflatten(0, vertices[rows].shape[:2])
            energies.append(_energy(torch.cat([self.x0[rows, None], inner, self.x1[rows, None]], 1).diff(dim=1)))
        return torch.cat(energies)

    def evaluate(self, vertices: Tensor) -> Evaluation:
        """Energy and gradient. Cost: 3 decoder calls a vertex."""
        parts = [self[rows]._evaluated(vertices[rows]) for rows in self.held(vertices)]
        return Evaluation.stack(parts)

    def _evaluated(self, vertices: Tensor) -> Evaluation:
        p, n, d = vertices.shape
        inner, pull = vjp(self.immerse, vertices.reshape(-1, d))
        x = torch.cat([self.x0[:, None], inner.reshape(p, n, -1), self.x1[:, None]], 1)
        step = x[:, 1:] - x[:, :-1]
        covector = 2 * (n + 1) * (step[:, :-1] - step[:, 1:])
        energy = _energy(step)
        noise = 4 * torch.finfo(x.dtype).eps * (1 + (n + 1) * self.size / energy.sqrt())
        return Evaluation(x, energy, pull(covector.flatten(0, 1)).reshape(p, n, d), noise)

    def gauss_newton(self, vertices: Tensor) -> BlockTridiagonal:
        """`2 T` times the block-tridiagonal `D^T J^T J D`. Cost: 3 + 2 d decoder calls a vertex."""
        p, n, d = vertices.shape
        parts = []
        for rows in row_chunks(p, n * d * self.x0.shape[-1], CACHED):
            block = jacobian(self.immerse, vertices[rows].reshape(-1, d)).unflatten(0, (-1, n))
            parts.append(_normal_blocks(block))
        return BlockTridiagonal.stack(parts)

    def second_order(self, vertices: Tensor, x: Tensor) -> SecondOrder:
        """Gauss-Newton matrix of the energy and the decoder's curvature in the diagonal blocks of the exact Hessian.

        Cost: 3 + 4 d decoder calls a vertex.
        """
        p, n, d = vertices.shape
        bend, parts = self.bend(x), []
        for rows in row_chunks(p, n * d * self.x0.shape[-1], CACHED):
            block, hessian = jacobian_and_hessian(self.immerse, vertices[rows].reshape(-1, d), bend[rows].flatten(0, 1))
            parts.append(SecondOrder.whole(_normal_blocks(block.unflatten(0, (-1, n))), hessian.unflatten(0, (-1, n))))
        return SecondOrder.stack(parts)

    def bend(self, x: Tensor) -> Tensor:
        """The energy's derivative `(P, T - 1, A)` in the images of the free vertices of curves `x` `(P, T + 1, A)`."""
        return 2 * (x.shape[1] - 1) * (2 * x[:, 1:-1] - x[:, :-2] - x[:, 2:])

    def secant(self, vertices: Tensor, now: Evaluation, near: PathMetric, reach: Tensor) -> Linear:
        """The change of the energy's gradient from `vertices`, where it is `now`, along variations v `(P, T - 1, d)`, per v.

        Over displacements of the relative metric size `reach` `(P,)`, as `near` estimates it: the second variation as these
        feel it, and for small ones the Hessian. Cost: 3 decoder calls a vertex.
        """

        def product(v: Tensor) -> Tensor:
            square = near.square(v).double()
            by = torch.where(square > 0, reach * (2 * now.energy / square).sqrt(), 0.0).to(v)[:, None, None]
            rows = (square > 0).nonzero().flatten()
            if not len(rows):
                return torch.zeros_like(v)
            there = self[rows].evaluate(vertices[rows] + by[rows] * v[rows]).gradient
            return torch.zeros_like(v).index_copy(0, rows, (there - now.gradient[rows]) / by[rows])

        return product

    def path_metric(self, vertices: Tensor) -> PathMetric:
        """The metric of curves from few of their nodes. Cost: d + 1 decoder calls a pair, and those of `ends`."""
        return PathMetric.along(self.immerse, self.nodes(vertices), self.ends.metric)

    def metric_step(
        self, vertices: Tensor, now: Evaluation | None = None, near: PathMetric | None = None, against: float | None = None
    ) -> tuple[Tensor, Tensor]:
        """First-order defect `(P,)`: relative metric size of the Gauss-Newton step left at `vertices`, and its noise floor.

        Where the problem is `wide` the step is computed by conjugate gradients preconditioned by the estimate `near`, until it
        sees no more than a hundredth of the square left; what is left in directions that it damps may be more. Where all that
        is asked is whether the step is larger than a size `against` it, no longer than that takes.
        Cost: 3 + 2 d decoder calls a vertex; where wide 3 + 4 k, with k products, at most PRODUCTS.
        """
        now = self.evaluate(vertices) if now is None else now
        if self.wide:
            near = self.path_metric(vertices) if near is None else near
            chunks = self.held(vertices)
            square = [self[k]._square_of_step(vertices[k], now[k], near[k], against) for k in chunks]
            size = (0.5 * torch.cat(square).double() / now.energy).sqrt()
            return size.nan_to_num(torch.inf), now.noise
        model = self.gauss_newton(vertices)
        delta, definite = model.solve(-now.gradient)
        size = (0.5 * model.quadratic(delta).double() / now.energy).clamp_min(0).sqrt()
        return torch.where(definite, size, torch.inf), now.noise

    def _square_of_step(self, vertices: Tensor, now: Evaluation, near: PathMetric, against: float | None) -> Tensor:
        """`<g, M^-1 g>` `(P,)`, M the metric, with what `near` tells of the rest."""
        products = Products.at(self.immerse, vertices)
        bound = None if against is None else (2 * now.energy * now.noise.clamp_min(against) ** 2).to(vertices)
        solved = conjugate_gradients(products.metric, near.inverse, now.gradient, ROUGHLY, PRODUCTS, bound)
        return torch.where(solved.bent, torch.inf, solved.found + solved.left)


def _energy(step: Tensor) -> Tensor:
    """Of chords `(P, T, A)`, `(P,)`."""
    return step.shape[1] * (torch.linalg.vector_norm(step, dim=-1).double() ** 2).sum(-1)


def _normal_blocks(block: Tensor) -> BlockTridiagonal:
    """Blocks of `2 T D^T J^T J D` from Jacobians `(P, T - 1, A, d)`."""
    segments = block.shape[1] + 1
    return BlockTridiagonal(4 * segments * (block.mT @ block), -2 * segments * (block[:, :-1].mT @ block[:, 1:]))


def rounded_down(bound: Tensor, dtype: torch.dtype) -> Tensor:
    """A lower bound of what was computed in `dtype`, with room for rounding."""
    return bound * (1 - 8 * torch.finfo(dtype).eps)
