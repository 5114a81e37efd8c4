"""First and second derivatives of batched maps `f: (N, d) -> (N, D)` whose rows do not depend on each other.

Everything is built from one backward pass with a graph, `u -> J^T u`. That map is linear in u, so that its derivative
along a latent axis with respect to u is a column of J, and with respect to z a row of the Hessian of `<u, f(z)>`: one
further backward pass an axis gives both. Measured on trained decoders this is 1 to 2.4 times faster than forward mode,
whose d tangents repeat the primal computation and, in torch, pay for every bias without a tangent.
"""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

Map = Callable[[Tensor], Tensor]
ROWS = 1024  # rows at a time where nothing has to be kept: large graphs leave the cache


def mapped(f: Map, z: Tensor) -> Tensor:
    """Values `f(z)` `(N, D)`, ROWS at a time."""
    return torch.cat([f(part) for part in z.split(ROWS)])


def vjp(f: Map, z: Tensor) -> tuple[Tensor, Callable[[Tensor], Tensor]]:
    """Values `f(z)` and the map `w -> J(z)^T w`, which may be called once; w `(N, D)`. Cost: 3 calls."""
    leaf = z.detach().requires_grad_()
    with torch.enable_grad():
        x = f(leaf)

    def pull(w: Tensor) -> Tensor:
        return torch.autograd.grad(x, leaf, w)[0]

    return x.detach(), pull


def jvp(f: Map, z: Tensor, v: Tensor) -> tuple[Tensor, Tensor]:
    """Values `f(z)` and directional derivatives `J(z) v`; z and v `(N, d)`, both results `(N, D)`. Cost: 5 calls."""
    values, tangents = [], []
    for rows in [slice(k, k + ROWS) for k in range(0, len(z), ROWS)]:
        _, x, u, pulled = _linearised(f, z[rows])
        (tangent,) = torch.autograd.grad(pulled, u, v[rows].to(pulled))
        values.append(x.detach())
        tangents.append(tangent)
    return torch.cat(values), torch.cat(tangents)


def jacobian(f: Map, z: Tensor) -> Tensor:
    """Jacobians `(N, D, d)`. Cost: 3 + 2 d calls."""
    _, _, u, pulled = _linearised(f, z)
    return _columns(pulled, u, z)


def orthonormal_frame(r: Tensor) -> Tensor:
    """`R^-1` `(..., d, d)` of Jacobians `J = Q R`: tangent vectors, one a column, that are orthonormal in the metric."""
    return torch.linalg.solve_triangular(r, torch.eye(r.shape[-1], dtype=r.dtype, device=r.device).expand_as(r), upper=True)


def differences(f: Map, z: Tensor, step: Tensor) -> Tensor:
    """Difference quotients `(N, D, d)` along the latent axes, forward, over steps `(N,)`. Cost: d + 1 calls."""
    n, d = z.shape
    with torch.no_grad():
        beside = z[:, None] + step[:, None, None] * _axes(z)
        there, here = f(beside.flatten(0, 1)).unflatten(0, (n, d)), f(z)
        return ((there - here[:, None]) / step[:, None, None]).mT


@dataclass(frozen=True)
class Linearised:
    """A map at N points with its graph kept, for many products with its derivatives. Cost: 3 calls, and the graph's memory."""

    leaf: Tensor
    x: Tensor
    u: Tensor
    pulled: Tensor

    @staticmethod
    def at(f: Map, z: Tensor) -> "Linearised":
        """At points z `(N, d)`."""
        return Linearised(*_linearised(f, z))

    def push(self, v: Tensor) -> Tensor:
        """`J v` `(N, D)` of v `(N, d)`. Cost: 2 calls."""
        return torch.autograd.grad(self.pulled, self.u, v, retain_graph=True)[0]

    def pull(self, w: Tensor) -> Tensor:
        """`J^T w` `(N, d)` of w `(N, D)`. Cost: 2 calls."""
        return torch.autograd.grad(self.x, self.leaf, w, retain_graph=True)[0]


