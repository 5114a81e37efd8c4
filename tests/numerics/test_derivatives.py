"""Derivatives against automatic differentiation of one point at a time, against finite differences, and in every dtype."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from egregium.numerics.derivatives import jacobian, jacobian_and_hessian, jvp, row_chunks, vjp
from egregium.testing.twins import random_decoder

MAPS = {
    "network": random_decoder(3, 7, seed=0),
    "linear": lambda z: z @ torch.arange(21.0, dtype=z.dtype).reshape(3, 7),
    "quadratic": lambda z: torch.stack([z[:, 0] ** 2, z[:, 1] * z[:, 2], z[:, 0]], -1),
    "one coordinate": lambda z: z[:, :1].exp(),
}
Z = torch.randn(5, 3, generator=torch.Generator().manual_seed(0), dtype=torch.float64)


def expected_jacobian(f, z: Tensor) -> Tensor:
    return torch.stack([torch.func.jacrev(lambda p: f(p[None])[0])(row) for row in z])


@pytest.fixture(params=MAPS)
def f(request: pytest.FixtureRequest):
    return MAPS[request.param]


def test_jacobian(f) -> None:
    torch.testing.assert_close(jacobian(f, Z), expected_jacobian(f, Z), rtol=1e-12, atol=1e-12)


def test_products_with_the_jacobian(f) -> None:
    block = expected_jacobian(f, Z)
    v, w = torch.ones_like(Z), torch.ones_like(f(Z))
    x, tangent = jvp(f, Z, v)
    torch.testing.assert_close(x, f(Z))
    torch.testing.assert_close(tangent, (block @ v[..., None])[..., 0], rtol=1e-12, atol=1e-12)
    x, pull = vjp(f, Z)
    torch.testing.assert_close(x, f(Z))
    torch.testing.assert_close(pull(w), (block.mT @ w[..., None])[..., 0], rtol=1e-12, atol=1e-12)


def test_hessian(f) -> None:
    w = torch.randn(f(Z).shape, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    block, hessian = jacobian_and_hessian(f, Z, w)
    torch.testing.assert_close(block, expected_jacobian(f, Z), rtol=1e-12, atol=1e-12)
    expected = torch.stack([torch.func.hessian(lambda p, c=c: f(p[None])[0] @ c)(z) for z, c in zip(Z, w, strict=True)])
    torch.testing.assert_close(hessian, expected, rtol=1e-11, atol=1e-11)
    assert torch.equal(hessian, hessian.mT)


def test_nothing_is_left_in_the_graph(f) -> None:
    z = Z.clone().requires_grad_()
    results = [*jvp(f, z, torch.ones_like(Z)), jacobian(f, z), *jacobian_and_hessian(f, z, torch.ones_like(f(Z)))]
    assert not any(result.requires_grad for result in results)
    assert z.grad is None


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_dtype_is_kept_and_no_gradient_mode_does_not_matter(dtype: torch.dtype) -> None:
    z = Z.to(dtype)
    with torch.no_grad():
        block = jacobian(MAPS["quadratic"], z)
    assert block.dtype == dtype
    torch.testing.assert_close(block.double(), expected_jacobian(MAPS["quadratic"], Z), rtol=1e-6, atol=1e-6)


def test_weights_get_no_gradient() -> None:
    network = random_decoder(3, 7, seed=0).requires_grad_(True)
    jacobian(network, Z)
    assert all(weight.grad is None for weight in network.parameters())


@given(st.integers(0, 40), st.integers(1, 30), st.integers(1, 60))
def test_chunks_cover_all_rows_once(rows: int, floats: int, budget: int) -> None:
    chunks = row_chunks(rows, floats, budget)
    assert [row for chunk in chunks for row in range(chunk.start, chunk.stop)] == list(range(rows))
    assert all((chunk.stop - chunk.start) * floats <= max(budget, floats) for chunk in chunks)
