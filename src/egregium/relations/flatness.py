"""Whether a learned space is flat: what Corollary 2 asks before Euclidean distances can be identifiable."""

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from egregium.errors import OptionError, ShapeError
from egregium.protocols import Space
from egregium.relations import curvature
from egregium.relations.clouds import cloud, crossed, known
from egregium.relations.stress import embedding
from egregium.spaces import Pullback

LANDMARKS = 24
CLEAR = 3.0  # times its uncertainty: what curvature must exceed to be told from none
FEWEST = 0.9  # of the distances that must be known


@dataclass(frozen=True, repr=False)
class Flatness:
    """Curvature of a space over points, against its uncertainty, and the stress of a Euclidean embedding.

    Attributes:
        curvature: `(N,)`, size of the Riemann tensor at the points, in the unit of sectional curvature.
        error: `(N,)`, its uncertainty: spread over the decoders of a list, and rounding.
        spread: mean squared geodesic distance between the landmarks, a scalar.
        bending: root mean square of the curvature times `spread`, a number without unit: 0 where flat, of the order of 1 where
            angles of triangles as large as the data are off by a radian.
        bending_error: the same of the error.
        stress: relative misfit of the best Euclidean embedding of the landmarks in d dimensions. Flat spaces have none where
            geodesics between the data are straight in the flat coordinates, but do around holes.
        known: share of the landmarks' distances that converged.
    """

    curvature: Tensor
    error: Tensor
    spread: Tensor
    bending: Tensor
    bending_error: Tensor
    stress: Tensor
    known: float

    @property
    def flat(self) -> bool | None:
        """Whether no curvature is told from its uncertainty; None where too few distances are known to judge."""
        if self.known < FEWEST or not bool(torch.isfinite(self.bending + self.bending_error)):
            return None
        return bool(self.bending <= CLEAR * self.bending_error)

    @property
    def sentence(self) -> str:
        """The verdict in words."""
        found = (
            f"curvature times mean squared distance is {float(self.bending):.2g} +- {float(self.bending_error):.1g}, and the "
            f"best Euclidean embedding of the distances has stress {float(self.stress):.2g}"
        )
        if self.flat is None:
            return f"Unknown: {found}, of {self.known:.0%} of the distances, which is too little to judge."
        if self.flat:
            return f"Flat as far as can be told: {found}. Corollary 2 does not rule out an identifiable Euclidean metric."
        return f"Not flat: {found}. By Corollary 2 no Euclidean metric of the latent space can be identifiable."

    def __repr__(self) -> str:
        return f"Flatness({self.sentence})"


def flatness(space: Space, points: Tensor, *, landmarks: int = LANDMARKS, force: bool = False, **options: Any) -> Flatness:
    """Test of Corollary 2: is the learned space flat over `points` `(N, d)`, within what is known of its curvature?

    `rms |R| * mean d^2`, R the Riemann tensor in the unit of sectional curvature, which is zero exactly where a space is
    locally Euclidean. Every number in it is invariant under isometries. Its uncertainty is that of rounding and, for a list of
    decoders, the standard deviation of the decoders' own scalar curvatures.

    Args:
        landmarks: so many of the points, evenly taken, are joined by geodesics, for the spread and the stress.
        force: as in `eg.curvature`, for decoders with kinks.
        options: keywords of `connect`; distances that fail are left out.

    Cost: curvature at N points, for each decoder of a list too, and `landmarks^2 / 2` geodesics.

    Raises: `ShapeError`, `OptionError`, `DecoderError` for decoders with kinks.

    References: Syrota et al. 2025 (arXiv 2502.13757), Corollary 2.

    >>> paraboloid = Pullback(lambda z: torch.cat([z, (z**2).sum(-1, keepdim=True)], -1), dim=2)
    >>> flatness(paraboloid, torch.tensor([[0.0, 0.0], [0.5, 0.0], [0.0, 0.5], [0.4, 0.4]]).double()).flat
    False
    """
    points = cloud(space, points)
    if len(points) < 3:
        raise ShapeError(f"flatness takes points (N, d), three at least; got {tuple(points.shape)}.")
    if landmarks < 3:
        raise OptionError(f"flatness(landmarks=) must be at least 3; got {landmarks}.")
    with torch.no_grad():
        size = curvature.magnitude(space, points, force=force)
        error = torch.hypot(curvature.rounding(space, points, force=force), _disagreement(space, points, force))
        some = points[torch.linspace(0, len(points) - 1, min(landmarks, len(points)), device=points.device).round().long()]
        g = crossed(space, some, some, {**options, "on_fail": "mark"})
        distances, pairs = known(g), g.ok.triu(1)
        spread = (distances[pairs] ** 2).mean()
        floor = 64 * torch.finfo(points.dtype).eps
        return Flatness(
            curvature=size,
            error=error,
            spread=spread,
            bending=_rms(size) * spread,
            bending_error=_rms(error) * spread + floor,
            stress=embedding(distances, g.ok.to(distances), points.shape[1])[1],
            known=float(pairs.sum() / (len(some) * (len(some) - 1) / 2)),
        )


def _rms(values: Tensor) -> Tensor:
    return values.square().mean().sqrt()


def _disagreement(space: Space, points: Tensor, force: bool) -> Tensor:
    """Standard deviation of the mean sectional curvatures that the decoders of a list have each by itself, `(N,)`."""
    d = points.shape[1]
    if d == 1 or not isinstance(space, Pullback) or len(space.members) == 1:
        return torch.zeros_like(points[:, 0])
    each = [Pullback(one, dim=d, chart=space.chart) for one in space.members]
    return torch.stack([curvature.scalar(one, points, force=force) / (d * (d - 1)) for one in each]).std(0)
