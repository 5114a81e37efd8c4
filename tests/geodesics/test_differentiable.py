"""Gradients of lengths against finite differences: in the end points by first variation, in weights by the envelope theorem."""

from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

from egregium.geodesics import connect
from egregium.relations import distance
from egregium.spaces import Euclidean, Pullback
from egregium.testing.surfaces import StereographicSphere
from egregium.testing.twins import random_decoder

STEP = 1e-4
DECODER = random_decoder(2, 12, seed=0)
SPACES = {"random decoder": Pullback(DECODER, dim=2), "ensemble": Pullback([DECODER, random_decoder(2, 12, seed=1)], dim=2),
          "Euclidean": Euclidean(2)}  # fmt: skip


def ends(n: int = 3) -> tuple[Tensor, Tensor]:
    z0, z1 = torch.randn(2, n, 2, generator=torch.Generator().manual_seed(5), dtype=torch.float64)
    return z0, z1


def numerical(f: Callable[[Tensor], Tensor], z: Tensor) -> Tensor:
    """Central differences of rowwise f `(..., N)` in each coordinate of z `(N, d)`, all in one call of f."""
    steps = STEP * torch.eye(z.shape[-1], dtype=z.dtype)[:, None]
    ahead, behind = f(torch.stack([z + steps, z - steps]))  # (d, N) each
    return ((ahead - behind) / (2 * STEP)).mT


@pytest.mark.parametrize("space", SPACES.values(), ids=SPACES)
def test_first_variation(space: Pullback | Euclidean) -> None:
    z0, z1 = (z.requires_grad_() for z in ends())
    distance(space, z0, z1, rtol=1e-8).sum().backward()
    a, b = z0.detach(), z1.detach()
    for grad, expected in (
        (z0.grad, numerical(lambda z: distance(space, z, b.expand_as(z), rtol=1e-10), a)),
        (z1.grad, numerical(lambda z: distance(space, a.expand_as(z), z, rtol=1e-10), b)),
    ):
        torch.testing.assert_close(grad, expected, rtol=1e-4, atol=1e-5)


def test_gradients_have_unit_norm() -> None:
    """`|grad d| = 1` in the inverse metric: the eikonal equation."""
    space = Pullback(StereographicSphere().decode, dim=2)
    z0, z1 = StereographicSphere().sample(8, torch.Generator().manual_seed(0)).chunk(2)
    z1.requires_grad_()
    distance(space, z0, z1, rtol=1e-9).sum().backward()
    assert z1.grad is not None
    squared = torch.einsum("ni,nij,nj->n", z1.grad, torch.linalg.inv(space.metric(z1.detach())), z1.grad)
    torch.testing.assert_close(squared, torch.ones(4).double(), rtol=1e-6, atol=0)


def test_at_equal_points_the_subgradient_is_zero() -> None:
    for space in SPACES.values():
        z0, z1 = ends()[0].requires_grad_(), ends()[0].requires_grad_()
        distance(space, z0, z1).sum().backward()
        assert z0.grad is not None and z1.grad is not None
        assert (z0.grad == 0).all() and (z1.grad == 0).all()


class Trough(nn.Module):
    """A decoder with two weights."""

    def __init__(self, depth: float, stretch: float) -> None:
        super().__init__()
        self.depth = nn.Parameter(torch.tensor(depth, dtype=torch.float64))
        self.stretch = nn.Parameter(torch.tensor(stretch, dtype=torch.float64))

    def forward(self, z: Tensor) -> Tensor:
        return torch.stack([self.stretch * z[:, 0], z[:, 1], self.depth * (z[:, 0] ** 2 + (2 * z[:, 1]).sin())], -1)


def test_gradients_in_weights() -> None:
    z0, z1 = ends()
    model = Trough(0.7, 1.3)
    connect(Pullback(model, dim=2), z0, z1, rtol=1e-8, differentiable=True).length.sum().backward()

    def total(depth: float, stretch: float) -> float:
        return connect(Pullback(Trough(depth, stretch), dim=2), z0, z1, rtol=1e-10).length.sum().item()

    assert model.depth.grad is not None and model.stretch.grad is not None
    assert model.depth.grad.item() == pytest.approx((total(0.7 + STEP, 1.3) - total(0.7 - STEP, 1.3)) / (2 * STEP), rel=1e-3)
    assert model.stretch.grad.item() == pytest.approx((total(0.7, 1.3 + STEP) - total(0.7, 1.3 - STEP)) / (2 * STEP), rel=1e-3)


def test_gradients_in_weights_and_ends_together() -> None:
    z0, z1 = (z.requires_grad_() for z in ends())
    model = Trough(0.7, 1.3)
    g = connect(Pullback(model, dim=2), z0, z1, differentiable=True)
    plain = connect(Pullback(model, dim=2), z0.detach(), z1.detach())
    assert torch.equal(g.length.detach(), plain.length)
    g.length.sum().backward()
    assert all(part.grad is not None and torch.isfinite(part.grad).all() for part in (z0, z1, model.depth, model.stretch))


def test_training_by_a_distance() -> None:
    """A few steps of gradient descent in the weights bring a distance to a target."""
    model = Trough(0.7, 1.3)
    z0, z1 = ends(1)
    optimiser = torch.optim.SGD(model.parameters(), lr=0.05)
    losses = []
    for _ in range(8):
        optimiser.zero_grad()
        loss = (connect(Pullback(model, dim=2), z0, z1, differentiable=True).length - 3.0).square().sum()
        loss.backward()
        optimiser.step()
        losses.append(loss.item())
    assert losses[-1] < 0.2 * losses[0]


def test_otherwise_everything_is_detached() -> None:
    z0, z1 = ends()
    model = Trough(0.7, 1.3)
    g = connect(Pullback(model, dim=2), z0, z1)
    assert not any(
        getattr(g, name).requires_grad for name in ("length", "energy", "lower", "upper", "initial_velocity", "nodes")
    )
    with torch.no_grad():
        assert not connect(Pullback(model, dim=2), z0.clone().requires_grad_(), z1, differentiable=True).length.requires_grad
