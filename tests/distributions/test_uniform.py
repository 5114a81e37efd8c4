"""The uniform density: volumes, and spaces that have none."""

import math

import pytest
import torch
from torch import Tensor
from torch.distributions import kl_divergence

from egregium.distributions import Uniform
from egregium.distributions.on_space import On
from egregium.errors import OptionError, ShapeError, TensorError
from egregium.spaces import Euclidean, Explicit, Hyperbolic, Product, Pullback, Scaled, Sphere, Torus

VOLUMES = [
    (Sphere(1), 2 * math.pi),
    (Sphere(2, 0.25), 16 * math.pi),
    (Sphere(3, 4.0), math.pi**2 / 4),
    (Torus(2, [1.0, 3.0]), 12 * math.pi**2),
    (Scaled(Sphere(2), 3.0), 36 * math.pi),
    (Product(Sphere(2), Product(Torus(1), Sphere(1, 0.25))), 4 * math.pi * 2 * math.pi * 4 * math.pi),
]


@pytest.mark.parametrize(("space", "volume"), VOLUMES, ids=repr)
def test_volumes(space: Explicit, volume: float) -> None:
    p = Uniform(space, (2,), dtype=torch.float64)
    x = p.rsample((3,))
    assert x.shape == (3, 2, space.width) and x.dtype == torch.float64 and bool(p.support.check(x).all())
    torch.testing.assert_close(p.log_prob(x), torch.full((3, 2), -math.log(volume)).double(), rtol=1e-6, atol=1e-6)
    assert p.entropy().exp().tolist() == pytest.approx([volume] * 2, rel=1e-13)
    assert kl_divergence(p, p).tolist() == [0, 0]


def test_a_learned_scale() -> None:
    s = torch.tensor(2.0, requires_grad=True)
    (gradient,) = torch.autograd.grad(Uniform(Scaled(Sphere(3), s)).entropy(), s)
    assert gradient.item() == pytest.approx(1.5)


@pytest.mark.parametrize(
    "space",
    [
        Euclidean(2),
        Hyperbolic(2),
        Product(Sphere(2), Euclidean(1)),
        Product(Sphere(2), Sphere(2), p=1),
        Pullback(lambda z: z, dim=2),
    ],
    ids=lambda space: type(space).__name__,
)
def test_infinite_volumes_are_refused(space: Explicit) -> None:
    with pytest.raises(OptionError, match="compact"):
        Uniform(space)


def test_points_that_are_none() -> None:
    p, x = Uniform(Sphere(2)), torch.eye(3)
    with pytest.raises(TensorError, match="unit vectors"):
        p.log_prob(2 * x)
    with pytest.raises(ShapeError, match="value"):
        p.log_prob(torch.ones(4))
    assert Uniform(Sphere(2), validate_args=False).log_prob(2 * x).shape == (3,)
    assert On(Sphere(2)).check(torch.stack([x[0], 2 * x[1], x[2]])).tolist() == [True, False, True]
    assert "Sphere" in repr(On(Sphere(2)))


def test_draws_are_even() -> None:
    torch.manual_seed(0)
    moments: Tensor = Uniform(Sphere(2)).sample((50_000,)).double().mT.cov()
    assert (moments - torch.eye(3) / 3).abs().max() < 8e-3  # 5 standard errors
