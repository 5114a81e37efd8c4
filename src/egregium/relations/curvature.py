r"""Curvature of a learned space, by the Gauss equation in orthonormal frames.

With `J = Q R` and the frame `E = R^{-1}`, the second fundamental form II is the part of `f''(E, E)` normal to the tangent
space, and

.. math:: R_{ijkl} = \langle II_{ik}, II_{jl} \rangle - \langle II_{il}, II_{jk} \rangle,

so that spheres have positive sectional curvature `R(u, v, u, v)` of orthonormal u and v. One Jacobian and one Hessian of the
decoder; errors grow with the square of the condition of J, and are to be judged relative to `|II|^2`.

Everything here is invariant under reparametrisation of the latent space: numbers as they are, tensors as tensors. References:
do Carmo 1992, Riemannian Geometry, chapter 6; Syrota et al. 2025 (arXiv 2502.13757), Theorem 1.

Every function takes points `(*batch, d)` and refuses decoders with kinks (ReLU), all of whose curvature sits in the kinks;
`force=True` computes what the smooth pieces have. Decoders whose second derivative jumps (ELU) are valid almost everywhere and
give a warning. Explicit spaces know their curvature, and products have that of their factors in blocks. Cost: some
`2 d (d + 3)` decoder calls a point, and 700 calls a space for the look at its smoothness.
"""

import warnings
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from egregium.errors import DecoderError, OptionError
from egregium.geodesics.options import require_immersed
from egregium.numerics.blocks import block_diagonal
from egregium.numerics.derivatives import jacobian_and_second, orthonormal_frame, row_chunks
from egregium.numerics.planes import plane
from egregium.numerics.smoothness import Smoothness, smoothness
from egregium.protocols import ClosedForm, Composite, ImmersedSpace, Space
from egregium.relations.verbs import factored
from egregium.spaces.points import flat
from egregium.spaces.product import require_riemannian

CACHED = 1 << 22
LOOKED_AT = 16


def riemann(space: Space, z: Tensor, *, force: bool = False) -> Tensor:
    """Riemann tensor with all indices down, `(*batch, d, d, d, d)`, in latent coordinates.

    >>> from egregium.spaces import Euclidean
    >>> riemann(Euclidean(2), torch.zeros(2)).abs().max().item()
    0.0
    """
    if isinstance(space, ClosedForm):
        return space.riemann(z)
    if isinstance(space, Composite):
        return _blocks(space, z, lambda factor, part: riemann(factor, part, force=force))
    return _computed(space, z, force, lambda at, _: _pulled(at.riemann, at.r))


def ricci(space: Space, z: Tensor, *, force: bool = False) -> Tensor:
    """Ricci tensor, `(*batch, d, d)`, in latent coordinates."""
    if isinstance(space, ClosedForm):
        return space.ricci(z)
    if isinstance(space, Composite):
        return _blocks(space, z, lambda factor, part: ricci(factor, part, force=force))
    return _computed(space, z, force, lambda at, _: _pulled(at.ricci, at.r))


def scalar(space: Space, z: Tensor, *, force: bool = False) -> Tensor:
    """Scalar curvature, `(*batch)`: the sum of the sectional curvatures of all ordered pairs of axes of a frame."""
    if isinstance(space, ClosedForm):
        return space.scalar(z)
    if isinstance(space, Composite):
        return sum(scalar(factor, part, force=force) for factor, part in _parts(space, z))  # type: ignore[return-value]
    return _computed(space, z, force, lambda at, _: at.ricci.diagonal(dim1=-2, dim2=-1).sum(-1))


def sectional(space: Space, z: Tensor, u: Tensor, v: Tensor, *, force: bool = False) -> Tensor:
    """Curvature of the surface that geodesics along u and v span, `(*batch)`; u and v `(*batch, d)`, NaN where parallel."""
    z, u, v = space.prepare(z, u, v, names=("z", "u", "v"))
    if isinstance(space, ClosedForm):
        return space.sectional(z, u, v)
    if isinstance(space, Composite):
        return _of_plane(riemann(space, z, force=force), u, v, lambda a, b: space.inner(z, a, b))
    columns = torch.stack([flat(u), flat(v)], -1)

    def of(at: "_Bending", rows: slice) -> Tensor:
        a, b = (at.r @ columns[rows]).unbind(-1)
        return _of_plane(at.riemann, a, b, lambda a, b: (a * b).sum(-1))

    return _computed(space, z, force, of)


