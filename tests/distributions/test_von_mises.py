"""Von Mises' density: torch's, radii, draws, divergences by quadrature."""

import math

import pytest
import torch
from tests.distributions.quadrature import legendre
from torch.distributions import VonMises as Torchs
from torch.distributions import kl_divergence

from egregium.distributions import Uniform, VonMises, VonMisesFisher
from egregium.errors import ShapeError
from egregium.spaces import Sphere, Torus

LOC, KAPPA = torch.tensor([0.4, -3.0]).double(), torch.tensor([0.7, 30.0]).double()


def test_it_is_torchs_on_circles_of_radius_one() -> None:
    x = Torus(2).random(20, dtype=torch.float64)
    expected = Torchs(LOC, KAPPA).log_prob(x).sum(-1)
    torch.testing.assert_close(
        VonMises(Torus(2), LOC, KAPPA).log_prob(x), expected, rtol=0, atol=2e-6
    )  # torch's Bessel functions
    wide = VonMises(Torus(2, [2.0, 3.0]), LOC, KAPPA).log_prob(x + 2 * math.pi)
    torch.testing.assert_close(wide, VonMises(Torus(2), LOC, KAPPA).log_prob(x) - math.log(6), rtol=0, atol=1e-12)


def test_it_is_von_mises_and_fishers_on_the_one_sphere() -> None:
    angle = torch.linspace(-3, 3, 9).double()[:, None]
    here = VonMises(Torus(1, 2.0), torch.zeros(1).double(), 1.3)
    there = VonMisesFisher(Sphere(1, 0.25), torch.tensor([1.0, 0.0]).double(), 1.3)
    torch.testing.assert_close(here.log_prob(angle), there.log_prob(torch.cat([angle.cos(), angle.sin()], -1)))
    torch.testing.assert_close(here.entropy(), there.entropy())


def test_divergences() -> None:
    space = Torus(1, 2.0)
    p, q = (VonMises(space, torch.tensor([m]).double(), k) for m, k in ((0.4, 2.0), (2.5, 0.7)))
    uniform = Uniform(space, dtype=torch.float64)
    x, weight = legendre(-math.pi, math.pi, 200)
    for a, b in ((p, q), (q, p), (p, uniform), (uniform, p), (p, p)):
        log_a = a.log_prob(x[:, None])
        expected = 2 * weight @ (log_a.exp() * (log_a - b.log_prob(x[:, None])))
        torch.testing.assert_close(kl_divergence(a, b), expected, rtol=0, atol=1e-12)


def test_draws_lie_about_loc_and_a_number_is_for_all() -> None:
    torch.manual_seed(0)
    x = VonMises(Torus(2), LOC, 1e4).sample((2000,))
    assert (x.abs() <= math.pi).all() and (Torus(2).log(LOC.expand_as(x), x).std(0) - 0.01).abs().max() < 1e-3
    assert VonMises(Torus(2), LOC, torch.ones(5, 1)).batch_shape == (5,)
    with pytest.raises(ShapeError, match="a number"):
        VonMises(Torus(2), LOC, torch.ones(3))
