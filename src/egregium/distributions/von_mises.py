"""The von Mises density on circles and tori, in angles."""

import math
from typing import Any

import torch
from torch import Tensor
from torch.distributions import constraints, register_kl

from egregium.distributions.cosine import draw_angles
from egregium.distributions.on_space import On, PeakedAtLoc, number, require_loc, require_space
from egregium.distributions.uniform import Uniform, require_one_space
from egregium.errors import ShapeError
from egregium.numerics.bessel import log_mean_exp, mean_deficit
from egregium.spaces import Torus


class VonMises(PeakedAtLoc):
    r"""The density on a torus of n circles of radii R that is exponential in the cosine of each angle, all independent.

    .. math:: p(x) = \prod_i \frac{e^{\kappa_i \cos(x_i - \mu_i)}}{2 \pi R_i \, I_0(\kappa_i)},

    with respect to the Riemannian volume `prod R_i dx_i`. Translations carry it along: `loc` moves with the points.
    Concentration 0 is the uniform density.

    Draws are exact (rejection) and gradients of expectations unbiased (implicit reparametrisation); torch's `VonMises` has
    none.

    Args:
        space: `Torus(n)`.
        loc: angles `(*batch, n)`.
        concentration: a number, or `(*batch, n)` or `(*batch, 1)`, at least 0.

    Raises: `OptionError`; `TensorError`; `ShapeError`.

    References: Wood 1994 (doi 10.1080/03610919408813161); Figurnov et al. 2018 (arXiv 1805.08498).

    >>> VonMises(Torus(1), torch.zeros(1), 0.0).log_prob(torch.ones(1)).exp() * 2 * math.pi
    tensor(1.0000)
    """

    event_dims = {"loc": 1, "concentration": 1}  # noqa: RUF012
    space: Torus
    concentration: Tensor

    def __init__(self, space: Torus, loc: Tensor, concentration: float | Tensor, *, validate_args: bool | None = None) -> None:
        require_space("VonMises", space, Torus, "VonMisesFisher is on spheres.")
        check = self._validate_args if validate_args is None else validate_args
        if check:
            require_loc("VonMises", space, loc)
        given = number("VonMises", "concentration", concentration, loc, zero=True, check=check)
        if given.ndim and given.shape[-1] not in (1, space.n):
            raise ShapeError(
                f"VonMises(concentration): a number, (*batch, 1) or (*batch, {space.n}) is expected; got {tuple(given.shape)}."
            )
        given = given.expand(*given.shape[:-1], space.n)
        super().__init__(space, validate_args, loc=loc, concentration=given)

    @property
    def arg_constraints(self) -> dict[str, constraints.Constraint]:
        return {"loc": On(self.space), "concentration": constraints.independent(constraints.nonnegative, 1)}

    def log_prob(self, value: Tensor) -> Tensor:
        """Log-density at angles `(*sample, *batch, n)` against the Riemannian volume, in nats."""
        x = self._points(value)
        batch = x.shape[:-1]
        kappa = self.concentration.double()
        versine = (0.5 * (x - self._all("loc", batch))).sin() ** 2
        each = -2 * kappa * versine - log_mean_exp(2, kappa) - _log_lengths(self.space)
        return each.sum(-1).to(self.loc.dtype)

    def rsample(self, sample_shape: Any = ()) -> Tensor:
        """Angles `(*sample_shape, *batch, n)` in `[-pi, pi]` that move with loc and concentration; gradients are unbiased."""
        shape = torch.Size(sample_shape) + self.batch_shape
        angle = draw_angles(1, self._all("concentration", shape).contiguous())
        sign = 2.0 * torch.randint(2, angle.shape, device=angle.device) - 1
        return self.space.project(self._all("loc", shape) + sign * angle).to(self.loc.dtype)

    def entropy(self) -> Tensor:
        """Differential entropy against the Riemannian volume, `(*batch)`, in nats."""
        return (_log_lengths(self.space).sum() - _negentropy(self.concentration.double())).to(self.loc.dtype)


def _log_lengths(space: Torus) -> Tensor:
    return (2 * math.pi * torch.tensor(space.radii, dtype=torch.float64)).log()


def _negentropy(kappa: Tensor) -> Tensor:
    return (-log_mean_exp(2, kappa) - kappa * mean_deficit(2, kappa)).sum(-1)


@register_kl(VonMises, VonMises)
def _mises_mises(p: VonMises, q: VonMises) -> Tensor:
    require_one_space(p, q)
    kappa, other = p.concentration.double(), q.concentration.double()
    deficit = mean_deficit(2, kappa)
    turned = 2 * other * (1 - deficit) * (0.5 * (p.loc.double() - q.loc.double())).sin() ** 2
    return ((other - kappa) * deficit + turned + (log_mean_exp(2, other) - log_mean_exp(2, kappa))).sum(-1).to(p.loc.dtype)


@register_kl(VonMises, Uniform)
def _mises_uniform(p: VonMises, q: Uniform) -> Tensor:
    require_one_space(p, q)
    value = _negentropy(p.concentration.double()).to(p.loc.dtype)
    return value.expand(torch.broadcast_shapes(value.shape, q.batch_shape))


@register_kl(Uniform, VonMises)
def _uniform_mises(p: Uniform, q: VonMises) -> Tensor:
    require_one_space(p, q)
    kappa = q.concentration.double()
    value = (kappa + log_mean_exp(2, kappa)).sum(-1).to(q.loc.dtype)
    return value.expand(torch.broadcast_shapes(value.shape, p.batch_shape))
