"""Explicit spaces come back from what was written down of them."""

import json
from typing import Any

import pytest
import torch

from egregium.errors import OptionError
from egregium.spaces import ConstantCurvature, Euclidean, Explicit, Hyperbolic, Product, Scaled, Sphere, Torus
from egregium.spaces.description import described, from_description

SPACES = [
    Euclidean(3), Sphere(2, curvature=0.5), Hyperbolic(2, curvature=-3.0), Torus(2, radii=[1.0, 2.0]),
    ConstantCurvature(4, 0.1), Scaled(Sphere(2), 2.5), Product(Sphere(1), Scaled(Product(Hyperbolic(2), Torus(1)), 0.5), p=1),
]  # fmt: skip


@pytest.mark.parametrize("space", SPACES, ids=repr)
def test_round_trip(space: Explicit) -> None:
    again = from_description(json.loads(json.dumps(described(space))))
    assert type(again) is type(space) and repr(again) == repr(space)
    z0, z1 = space.random(2, 5, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    assert torch.equal(again.dist(z0, z1), space.dist(z0, z1))


def test_what_is_learned_is_written_by_its_value() -> None:
    learned = Scaled(Hyperbolic(2, torch.tensor(-0.5, requires_grad=True)), torch.tensor(2.0))
    assert repr(from_description(described(learned))) == repr(Scaled(Hyperbolic(2, -0.5), 2.0))


@pytest.mark.parametrize(
    "data",
    [None, [], "Sphere", {}, {"kind": "Plane", "n": 2}, {"kind": "Sphere"}, {"kind": "Sphere", "n": 2, "radius": 1.0},
     {"kind": "Sphere", "n": "two"}, {"kind": "Sphere", "n": 2, "curvature": -1.0}, {"kind": "Product"}, {"kind": ["Sphere"]},
     {"kind": "Product", "factors": [{"kind": "Sphere"}]}, {"kind": "Scaled", "space": None, "s": 1.0}],
    ids=str,
)  # fmt: skip
def test_anything_else_is_refused(data: Any) -> None:
    with pytest.raises(OptionError):
        from_description(data)


def test_other_spaces_cannot_be_written_down() -> None:
    class Mine(Sphere):
        pass

    with pytest.raises(OptionError, match="Sphere"):
        described(Mine(2))
