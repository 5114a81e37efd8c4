"""The von Mises-Fisher density on spheres."""

import torch
from torch import Tensor
from torch.distributions import register_kl

from egregium.distributions.cosine import draw_angles
from egregium.distributions.uniform import Uniform, require_one_space
from egregium.distributions.zonal import Zonal, apart
from egregium.numerics.bessel import log_mean_exp, mean_deficit


class VonMisesFisher(Zonal):
    r"""The density on the n-sphere of curvature K, in unit vectors of d = n + 1 numbers, that is exponential in the cosine.

    .. math:: p(x) = \frac{e^{\kappa \mu^T x}}{\operatorname{vol}(S^n) \, M_d(\kappa)}, \qquad
        M_d(\kappa) = \Gamma(d/2) (2 / \kappa)^{d/2 - 1} I_{d/2 - 1}(\kappa),

    with respect to the Riemannian volume, which for curvature K is `K^(-n/2)` times that of the unit sphere. Isometries of the
    sphere carry it along: `loc` turns with the points. Concentration 0 is the uniform density.

    Draws are exact (rejection of the cosine), and gradients of expectations unbiased: the cosine moves with the concentration
    as its distribution function says (implicit reparametrisation). The mean of `mu^T x` is `A_d = I_{d/2} / I_{d/2-1}`,
    and `A_d' = 1 - A_d^2 - (d - 1) A_d / kappa`. Log-densities are right to 1e-13 for d up to 500 and concentrations up to 1e6.

    Args:
        space: `Sphere`.
        loc: unit vectors `(*batch, n + 1)`.
        concentration: `(*batch)` or a number, at least 0.

    Raises: `OptionError`; `TensorError` and `ShapeError` for what is no unit vector.

    References: Wood 1994 (doi 10.1080/03610919408813161); Davidson et al. 2018 (arXiv 1804.00891); Figurnov et al. 2018
    (arXiv 1805.08498).

    >>> from egregium.spaces import Sphere
    >>> pole = torch.tensor([0.0, 0.0, 1.0])
    >>> p = VonMisesFisher(Sphere(2), pole, 2.0)
    >>> p.log_prob(pole), p.mean[2]  # log(2 / (4 pi sinh 2)) + 2, coth(2) - 1 / 2
    (tensor(-1.1262), tensor(0.5373))
    """

    def _log_relative(self, kappa: Tensor, versine: Tensor, rest: Tensor) -> Tensor:
        return -2 * kappa * versine - log_mean_exp(self.space.width, kappa)

    def _angles(self, kappa: Tensor) -> Tensor:
        return draw_angles(self.space.n, kappa)

    def _deficit(self, kappa: Tensor) -> Tensor:
        return mean_deficit(self.space.width, kappa)

    def _negentropy(self, kappa: Tensor) -> Tensor:
        return -log_mean_exp(self.space.width, kappa) - kappa * self._deficit(kappa)


def cross_entropy(p: Zonal, q: VonMisesFisher) -> Tensor:
    """`-E log q` of draws of p, less the logarithm of the volume, in float64."""
    kappa = q.concentration.double()
    deficit = p._deficit(p.concentration.double())
    return kappa * (deficit + (1 - deficit) * apart(p, q)) + log_mean_exp(q.space.width, kappa)


@register_kl(VonMisesFisher, VonMisesFisher)
def _fisher_fisher(p: VonMisesFisher, q: VonMisesFisher) -> Tensor:
    require_one_space(p, q)
    d, kappa, other = p.space.width, p.concentration.double(), q.concentration.double()
    deficit = mean_deficit(d, kappa)
    turned = other * (1 - deficit) * apart(p, q)
    return ((other - kappa) * deficit + turned + (log_mean_exp(d, other) - log_mean_exp(d, kappa))).to(p.loc.dtype)


@register_kl(Zonal, Uniform)
def _zonal_uniform(p: Zonal, q: Uniform) -> Tensor:
    require_one_space(p, q)
    return _batched(p._negentropy(p.concentration.double()).to(p.loc.dtype), q)


@register_kl(Uniform, VonMisesFisher)
def _uniform_fisher(p: Uniform, q: VonMisesFisher) -> Tensor:
    require_one_space(p, q)
    kappa = q.concentration.double()
    return _batched((kappa + log_mean_exp(q.space.width, kappa)).to(q.loc.dtype), p)


def _batched(value: Tensor, q: Uniform) -> Tensor:
    return value.expand(torch.broadcast_shapes(value.shape, q.batch_shape))
