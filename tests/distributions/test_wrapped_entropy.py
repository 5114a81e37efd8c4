"""Entropies of wrapped Gaussians against quadrature, with their gradients, and where there is no formula."""

import math

import pytest
import torch
from tests.distributions.quadrature import legendre
from torch.distributions import kl_divergence

from egregium.distributions import Uniform, WrappedNormal
from egregium.distributions.wrapped_entropy import wrapped_entropy
from egregium.spaces import ConstantCurvature, Euclidean, Hyperbolic, Sphere, Torus

ONE = torch.tensor(1.0, dtype=torch.float64)


@pytest.mark.parametrize("sigma", [0.01, 0.3, 1.0, 1.6, 9.0])
def test_circles(sigma: float) -> None:
    angle, weight = legendre(-math.pi, math.pi, 2000)
    p = WrappedNormal(Torus(1, 2.0), 0 * ONE[None], 2 * sigma)
    log_p = p.log_prob(angle[:, None])
    expected = -2 * weight @ (log_p.exp() * log_p)
    torch.testing.assert_close(p.entropy(), expected, rtol=0, atol=1e-12)
    on_sphere = WrappedNormal(Sphere(1, 0.25), torch.eye(2).double()[0], 2 * sigma).entropy()
    torch.testing.assert_close(on_sphere, expected, rtol=0, atol=1e-12)
    uniform = Uniform(Torus(1, 2.0), dtype=torch.float64)
    torch.testing.assert_close(kl_divergence(p, uniform), math.log(4 * math.pi) - expected, rtol=0, atol=1e-12)


@pytest.mark.parametrize("n", [1, 2, 9])
@pytest.mark.parametrize("sigma", [0.1, 1.0, 4.0])
def test_hyperbolic_spaces(n: int, sigma: float) -> None:
    space = Hyperbolic(n, -0.5)
    r, weight = legendre(0, sigma * (math.sqrt(n) + 9), 600)
    law = weight * r ** (n - 1) * (-0.5 * (r / sigma) ** 2).exp()
    spreading = (n - 1) * (law / law.sum()) @ space.trigonometry.sinc(r).log()
    flat = n * math.log(sigma) + 0.5 * n * math.log(2 * math.pi * math.e)
    found = WrappedNormal(space, torch.zeros(n).double(), sigma).entropy()
    torch.testing.assert_close(found, flat + spreading, rtol=1e-12, atol=1e-12)


def test_gradients_in_scale_and_curvature() -> None:
    scale = torch.tensor([0.7, 0.7, 0.7], dtype=torch.float64)
    for k in (torch.tensor(-0.8, dtype=torch.float64), torch.tensor(-1e-9, dtype=torch.float64)):
        slope = torch.autograd.functional.jacobian(lambda k: wrapped_entropy(ConstantCurvature(3, k), scale), k)
        ends = [wrapped_entropy(ConstantCurvature(3, -abs(k + step)), scale) for step in (-2e-4, -1e-4)]
        assert abs(slope - (ends[1] - ends[0]) / 1e-4) < 1e-3  # a one-sided difference
    each = torch.autograd.functional.jacobian(lambda s: wrapped_entropy(Hyperbolic(3), s), scale)
    together = torch.autograd.functional.jacobian(lambda s: wrapped_entropy(Hyperbolic(3), s.expand(3)), scale[0])
    torch.testing.assert_close(each, together.expand(3) / 3)
    assert torch.autograd.gradcheck(
        lambda s: wrapped_entropy(Torus(3), s), (torch.tensor([0.2, 1.0, 3.0]).double().requires_grad_(),)
    )


def test_where_there_is_no_formula() -> None:
    for space, scale in ((Sphere(2), 1.0), (Hyperbolic(2), torch.tensor([1.0, 2.0])), (ConstantCurvature(2, 0.5), 1.0)):
        loc = torch.eye(space.width)[0]
        with pytest.raises(NotImplementedError, match="average"):
            WrappedNormal(space, loc, scale).entropy()
    assert WrappedNormal(Euclidean(2), torch.zeros(2), torch.tensor([1.0, 2.0])).entropy().isfinite()
