"""What explicit spaces are given wrongly is refused in a sentence that says what to do."""

# pyright: reportArgumentType=false
from collections.abc import Callable

import pytest
import torch

from egregium.errors import OptionError, ShapeError, TensorError
from egregium.geodesics import connect
from egregium.relations import curvature, log_volume
from egregium.spaces import ConstantCurvature, Euclidean, Hyperbolic, Product, Pullback, Scaled, Sphere, Torus

NAN, INF = float("nan"), float("inf")
Z = torch.eye(3)
SUM = Product(Sphere(2), Euclidean(1), p=1)
ON_SUM = torch.tensor([[1.0, 0.0, 0.0, 0.5]])


@pytest.mark.parametrize(
    "make",
    [
        lambda: Sphere(0), lambda: Sphere(2.5), lambda: Sphere("2"), lambda: Sphere(2, -1.0), lambda: Sphere(2, NAN),
        lambda: Sphere(2, "1"), lambda: Sphere(2, torch.tensor(1.0)), lambda: Hyperbolic(2, 1.0), lambda: Hyperbolic(2, 0.0),
        lambda: Hyperbolic(2, None), lambda: ConstantCurvature(2, INF), lambda: ConstantCurvature(2, torch.ones(2)),
        lambda: ConstantCurvature(2, "flat"), lambda: Torus(2, (1.0,)), lambda: Torus(2, -1.0), lambda: Torus(2, "ab"),
        lambda: Torus(2, NAN), lambda: Product(), lambda: Product(2), lambda: Product([Sphere(2), Euclidean(1)]),
        lambda: Product(Sphere(2), p=3), lambda: Scaled(Sphere(2), -1.0), lambda: Scaled(Sphere(2), "2"),
        lambda: Scaled(Sphere(2), torch.ones(2)), lambda: Scaled(None, 2.0),
        lambda: Scaled(Product(Pullback(lambda z: z, dim=2), Sphere(2)), 2.0),
        lambda: Sphere(2).geodesic(Z, Z.roll(1, 0), "half"), lambda: SUM.metric(ON_SUM), lambda: SUM.frame(ON_SUM),
        lambda: SUM.inner(ON_SUM, ON_SUM, ON_SUM), lambda: log_volume(SUM, ON_SUM), lambda: curvature.riemann(SUM, ON_SUM),
    ],
)  # fmt: skip
def test_options(make: Callable[[], object]) -> None:
    with pytest.raises(OptionError):
        make()


@pytest.mark.parametrize(
    ("call", "error", "words"),
    [
        (lambda: Sphere(2).dist(torch.eye(2), torch.eye(2)), ShapeError, r"\(\*batch, 3\)"),
        (lambda: Sphere(2).dist(Z, Z[:2]), ShapeError, "nothing is broadcast"),
        (lambda: Sphere(2).tangent(Z, Z[:2]), ShapeError, "nothing is broadcast"),
        (lambda: Sphere(2).dist(Z.int(), Z.int()), TensorError, "float32 or float64"),
        (lambda: Sphere(2).dist(Z, Z.double()), TensorError, "one dtype"),
        (lambda: Sphere(2).dist(NAN * Z, Z), TensorError, "finite"),
        (lambda: Sphere(2).exp(Z, INF * Z), TensorError, "v must be finite"),
        (lambda: Sphere(2).dist(Z[:0], Z[:0]), TensorError, "at least one point"),
        (lambda: Sphere(2).dist(2 * Z, Z), TensorError, "space.project"),
        (lambda: Sphere(2).dist(0 * Z, Z), TensorError, "unit vectors"),
        (lambda: Sphere(2).project(0 * Z), TensorError, "no direction"),
        (lambda: Product(Sphere(2), Euclidean(1)).exp(2 * ON_SUM, ON_SUM), TensorError, "unit vectors"),
        (lambda: Scaled(Sphere(2), 2.0).log(2 * Z, Z), TensorError, "unit vectors"),
        (lambda: Hyperbolic(2).dist(torch.full((1, 2), 1e4), torch.zeros(1, 2)), TensorError, "at most 350"),
        (lambda: Hyperbolic(2).from_poincare(torch.ones(1, 2)), TensorError, "within 1 of its centre"),
        (lambda: Hyperbolic(2).from_klein(torch.ones(1, 2)), TensorError, "within 1 of its centre"),
        (lambda: Hyperbolic(2).from_lorentz(torch.ones(1, 2)), ShapeError, "3"),
        (lambda: connect(Sphere(2), 2 * Z, Z), TensorError, "unit vectors"),
    ],
)
def test_points(call: Callable[[], object], error: type[Exception], words: str) -> None:
    with pytest.raises(error, match=words):
        call()


def test_models_of_hyperbolic_space_convert_back_and_forth() -> None:
    for space in (Hyperbolic(3), Hyperbolic(3, -2.0), Hyperbolic(2, torch.tensor(-0.3))):
        z = space.random(6, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
        z[0] = 0
        x = space.to_lorentz(z)
        torch.testing.assert_close(
            x[:, 1:].square().sum(-1) - x[:, 0] ** 2, torch.full((6,), 1 / float(space.curvature)).double()
        )
        for there, back in ((space.to_lorentz, space.from_lorentz), (space.to_poincare, space.from_poincare),
                            (space.to_klein, space.from_klein)):  # fmt: skip
            torch.testing.assert_close(back(there(z)), z, rtol=1e-12, atol=1e-15)
        klein = space.to_klein(torch.stack([z[1], space.geodesic(z[1:2], z[2:3], 0.4)[0], z[2]]))
        ways = klein.diff(dim=0)
        torch.testing.assert_close(ways[0] / ways[0].norm(), ways[1] / ways[1].norm())  # straight
        assert space.project(z).equal(z) and space.injectivity_radius == INF
