"""The exponential against closed forms, and the logarithm as its inverse."""

import pytest
import torch
from torch import Tensor

from egregium.errors import NotConvergedError, OptionError, ShapeError, ToleranceError
from egregium.geodesics import connect
from egregium.relations import exp, log
from egregium.spaces import Euclidean, Pullback
from egregium.testing.surfaces import SOLVED, Cylinder, SolvedSurface, StereographicSphere
from egregium.testing.twins import Diffeomorphism, random_decoder, twin


def pairs(surface: SolvedSurface, n: int) -> tuple[Pullback, Tensor, Tensor]:
    generator = torch.Generator().manual_seed(0)
    return Pullback(surface.decode, dim=surface.dim), surface.sample(n, generator), surface.sample(n, generator)


def misses(space: Pullback, z0: Tensor, z1: Tensor, rtol: float) -> Tensor:
    """Decoded distance from `exp(log)` to the goal, relative to the length."""
    v = log(space, z0, z1, rtol=rtol)
    return (space.ambient(exp(space, z0, v, rtol=rtol)) - space.ambient(z1)).norm(dim=-1) / space.norm(z0, v)


@pytest.mark.parametrize("surface", SOLVED, ids=lambda s: type(s).__name__)
def test_exp_of_log_closes(surface: SolvedSurface) -> None:
    assert misses(*pairs(surface, 10), rtol=1e-7).max() <= 2e-7


@pytest.mark.parametrize("rtol", [1e-3, 1e-6])
def test_exp_of_log_closes_on_a_folded_decoder(rtol: float) -> None:
    z0, z1 = torch.randn(2, 10, 2, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    assert misses(Pullback(random_decoder(2, 10, 0), dim=2), z0, z1, rtol).max() <= 2 * rtol


def test_meridians_of_a_sphere_go_round_it() -> None:
    sphere = StereographicSphere()
    space, z = Pullback(sphere.decode, dim=2), torch.tensor([1.0, 0.5]).double()
    v = torch.tensor([0.3, -0.2]).double()
    once = v * (2 * torch.pi / space.norm(z, v))
    torch.testing.assert_close(exp(space, z, once, rtol=1e-9), z, rtol=0, atol=1e-7)


def test_the_norm_of_the_logarithm_is_the_distance() -> None:
    space, z0, z1 = pairs(Cylinder(), 10)
    torch.testing.assert_close(space.norm(z0, log(space, z0, z1, rtol=1e-9)), Cylinder().distance(z0, z1), rtol=1e-8, atol=0)


def test_both_are_invariant_under_reparametrisation() -> None:
    f, a = random_decoder(3, 9, 0), Diffeomorphism(3, seed=1)
    here, there = Pullback(f, dim=3), Pullback(twin(f, a), dim=3)
    z, v = torch.randn(2, 4, 3, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    jacobian = torch.func.vmap(torch.func.jacrev(lambda p: a.forward(p[None])[0]))(z)
    w = (jacobian @ v[..., None])[..., 0]
    torch.testing.assert_close(
        there.ambient(exp(there, a.forward(z), w, rtol=1e-7)), here.ambient(exp(here, z, v, rtol=1e-7)), rtol=0, atol=1e-5
    )


def test_float32_arrives_where_float64_does() -> None:
    sphere = StereographicSphere()
    space, z, v = Pullback(sphere.decode, dim=2), torch.tensor([0.1, 0.2]), torch.tensor([0.5, 0.6])
    exact = exp(space, z.double(), v.double(), rtol=1e-10)
    torch.testing.assert_close(exp(space, z, v, rtol=1e-5), exact.float(), rtol=0, atol=5e-5)


def test_zero_velocity_stays_and_flat_space_is_exact() -> None:
    space = Pullback(random_decoder(2, 9, 0), dim=2)
    z = torch.randn(3, 2, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    assert torch.equal(exp(space, z, torch.zeros_like(z)), z)
    assert torch.equal(log(space, z, z), torch.zeros_like(z))
    assert torch.equal(exp(Euclidean(2), z, 2 * z), 3 * z)


@pytest.mark.parametrize("batch", [(), (3,), (2, 3)])
def test_shapes(batch: tuple[int, ...]) -> None:
    space, z = Pullback(Cylinder().decode, dim=2), torch.zeros(*batch, 2).double()
    assert exp(space, z, z + 1).shape == log(space, z, z + 1).shape == (*batch, 2)


def test_leaving_the_domain() -> None:
    half = Pullback(lambda z: torch.cat([z, z[:, :1].log()], -1), dim=2)
    z, v = torch.tensor([[1.0, 0.0]] * 2).double(), torch.tensor([[0.5, 0.0], [0.0, -0.5]]).double()
    edge = Pullback(lambda z: torch.cat([z, z[:, :1].sqrt()], -1), dim=2)
    v = torch.stack([v[0], torch.tensor([-2.0, 0.0]).double()])
    with pytest.raises(NotConvergedError, match="1 of 2 geodesics did not arrive") as caught:
        exp(edge, z, v)
    marked = exp(edge, z, v, on_fail="mark")
    assert marked[0].isfinite().all() and marked[1].isnan().all()
    torch.testing.assert_close(caught.value.result, marked, equal_nan=True)
    assert exp(half, z, v, on_fail="mark").isfinite().all()  # the logarithm's edge is infinitely far


def test_starts_and_options_of_connect_are_taken() -> None:
    space, z0, z1 = pairs(StereographicSphere(), 3)
    g = connect(space, z0, z1)
    torch.testing.assert_close(log(space, z0, z1, starts=g, rtol=1e-8), log(space, z0, z1, rtol=1e-8), rtol=1e-6, atol=1e-8)


@pytest.mark.parametrize(
    ("call", "error", "words"),
    [
        (lambda s, z: exp(s, z, z[:1]), ShapeError, "z and v must have equal shapes"),
        (lambda s, z: exp(s, z, z, rtol=1e-17), ToleranceError, "rtol must lie in"),
        (lambda s, z: exp(s, z, z, on_fail="ignore"), OptionError, "on_fail"),
        (lambda s, z: exp(s, z, z, max_steps=0), OptionError, "max_steps"),
    ],
)
def test_refusals(call, error: type[Exception], words: str) -> None:
    with pytest.raises(error, match=words):
        call(Pullback(Cylinder().decode, dim=2), torch.ones(3, 2).double())
