r"""The map between the latent spaces of two trainings, and how far it is from an isometry.

By Theorem 1 of Syrota et al. 2025 (arXiv 2502.13757), `A = f_b^{-1} o f_a` is an isometry where both decoders have the same
image: `G_a = J_A^T G_b J_A`. If the eigenvalues of `G_a^{-1} J_A^T G_b J_A` lie in `[1 - e, 1 + e]` where the curves run, then
`d_b / d_a` lies in `[sqrt(1 - e), sqrt(1 + e)]`: a measured mismatch predicts a bound on the coefficient of variation.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from egregium.errors import ModelError
from egregium.geodesics.projection import project
from egregium.identifiability.views import mean_space, require_models
from egregium.numerics.derivatives import row_chunks
from egregium.protocols import Model
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


def indeterminacy(a: Model, b: Model, points: Tensor, *, start: Tensor | None = None) -> Indeterminacy:
    """The indeterminacy transformation of two trainings at latent points `(N, d)` of `a`, through their mean decoders.

    Args:
        start: latent points of b `(N, d)` to project from; default: what b's encoder makes of the observations decoded by a.

    Raises: `ModelError` where these are no models, or decode to different numbers of values.
    """
    require_models(a, b)
    first, second = (mean_space(model) for model in (a, b))
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
