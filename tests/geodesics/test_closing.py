"""Velocities that are refined until their geodesics arrive."""

import torch
from torch import Tensor

from egregium.geodesics.closing import close
from egregium.spaces import Pullback
from egregium.testing.surfaces import StereographicSphere

SPHERE = StereographicSphere()
SPACE = Pullback(SPHERE.decode, dim=2)


def shots(count: int) -> tuple[Tensor, Tensor, Tensor]:
    """Points, velocities of lengths up to 0.8, and where their great circles end, all `(count, 2)`."""
    generator = torch.Generator().manual_seed(0)
    z, v = SPHERE.sample(count, generator), torch.randn(count, 2, generator=generator, dtype=torch.float64)
    length = torch.linspace(0.1, 0.8, count, dtype=torch.float64)[:, None]
    v = length * v / SPACE.norm(z, v)[:, None]
    x = length.cos() * SPHERE.decode(z) + length.sin() / length * (SPACE.jacobian(z) @ v[..., None])[..., 0]
    return z, v, x[:, :2] / (1 - x[:, 2:])


def test_velocities_that_arrive_take_no_steps() -> None:
    z, v, end = shots(8)
    closed = close(SPACE.immerse, z, end, v, 1e-7)
    assert closed.ok.all() and (closed.steps == 0).all() and closed.velocity.equal(v)


def test_velocities_that_miss_are_brought_there_in_few_steps() -> None:
    z, v, end = shots(8)
    closed = close(SPACE.immerse, z, end, 1.02 * v, 1e-7)
    assert closed.ok.all() and ((closed.steps >= 1) & (closed.steps <= 4)).all()
    torch.testing.assert_close(closed.velocity, v, rtol=1e-6, atol=1e-6)


def test_velocities_that_do_not_get_there_are_not_ok_and_not_made_worse() -> None:
    z, v, end = shots(8)
    closed = close(SPACE.immerse, z, end, 1.02 * v, 1e-7, rounds=0)
    assert not closed.ok.any() and closed.velocity.equal(1.02 * v)
    torch.testing.assert_close(closed.miss, torch.full_like(closed.miss, 0.02 / 1.02), rtol=1e-2, atol=0)
