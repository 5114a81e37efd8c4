"""One suite of laws over every explicit space, products of products, and a product with a learned factor."""

from dataclasses import dataclass
from typing import Any

import pytest
import torch
from torch import Tensor

from egregium.spaces import ConstantCurvature, Euclidean, Hyperbolic, Product, Pullback, Scaled, Sphere, Torus
from egregium.testing.geometry import curvature_breaches, excess_breaches, geodesic_breaches
from egregium.testing.laws import closed_form_breaches, require, space_breaches
from egregium.testing.surfaces import Paraboloid
from egregium.testing.twins import random_decoder

SPACES: list[Any] = [
    Euclidean(1), Euclidean(3), Sphere(1), Sphere(2), Sphere(2, 0.3), Sphere(5, 2.0), Hyperbolic(1), Hyperbolic(2),
    Hyperbolic(2, -2.0), Hyperbolic(5, -0.3), Torus(1), Torus(2, (1.0, 2.0)), ConstantCurvature(2, 0.7),
    ConstantCurvature(3, 0.0), ConstantCurvature(2, torch.tensor(-0.4, dtype=torch.float64)),
    ConstantCurvature(2, torch.tensor(1e-5, dtype=torch.float64)), Scaled(Sphere(2), 3.0), Scaled(Hyperbolic(2), 0.5),
    Product(Sphere(2), Hyperbolic(2), Euclidean(1)), Product(Euclidean(1), Sphere(1)),
    Product(Product(Sphere(1), Torus(2)), Scaled(Product(Hyperbolic(2), Euclidean(1)), 2.0)),
]  # fmt: skip
SURFACES = [space for space in SPACES if space.dim == 2]


def points(space: Any, count: int = 5, seed: int = 0) -> Tensor:
    """Points about one, near enough for unique geodesics: at most a quarter of the injectivity radius from it."""
    generator = torch.Generator().manual_seed(seed)
    centre = space.random(1, generator=generator, dtype=torch.float64).expand(count, -1)
    v = (space.frame(centre) @ torch.randn(count, space.dim, 1, generator=generator, dtype=torch.float64))[..., 0]
    reach = min(1.0, 0.25 * space.injectivity_radius)
    return space.exp(centre, v * (reach / space.norm(centre, v).max()))


@pytest.mark.parametrize("space", SPACES, ids=repr)
def test_explicit_spaces_keep_every_law(space: Any) -> None:
    z = points(space)
    require(
        space_breaches(space, z), closed_form_breaches(space, points(space, seed=1), reach=0.2), geodesic_breaches(space, z),
        curvature_breaches(space, z),
    )  # fmt: skip


@pytest.mark.parametrize("space", SURFACES, ids=repr)
def test_angles_exceed_pi_by_the_integral_of_the_curvature(space: Any) -> None:
    require(excess_breaches(space, points(space, 3)))


LEARNED = Pullback(random_decoder(2, 10, 0), dim=2)
BOWL = Pullback(Paraboloid().decode, dim=2)
MIXED = [Product(BOWL, Sphere(1)), Product(Product(Hyperbolic(1, -2.0), BOWL), Torus(1)), Scaled(LEARNED, 2.0)]


@pytest.mark.parametrize("space", MIXED, ids=repr)
def test_a_learned_factor_keeps_them_to_the_tolerance(space: Any) -> None:
    generator = torch.Generator().manual_seed(0)
    z = 0.3 * torch.randn(4, space.width, generator=generator, dtype=torch.float64)
    if isinstance(space.factors[1] if hasattr(space, "factors") else None, Sphere):
        z = torch.cat([z[:, :2], points(Sphere(1), 4)], -1)
    found = geodesic_breaches(space, z, tolerance=1e-6, equation=2e-3, rtol=1e-8)
    require(space_breaches(space, z), found, curvature_breaches(space, z))


@dataclass(frozen=True)
class Broken(Sphere):
    """A sphere with one thing wrong."""

    wrong: str = ""

    def _dist(self, z0: Tensor, z1: Tensor) -> Tensor:
        return super()._dist(z0, z1) * (1 + 1e-4 * (self.wrong == "dist") * z0[:, 0])

    def _exp(self, z: Tensor, v: Tensor) -> Tensor:
        return super()._exp(z, v * (1 + 1e-4 * (self.wrong == "exp")))

    def _log(self, z0: Tensor, z1: Tensor) -> Tensor:
        return super()._log(z0, z1) * (1 + 1e-4 * (self.wrong == "log"))

    def _transport(self, z0: Tensor, z1: Tensor, v: Tensor) -> Tensor:
        carried = super()._transport(z0, z1, v)
        return self._frame(z1)[:, :, 0] * 1e-4 + carried if self.wrong == "transport" else carried

    def _metric(self, z: Tensor) -> Tensor:
        return super()._metric(z) * (1 + 1e-3 * (self.wrong == "metric") * z[:, :1, None])

    def _riemann(self, z: Tensor) -> Tensor:
        tensor = super()._riemann(z)
        return tensor + 1e-4 * (self.wrong == "riemann") * torch.ones_like(tensor)

    def _ricci(self, z: Tensor) -> Tensor:
        return super()._ricci(z) * (1 + 1e-4 * (self.wrong == "ricci"))

    def _jacobi_operator(self, z: Tensor, v: Tensor, u: Tensor) -> Tensor:
        return super()._jacobi_operator(z, v, u) * (1 + 1e-4 * (self.wrong == "sectional"))


