"""The Riemannian normal density: its factor against closed forms in many digits, scales and curvatures, entropy, reach."""

import math

import mpmath
import pytest
import torch
from tests.distributions.quadrature import legendre
from torch import Tensor

from egregium.distributions import RiemannianNormal
from egregium.distributions.radial import Radial
from egregium.errors import OptionError
from egregium.spaces import Hyperbolic

SCALES = {1: (0.01, 1.0, 5.0), 2: (0.01, 1.0, 5.0), 3: (0.1, 5.0), 10: (0.1, 1.0, 5.0), 20: (0.3, 3.0), 50: (0.3, 1.0, 2.5)}


def exact(n: int, s: float) -> float:
    """`log int_0^inf sinh(r)^(n-1) exp(-r^2 / 2 s^2) dr`, the alternating sum in 150 digits."""
    with mpmath.workdps(150):
        terms = []
        for j in range(n):
            b = n - 1 - 2 * j
            tail = mpmath.exp((b * mpmath.mpf(s)) ** 2 / 2) * mpmath.erfc(-b * mpmath.mpf(s) / mpmath.sqrt(2))
            terms.append((-1) ** j * mpmath.binomial(n - 1, j) * mpmath.mpf(s) * mpmath.sqrt(mpmath.pi / 2) * tail)
        return float(mpmath.log(mpmath.fsum(terms) / 2 ** (n - 1)))


@pytest.mark.parametrize("n", SCALES)
def test_the_factor(n: int) -> None:
    s = torch.tensor(SCALES[n], dtype=torch.float64, requires_grad=True)
    radial, expected = Radial(n, s), torch.tensor([exact(n, scale) for scale in SCALES[n]], dtype=torch.float64)
    error = (radial.log_integral() - expected).abs() / expected.abs().clamp_min(1)
    print(f"\nn = {n}: log Z off by {error.max():.1e}")
    assert error.max() < 1e-12
    (slope,) = torch.autograd.grad(radial.log_integral().sum(), s)
    torch.testing.assert_close(slope, (radial.mean_square() / s**3).detach(), rtol=1e-12, atol=0)


def test_the_closed_form_on_the_plane() -> None:
    """With curvature -4 all lengths are half as long."""
    sigma = 0.8
    log_z = math.log(2 * math.pi * math.sqrt(math.pi / 2) * sigma * math.exp(sigma**2 / 2) * math.erf(sigma / math.sqrt(2)))
    z = torch.tensor([0.6, -0.4], dtype=torch.float64)
    p = RiemannianNormal(Hyperbolic(2), torch.zeros(2).double(), sigma)
    assert p.log_prob(z).item() == pytest.approx(-0.5 * 0.52 / sigma**2 - log_z, rel=1e-13)
    half = RiemannianNormal(Hyperbolic(2, -4.0), torch.zeros(2).double(), 0.5 * sigma)
    assert half.log_prob(0.5 * z).item() == pytest.approx(p.log_prob(z).item() + 2 * math.log(2), rel=1e-13)


@pytest.mark.parametrize("n", [1, 2, 5])
def test_mass_and_entropy(n: int) -> None:
    space, sigma = Hyperbolic(n, -0.5), 0.9
    r, weight = legendre(0, n * sigma**2 + 9 * sigma, 300)
    volume = weight * space.trigonometry.sine(r) ** (n - 1) * 2 * math.pi ** (n / 2) / math.gamma(n / 2)
    loc = torch.full((n,), 0.3, dtype=torch.float64)
    way = torch.eye(n, dtype=torch.float64)[0]
    x = space.exp(loc.expand(300, n), r[:, None] * way / space.norm(loc, way))
    p = RiemannianNormal(space, loc, sigma)
    mass = volume * p.log_prob(x).exp()
    torch.testing.assert_close(mass.sum(), torch.tensor(1.0).double(), rtol=0, atol=1e-11)
    torch.testing.assert_close(-(mass @ p.log_prob(x)), p.entropy(), rtol=1e-11, atol=0)


@pytest.mark.parametrize(("n", "sigma"), [(1, 0.7), (2, 1.0), (5, 0.1), (10, 2.0), (50, 1.0)])
def test_distances_and_how_they_move(n: int, sigma: float) -> None:
    torch.manual_seed(0)
    s = torch.full((10_000,), sigma, dtype=torch.float64, requires_grad=True)
    r = Radial(n, s).draw()
    (slopes,) = torch.autograd.grad((r**2).sum(), s)
    one = torch.tensor(sigma, dtype=torch.float64, requires_grad=True)
    mean = Radial(n, one).mean_square()
    (slope,) = torch.autograd.grad(mean, one)
    z = ((r**2).mean() - mean) / (r**2).std() * 100, (slopes.mean() - slope) / slopes.std() * 100
    assert max(map(abs, z)) < 4


def test_a_learned_curvature() -> None:
    """Draws of curvature K at scale sigma are those of -1 at `sqrt(-K) sigma`, over `sqrt(-K)`; gradients by quantiles."""
    z = torch.tensor([[0.6, -0.4], [0.1, 2.0]], dtype=torch.float64)
    loc = torch.tensor([0.2, 0.3], dtype=torch.float64)

    def density(k: Tensor) -> Tensor:
        return RiemannianNormal(Hyperbolic(2, k), loc, 0.8).log_prob(z)

    k = torch.tensor(-0.7, dtype=torch.float64)
    slope = torch.autograd.functional.jacobian(density, k)
    torch.testing.assert_close(slope, (density(k + 1e-5) - density(k - 1e-5)) / 2e-5, rtol=1e-8, atol=1e-8)
    torch.manual_seed(0)
    k = torch.full((), -0.7, dtype=torch.float64, requires_grad=True)
    square = RiemannianNormal(Hyperbolic(3, k), torch.zeros(3).double(), 0.8).rsample((20_000,)).square().sum(-1)
    (found,) = torch.autograd.grad(square.mean(), k)
    other = k.detach().clone().requires_grad_()
    s = 0.8 * (-other).sqrt()
    (expected,) = torch.autograd.grad(Radial(3, s).mean_square() / -other, other)
    assert found.item() == pytest.approx(expected.item(), rel=0.05)  # 20000 draws, 5 standard errors


def test_reach() -> None:
    with pytest.raises(OptionError, match="take a smaller scale"):
        RiemannianNormal(Hyperbolic(50), torch.zeros(50), 3.0)
    deep = RiemannianNormal(Hyperbolic(50), torch.zeros(50), 2.0)
    x = deep.sample((4,))
    assert deep.log_prob(x).isfinite().all() and (x.norm(dim=-1) > 150).all()
