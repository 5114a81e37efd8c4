r"""The map between the latent spaces of two trainings, and how far it is from an isometry.

By Theorem 1 of Syrota et al. 2025 (arXiv 2502.13757), `A = f_b^{-1} o f_a` is an isometry where both decoders have the same
image: `G_a = J_A^T G_b J_A`. If the eigenvalues of `G_a^{-1} J_A^T G_b J_A` lie in `[1 - e, 1 + e]` where the curves run, then
`d_b / d_a` lies in `[sqrt(1 - e), sqrt(1 + e)]`: a measured mismatch predicts a bound on the coefficient of variation.

Latents that are causal variables are determined further: by the theorem of Brehmer et al. 2022 (arXiv 2203.16437) A renames
them and carries each through a diffeomorphism of its own, where both models have one law of pairs before and after atomic
perfect interventions.
"""

from dataclasses import dataclass, fields
from typing import overload

import torch
from scipy.optimize import linear_sum_assignment
from torch import Tensor

from egregium.errors import ModelError
from egregium.geodesics.projection import project
from egregium.identifiability.views import mean_space, require_models
from egregium.numerics.derivatives import row_chunks
from egregium.protocols import CausalModel, Model
from egregium.spaces.points import require_points
from egregium.spaces.pullback import Pullback
from egregium.status import counts, span


@dataclass(frozen=True, repr=False)
class Indeterminacy:
    """`A = f_b^{-1} o f_a` at N latent points of model a.

    Attributes:
        z: `(N, d)`, the images `A z` in the latent space of b.
        jacobian: `(N, d, d)`, `J_A = J_b^+ J_a`, from the decoders, never of a fitted map; between frames on spheres.
        stretch: `(N, d)`, eigenvalues of `G_a^{-1} J_A^T G_b J_A`, ascending: all 1 for an isometry.
        mismatch: `(N,)`, `|f_b(A z) - f_a(z)|`, distance between the images (assumption A4 asks for 0).
        status: `(N,)`, of the projection onto the image of b.
    """

    z: Tensor
    jacobian: Tensor
    stretch: Tensor
    mismatch: Tensor
    status: Tensor

    @property
    def defect(self) -> Tensor:
        """Largest `|eigenvalue - 1|` at each point, `(N,)`."""
        return (self.stretch - 1).abs().amax(-1)

    def __repr__(self) -> str:
        return (
            f"Indeterminacy({len(self.z)} points, d = {self.stretch.shape[-1]}, stretch {span(self.stretch)} (1: isometry), "
            f"mismatch {span(self.mismatch)}: {counts(self.status)})"
        )


@dataclass(frozen=True, repr=False)
class CausalIndeterminacy(Indeterminacy):
    r"""`A = g_b^{-1} o g_a` at N points of causal variables of model a: an isometry, and more where both models are one.

    What is elementwise in A is read off :math:`M_{ki} = (J_A)_{ki} \, |\partial_k g_b| / |\partial_i g_a|`: the direction in
    which variable i of a moves the observation, in those in which the variables of b do, all of length 1. M does not depend on
    the units of the variables, nor on any diffeomorphism of one; it is a permutation, up to signs, where A is elementwise.

    Attributes:
        permutation: variable i of a is variable `permutation[i]` of b, by the largest part of M.
        mixing: `(N, n)`, the share of `|M u_i|`, as a root of squares, that is not of this variable: 0 where it moves no other
            variable of b, at most 1.
        increasing: `(n,)`, share of the points where variable i of b increases with its own of a: 1 or 0 for diffeomorphisms.
            Where it is 0 a quantile q of the variable is `1 - q` of the other.
    """

    permutation: tuple[int, ...]
    mixing: Tensor
    increasing: Tensor

    def __repr__(self) -> str:
        renamed = ", ".join(f"{i} -> {k}" for i, k in enumerate(self.permutation))
        return (
            f"CausalIndeterminacy({len(self.z)} points, variables {renamed}, mixing {span(self.mixing)} (0: elementwise), "
            f"stretch {span(self.stretch)} (1: isometry), mismatch {span(self.mismatch)}: {counts(self.status)})"
        )


