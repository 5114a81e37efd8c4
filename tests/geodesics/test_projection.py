"""Projection onto the image of a decoder: points of the image come back, others go to their nearest, rows are independent."""

import pytest
import torch

from egregium.errors import OptionError, ShapeError
from egregium.geodesics.projection import project
from egregium.spaces import Pullback
from egregium.status import Status
from egregium.testing.surfaces import StereographicSphere
from egregium.testing.twins import Diffeomorphism, random_decoder, twin

DECODER = random_decoder(2, 12, seed=0)
SPACE = Pullback(DECODER, dim=2)
Z = torch.randn(8, 2, generator=torch.Generator().manual_seed(0), dtype=torch.float64)


def test_points_of_the_image_come_back() -> None:
    found = project(SPACE, SPACE.ambient(Z), Z + 0.1)
    assert found.ok.all() and (found.residual < 1e-6).all()
    torch.testing.assert_close(found.z, Z, rtol=0, atol=1e-6)


def test_nearest_points_of_the_sphere() -> None:
    """From outside and inside, along the normal."""
    surface = StereographicSphere()
    z = surface.sample(6, torch.Generator().manual_seed(0))
    space = Pullback(surface.decode, dim=2)
    for factor in (0.5, 1.7):
        found = project(space, factor * space.ambient(z), z + 0.05, rtol=1e-8)
        torch.testing.assert_close(found.z, z, rtol=0, atol=1e-6)
        torch.testing.assert_close(found.residual, torch.full((6,), abs(factor - 1), dtype=torch.float64), rtol=1e-8, atol=0)


def test_the_residual_is_normal_to_the_image() -> None:
    target = SPACE.ambient(Z) + 0.1 * torch.randn(8, 12, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    found = project(SPACE, target, Z, rtol=1e-8)
    miss = target - SPACE.ambient(found.z)
    slope = (SPACE.jacobian(found.z).mT @ miss[..., None])[..., 0]
    assert found.ok.all() and (slope.norm(dim=-1) < 1e-5 * miss.norm(dim=-1)).all()


def test_image_and_residual_do_not_depend_on_the_parametrisation() -> None:
    a = Diffeomorphism(2, seed=3)
    target = SPACE.ambient(Z) + 0.1
    here = project(SPACE, target, Z, rtol=1e-9)
    there = project(Pullback(twin(DECODER, a), dim=2), target, a.forward(Z), rtol=1e-9)
    torch.testing.assert_close(there.z, a.forward(here.z), rtol=1e-6, atol=1e-6)
    torch.testing.assert_close(there.residual, here.residual, rtol=1e-9, atol=0)


@pytest.mark.parametrize("batch", [(), (2, 3)])
def test_shapes(batch: tuple[int, ...]) -> None:
    z = Z[:6].reshape(2, 3, 2) if batch else Z[0]
    found = project(SPACE, SPACE.ambient(z), z)
    assert found.z.shape == (*batch, 2) and found.residual.shape == found.status.shape == found.ok.shape == batch


def test_targets_may_keep_the_shape_of_images() -> None:
    images = Pullback(lambda z: DECODER(z).unflatten(1, (3, 4)), dim=2)
    found = project(images, images.decode(Z), Z + 0.1)
    assert torch.equal(found.z, project(images, images.ambient(Z), Z + 0.1).z)
    assert repr(found).startswith("Projection(8 points, residual ") and repr(found).endswith(": 8 CONVERGED)")


def test_rows_do_not_influence_each_other() -> None:
    target = SPACE.ambient(Z) + 0.05
    spoiled = target.clone()
    spoiled[3] = torch.nan
    found, expected = project(SPACE, spoiled, Z), project(SPACE, target, Z)
    others = [0, 1, 2, 4, 5, 6, 7]
    assert found.status[3] == Status.NONFINITE
    torch.testing.assert_close(found.z[others], expected.z[others], rtol=1e-12, atol=1e-12)


def test_failures() -> None:
    assert (project(SPACE, SPACE.ambient(Z), Z + 3, max_steps=1).status == Status.MAX_STEPS).any()
    with pytest.raises(ShapeError, match="one target a start"):
        project(SPACE, SPACE.ambient(Z), Z[:3])
    with pytest.raises(ShapeError, match=r"12 ambient coordinates.* 5 numbers a point"):
        project(SPACE, torch.zeros(8, 5).double(), Z)
    for rtol, max_steps in ((0.0, 9), (2.0, 9), (1e-4, 0)):
        with pytest.raises(OptionError, match="project needs"):
            project(SPACE, SPACE.ambient(Z), Z, rtol=rtol, max_steps=max_steps)
