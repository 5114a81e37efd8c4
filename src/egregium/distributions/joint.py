"""Independent densities side by side, on a product of their spaces."""

from typing import Any

import torch
from torch import Tensor
from torch.distributions import Distribution, kl_divergence, register_kl

from egregium.distributions.measure import space_of
from egregium.distributions.on_space import OnSpace
from egregium.distributions.uniform import alike, require_one_space
from egregium.errors import OptionError, ShapeError
from egregium.spaces import Explicit, Product


class Joint(OnSpace):
    r"""Independent points of the factors of a product: `p(x) = prod_i p_i(x_i)`, against the product of their volumes.

    Args:
        space: a `Product` with `p=2`.
        parts: a density for each factor, of event shape `(width of the factor,)`, all of one batch shape.

    Raises: `OptionError`; `ShapeError`.

    >>> from egregium.distributions import Uniform
    >>> from egregium.spaces import Euclidean, Sphere
    >>> flat = torch.distributions.Independent(torch.distributions.Normal(torch.zeros(2), torch.ones(2)), 1)
    >>> p = Joint(Product(Sphere(2), Euclidean(2)), Uniform(Sphere(2)), flat)
    >>> p.log_prob(torch.tensor([0.0, 0.0, 1.0, 0.0, 0.0]))  # -log(4 pi) - log(2 pi)
    tensor(-4.3689)
    """

    space: Product

    def __init__(self, space: Explicit, *parts: Distribution, validate_args: bool | None = None) -> None:
        if not isinstance(space, Product) or space.p != 2 or len(parts) != len(space.factors):
            raise OptionError(
                f"Joint needs a product space with p=2 and a density for each factor; got {len(parts)} on {space!r}."
            )
        for factor, part in zip(space.factors, parts, strict=True):
            if not isinstance(part, Distribution) or not alike(space_of(part) or factor, factor):
                raise OptionError(f"Joint: a density on {factor!r} is expected, of that factor; got {part!r}.")
            if part.event_shape != (factor.width,) or part.batch_shape != parts[0].batch_shape:
                raise ShapeError(
                    f"Joint: densities of event shape (width,) and one batch shape are expected; got {tuple(part.event_shape)} "
                    f"and batch {tuple(part.batch_shape)} on {factor!r}."
                )
        super().__init__(space, validate_args)
        self.parts, self.has_rsample = parts, all(part.has_rsample for part in parts)
        self._batch_shape = parts[0].batch_shape

    @property
    def mean(self) -> Tensor:
        """Means of the factors, `(*batch, width)`."""
        return torch.cat([part.mean for part in self.parts], -1)

    def __repr__(self) -> str:
        return f"Joint({', '.join(map(repr, self.parts))})"

    def expand(self, batch_shape: Any, _instance: Any = None) -> "Joint":
        return Joint(self.space, *(part.expand(batch_shape) for part in self.parts), validate_args=self._validate_args)

    def sample(self, sample_shape: Any = ()) -> Tensor:
        """Points `(*sample_shape, *batch_shape, width)`."""
        return torch.cat([part.sample(sample_shape) for part in self.parts], -1)

    def rsample(self, sample_shape: Any = ()) -> Tensor:
        """Points `(*sample_shape, *batch_shape, width)` that move with the parameters."""
        return torch.cat([part.rsample(sample_shape) for part in self.parts], -1)

    def log_prob(self, value: Tensor) -> Tensor:
        """Log-density at points `(*sample, *batch, width)` against the Riemannian volume, in nats."""
        if self._validate_args:
            self._validate_sample(value)
        return sum_of([part.log_prob(x) for part, x in zip(self.parts, self.space.split(value), strict=True)])

    def entropy(self) -> Tensor:
        """The sum of the entropies; `NotImplementedError` where one has none in closed form."""
        return sum_of([part.entropy() for part in self.parts])


def sum_of(terms: list[Tensor]) -> Tensor:
    """Their sum, elementwise."""
    return torch.stack(terms).sum(0)


@register_kl(Joint, Joint)
def _joint_joint(p: Joint, q: Joint) -> Tensor:
    require_one_space(p, q)
    return sum_of([kl_divergence(one, other) for one, other in zip(p.parts, q.parts, strict=True)])
