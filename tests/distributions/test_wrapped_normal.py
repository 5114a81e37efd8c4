"""Wrapped Gaussians: mass one with all preimages, as published with the shortest alone; spaces agree with each other."""

import math

import pytest
import torch
from tests.distributions.quadrature import legendre, whole_sphere, zonal
from torch import Tensor
from torch.distributions import Normal, kl_divergence

from egregium.distributions import WrappedNormal
from egregium.distributions.preimages import WIDE
from egregium.errors import OptionError, ShapeError, TensorError
from egregium.numerics.gamma import log_sphere_area
from egregium.spaces import ConstantCurvature, Euclidean, Explicit, Hyperbolic, Product, Pullback, Scaled, Sphere, Torus

ONE = torch.tensor(1.0, dtype=torch.float64)


def axis(n: int) -> Tensor:
    return Sphere(n).random(generator=torch.Generator().manual_seed(0), dtype=torch.float64)


@pytest.mark.parametrize("sigma", [0.1, 1.0, 3.0, 20.0])
@pytest.mark.parametrize("n", [1, 2, 5, 10, 20])
def test_the_mass_on_spheres(n: int, sigma: float) -> None:
    space, loc = Sphere(n, 0.25), axis(n)
    x, volume = zonal(space, loc)
    mass = volume @ WrappedNormal(space, loc, sigma * space.radius).log_prob(x).exp()
    print(f"\nS^{n}, sigma = {sigma} R: mass 1 + {float(mass - 1):.1e}")
    torch.testing.assert_close(mass, ONE, rtol=0, atol=1e-11)


@pytest.mark.parametrize(("n", "kept"), [(2, 0.993), (5, 0.921), (10, 0.548), (20, 0.030)])
def test_the_mass_of_the_shortest_preimage_alone(n: int, kept: float) -> None:
    space, loc = Sphere(n), axis(n)
    x, volume = zonal(space, loc)
    r = space.dist(x, loc.expand_as(x))
    nearest = -0.5 * r**2 - 0.5 * n * math.log(2 * math.pi) + (n - 1) * (r / r.sin()).log()
    assert float(volume @ nearest.exp()) == pytest.approx(kept, abs=6e-4)
    assert bool((WrappedNormal(space, loc, 1.0).log_prob(x) >= nearest - 1e-12).all())


@pytest.mark.parametrize("scale", [[0.3, 0.5], [0.5, 1.4], [2.5, 0.4]])
def test_the_mass_with_scales_by_direction(scale: list[float]) -> None:
    """About the axis of the rule, where the poles are."""
    space, loc = Sphere(2, 0.5), torch.tensor([0.0, 0.0, 1.0], dtype=torch.float64)
    x, area = whole_sphere(space)
    mass = area @ WrappedNormal(space, loc, torch.tensor(scale)).log_prob(x).exp()
    torch.testing.assert_close(mass, ONE, rtol=0, atol=1e-10)


@pytest.mark.parametrize("n", [1, 2, 7])
@pytest.mark.parametrize("curvature", [-4.0, -0.5, 0.0])
def test_the_mass_on_hyperbolic_spaces(n: int, curvature: float) -> None:
    space = ConstantCurvature(n, curvature)
    r, weight = legendre(0, 0.6 * (math.sqrt(n) + 9), 300)
    loc, way = torch.full((n,), 0.3).double().expand(300, n), torch.eye(n, dtype=torch.float64)[0]
    v = r[:, None] * way / space.norm(loc, way.expand(300, n))[:, None]
    volume = weight * (log_sphere_area(n - 1) + (n - 1) * space.trigonometry.sine(r).log()).exp()
    mass = volume @ WrappedNormal(space, loc[0], 0.6).log_prob(space.exp(loc, v)).exp()
    torch.testing.assert_close(mass, ONE, rtol=0, atol=1e-11)


