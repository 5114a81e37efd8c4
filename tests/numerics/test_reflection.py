"""Reflections against their matrices, and next to where they would cancel."""

import pytest
import torch
from torch import Tensor

from egregium.numerics.reflection import mirrored


def unit(*shape: int, seed: int = 0) -> Tensor:
    x = torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    return x / x.norm(dim=-1, keepdim=True)


def matrix(u: Tensor) -> Tensor:
    """That of the reflection of one u, a row an axis's image."""
    axes = torch.eye(len(u), dtype=u.dtype)
    return mirrored(u.expand_as(axes), axes)


@pytest.mark.parametrize("n", [1, 2, 5])
def test_they_are_reflections(n: int) -> None:
    for u in unit(6, n):
        found, one = matrix(u), torch.eye(n, dtype=torch.float64)
        torch.testing.assert_close(found @ found.mT, one, rtol=0, atol=1e-15)
        torch.testing.assert_close(found, found.mT, rtol=0, atol=1e-15)
        torch.testing.assert_close(torch.linalg.det(found), torch.tensor(-1.0).double(), rtol=0, atol=1e-14)
        torch.testing.assert_close(found[0], u if u[0] < 0 else -u, rtol=0, atol=1e-15)


@pytest.mark.parametrize("first", [-1.0, 0.0, -0.0, 1.0])
@pytest.mark.parametrize("tilt", [0.0, 1e-160, 1e-15, 1e-8])
def test_nothing_cancels_next_to_the_axis_or_across_it(first: float, tilt: float) -> None:
    u = torch.tensor([first, tilt if first else 1.0, 0.0], dtype=torch.float64)
    u = u / u.norm()
    found = matrix(u)
    torch.testing.assert_close(found[0], u if first < 0 else -u, rtol=4e-16, atol=0)
    torch.testing.assert_close(found @ found.mT, torch.eye(3, dtype=torch.float64), rtol=0, atol=1e-15)


def test_batches_are_their_rows() -> None:
    u, v = unit(2, 4, 3), unit(2, 4, 3, seed=1)
    found = mirrored(u, v)
    assert found.shape == (2, 4, 3)
    torch.testing.assert_close(found[1, 2], v[1, 2] @ matrix(u[1, 2]), rtol=0, atol=1e-15)
    torch.testing.assert_close(found.norm(dim=-1), v.norm(dim=-1))


def test_gradients() -> None:
    u, v = unit(3, 4).requires_grad_(), unit(3, 4, seed=1).requires_grad_()
    assert torch.autograd.gradcheck(mirrored, (u, v))
