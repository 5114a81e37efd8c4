r"""Entropies of wrapped Gaussians where one quadrature on a line gives them.

On Euclidean spaces in closed form; on a circle `-int p log p`; on hyperbolic spaces with one scale in all directions

.. math:: H = \frac n 2 \log 2 \pi e \sigma^2 + (n - 1) \, E \log \frac{s(\sigma t)}{\sigma t}, \qquad t \sim \chi_n ,

because one tangent vector alone arrives at each point; on products the sum. All is differentiable in scales and curvature.
"""

import math
from functools import lru_cache

import torch
from torch import Tensor

from egregium.distributions.frames import split
from egregium.distributions.preimages import REACH, log_on_circle
from egregium.numerics.unimodal import edge, panel
from egregium.spaces import ConstantCurvature, Euclidean, Explicit, Product, Scaled, Sphere, Torus
from egregium.spaces.explicit import plain


def wrapped_entropy(space: Explicit, scale: Tensor) -> Tensor:
    """Entropy `(*batch)` of the wrapped Gaussian with standard deviations `(*batch, dim)`, against the Riemannian volume.

    Raises: `NotImplementedError` where there is no such formula.
    """
    match space:
        case Euclidean():
            return _gaussian(scale)
        case Torus():
            radii = torch.tensor(space.radii, dtype=scale.dtype, device=scale.device)
            return (_on_circle(scale / radii) + radii.log()).sum(-1)
        case Sphere(n=1):
            return _on_circle(scale[..., 0] / space.radius) + math.log(space.radius)
        case Product():
            parts = zip(space.factors, split(space, scale), strict=True)
            return torch.stack([wrapped_entropy(*part) for part in parts]).sum(0)
        case Scaled():
            factor = torch.as_tensor(space.s, dtype=scale.dtype, device=scale.device)
            return wrapped_entropy(space.space, scale / factor) + space.dim * factor.log()
        case ConstantCurvature() if plain(space.curvature) <= 0 and bool((scale == scale[..., :1]).all()):
            return _gaussian(scale) + _spreading(space, scale.mean(-1))
    raise NotImplementedError(
        f"the entropy of a WrappedNormal on {space!r} is no integral on a line: average -log_prob of draws. On hyperbolic "
        "spaces it is known for one scale in all directions, on spheres for dimension 1."
    )


def _gaussian(scale: Tensor) -> Tensor:
    return (scale.log() + 0.5 * math.log(2 * math.pi * math.e)).sum(-1)


def _on_circle(width: Tensor) -> Tensor:
    """Of angles with this standard deviation before they are wrapped."""
    end = (REACH * width.detach()).clamp_max(math.pi)
    nodes, weights = panel(torch.zeros_like(end), end)
    log_p = log_on_circle(nodes, width.expand_as(nodes))
    return -2 * (weights * log_p.exp() * log_p).sum(0)


def _spreading(space: ConstantCurvature, scale: Tensor) -> Tensor:
    """`(n - 1) E log(s(r) / r)` of distances r."""
    nodes, weights = (part.to(scale.device).reshape(-1, *[1] * scale.ndim) for part in _chi(space.n))
    return (space.n - 1) * (weights * space.trigonometry.sinc(nodes * scale).log()).sum(0)


@lru_cache(maxsize=64)
def _chi(n: int) -> tuple[Tensor, Tensor]:
    """Nodes and weights of expectations under the chi law with n degrees of freedom."""

    def log_density(t: Tensor) -> Tensor:
        return ((n - 1) * t.log() if n > 1 else 0.0) - 0.5 * t**2

    mode = torch.tensor(math.sqrt(n - 1), dtype=torch.float64)
    sides = [panel(mode, edge(log_density, mode, end)) for end in (torch.zeros_like(mode), mode + 2 * REACH)]
    nodes, weights = (torch.cat(part) for part in zip(*sides, strict=True))
    mass = weights.abs() * (log_density(nodes) - log_density(mode)).exp().nan_to_num()
    return nodes, mass / mass.sum()
