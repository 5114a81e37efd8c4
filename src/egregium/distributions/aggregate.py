"""Where an encoder puts the data: the mixture of its posteriors."""

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from egregium.errors import OptionError, ShapeError
from egregium.numerics.derivatives import row_chunks
from egregium.spaces.points import flat, require_points

_ONE = torch.Size()


@dataclass(frozen=True, eq=False, repr=False)
class AggregatePosterior:
    r"""The mixture `q(z) = 1/N sum_i N(z; m_i, S_i S_i^T)` of the Gaussian posteriors of N observations.

    Against the Riemannian volume, `eg.log_density(space, z, AggregatePosterior(...))` is the density of the data on the learned
    manifold: invariant under reparametrisations A that carry the posteriors along. An affine A takes `(m, S)` to `(A m, A S)`.

    Args:
        means: `(N, d)`.
        scales: standard deviations `(N, d)`, or square roots S of covariances `(N, d, d)`; of an encoder with
            `mean, log_var = encoder(x)` they are `(0.5 * log_var).exp()`.

    Cost: N Gaussians a point, in pieces that keep memory bounded; no decoder calls.

    Raises: `ShapeError`; `TensorError` for values that are not finite; `OptionError` for scales that are not positive.

    References: Hoffman and Johnson 2016 (ELBO surgery); Tomczak and Welling 2018 (arXiv 1705.07120).

    >>> one = AggregatePosterior(torch.zeros(1, 2), torch.ones(1, 2))
    >>> round(one.log_prob(torch.zeros(2)).exp().item() * 2 * math.pi, 4)
    1.0
    """

    means: Tensor
    scales: Tensor

    def __post_init__(self) -> None:
        require_points(self.means, width=None, names="means")
        require_points(self.scales, width=self.means.shape[-1], names="scales")
        n, d = self.means.shape if self.means.ndim == 2 else (-1, -1)
        if n < 0 or self.scales.shape not in ((n, d), (n, d, d)):
            raise ShapeError(
                f"AggregatePosterior takes means (N, d) and scales (N, d) or (N, d, d); got {tuple(self.means.shape)} and "
                f"{tuple(self.scales.shape)}."
            )
        if not bool((self.scales > 0).all() if self.scales.ndim == 2 else (torch.linalg.det(self.scales) != 0).all()):
            raise OptionError(
                "scales must be positive standard deviations (N, d), or invertible matrices (N, d, d); got others."
            )

    @property
    def event_shape(self) -> torch.Size:
        """`(d,)`."""
        return self.means.shape[1:]

    def __repr__(self) -> str:
        return f"AggregatePosterior(N = {len(self.means)}, d = {self.means.shape[1]})"

    def log_prob(self, value: Tensor) -> Tensor:
        """`log q(z)`, `(*batch)`, of points `(*batch, d)`; differentiable in them."""
        require_points(value, width=self.means.shape[1], names="value")
        means, scales = self.means.to(value), self.scales.to(value)
        n, d = means.shape
        roots = torch.linalg.inv(scales) if scales.ndim == 3 else 1 / scales
        volume = torch.linalg.slogdet(scales).logabsdet if scales.ndim == 3 else scales.log().sum(-1)
        constant = volume + 0.5 * d * math.log(2 * math.pi) + math.log(n)
        points, parts = flat(value), []
        for rows in row_chunks(len(points), 3 * n * d):
            apart = points[rows, None] - means
            white = (roots @ apart[..., None])[..., 0] if scales.ndim == 3 else roots * apart
            parts.append(torch.logsumexp(-0.5 * white.square().sum(-1) - constant, -1))
        return torch.cat(parts).reshape(value.shape[:-1])

    def sample(self, sample_shape: torch.Size = _ONE) -> Tensor:
        """Points `(*sample_shape, d)`, drawn with torch's global generator."""
        n, d = self.means.shape
        which = torch.randint(n, tuple(sample_shape), device=self.means.device)
        noise = torch.randn(*sample_shape, d, dtype=self.means.dtype, device=self.means.device)
        scale = self.scales[which]
        return self.means[which] + ((scale @ noise[..., None])[..., 0] if self.scales.ndim == 3 else scale * noise)
