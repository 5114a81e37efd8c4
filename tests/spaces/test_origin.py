"""At the origin of normal coordinates and between equal points directions have no gradient: exponentials and logarithms do."""

from collections.abc import Callable
from functools import partial
from typing import Any

import pytest
import torch
from torch import Tensor

from egregium.spaces import ConstantCurvature, Explicit, Hyperbolic, Sphere, Torus

GENERATOR = torch.Generator().manual_seed(0)
X, V = torch.randn(2, 1, 3, generator=GENERATOR, dtype=torch.float64).unbind()
ORIGIN = torch.zeros(1, 3, dtype=torch.float64)
CURVATURES = [-1.0, 0.0, 0.5, torch.tensor(-0.7).double(), torch.tensor(0.7).double()]


@pytest.mark.parametrize("rule", ["exp", "log from", "log to"])
@pytest.mark.parametrize("curvature", CURVATURES, ids=str)
def test_gradients_at_the_origin(curvature: float | Tensor, rule: str) -> None:
    space = Hyperbolic(3) if curvature == -1 else ConstantCurvature(3, curvature)
    rules: dict[str, Callable[[Tensor], Tensor]] = {
        "exp": lambda z: space.exp(z, V),
        "log from": lambda z: space.log(z, X),
        "log to": lambda z: space.log(X, z),
    }
    found = torch.autograd.functional.jacobian(rules[rule], ORIGIN)[0, :, 0]  # type: ignore[index]
    steps = 1e-6 * torch.eye(3, dtype=torch.float64)
    expected = torch.stack([(rules[rule](h[None]) - rules[rule](-h[None]))[0] / 2e-6 for h in steps], -1)
    torch.testing.assert_close(found, expected, rtol=1e-8, atol=1e-8)  # differences of 1e-6 have errors of 1e-10


AXIS, POLES = torch.eye(3, dtype=torch.float64)[:1], torch.eye(4, dtype=torch.float64)
ENDS = {
    "from the origin": (ORIGIN, X), "to the origin": (X, ORIGIN), "at the origin": (ORIGIN, ORIGIN), "equal": (X, X),
    "outwards": (0.5 * X, X), "through the origin": (X, -0.5 * X), "from the origin along an axis": (ORIGIN, AXIS),
    "to the origin along an axis": (-AXIS, ORIGIN), "elsewhere": (X, V.roll(1, -1)),
}  # fmt: skip
FLAT_ENDS = [(space, *ends) for space in (Torus(3), *map(partial(ConstantCurvature, 3), CURVATURES)) for ends in ENDS.values()]
ROUND_ENDS = [
    (Sphere(3, 0.5), POLES[[k]], z) for k in (0, 3) for z in (POLES[[k]], POLES[[1]], torch.full_like(POLES[:1], 0.5))
]


@pytest.mark.parametrize(("space", "z0", "z1"), FLAT_ENDS + ROUND_ENDS, ids=lambda x: str(x) if isinstance(x, Explicit) else "")
def test_gradients_of_transport(space: Any, z0: Tensor, z1: Tensor) -> None:
    """In both ends, also where the origin and both are on one line, and at the poles of spheres."""
    v = V if space.width == 3 else torch.cat([V, AXIS[:, :1]], -1)
    steps = 1e-4 * torch.eye(space.width, dtype=torch.float64)[:, None]
    for rule, z in (
        (lambda z: space.transport(space.retracted(z), z1, v), z0), (lambda z: space.transport(z0, space.retracted(z), v), z1),
    ):  # fmt: skip
        found = torch.autograd.functional.jacobian(rule, z)[0, :, 0]  # type: ignore[index]
        near, far = (torch.stack([rule(z + k * h)[0] - rule(z - k * h)[0] for h in steps], -1) for k in (1, 2))
        expected = (8 * near - far) / 12e-4  # of fourth order
        torch.testing.assert_close(found, expected, rtol=1e-10, atol=1e-10)


def test_logarithms_between_equal_points() -> None:
    """The part of a step that is tangent, on spheres as elsewhere."""
    x = torch.tensor([0.6, 0.0, 0.8], dtype=torch.float64)
    tangent = torch.eye(3, dtype=torch.float64) - x[:, None] * x
    for sign, rule in ((1, lambda y: Sphere(2).log(x, y)), (-1, lambda y: Sphere(2).log(y, x))):
        torch.testing.assert_close(torch.autograd.functional.jacobian(rule, x), sign * tangent, rtol=1e-14, atol=1e-14)


@pytest.mark.parametrize("z", [ORIGIN, X], ids=["origin", "elsewhere"])
def test_transport_between_equal_points_with_a_learned_curvature(z: Tensor) -> None:
    curvature = torch.tensor(-0.7, dtype=torch.float64, requires_grad=True)
    carried = Hyperbolic(3, curvature).transport(z, z, V)
    torch.testing.assert_close(carried, V, rtol=1e-14, atol=1e-14)
    assert torch.autograd.grad(carried.sum(), curvature)[0].abs() < 1e-14