@overload
def indeterminacy(a: Model, b: Model, points: Tensor, *, start: Tensor | None = None) -> Indeterminacy: ...
@overload
def indeterminacy(a: CausalModel, b: CausalModel, points: Tensor, *, start: Tensor | None = None) -> CausalIndeterminacy: ...
def indeterminacy(
    a: Model | CausalModel, b: Model | CausalModel, points: Tensor, *, start: Tensor | None = None
) -> Indeterminacy:
    """The indeterminacy transformation of two trainings at latent points `(N, d)` of `a`, through their mean decoders.

    Of two causal models, such as `eg.causal.LatentCausalModel`, it is a `CausalIndeterminacy`. It is about the causal
    variables alone: `eg.causal.compare` checks graph, mechanisms and laws too.

    Args:
        points: latent points of a; of causal models, causal variables.
        start: latent points of b `(N, d)` to project from; default: what b's encoder makes of the observations decoded by a.

    Raises: `ModelError` where these are no models, or decode to different numbers of values.
    """
    if isinstance(a, Model) and isinstance(b, Model):
        return _between(mean_space(a), mean_space(b), b, points, start)
    if isinstance(a, CausalModel) and isinstance(b, CausalModel):
        return _causal(a, b, points, start)
    require_models(*(one for one in (a, b) if not isinstance(one, CausalModel)))
    raise ModelError("one of these models is causal and the other is not: compare each with its like.")


def _causal(a: CausalModel, b: CausalModel, points: Tensor, start: Tensor | None) -> CausalIndeterminacy:
    if a.n != b.n:
        raise ModelError(f"the models have {a.n} and {b.n} causal variables: no renaming takes one to the other.")
    require_points(points, width=a.n, names="points")
    first, second = Pullback(a.decoder), Pullback(b.decoder)
    return _elementwise(_between(first, second, b, points, start), first.metric(points), second)


def _elementwise(found: Indeterminacy, metric: Tensor, second: Pullback) -> CausalIndeterminacy:
    """What is elementwise in a map that was found, with the metric `(N, n, n)` at the points that it starts from."""
    there, here = (one.diagonal(dim1=-2, dim2=-1).sqrt() for one in (second.metric(found.z), metric))
    M = found.jacobian * there[:, :, None] / here[:, None, :]
    shares = M.square() / M.square().sum(1, keepdim=True)  # of each variable of a, in a column
    variables, own = linear_sum_assignment(shares.nan_to_num().mean(0).T.cpu().numpy(), maximize=True)
    foreign = shares.clone()
    foreign[:, own, variables] = 0
    rising = (M[:, own, variables] > 0).to(M).mean(0)
    parts = {one.name: getattr(found, one.name) for one in fields(found)}
    return CausalIndeterminacy(**parts, permutation=tuple(own.tolist()), mixing=foreign.sum(1).sqrt(), increasing=rising)


def _between(first: Pullback, second: Pullback, b: Model | CausalModel, points: Tensor, start: Tensor | None) -> Indeterminacy:
    """From the latent space `first` to that of b, `second`."""
    with torch.no_grad():
        (points,) = first.prepare(points)
        if second.dim not in (None, first.dim):
            raise ModelError(
                f"the latent spaces have {first.dim} and {second.dim} dimensions: no map between them is an isometry."
            )
        x = first.observed(points)
        if start is None:
            start = b.encode(first.decode(points))
        if second.observed(second.prepare(start)[0][:1]).shape[-1] != x.shape[-1]:
            raise ModelError("the two models decode to different numbers of values, so their images cannot be compared.")
        found = project(second, x, start)
        parts = []
        for rows in row_chunks(len(points), x.shape[-1] * 4 * points.shape[-1]):
            one, other = first.tangent_jacobian(points[rows]), second.tangent_jacobian(found.z[rows])
            wide = torch.promote_types(one.dtype, other.dtype)
            parts.append(_stretch(one.to(wide), other.to(wide)))
    maps, stretches = (torch.cat(values) for values in zip(*parts, strict=True))
    return Indeterminacy(found.z, maps, stretches, found.residual, found.status)


def _stretch(first: Tensor, second: Tensor) -> tuple[Tensor, Tensor]:
    """`J_b^+ J_a`, and squared singular values of `J_b J_b^+ J_a R_a^{-1}`, from Jacobians `(N, A, d)`."""
    q, r = torch.linalg.qr(second)
    onto = q.mT @ first
    ra = torch.linalg.qr(first, mode="r").R
    relative = torch.linalg.solve_triangular(ra, onto, upper=True, left=False)
    return torch.linalg.solve_triangular(r, onto, upper=True), torch.linalg.svdvals(relative).flip(-1) ** 2