@pytest.mark.parametrize("sigma", [0.05, 1.0, WIDE - 1e-9, WIDE + 1e-9, 4.0, 50.0])
def test_circles(sigma: float) -> None:
    """All turns, on the torus as on the sphere of one dimension."""
    angle, weight = legendre(-math.pi, math.pi, 401)  # 0 is among them
    direct = Normal(0 * ONE, sigma * ONE).log_prob(angle[:, None] + 2 * math.pi * torch.arange(-80, 81).double()).logsumexp(-1)
    found = WrappedNormal(Torus(1), torch.zeros(1).double(), sigma).log_prob(angle[:, None])
    torch.testing.assert_close(found, direct, rtol=1e-12, atol=1e-12)
    torch.testing.assert_close(weight @ found.exp(), ONE, rtol=0, atol=1e-12)
    vectors = torch.stack([angle.cos(), angle.sin()], -1)
    sphere = WrappedNormal(Sphere(1, 0.25), torch.tensor([1.0, 0.0]).double(), 2 * sigma)
    torch.testing.assert_close(sphere.log_prob(vectors), found - math.log(2), rtol=1e-11, atol=1e-11)
    antipode = sphere.log_prob(torch.tensor([-1.0, 0.0]).double())
    torus = WrappedNormal(Torus(1, 2.0), torch.zeros(1).double(), 2 * sigma)
    torch.testing.assert_close(antipode, torus.log_prob(math.pi * ONE[None]), rtol=1e-12, atol=1e-12)


def test_poles() -> None:
    loc = axis(3)
    p = WrappedNormal(Sphere(3), loc, 0.4)
    assert p.log_prob(-loc).item() == math.inf
    flat = -3 * math.log(0.4) - 1.5 * math.log(2 * math.pi)
    assert p.log_prob(loc).item() == pytest.approx(flat, rel=1e-13)
    near = Sphere(3).exp(loc, 1e-6 * Sphere(3).frame(loc)[:, 0])
    assert p.log_prob(near).item() == pytest.approx(flat, abs=1e-10)  # a step of 1e-6, squared


def test_euclidean_spaces_are_torchs_normal() -> None:
    loc, scale = torch.randn(2, 4, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(0)).unbind()
    p, q = WrappedNormal(Euclidean(3), loc, scale.exp()), WrappedNormal(Euclidean(3), 0 * loc, torch.tensor([[2.0]]))
    x, torchs, other = loc + 1, Normal(loc, scale.exp()), Normal(0 * loc, 2.0)
    torch.testing.assert_close(p.log_prob(x), torchs.log_prob(x).sum(-1))
    torch.testing.assert_close(p.entropy(), torchs.entropy().sum(-1))
    torch.testing.assert_close(kl_divergence(p, q), kl_divergence(torchs, other).sum(-1))


