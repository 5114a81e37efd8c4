"""Densities on spheres about an axis: mass, entropy, divergences by quadrature, gradients of the mean, and hard corners."""

import math
from collections.abc import Callable
from typing import Any

import pytest
import torch
from tests.distributions.quadrature import whole_sphere, zonal
from torch import Tensor
from torch.distributions import kl_divergence

from egregium.distributions import PowerSpherical, Uniform, VonMisesFisher
from egregium.distributions.zonal import Zonal
from egregium.errors import OptionError
from egregium.numerics.bessel import mean_deficit
from egregium.spaces import Sphere

KINDS = [VonMisesFisher, PowerSpherical]
kinds = pytest.mark.parametrize("kind", KINDS)
Kind = Callable[..., Zonal]


def axis(n: int, seed: int = 0) -> Tensor:
    return Sphere(n).random(generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


@kinds
@pytest.mark.parametrize("kappa", [0.0, 0.3, 20.0, 1e4, 1e6])
@pytest.mark.parametrize("n", [1, 2, 4, 19, 99])
def test_mass_mean_and_entropy(kind: Kind, n: int, kappa: float) -> None:
    space, loc = Sphere(n, 0.5), axis(n)
    p = kind(space, loc, kappa)
    x, volume = zonal(space, loc, min(math.pi, 12 * math.sqrt((n + 20) / max(kappa, 1e-9))))
    log_p = p.log_prob(x)
    mass = volume * log_p.exp()
    cusp = kind is PowerSpherical and n == 1 and 0 < kappa < 1  # at the antipode, where quadrature is less exact
    torch.testing.assert_close(mass.sum(), torch.tensor(1.0).double(), rtol=0, atol=1e-8 if cusp else 2e-11)
    torch.testing.assert_close(mass @ x @ loc, p.mean @ loc, rtol=0, atol=1e-8 if cusp else 1e-10)
    surprise = torch.where(mass > 0, -log_p, 0.0)
    torch.testing.assert_close(mass @ surprise, p.entropy(), rtol=1e-10, atol=2e-8 if cusp else 1e-9)
    to_uniform = kl_divergence(p, Uniform(space))
    torch.testing.assert_close(to_uniform, Uniform(space, dtype=torch.float64).entropy() - p.entropy(), rtol=1e-10, atol=1e-9)


@pytest.mark.parametrize(
    ("p", "q"),
    [
        (VonMisesFisher(Sphere(2, 2.0), axis(2), 3.0), VonMisesFisher(Sphere(2, 2.0), axis(2, 1), 5.0)),
        (VonMisesFisher(Sphere(2), axis(2), 3.0), VonMisesFisher(Sphere(2), -axis(2), 0.0)),
        (PowerSpherical(Sphere(2), axis(2), 6.0), VonMisesFisher(Sphere(2), axis(2, 1), 2.0)),
        (PowerSpherical(Sphere(2), axis(2), 6.0), Uniform(Sphere(2))),
        (Uniform(Sphere(2), dtype=torch.float64), VonMisesFisher(Sphere(2), axis(2), 4.0)),
        (Uniform(Sphere(2), dtype=torch.float64), PowerSpherical(Sphere(2), torch.eye(3).double()[2], 4.0)),
    ],
    ids=lambda p: type(p).__name__,
)
def test_divergences(p: Any, q: Any) -> None:
    x, area = whole_sphere(p.space)
    log_p = p.log_prob(x)
    expected = area @ (log_p.exp() * (log_p - q.log_prob(x)))
    error = kl_divergence(p, q) - expected
    print(f"\nKL({type(p).__name__}, {type(q).__name__}) = {float(expected):.6f}, off by {float(error):.1e}")
    assert abs(error) < (1e-6 if isinstance(q, PowerSpherical) else 1e-10)  # log 0 at the antipode slows quadrature


def test_divergences_that_vanish_and_that_are_none() -> None:
    p = VonMisesFisher(Sphere(9), axis(9), 7.0)
    assert kl_divergence(p, p).item() == 0 and kl_divergence(p, p.expand((3,))).tolist() == [0, 0, 0]
    assert kl_divergence(p, Uniform(Sphere(9), (2,))).shape == (2,)
    with pytest.raises(OptionError, match="one space"):
        kl_divergence(p, VonMisesFisher(Sphere(9, 0.5), axis(9), 7.0))
    with pytest.raises(NotImplementedError):
        kl_divergence(p, PowerSpherical(Sphere(9), axis(9), 7.0))


def test_the_derivative_of_the_mean_as_published() -> None:
    """`A' = 1 - A^2 - (d - 1) A / kappa` with d numbers a point, on the sphere of dimension d - 1."""
    for d, kappa, expected in ((5, 2.0, 0.1474), (10, 10.0, 0.0282), (20, 10.0, 0.0299)):
        k = torch.tensor(kappa, dtype=torch.float64, requires_grad=True)
        a = 1 - mean_deficit(d, k)
        (found,) = torch.autograd.grad(a, k)
        assert found.item() == pytest.approx(expected, abs=5e-5)
        assert found.item() == pytest.approx((1 - a**2 - (d - 1) / kappa * a).item(), rel=1e-10)


@kinds
@pytest.mark.parametrize(("d", "kappa"), [(2, 1.0), (3, 2.0), (5, 2.0), (10, 10.0), (20, 10.0), (128, 50.0)])
def test_gradients_of_the_mean(kind: Kind, d: int, kappa: float) -> None:
    """Of `E mu^T x` in the concentration, against its derivative, draw by draw; and of `E b^T x` in loc."""
    torch.manual_seed(0)
    draws, loc, b = 10_000, axis(d - 1), axis(d - 1, 3)
    each = torch.full((draws,), kappa, dtype=torch.float64, requires_grad=True)
    locs = loc.expand(draws, d).clone().requires_grad_()
    x = kind(Sphere(d - 1), locs, each).rsample()
    (slopes,) = torch.autograd.grad((x @ loc).sum(), each, retain_graph=True)
    (turns,) = torch.autograd.grad((x @ b).sum(), locs)
    k = torch.tensor(kappa, dtype=torch.float64, requires_grad=True)
    mean = kind(Sphere(d - 1), loc, k).mean @ loc
    (slope,) = torch.autograd.grad(mean, k)
    z = (slopes.mean() - slope) / slopes.std() * draws**0.5
    off = turns - mean.detach() * (b - loc @ b * loc)
    z_loc = off.mean(0) / off.std(0) * draws**0.5
    print(f"\n{kind.__name__} d = {d}, kappa = {kappa}: slope {slope:.4f}, z {z:.2f}; in loc {z_loc.abs().max():.2f}")  # type: ignore[attr-defined]
    assert abs(z) < 4 and z_loc.abs().max() < 4.5


@kinds
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("kappa", [0.0, 1e-6, 1.0, 300.0, 1e6])
@pytest.mark.parametrize("d", [2, 3, 500])
def test_nothing_is_lost_far_out(kind: Kind, d: int, kappa: float, dtype: torch.dtype) -> None:
    """Nothing is NaN or infinite, at loc on either pole as well."""
    for loc in (torch.eye(d)[0], -torch.eye(d)[0], axis(d - 1)):
        mu = loc.to(dtype).requires_grad_()
        k = torch.tensor(kappa, dtype=dtype, requires_grad=True)
        p = kind(Sphere(d - 1), mu, k)
        x = p.rsample((5,))
        parts = [p.log_prob(x).sum(), p.log_prob(mu).sum(), p.entropy(), kl_divergence(p, Uniform(p.space)), x[:, 0].sum()]
        for value in (*parts, *torch.autograd.grad(torch.stack(parts).sum(), [mu, k])):
            assert bool(torch.isfinite(value).all())
        assert x.dtype == dtype and (torch.linalg.vector_norm(x.detach(), dim=-1) - 1).abs().max() < 4 * torch.finfo(dtype).eps


@kinds
def test_concentrations_zero_and_huge(kind: Kind) -> None:
    x, loc = Sphere(4).random(7, dtype=torch.float64), axis(4)
    torch.testing.assert_close(kind(Sphere(4), loc, 0.0).log_prob(x), Uniform(Sphere(4)).log_prob(x), rtol=1e-14, atol=0)
    assert kind(Sphere(4), loc, 0.0).log_prob(-loc).isfinite() and kind(Sphere(4), loc, 1e6).log_prob(-loc) < -1e6
    close = kind(Sphere(4), loc, 1e6).sample((500,))
    assert 1e-3 < Sphere(4).dist(close, loc.expand_as(close)).mean() < 4e-3  # sqrt(4 / kappa) and sqrt(8 / kappa)
    assert kind(Sphere(4), loc, 3.0).mode is not None
