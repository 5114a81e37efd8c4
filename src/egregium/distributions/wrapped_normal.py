"""The Gaussian of a tangent space, wrapped onto the space."""

from typing import Any

import torch
from torch import Tensor
from torch.distributions import constraints, register_kl

from egregium.distributions.frames import from_frame
from egregium.distributions.on_space import AboutLoc, On, number, require_loc, require_space
from egregium.distributions.preimages import log_pushed, log_wrapped, require_exponential
from egregium.distributions.uniform import Uniform, log_volume, require_one_space
from egregium.distributions.wrapped_entropy import wrapped_entropy
from egregium.errors import ShapeError
from egregium.spaces import Euclidean, Explicit


class WrappedNormal(AboutLoc):
    r"""The law of `exp_loc(v)`, v Gaussian in the tangent space at `loc`, with standard deviations along an orthonormal frame.

    .. math:: p(x) = \sum_{v \,:\, \exp_\mu v = x} N(v; 0, \operatorname{diag} \sigma^2) \,
        \left(\frac{|v|}{s(|v|)}\right)^{n-1},

    s the sine of the curvature, with respect to the Riemannian volume. The sum is over all preimages, to rounding: one on
    Euclidean and hyperbolic spaces, all turns round circles and spheres. (With the shortest v alone, at sigma = 1 a mass of
    0.993 is left on the 2-sphere, 0.03 on the 20-sphere.) On products it goes by factor. Isometries carry the law of one scale
    along.

    On spheres of dimension 2 or more the density has poles, which are integrable: at the antipode, where it is infinite, and at
    loc, where whole turns end, of weight `exp(-(2 pi R / sigma)^2 / 2)`. At loc itself, a point of no mass, the value is that
    of v = 0 alone. Draws are exact and move with loc and scale.

    The frame is `space.frame` on spheres and tori, on hyperbolic spaces the axes carried from the origin.

    Args:
        space: `Euclidean`, `Sphere`, `Hyperbolic`, `ConstantCurvature`, `Torus`, `Scaled` ones and `Product`s of them.
        loc: points `(*batch, width)`.
        scale: positive, a number, or `(*batch, 1)`, or `(*batch, dim)` for one each in the frame.

    Cost: on spheres `sigma / R` turns a point.

    Raises: `OptionError`; `TensorError`; `ShapeError`.

    References: Mardia and Jupp 2000 (Directional Statistics, 3.5.7); Nagano et al. 2019 (arXiv 1902.02992); Mathieu et al. 2019
    (arXiv 1901.06033).

    >>> from egregium.spaces import Hyperbolic
    >>> p = WrappedNormal(Hyperbolic(2), torch.zeros(2), 1.0)
    >>> p.log_prob(torch.tensor([1.0, 0.0]))  # -1/2 - log(2 pi) - log sinh 1
    tensor(-2.4993)
    """

    event_dims = {"loc": 1, "scale": 1}  # noqa: RUF012
    scale: Tensor

    def __init__(self, space: Explicit, loc: Tensor, scale: float | Tensor, *, validate_args: bool | None = None) -> None:
        require_space("WrappedNormal", space, Explicit, "learned spaces have no closed-form exponentials.")
        require_exponential(space)
        check = self._validate_args if validate_args is None else validate_args
        if check:
            require_loc("WrappedNormal", space, loc)
        given = number("WrappedNormal", "scale", scale, loc, zero=False, check=check)
        if given.ndim and given.shape[-1] not in (1, space.dim):
            raise ShapeError(
                f"WrappedNormal(scale): a number, (*batch, 1) or (*batch, {space.dim}) is expected on {space}; got "
                f"{tuple(given.shape)}."
            )
        super().__init__(space, validate_args, loc=loc, scale=given.expand(*given.shape[:-1], space.dim))

    @property
    def arg_constraints(self) -> dict[str, constraints.Constraint]:
        return {"loc": On(self.space), "scale": constraints.independent(constraints.positive, 1)}

    def log_prob(self, value: Tensor) -> Tensor:
        """Log-density at points `(*sample, *batch, width)` against the Riemannian volume, in nats."""
        x = self._points(value)
        batch = x.shape[:-1]
        return log_wrapped(self.space, self._all("loc", batch), x, self._all("scale", batch)).to(self.loc.dtype)

    def rsample(self, sample_shape: Any = ()) -> Tensor:
        """Points `(*sample_shape, *batch, width)`, which move with loc and scale; angles of tori in `[-pi, pi]`."""
        return self._drawn(sample_shape)[0].to(self.loc.dtype)

    def rsample_with_log_prob(self, sample_shape: Any = ()) -> tuple[Tensor, Tensor]:
        """Draws, and the log-density `(*sample_shape, *batch)` there: cheaper than one after the other, where one v arrives."""
        x, c = self._drawn(sample_shape)
        scale = self._all("scale", c.shape[:-1])
        known = log_pushed(self.space, c, scale)
        value = log_wrapped(self.space, self._all("loc", c.shape[:-1]), x, scale) if known is None else known
        return x.to(self.loc.dtype), value.to(self.loc.dtype)

    def _drawn(self, sample_shape: Any) -> tuple[Tensor, Tensor]:
        """Points, and the components in the frame at loc of the tangent vectors that arrive there, in float64."""
        shape = torch.Size(sample_shape) + self.batch_shape
        loc, scale = self._all("loc", shape), self._all("scale", shape)
        c = scale * torch.randn_like(scale)
        return self._landed(self.space.exp(loc, from_frame(self.space, loc, c))), c

    def entropy(self) -> Tensor:
        """Differential entropy against the Riemannian volume, `(*batch)`, in nats.

        On Euclidean spaces and tori, on hyperbolic spaces with one scale in all directions, on products of these.

        Raises: `NotImplementedError` elsewhere.
        """
        return wrapped_entropy(self.space, self.scale.double()).to(self.loc.dtype)


@register_kl(WrappedNormal, Uniform)
def _wrapped_uniform(p: WrappedNormal, q: Uniform) -> Tensor:
    """Where the entropy is known: on tori."""
    require_one_space(p, q)
    value = (log_volume(q.space) - wrapped_entropy(p.space, p.scale.double())).to(p.loc.dtype)
    return value.expand(torch.broadcast_shapes(value.shape, q.batch_shape))


@register_kl(WrappedNormal, WrappedNormal)
def _wrapped_wrapped(p: WrappedNormal, q: WrappedNormal) -> Tensor:
    """In closed form on Euclidean spaces."""
    require_one_space(p, q)
    if not isinstance(p.space, Euclidean):
        raise NotImplementedError(
            f"wrapped normals on {p.space} have no divergence in closed form: average log p - log q of draws."
        )
    ratio, way = (p.scale.double() / q.scale.double()) ** 2, (p.loc.double() - q.loc.double()) / q.scale.double()
    return (0.5 * (ratio - 1 - ratio.log() + way**2).sum(-1)).to(p.loc.dtype)
