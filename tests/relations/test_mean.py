"""Frechet means against their definition, their laws, and populations that have two."""

import pytest
import torch
from torch import Tensor

from egregium.errors import NotConvergedError, OptionError, ShapeError
from egregium.relations import distance, mean
from egregium.spaces import Euclidean, Pullback
from egregium.status import Status
from egregium.testing.surfaces import Cylinder, SphericalCoordinates, StereographicSphere
from egregium.testing.twins import Diffeomorphism, random_decoder, twin

SPHERE = StereographicSphere()
SPACE = Pullback(SPHERE.decode, dim=2)
POINTS = SPHERE.sample(12, torch.Generator().manual_seed(0))


def on_the_sphere(x: Tensor, weights: Tensor) -> Tensor:
    """The mean of unit vectors by the closed forms of the sphere."""
    p = weights @ x
    for _ in range(200):
        p = p / p.norm()
        along = x - (x @ p)[:, None] * p
        angle = torch.atan2(along.norm(dim=-1), x @ p)
        v = weights @ (along / along.norm(dim=-1, keepdim=True) * angle[:, None])
        p = p * v.norm().cos() + torch.where(v.norm() > 0, v.norm().sin() / v.norm(), 1.0) * v
    return p


@pytest.mark.parametrize("weighted", [False, True])
def test_means_on_the_sphere(weighted: bool) -> None:
    weights = torch.arange(1.0, 13.0).double() if weighted else None
    found = mean(SPACE, POINTS, weights, rtol=1e-7)
    share = torch.full((12,), 1 / 12).double() if weights is None else weights / weights.sum()
    expected = on_the_sphere(SPHERE.decode(POINTS), share)
    torch.testing.assert_close(SPHERE.decode(found.point[None])[0], expected, rtol=0, atol=3e-7)
    variance = (share * SPHERE.distance(found.point.expand_as(POINTS), POINTS) ** 2).sum()
    torch.testing.assert_close(found.variance, variance, rtol=1e-6, atol=0)
    assert found.ok and found.unique and "CONVERGED" in repr(found)


def test_flat_means_are_those_of_coordinates() -> None:
    z = torch.randn(9, 2, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    torch.testing.assert_close(mean(Euclidean(2), z).point, z.mean(0))
    cylinder = Pullback(Cylinder().decode, dim=2)
    torch.testing.assert_close(mean(cylinder, 0.5 * z, rtol=1e-6).point, 0.5 * z.mean(0), rtol=0, atol=1e-5)


def test_no_point_nearby_is_better() -> None:
    space = Pullback(random_decoder(2, 10, 0), dim=2)
    z = 0.6 * torch.randn(5, 2, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    found = mean(space, z, rtol=1e-4)
    around = found.point + 0.05 * torch.randn(5, 2, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    apart = distance(space, around[:, None].expand(-1, 5, -1), z.expand(5, -1, -1))
    assert ((apart**2).mean(-1) > found.variance).all()


def test_invariance_under_reparametrisation() -> None:
    f, a = random_decoder(3, 9, 0), Diffeomorphism(3, seed=1)
    z = 0.5 * torch.randn(4, 3, generator=torch.Generator().manual_seed(2), dtype=torch.float64)
    here, there = mean(Pullback(f, dim=3), z), mean(Pullback(twin(f, a), dim=3), a.forward(z))
    torch.testing.assert_close(there.variance, here.variance, rtol=1e-3, atol=0)
    apart = (twin(f, a)(there.point[None]) - f(here.point[None])).norm()
    assert apart < 4e-3 * here.variance.sqrt()


def test_one_point_and_points_without_weight() -> None:
    assert torch.equal(mean(SPACE, POINTS[:1]).point, POINTS[0])
    alone = mean(SPACE, POINTS[:3], torch.tensor([0.0, 2.0, 0.0]).double())
    torch.testing.assert_close(alone.point, POINTS[1])
    assert alone.variance == 0


def test_saddles_are_left_and_several_means_warned_of() -> None:
    """Three points on the equator: their middle there is a saddle, and there is a better mean towards either pole."""
    sphere = Pullback(SphericalCoordinates().decode, dim=2)
    z = torch.tensor([[torch.pi / 2, phi] for phi in (-2.0, 0.0, 2.0)]).double()
    with pytest.warns(UserWarning, match="not unique") as caught:
        found = mean(sphere, z)
    assert caught[0].filename == __file__
    middle = (z[:, 1] ** 2).mean()
    assert not found.unique and found.variance < 0.95 * middle


def test_a_step_that_arrives_is_not_one_too_few() -> None:
    z = torch.tensor([[0.0, 0.0], [2.0, 4.0], [1.0, -3.0]]).double()
    found = mean(Euclidean(2), z, rtol=1e-6, max_steps=1)
    torch.testing.assert_close(found.point, z.mean(0))


def test_steps_that_lead_off_the_surface_are_halved() -> None:
    """A saddle that ends a little beyond three points: negative curvature makes the first step too long."""

    def saddle(z: Tensor) -> Tensor:
        x = torch.cat([z, 4 * z[:, :1] * z[:, 1:]], -1)
        return torch.where((z.abs() > 1.05).any(-1, keepdim=True), torch.nan, x)

    z = torch.tensor([[1.0, 1.0], [-1.0, 1.0], [0.1, -1.0]]).double()
    found = mean(Pullback(saddle, dim=2), z, rtol=1e-3)
    assert found.ok and found.unique
    whole = mean(Pullback(lambda z: torch.cat([z, 4 * z[:, :1] * z[:, 1:]], -1), dim=2), z, rtol=1e-3)
    torch.testing.assert_close(found.variance, whole.variance, rtol=2e-3, atol=0)


def test_single_precision() -> None:
    exact = mean(SPACE, POINTS, rtol=1e-5)
    single = mean(SPACE, POINTS.float(), rtol=1e-3)
    assert single.point.dtype == torch.float32
    torch.testing.assert_close(single.variance.double(), exact.variance, rtol=1e-3, atol=0)


def test_too_few_steps_raise_with_the_result_or_mark() -> None:
    with pytest.raises(NotConvergedError, match="the mean did not converge in 1 steps") as caught:
        mean(SPACE, POINTS, rtol=1e-7, max_steps=1)
    assert caught.value.result.status == Status.MAX_STEPS  # type: ignore[attr-defined]
    assert not mean(SPACE, POINTS, rtol=1e-7, max_steps=1, on_fail="mark").ok


@pytest.mark.parametrize(
    ("call", "error", "words"),
    [
        (lambda: mean(SPACE, POINTS[None]), ShapeError, r"\(N, d\)"),
        (lambda: mean(SPACE, POINTS, torch.ones(3)), ShapeError, r"\(12,\)"),
        (lambda: mean(SPACE, POINTS, -torch.ones(12)), OptionError, "not negative"),
        (lambda: mean(SPACE, POINTS, torch.zeros(12)), OptionError, "not all zero"),
        (lambda: mean(SPACE, POINTS, on_fail="ignore"), OptionError, "on_fail"),
        (lambda: mean(SPACE, POINTS, max_steps=0), OptionError, "max_steps"),
    ],
)
def test_refusals(call, error: type[Exception], words: str) -> None:
    with pytest.raises(error, match=words):
        call()
