"""Independent densities on a product: sums of logarithms, draws side by side."""

import pytest
import torch
from torch.distributions import Independent, Normal, kl_divergence

from egregium.distributions import Joint, PowerSpherical, Uniform, WrappedNormal
from egregium.errors import OptionError, ShapeError
from egregium.spaces import Euclidean, Hyperbolic, Product, Sphere

SPACE = Product(Sphere(2), Hyperbolic(2), Euclidean(1))
POLE = torch.tensor([0.0, 0.0, 1.0])


def joint(batch: int = 4) -> Joint:
    concentration = torch.full((batch,), 3.0, requires_grad=True)
    flat = Independent(Normal(torch.zeros(batch, 1), torch.ones(batch, 1)), 1)
    ball = WrappedNormal(SPACE.factors[1], torch.zeros(batch, 2), 0.5)
    return Joint(SPACE, PowerSpherical(Sphere(2), POLE.expand(batch, 3), concentration), ball, flat)


def test_shapes_and_sums() -> None:
    p = joint()
    x = p.rsample((7,))
    assert x.shape == (7, 4, 6) and p.batch_shape == (4,) and p.event_shape == (6,) and p.has_rsample
    assert p.sample((2, 3)).shape == (2, 3, 4, 6) and not p.sample().requires_grad and x.requires_grad
    parts = [part.log_prob(one) for part, one in zip(p.parts, SPACE.split(x), strict=True)]
    torch.testing.assert_close(p.log_prob(x), parts[0] + parts[1] + parts[2])
    assert p.expand((5, 4)).log_prob(x[:5]).shape == (5, 4) and p.mean.shape == (4, 6)
    torch.testing.assert_close(p.entropy(), p.parts[0].entropy() + p.parts[1].entropy() + p.parts[2].entropy())
    assert "PowerSpherical" in repr(p)


def test_it_is_the_wrapped_normal_of_the_product() -> None:
    space = Product(Hyperbolic(2), Euclidean(1))
    whole = WrappedNormal(space, torch.zeros(3), torch.tensor([0.5, 0.5, 2.0]))
    parts = WrappedNormal(space.factors[0], torch.zeros(2), 0.5), WrappedNormal(space.factors[1], torch.zeros(1), 2.0)
    x = whole.sample((20,))
    torch.testing.assert_close(Joint(space, *parts).log_prob(x), whole.log_prob(x))


def test_divergences_add() -> None:
    space = Product(Sphere(2), Euclidean(1))
    flat = Independent(Normal(torch.zeros(1), torch.ones(1)), 1), Independent(Normal(torch.ones(1), 2 * torch.ones(1)), 1)
    p, q = Joint(space, PowerSpherical(Sphere(2), POLE, 5.0), flat[0]), Joint(space, Uniform(Sphere(2)), flat[1])
    torch.testing.assert_close(kl_divergence(p, q), kl_divergence(p.parts[0], q.parts[0]) + kl_divergence(*flat))


def test_refusals() -> None:
    ball = Uniform(Sphere(2))
    with pytest.raises(OptionError, match="each factor"):
        Joint(Product(Sphere(2), Sphere(2)), ball)
    with pytest.raises(OptionError, match="p=2"):
        Joint(Product(Sphere(2), Sphere(2), p=1), ball, ball)
    with pytest.raises(OptionError, match="of that factor"):
        Joint(Product(Sphere(2), Sphere(1)), ball, ball)
    with pytest.raises(OptionError, match="of that factor"):
        Joint(Product(Sphere(2), Sphere(2, curvature=4.0)), ball, ball)
    with pytest.raises(OptionError, match="of that factor"):
        Joint(Product(Sphere(2), Sphere(2)), ball, 3)  # type: ignore[arg-type]
    with pytest.raises(ShapeError, match="width"):
        Joint(Product(Sphere(2), Euclidean(2)), ball, Independent(Normal(torch.zeros(1), torch.ones(1)), 1))
    with pytest.raises(OptionError, match="one space"):
        kl_divergence(Joint(Product(Sphere(2), Sphere(2)), ball, ball), Joint(Product(Sphere(2)), ball))
    with pytest.raises(ShapeError, match="batch"):
        Joint(Product(Sphere(2), Sphere(2)), ball, Uniform(Sphere(2), (3,)))
    with pytest.raises(ValueError, match="support"):
        Joint(Product(Sphere(2), Sphere(2)), ball, ball).log_prob(torch.ones(6))
