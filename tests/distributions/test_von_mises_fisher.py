"""The von Mises-Fisher density in closed form, and its law beyond the mean."""

import math

import torch

from egregium.distributions import VonMisesFisher
from egregium.numerics.bessel import mean_deficit
from egregium.spaces import Sphere


def test_the_closed_form_on_the_two_sphere() -> None:
    space, loc = Sphere(2, 0.25), torch.tensor([0.6, 0.0, 0.8], dtype=torch.float64)
    x, kappa = space.random(9, dtype=torch.float64), 3.0
    expected = kappa * x @ loc + math.log(kappa / (4 * math.pi * 4 * math.sinh(kappa)))
    torch.testing.assert_close(VonMisesFisher(space, loc, kappa).log_prob(x), expected, rtol=1e-13, atol=1e-13)


def test_the_covariance() -> None:
    """Along the axis `A'`, across `A / kappa`."""
    torch.manual_seed(0)
    loc, kappa = torch.eye(4, dtype=torch.float64)[1], torch.tensor(5.0, dtype=torch.float64)
    a = 1 - mean_deficit(4, kappa)
    expected = torch.full((4,), float(a / kappa), dtype=torch.float64)
    expected[1] = 1 - a**2 - 3 / kappa * a
    found = VonMisesFisher(Sphere(3), loc, kappa).sample((100_000,)).mT.cov()
    assert (found - expected.diag()).abs().max() < 2e-3  # 5 standard errors


def test_the_derivative_of_the_entropy() -> None:
    """`-kappa A'`, at concentrations where A' is 1e-10 as well."""
    kappa = torch.tensor([0.5, 30.0, 1e6], dtype=torch.float64, requires_grad=True)
    p = VonMisesFisher(Sphere(9), torch.eye(10, dtype=torch.float64)[0], kappa)
    (found,) = torch.autograd.grad(p.entropy().sum(), kappa)
    (slope,) = torch.autograd.grad(-mean_deficit(10, kappa).sum(), kappa)
    torch.testing.assert_close(found, -kappa.detach() * slope, rtol=1e-8, atol=0)
