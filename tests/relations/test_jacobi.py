"""Jacobi fields against closed forms and differences of the exponential; conjugate points of spheres."""

import pytest
import torch
from torch import Tensor

from egregium.errors import NotConvergedError, ToleranceError
from egregium.relations import conjugate_time, exp, jacobi_field
from egregium.spaces import Euclidean, Pullback
from egregium.testing.surfaces import Cylinder
from egregium.testing.twins import random_decoder


def sphere(z: Tensor) -> Tensor:
    square = (z**2).sum(-1, keepdim=True)
    return torch.cat([2 * z, square - 1], -1) / (square + 1)


def normal(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def test_on_the_sphere_fields_are_sines_and_cosines() -> None:
    space, (z, v) = Pullback(sphere, dim=3), 0.4 * normal(2, 6, 3)
    length = space.norm(z, v)
    w = normal(6, 3, seed=1)
    w = w - v * (space.inner(z, v, w) / length**2)[:, None]  # across
    value, slope = jacobi_field(space, z, v, torch.zeros_like(w), w, rtol=1e-9)
    end, size = exp(space, z, v, rtol=1e-9), space.norm(z, w)
    torch.testing.assert_close(space.norm(end, value), size * (length.sin() / length).abs(), rtol=1e-7, atol=0)
    torch.testing.assert_close(space.norm(end, slope), size * length.cos().abs(), rtol=1e-7, atol=1e-9)


def test_fields_that_start_at_zero_are_the_derivative_of_the_exponential() -> None:
    space, (z, v, w) = Pullback(random_decoder(3, 9, 0), dim=3), 0.5 * normal(3, 6, 3)
    h = 1e-4
    ahead, behind = exp(space, z.expand(2, -1, -1), torch.stack([v + h * w, v - h * w]), rtol=1e-11)
    difference = (ahead - behind) / (2 * h)
    value, _ = jacobi_field(space, z, v, torch.zeros_like(w), w, rtol=1e-9)
    torch.testing.assert_close(value, difference, rtol=1e-5, atol=1e-6)


def test_fields_are_linear_and_those_along_the_geodesic_grow_with_time() -> None:
    space, (z, v, a, b) = Pullback(random_decoder(2, 9, 0), dim=2), 0.5 * normal(4, 5, 2)
    none, times = torch.zeros_like(a), (4, 1, 1)
    starts = torch.stack([a, a, none, none]), torch.stack([b, none, b, v])
    values, slopes = jacobi_field(space, z.repeat(times), v.repeat(times), *starts, rtol=1e-9)
    for both, of_value, of_slope, _ in (values, slopes):
        torch.testing.assert_close(both, of_value + of_slope, rtol=1e-6, atol=1e-8)
    torch.testing.assert_close(values[3], slopes[3], rtol=1e-6, atol=1e-8)


@pytest.mark.parametrize("d", [2, 3])
def test_spheres_have_their_first_conjugate_point_at_the_antipode(d: int) -> None:
    """A double one where d = 3."""
    space, (z, v) = Pullback(sphere, dim=d), normal(2, 6, d) * torch.tensor([0.3, 1.5])[:, None, None]
    half = torch.pi / space.norm(z, v)
    expected = torch.where(half <= 1, half, torch.inf)
    torch.testing.assert_close(conjugate_time(space, z, v), expected, rtol=1e-5, atol=0)
    assert expected.isfinite().any() and expected.isinf().any()


def test_flat_surfaces_have_none() -> None:
    z, v = normal(2, 3, 2)
    assert conjugate_time(Pullback(Cylinder().decode, dim=2), z, 5 * v).isinf().all()
    assert conjugate_time(Euclidean(2), z, v).isinf().all()


def test_failures_are_raised_or_marked() -> None:
    edge = Pullback(lambda z: torch.cat([z, z[:, :1] * z[:, :1].where(z[:, :1] > 0.99999, torch.nan)], -1), dim=2)
    z, v = torch.tensor([1.0, 0.0]).double(), torch.tensor([-2.0, 0.0]).double()
    for verb in (lambda **o: conjugate_time(edge, z, v, **o), lambda **o: jacobi_field(edge, z, v, v, v, **o)[0]):
        with pytest.raises(NotConvergedError, match="did not arrive"):
            verb()
        assert verb(on_fail="mark").isnan().all()


def test_single_precision_goes_as_far_as_it_can() -> None:
    space, (z, v, w) = Pullback(sphere, dim=2), 0.4 * normal(3, 4, 2)
    exact = jacobi_field(space, z, v, torch.zeros_like(w), w)[0]
    found = jacobi_field(space, z.float(), v.float(), torch.zeros_like(w).float(), w.float())[0]
    torch.testing.assert_close(found, exact.float(), rtol=1e-3, atol=1e-4)
    with pytest.raises(ToleranceError, match="rtol must lie in"):
        jacobi_field(space, z.float(), v.float(), v.float(), w.float(), rtol=1e-6)