def jacobian_and_hessian(f: Map, z: Tensor, w: Tensor) -> tuple[Tensor, Tensor]:
    """Jacobians `(N, D, d)` and Hessians `(N, d, d)` of `z -> <w, f(z)>` at fixed covectors w `(N, D)`.

    Cost: 3 + 4 d calls.
    """
    leaf, _, u, pulled = _linearised(f, z, w)
    columns, rows = [], []
    for axis in _axes(z):
        column, row = torch.autograd.grad(
            pulled, (u, leaf), axis.expand_as(z), retain_graph=True, allow_unused=True, materialize_grads=True
        )
        columns.append(column)
        rows.append(row)
    hessian = torch.stack(rows, -2)
    return torch.stack(columns, -1), 0.5 * (hessian + hessian.mT)


def jacobian_and_acceleration(f: Map, z: Tensor, v: Tensor) -> tuple[Tensor, Tensor]:
    """Jacobians `(N, D, d)` and second derivatives `f''(v, v)` `(N, D)` along v `(N, d)`. Cost: some `6 + 2 d` calls."""
    leaf, _, u, pulled = _linearised(f, z)
    return _columns(pulled, u, z), _bent(pulled, leaf, u, [(v, v)])[0]


def jacobian_and_bends(f: Map, z: Tensor, v: Tensor) -> tuple[Tensor, Tensor]:
    """Jacobians and `f''(v, axis)`, both `(N, D, d)`. Cost: some `6 + 4 d` calls."""
    leaf, _, u, pulled = _linearised(f, z)
    bends = _bent(pulled, leaf, u, [(v, axis.expand_as(z)) for axis in _axes(z)])
    return _columns(pulled, u, z), torch.stack(bends, -1)


def jacobian_and_second(f: Map, z: Tensor) -> tuple[Tensor, Tensor]:
    """Jacobians `(N, D, d)` and second derivatives `(N, D, d, d)`. Cost: some `2 d (d + 3)` calls."""
    leaf, _, u, pulled = _linearised(f, z)
    axes = [axis.expand_as(z) for axis in _axes(z)]
    d = len(axes)
    first, second = torch.triu_indices(d, d).tolist()
    bends = _bent(pulled, leaf, u, [(axes[i], axes[j]) for i, j in zip(first, second, strict=True)])
    whole = u.new_zeros(*u.shape, d, d)
    whole[..., first, second] = whole[..., second, first] = torch.stack(bends, -1)
    return _columns(pulled, u, z), whole


def _columns(pulled: Tensor, u: Tensor, z: Tensor) -> Tensor:
    """The Jacobian from `J^T u`, a column a backward pass."""
    return torch.stack([torch.autograd.grad(pulled, u, axis.expand_as(z), retain_graph=True)[0] for axis in _axes(z)], -1)


def _bent(pulled: Tensor, leaf: Tensor, u: Tensor, pairs: list[tuple[Tensor, Tensor]]) -> list[Tensor]:
    """Second derivatives `f''(a, b)` for each pair of directions, those with the same `a` next to each other."""
    bends: list[Tensor] = []
    along, rows = None, u
    for a, b in pairs:
        if along is not a:
            (rows,) = torch.autograd.grad(pulled, leaf, a, create_graph=True, allow_unused=True, materialize_grads=True)
            along = a
        if not rows.requires_grad:
            bends.append(torch.zeros_like(u))
            continue
        (bend,) = torch.autograd.grad(rows, u, b, retain_graph=True, allow_unused=True, materialize_grads=True)
        bends.append(bend)
    return bends


def _linearised(f: Map, z: Tensor, w: Tensor | None = None) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """A leaf at z, `x = f(z)`, a leaf u (at w), and `J^T u` with its graph."""
    leaf = z.detach().requires_grad_()
    with torch.enable_grad():
        x = f(leaf)
        u = (torch.zeros_like(x) if w is None else w.detach()).requires_grad_()
        (pulled,) = torch.autograd.grad(x, leaf, u, create_graph=True)
    return leaf, x, u, pulled


def _axes(z: Tensor) -> Tensor:
    return torch.eye(z.shape[-1], dtype=z.dtype, device=z.device)


def row_chunks(rows: int, floats_per_row: int, budget: int = 1 << 25) -> list[slice]:
    """Slices that cut `rows` rows into pieces of at most about `budget` numbers, so that memory stays bounded."""
    size = max(1, budget // max(1, floats_per_row))
    return [slice(start, min(start + size, rows)) for start in range(0, rows, size)]