def second_fundamental_form(space: Space, z: Tensor, *, force: bool = False) -> Tensor:
    """Normal part of the second derivatives, `(*batch, A, d, d)`: ambient normal vectors, bilinear in latent vectors."""
    return _computed(space, z, force, lambda at, _: at.r.mT[:, None] @ at.form @ at.r[:, None])


def mean_curvature(space: Space, z: Tensor, *, force: bool = False) -> Tensor:
    """Mean curvature vector, `(*batch, A)`: the trace of the second fundamental form over d; zero on minimal surfaces."""
    return _computed(space, z, force, lambda at, _: at.form.diagonal(dim1=-2, dim2=-1).mean(-1))


def magnitude(space: Space, z: Tensor, *, force: bool = False) -> Tensor:
    """Norm of the Riemann tensor over `sqrt(2 d (d - 1))`, `(*batch)`: `|K|` if all planes have curvature K, 0 only if flat."""
    (z,) = space.prepare(z)
    unit = max(2 * space.dim * (space.dim - 1), 1) ** 0.5
    if isinstance(space, ClosedForm):
        return _size_in_frame(space.riemann(z), space.frame(z)) / unit
    if isinstance(space, Composite):
        sizes = [
            magnitude(factor, part, force=force) * max(2 * factor.dim * (factor.dim - 1), 1) ** 0.5
            for factor, part in _parts(space, z)
        ]
        return torch.linalg.vector_norm(torch.stack(sizes), dim=0) / unit
    return _computed(space, z, force, lambda at, _: _size(at.riemann) / unit)


def rounding(space: Space, z: Tensor, *, force: bool = False) -> Tensor:
    """What rounding may leave of curvature where there is none, `64 eps cond(J)^2 |II|^2`, `(*batch)`."""

    if isinstance(space, ClosedForm):
        return torch.zeros_like(space.prepare(z)[0][..., 0])
    if isinstance(space, Composite):
        return sum(rounding(factor, part, force=force) for factor, part in _parts(space, z))  # type: ignore[return-value]

    def left(at: "_Bending", _: slice) -> Tensor:
        values = torch.linalg.svdvals(at.r)
        condition = (values[:, 0] / values[:, -1]) ** 2
        return 64 * torch.finfo(z.dtype).eps * condition * _size(at.form) ** 2

    return _computed(space, z, force, left)


@dataclass(frozen=True)
class _Bending:
    """At N points: `r` `(N, d, d)` of `J = Q R` and the second fundamental form `(N, A, d, d)` in the frame `R^{-1}`."""

    r: Tensor
    form: Tensor

    @staticmethod
    def at(space: ImmersedSpace, z: Tensor) -> "_Bending":
        block, second = jacobian_and_second(space.immerse, z)
        q, r = torch.linalg.qr(block)
        frame = orthonormal_frame(r)
        form = (frame.mT[:, None] @ second @ frame[:, None]).flatten(2)
        for _ in range(2):  # the second time takes away what rounding left of a large tangent part
            form = form - q @ (q.mT @ form)
        return _Bending(r, form.unflatten(2, (z.shape[-1], z.shape[-1])))

    @property
    def riemann(self) -> Tensor:
        """`(N, d, d, d, d)` in the frame."""
        products = torch.einsum("naik,najl->nijkl", self.form, self.form)
        return products - products.transpose(-1, -2)

    @property
    def ricci(self) -> Tensor:
        """`(N, d, d)` in the frame, without the whole Riemann tensor."""
        trace = self.form.diagonal(dim1=-2, dim2=-1).sum(-1)
        return torch.einsum("na,naij->nij", trace, self.form) - torch.einsum("naik,najk->nij", self.form, self.form)


