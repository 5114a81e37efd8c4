"""The power spherical density on spheres."""

import math

import torch
from torch import Tensor
from torch.distributions import Beta, register_kl

from egregium.distributions.cosine import log_width
from egregium.distributions.uniform import Uniform, require_one_space
from egregium.distributions.von_mises_fisher import VonMisesFisher, cross_entropy
from egregium.distributions.zonal import Zonal
from egregium.numerics.gamma import digamma_difference, log_gamma_ratio
from egregium.numerics.unimodal import moving, quantile_slope


class PowerSpherical(Zonal):
    r"""The density on the n-sphere of curvature K, in unit vectors of n + 1 numbers, that is a power of `1 + cos`.

    .. math:: p(x) = \frac{z^\kappa}{\operatorname{vol}(S^n)} \,
        \frac{\Gamma(n + \kappa) \, \Gamma(n/2)}{\Gamma(n/2 + \kappa) \, \Gamma(n)}, \qquad z = \frac{1 + \mu^T x}{2},

    with respect to the Riemannian volume, which for curvature K is `K^(-n/2)` times that of the unit sphere. Much like
    `VonMisesFisher`, with everything in closed form: z has the beta law `(n/2 + kappa, n/2)`. Its density is 0 at the antipode
    of loc. Isometries of the sphere carry it along. Concentration 0 is the uniform density.

    Draws are exact and gradients of expectations unbiased (implicit reparametrisation, by quadrature to rounding, since torch's
    own gradients of the beta law are approximate).

    Args:
        space: `Sphere`.
        loc: unit vectors `(*batch, n + 1)`.
        concentration: `(*batch)` or a number, at least 0.

    Raises: `OptionError`; `TensorError` and `ShapeError` for what is no unit vector.

    References: De Cao and Aziz 2020 (arXiv 2006.04437).

    >>> from egregium.spaces import Sphere
    >>> pole = torch.tensor([0.0, 0.0, 1.0])
    >>> p = PowerSpherical(Sphere(2), pole, 2.0)
    >>> p.log_prob(pole), p.mean[2]  # log(3 / (4 pi)), 2 / (2 + 2)
    (tensor(-1.4324), tensor(0.5000))
    """

    def _log_relative(self, kappa: Tensor, versine: Tensor, rest: Tensor) -> Tensor:
        near = versine < 0.5
        log_z = torch.where(near, torch.log1p(-torch.where(near, versine, 0.0)), torch.where(near, 1.0, rest).log())
        nothing = (kappa == 0) & (rest == 0)
        return kappa * log_z.masked_fill(nothing, 0.0) + self._log_constant(kappa)

    def _angles(self, kappa: Tensor) -> Tensor:
        n, fixed = self.space.n, kappa.detach()
        versine = Beta(torch.full_like(fixed, 0.5 * n), 0.5 * n + fixed).sample()
        angle = 2 * torch.asin(versine.sqrt())
        if not (torch.is_grad_enabled() and kappa.requires_grad):
            return angle

        def statistic(t: Tensor) -> Tensor:
            return 2 * (0.5 * t).cos().log()

        def log_density(t: Tensor) -> Tensor:
            return log_width(n, t) + fixed * statistic(t)

        mean, ends = -digamma_difference(0.5 * n + fixed, 0.5 * n), (torch.zeros_like(angle), torch.full_like(angle, math.pi))
        return moving(angle, quantile_slope(log_density, statistic, mean, angle, *ends), kappa)

    def _deficit(self, kappa: Tensor) -> Tensor:
        return self.space.n / (self.space.n + kappa)

    def _negentropy(self, kappa: Tensor) -> Tensor:
        return self._log_constant(kappa) - kappa * digamma_difference(0.5 * self.space.n + kappa, 0.5 * self.space.n)

    def _log_constant(self, kappa: Tensor) -> Tensor:
        half = 0.5 * self.space.n
        return log_gamma_ratio(half + kappa, half) - log_gamma_ratio(torch.full_like(kappa, half), half)


@register_kl(PowerSpherical, VonMisesFisher)
def _power_fisher(p: PowerSpherical, q: VonMisesFisher) -> Tensor:
    require_one_space(p, q)
    return (p._negentropy(p.concentration.double()) + cross_entropy(p, q)).to(p.loc.dtype)


@register_kl(Uniform, PowerSpherical)
def _uniform_power(p: Uniform, q: PowerSpherical) -> Tensor:
    require_one_space(p, q)
    kappa, half = q.concentration.double(), 0.5 * q.space.n
    value = kappa * digamma_difference(torch.full_like(kappa, half), half) - q._log_constant(kappa)
    return value.to(q.loc.dtype).expand(torch.broadcast_shapes(value.shape, p.batch_shape))