def test_scaled_spaces_and_products() -> None:
    x, loc = Sphere(2).random(5, dtype=torch.float64), axis(2)
    scaled = WrappedNormal(Scaled(Sphere(2), 2.0), loc, torch.tensor([0.7, 1.9]))
    torch.testing.assert_close(scaled.log_prob(x), WrappedNormal(Sphere(2, 0.25), loc, torch.tensor([0.7, 1.9])).log_prob(x))
    space = Product(Sphere(2), Hyperbolic(2))
    z = torch.randn(5, 2, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    both = WrappedNormal(space, torch.cat([loc, z[0]]), torch.tensor([0.7, 1.9, 0.4, 0.5]))
    parts = [
        WrappedNormal(Sphere(2), loc, torch.tensor([0.7, 1.9])),
        WrappedNormal(Hyperbolic(2), z[0], torch.tensor([0.4, 0.5])),
    ]
    torch.testing.assert_close(both.log_prob(torch.cat([x, z], -1)), parts[0].log_prob(x) + parts[1].log_prob(z))


def test_spheres_in_normal_coordinates() -> None:
    """About the origin; the frame there is the axes'."""
    z = torch.tensor([[0.3, -0.2], [1.0, 2.0], [0.0, 3.0]], dtype=torch.float64)
    r = z.norm(dim=-1, keepdim=True)
    vectors = torch.cat([r.cos(), r.sin() * z / r], -1)
    scale = torch.tensor([0.7, 1.9])
    there = WrappedNormal(Sphere(2), torch.tensor([1.0, 0.0, 0.0]).double(), scale)
    here = WrappedNormal(ConstantCurvature(2, 1.0), torch.zeros(2).double(), scale)
    torch.testing.assert_close(here.log_prob(z), there.log_prob(vectors), rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("curvature", [-0.7, 0.0, 0.5])
def test_learned_curvature(curvature: float) -> None:
    """Gradients of densities and of draws, through zero."""
    z = 0.5 * torch.randn(2, 4, 2, dtype=torch.float64, generator=torch.Generator().manual_seed(0))

    def density(k: Tensor) -> Tensor:
        return WrappedNormal(ConstantCurvature(2, k), z[0], torch.tensor([0.5, 0.8])).log_prob(z[1])

    def draws(k: Tensor) -> Tensor:
        torch.manual_seed(0)
        return WrappedNormal(ConstantCurvature(2, k), z[0], torch.tensor([0.5, 0.8])).rsample()

    k = torch.tensor(curvature, dtype=torch.float64)
    for rule in (density, draws):
        slope = torch.autograd.functional.jacobian(rule, k)
        step = 1e-5 if curvature else 1e-4
        expected = (rule(k + step) - rule(k - step)) / (2 * step)
        torch.testing.assert_close(slope, expected, rtol=1e-6, atol=1e-6)  # central differences


@pytest.mark.parametrize("space", [Hyperbolic(3), Sphere(3), Torus(3), Scaled(Hyperbolic(3, -0.5), 2.0)], ids=repr)
def test_gradients_of_draws(space: Explicit) -> None:
    """By common random numbers, in loc and scale; at the origin of hyperbolic spaces."""
    loc = axis(3) if isinstance(space, Sphere) else torch.zeros(3, dtype=torch.float64)

    def draws(loc: Tensor, scale: Tensor) -> Tensor:
        torch.manual_seed(0)
        return WrappedNormal(space, loc, scale).rsample()

    assert torch.autograd.gradcheck(draws, (loc.requires_grad_(), torch.tensor([0.3, 0.5, 0.9]).double().requires_grad_()))


def test_how_draws_spread() -> None:
    torch.manual_seed(0)
    scale, loc = torch.tensor([0.2, 0.5], dtype=torch.float64), torch.tensor([0.4, -1.0], dtype=torch.float64)
    space = Hyperbolic(2, -2.0)
    x = WrappedNormal(space, loc, scale).sample((40_000,))
    spread = space.norm(loc.expand_as(x), space.log(loc.expand_as(x), x)).square().mean()
    assert abs(spread - scale.square().sum()) < 0.015  # 5 standard errors


def test_refusals() -> None:
    with pytest.raises(OptionError, match="p=2"):
        WrappedNormal(Product(Sphere(2), Sphere(2), p=1), torch.ones(6), 1.0)
    with pytest.raises(OptionError, match="Pullback"):
        WrappedNormal(Pullback(lambda z: z, dim=2), torch.ones(2), 1.0)  # type: ignore[arg-type]
    with pytest.raises(ShapeError, match=r"\(\*batch, 2\)"):
        WrappedNormal(Sphere(2), torch.eye(3), torch.ones(3))
    with pytest.raises(TensorError, match="unit vectors"):
        WrappedNormal(Sphere(2), torch.ones(3), 1.0)
    with pytest.raises(OptionError, match="overflow"):
        WrappedNormal(Hyperbolic(2), torch.zeros(2), 1e5).sample((100,))
    with pytest.raises(NotImplementedError, match="closed form"):
        kl_divergence(WrappedNormal(Hyperbolic(2), torch.zeros(2), 1.0), WrappedNormal(Hyperbolic(2), torch.zeros(2), 1.0))
    p = WrappedNormal(Sphere(2), torch.eye(3)[0], 1.0)
    with pytest.raises(NotImplementedError, match="closed form"):
        kl_divergence(p, p)
