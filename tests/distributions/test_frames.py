"""Frames without matrices: orthonormal, inverted, and on spheres and tori those of the space."""

import pytest
import torch
from tests.distributions.instances import MIXED, points

from egregium.distributions.frames import from_frame, to_frame
from egregium.errors import OptionError
from egregium.spaces import ConstantCurvature, Euclidean, Explicit, Hyperbolic, Product, Pullback, Scaled, Sphere, Torus

SINGLE = [Euclidean(2), Torus(2, [0.5, 2.0]), Sphere(1), Sphere(3, 0.25), Hyperbolic(3, -2.0), ConstantCurvature(2, 0.5)]


@pytest.mark.parametrize("space", [*SINGLE, Scaled(Sphere(2), 3.0), MIXED], ids=repr)
def test_frames_are_orthonormal(space: Explicit) -> None:
    z = points(space, 6)
    axes = torch.eye(space.dim, dtype=torch.float64)
    columns = [from_frame(space, z, axis.expand(6, -1)) for axis in axes]
    gram = torch.stack([torch.stack([space.inner(z, u, v) for u in columns], -1) for v in columns], -1)
    torch.testing.assert_close(gram, axes.expand_as(gram), rtol=1e-12, atol=1e-12)
    if isinstance(space, (Euclidean, Torus, Sphere)):
        torch.testing.assert_close(torch.stack(columns, -1), space.frame(z), rtol=1e-14, atol=1e-14)


@pytest.mark.parametrize("space", SINGLE, ids=repr)
def test_components(space: Explicit) -> None:
    z = points(space, 6)
    c = torch.randn(6, space.dim, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    torch.testing.assert_close(to_frame(space, z, from_frame(space, z, c)), c, rtol=1e-12, atol=1e-12)


def test_refusals() -> None:
    for verb in (from_frame, to_frame):
        with pytest.raises(OptionError, match="a frame is known"):
            verb(Pullback(lambda z: z, dim=2), torch.zeros(2), torch.zeros(2))  # type: ignore[arg-type]
    assert isinstance(MIXED, Product)
