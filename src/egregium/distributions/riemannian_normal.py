"""The Riemannian normal density on hyperbolic spaces."""

from typing import Any

import torch
from torch import Tensor
from torch.distributions import constraints

from egregium.distributions.frames import from_frame
from egregium.distributions.on_space import On, PeakedAtLoc, number, require_loc, require_space
from egregium.distributions.radial import FAR, Radial
from egregium.errors import OptionError
from egregium.numerics.gamma import log_sphere_area
from egregium.spaces import Hyperbolic
from egregium.spaces.constant_curvature import DEEPEST


class RiemannianNormal(PeakedAtLoc):
    r"""The density on the hyperbolic space of curvature K that is Gaussian in the distance from `loc`.

    .. math:: p(x) = \frac{e^{-d(x, \mu)^2 / (2 \sigma^2)}}{Z(\sigma)}, \qquad Z(\sigma) = \operatorname{area}(S^{n-1})
        \int_0^\infty \left(\frac{\sinh \sqrt{-K} r}{\sqrt{-K}}\right)^{n-1} e^{-r^2 / (2 \sigma^2)} \, dr ,

    with respect to the Riemannian volume: of all densities of its mean square distance from loc that of the largest entropy.
    Isometries carry it along. Z is right to 1e-12 of its logarithm for n up to 50, and differentiable in scale and curvature.

    Draws are exact (rejection of the distance, whose density is log-concave) and gradients of expectations unbiased (implicit
    reparametrisation). Most draws lie about `(n - 1) sqrt(-K) sigma^2` from loc where that is large.

    Args:
        space: `Hyperbolic`.
        loc: points `(*batch, n)`.
        scale: `(*batch)` or a number, positive; in units of distance.

    Raises: `OptionError`, also where draws would lie farther out than distances can be computed; `TensorError`; `ShapeError`.

    References: Said, Bombrun, Berthoumieu 2014 (arXiv 1401.8078); Mathieu et al. 2019 (arXiv 1901.06033).

    >>> p = RiemannianNormal(Hyperbolic(2), torch.zeros(2), 1.0)
    >>> p.log_prob(torch.zeros(2))  # -log(2 pi sqrt(pi / 2) e^(1/2) erf(2^(-1/2)))
    tensor(-2.1820)
    """

    event_dims = {"loc": 1, "scale": 0}  # noqa: RUF012
    space: Hyperbolic
    scale: Tensor

    def __init__(self, space: Hyperbolic, loc: Tensor, scale: float | Tensor, *, validate_args: bool | None = None) -> None:
        require_space("RiemannianNormal", space, Hyperbolic, "WrappedNormal is on all explicit spaces.")
        check = self._validate_args if validate_args is None else validate_args
        if check:
            require_loc("RiemannianNormal", space, loc)
        given = number("RiemannianNormal", "scale", scale, loc, zero=False, check=check)
        super().__init__(space, validate_args, loc=loc, scale=given)
        if check:
            self._require_reach()

    @property
    def arg_constraints(self) -> dict[str, constraints.Constraint]:
        return {"loc": On(self.space), "scale": constraints.positive}

    def log_prob(self, value: Tensor) -> Tensor:
        """Log-density at points `(*sample, *batch, n)` against the Riemannian volume, in nats."""
        x = self._points(value)
        away = self.space.dist(self._all("loc", x.shape[:-1]), x) / self._all("scale", x.shape[:-1])
        return (-0.5 * away**2 - self._log_factor()).to(self.loc.dtype)

    def rsample(self, sample_shape: Any = ()) -> Tensor:
        """Points `(*sample_shape, *batch, n)` that move with loc, scale and curvature; gradients are unbiased."""
        shape = torch.Size(sample_shape) + self.batch_shape
        loc = self._all("loc", shape)
        distance = Radial(self.space.n, self._depth * self._all("scale", shape)).draw() / self._depth
        direction = torch.randn_like(loc)
        direction = direction / torch.linalg.vector_norm(direction, dim=-1, keepdim=True)
        v = from_frame(self.space, loc, distance[..., None] * direction)
        return self._landed(self.space.exp(loc, v)).to(self.loc.dtype)

    def entropy(self) -> Tensor:
        """Differential entropy, `(*batch)`, in nats: `log Z + E d^2 / (2 sigma^2)`."""
        radial = self._radial()
        return (self._log_factor() + 0.5 * radial.mean_square() / radial.s**2).to(self.loc.dtype)

    @property
    def _depth(self) -> Tensor:
        """`sqrt(-K)`."""
        return (-torch.as_tensor(self.space.curvature, dtype=torch.float64, device=self.loc.device)).sqrt()

    def _radial(self) -> Radial:
        return Radial(self.space.n, self._depth * self.scale.double())

    def _log_factor(self) -> Tensor:
        """`log Z`, `(*batch)`."""
        n = self.space.n
        return log_sphere_area(n - 1) - n * self._depth.log() + self._radial().log_integral()

    def _require_reach(self) -> None:
        radial = self._radial()
        farthest = float((radial.mode() + FAR * radial.s.detach()).max())
        if farthest > DEEPEST:
            raise OptionError(
                f"RiemannianNormal(scale): draws must lie within {DEEPEST:g} units of curvature of loc, beyond which distances "
                f"overflow; in dimension {self.space.n} they go to {farthest:.3g}, about (n - 1) scale^2: take a smaller scale."
            )
