"""Which surfaces are flat, and what a Euclidean embedding makes of them."""

import math

import pytest
import torch
from torch import Tensor

from egregium.errors import DecoderError, OptionError, ShapeError
from egregium.relations import Flatness, curvature, flatness
from egregium.relations.stress import embedding
from egregium.spaces import Euclidean, Pullback
from egregium.spaces.half_plane import immersed
from egregium.testing.surfaces import Cylinder, Paraboloid, StereographicSphere, Surface, SwissRoll
from egregium.testing.twins import Diffeomorphism, random_decoder, twin


def judged(surface: Surface, n: int = 8) -> Flatness:
    z = surface.sample(n, torch.Generator().manual_seed(0))
    found = flatness(Pullback(surface.decode, dim=2), z, rtol=1e-6)
    print(f"\n{surface}: {found.sentence}")
    return found


@pytest.mark.parametrize("surface", [Cylinder(), SwissRoll()])
def test_flat_surfaces(surface: Surface) -> None:
    """No curvature but rounding's, and distances that fit into the plane."""
    found = judged(surface)
    assert found.flat and "does not rule out an identifiable" in found.sentence
    assert found.bending < 1e-9 and found.stress < 1e-5  # lengths are known to 1e-6


@pytest.mark.parametrize("surface", [StereographicSphere(), Paraboloid()])
def test_curved_surfaces(surface: Surface) -> None:
    found = judged(surface)
    assert found.flat is False and found.sentence.startswith("Not flat")
    assert found.bending > 0.3 and found.stress > 1e-3


def test_curvature_of_the_sphere_and_the_half_plane() -> None:
    z = StereographicSphere(2.0).sample(5, torch.Generator().manual_seed(0))
    found = flatness(Pullback(StereographicSphere(2.0).decode, dim=2), z)
    torch.testing.assert_close(found.curvature, torch.full_like(found.curvature, 0.25), rtol=1e-9, atol=0)
    torch.testing.assert_close(found.bending, 0.25 * found.spread, rtol=1e-9, atol=0)
    half_plane = Pullback(lambda z: immersed(z[:, 0], z[:, 1]), dim=2)
    torch.testing.assert_close(curvature.magnitude(half_plane, z), torch.full_like(z[:, 0], 0.5), rtol=1e-9, atol=0)


def test_the_size_of_curvature_in_three_dimensions() -> None:
    """Of a sphere its sectional curvature; a sphere times a line has one curved plane of three, and no vanishing scalar."""

    def sphere(z: Tensor) -> Tensor:
        square = (z**2).sum(-1, keepdim=True)
        return torch.cat([2 * z, square - 1], -1) / (square + 1)

    z = torch.randn(4, 3, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    torch.testing.assert_close(curvature.magnitude(Pullback(sphere, dim=3), z), torch.ones(4).double(), rtol=1e-9, atol=0)
    product = Pullback(lambda z: torch.cat([sphere(z[:, :2]), z[:, 2:]], -1), dim=3)
    torch.testing.assert_close(curvature.magnitude(product, z), torch.full((4,), 3**-0.5).double(), rtol=1e-6, atol=0)


def test_a_line_and_a_plane_are_flat() -> None:
    line = flatness(Pullback(lambda z: torch.cat([z, z**2], -1), dim=1), torch.linspace(-1, 1, 5).double()[:, None])
    plane = flatness(Euclidean(2), torch.randn(5, 2, generator=torch.Generator().manual_seed(0), dtype=torch.float64))
    assert line.flat and plane.flat and plane.bending == 0


def test_twins_agree() -> None:
    decoder, a = random_decoder(2, 10, seed=0), Diffeomorphism(2, seed=0)
    z = torch.randn(4, 2, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    here = flatness(Pullback(decoder, dim=2), z, rtol=1e-6)
    there = flatness(Pullback(twin(decoder, a), dim=2), a.forward(z), rtol=1e-6)
    for name in ("curvature", "spread", "bending"):
        torch.testing.assert_close(getattr(there, name), getattr(here, name), rtol=1e-5, atol=1e-9)
    assert abs(there.stress - here.stress) < 1e-5


def test_curvature_that_decoders_disagree_about_is_uncertain() -> None:
    """Bent up by one decoder and down by another about a flat mean: curvatures of either sign."""
    bends = [lambda z, s=s: torch.stack([z[:, 0], z[:, 1], z[:, 0] ** 2 + s * z[:, 1] ** 2], -1) for s in (1.0, -1.0)]
    z = 0.3 * torch.randn(6, 2, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    both = flatness(Pullback(bends, dim=2), z)
    one = flatness(Pullback(bends[0], dim=2), z)
    assert both.flat and not one.flat and (both.error > 100 * one.error).all()


def test_stress_of_distances_on_a_circle() -> None:
    """A circle's arcs do not fit on a line, and half of them does."""
    angle = torch.linspace(0, 2 * math.pi, 9, dtype=torch.float64)[:-1]
    arcs = (angle[:, None] - angle).abs()
    ones = torch.ones_like(arcs)
    assert embedding(torch.minimum(arcs, 2 * math.pi - arcs), ones, 1)[1] > 0.1
    x, stress = embedding(arcs, ones, 1)
    assert stress < 1e-12 and torch.allclose(torch.cdist(x, x), arcs, atol=1e-6)
    wrong = arcs.clone()
    wrong[0, 1] = wrong[1, 0] = 2.0
    assert embedding(wrong, ones, 1)[1] > 0.05
    ones[0, 1] = ones[1, 0] = 0.0
    assert embedding(wrong, ones, 1)[1] < 1e-3


def test_too_little_known_to_judge() -> None:
    broken = Pullback(lambda z: torch.cat([z, (1 - z[:, :1] ** 2).sqrt()], -1), dim=2)
    z = torch.tensor([[-0.5, 0.0], [0.5, 0.0], [0.0, 0.5], [0.2, 0.1]]).double()
    found = flatness(broken, z, rtol=1e-12, max_steps=1)
    assert found.known < 1 and found.flat is None and found.sentence.startswith("Unknown")


def test_refusals() -> None:
    z = torch.zeros(3, 2)
    with pytest.raises(ShapeError, match="three at least"):
        flatness(Euclidean(2), z[:2])
    with pytest.raises(OptionError, match="at least 3"):
        flatness(Euclidean(2), z, landmarks=2)
    torch.manual_seed(0)
    kinked = torch.nn.Sequential(torch.nn.Linear(2, 30), torch.nn.ReLU(), torch.nn.Linear(30, 5))
    with pytest.raises(DecoderError, match="kinks"):
        flatness(Pullback(kinked, dim=2), torch.randn(5, 2))