def _every_breach(space: Any, z: Tensor) -> list[str]:
    found = [space_breaches(space, z), closed_form_breaches(space, z, reach=0.2), geodesic_breaches(space, z)]
    return [str(breach) for part in [*found, curvature_breaches(space, z)] for breach in part]


@pytest.mark.parametrize("wrong", ["dist", "exp", "log", "transport", "metric", "riemann", "ricci", "sectional"])
def test_what_is_wrong_on_purpose_is_caught(wrong: str) -> None:
    z = points(Sphere(2))
    assert not _every_breach(Broken(2), z)
    assert _every_breach(Broken(2, wrong=wrong), z)


def test_a_wrong_curvature_is_caught_by_triangles() -> None:
    @dataclass(frozen=True)
    class Flatter(Sphere):
        def _ricci(self, z: Tensor) -> Tensor:
            return 0.999 * super()._ricci(z)

    assert excess_breaches(Flatter(2), points(Sphere(2), 3))
    with pytest.raises(ValueError, match="3 dimensions"):
        excess_breaches(Euclidean(3), torch.zeros(3, 3))


@pytest.mark.parametrize("space", SPACES, ids=repr)
def test_gradients_are_zero_at_equal_points_and_finite_everywhere(space: Any) -> None:
    z = torch.cat([points(space), 0 * points(space)[:1] if space.width == space.dim else points(space)[:1]])
    for power in (1, 2):
        here = z.clone().requires_grad_()
        (slope,) = torch.autograd.grad((space.dist(here, z) ** power).sum(), here)
        assert slope.equal(torch.zeros_like(slope))
    far = z.roll(1, 0)
    here = z.clone().requires_grad_()
    (slope,) = torch.autograd.grad(space.dist(here, far).square().sum(), here)
    expected = -2 * (space.metric(z) @ space.log(z, far)[..., None])[..., 0]  # half of d^2 falls along the logarithm
    assert (slope - expected).abs().max() <= 1e-9 * expected.abs().max()


@pytest.mark.parametrize("space", SPACES, ids=repr)
def test_forward_derivatives_are_those_backwards(space: Any) -> None:
    z = points(space, 3)
    places = torch.cat([z, 0 * z[:1]]) if space.width == space.dim else z
    vectors = space.frame(places)[..., 0]
    for other in (places, places.roll(1, 0)):
        for of in (
            lambda x, other=other: space.dist(x, other), lambda x, other=other: space.dist(other, x),
            lambda x, other=other: space.log(x, other).sum(-1), lambda x: space.exp(x, 0 * vectors).sum(-1),
            lambda x: space.exp(x, vectors).sum(-1), lambda x: space.norm(places, x - places),
        ):  # fmt: skip
            here = places.clone().requires_grad_()
            (slope,) = torch.autograd.grad(of(here).sum(), here)
            value, tangent = torch.func.jvp(of, (places,), (vectors,))[:2]
            torch.testing.assert_close(tangent, (slope * vectors).sum(-1), rtol=1e-12, atol=1e-12)
            torch.testing.assert_close(value, of(places), rtol=1e-13, atol=1e-13)
    assert torch.func.jvp(lambda x: space.dist(x, places), (places,), (vectors,))[1].equal(torch.zeros(len(places)).double())


def test_gradients_at_the_cut_locus() -> None:
    north = torch.tensor([0.0, 0.0, 1.0], dtype=torch.float64)
    here = (-north).requires_grad_()
    (slope,) = torch.autograd.grad(Sphere(2).dist(here, north), here)
    assert slope.equal(torch.zeros(3, dtype=torch.float64))  # no way is the shortest
    angle = torch.tensor([torch.pi], dtype=torch.float64, requires_grad=True)
    (slope,) = torch.autograd.grad(Torus(1, 2.0).dist(angle, torch.zeros(1, dtype=torch.float64)), angle)
    assert abs(float(slope)) == 2.0  # that of one of two