def _computed(space: Space, z: Tensor, force: bool, read: Callable[[_Bending, slice], Tensor]) -> Tensor:
    space = require_immersed(space)
    (z,) = space.prepare(z)
    if isinstance(space, ClosedForm) and space.width != space.dim:
        raise OptionError(f"extrinsic curvature is that of a decoder, or of an immersion without bounds; {space!r} has none.")
    points = flat(z.detach())
    with torch.no_grad():
        width = space.immerse(points[:1]).shape[-1]
        space = space.economical()
        _require_smooth(space, points, force)
        chunks = row_chunks(len(points), width * points.shape[-1] ** 2, CACHED)
        parts = [read(_Bending.at(space, points[rows]), rows) for rows in chunks]
    value = torch.cat(parts)
    return value.reshape((*z.shape[:-1], *value.shape[1:]))


def _parts(space: Composite, z: Tensor) -> list[tuple[Any, Tensor]]:
    require_riemannian(space)
    return [(factor, part) for factor, part in factored(space, *space.prepare(z))]  # type: ignore[attr-defined]


def _blocks(space: Composite, z: Tensor, read: Callable[[Any, Tensor], Tensor]) -> Tensor:
    """A tensor of a product, block diagonal in its factors."""
    return block_diagonal([read(factor, part) for factor, part in _parts(space, z)], z.ndim - 1)


def _of_plane(tensor: Tensor, u: Tensor, v: Tensor, inner: Callable[[Tensor, Tensor], Tensor]) -> Tensor:
    """Sectional curvature of the plane of u and v by a Riemann tensor; NaN where they are parallel."""
    u, v, parallel = plane(u, v, inner)
    return torch.einsum("...ijkl,...i,...j,...k,...l->...", tensor, u, v, u, v).masked_fill(parallel, torch.nan)


def _size_in_frame(tensor: Tensor, frame: Tensor) -> Tensor:
    """Norm of a covariant tensor `(*batch, w, w, w, w)` in orthonormal frames `(*batch, w, d)`."""
    inside = torch.einsum("...ijkl,...ia,...jb,...kc,...ld->...abcd", tensor, frame, frame, frame, frame)
    return torch.linalg.vector_norm(inside.flatten(-4), dim=-1)


def _require_smooth(space: ImmersedSpace, points: Tensor, force: bool) -> None:
    """Look at the decoder along lines from some of the points, as long as a radius of curvature, or a unit where it is flat."""
    start = points[torch.linspace(0, len(points) - 1, LOOKED_AT, device=points.device).long()]
    at = _Bending.at(space, start)
    directions = torch.randn(start.shape, generator=torch.Generator().manual_seed(0), dtype=torch.float64).to(start)
    unit = torch.linalg.solve_triangular(at.r, _normed(directions)[..., None], upper=True)[..., 0]
    radius = 1 / torch.linalg.vector_norm(at.form.flatten(1), dim=-1)
    found = smoothness(space.immerse, start, start + torch.minimum(radius, 1 / unit.norm(dim=-1))[:, None] * unit)
    if found is Smoothness.KINKED and not force:
        raise DecoderError(
            "the decoder has kinks (ReLU?): its curvature sits in them and is zero or meaningless elsewhere. "
            "Train with a smooth activation (SiLU, tanh, softplus), or pass force=True for the curvature of the pieces."
        )
    if found is Smoothness.ONCE:
        warnings.warn(
            "the decoder's second derivative jumps (ELU?): curvature is right almost everywhere, but not across the jumps.",
            stacklevel=4,
        )


def _pulled(tensor: Tensor, r: Tensor) -> Tensor:
    """A covariant tensor `(N, d, ...)` from the frame to latent coordinates: every index with R."""
    for _ in range(tensor.ndim - 1):  # takes the first index to the end each time, so that all come round
        tensor = torch.einsum("nk...,nki->n...i", tensor, r)
    return tensor


def _size(tensor: Tensor) -> Tensor:
    """Norm of each of `(N, ...)`, `(N,)`."""
    return torch.linalg.vector_norm(tensor.flatten(1), dim=-1)


def _normed(v: Tensor) -> Tensor:
    return v / torch.linalg.vector_norm(v, dim=-1, keepdim=True)
