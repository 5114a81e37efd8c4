"""Block-tridiagonal systems against dense linear algebra, for every number of blocks, and what becomes of indefinite ones."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from egregium.numerics.tridiagonal import MANY, BlockTridiagonal


def drawn(p: int, n: int, d: int, seed: int = 0) -> BlockTridiagonal:
    """Random positive definite systems."""
    generator = torch.Generator().manual_seed(seed)
    root = torch.randn(p, n, d, d, generator=generator, dtype=torch.float64)
    upper = 0.3 * torch.randn(p, n - 1, d, d, generator=generator, dtype=torch.float64)
    strength = torch.linalg.matrix_norm(upper).sum(-1)[:, None, None, None] if n > 1 else 0
    return BlockTridiagonal(root @ root.mT + (0.5 + strength) * torch.eye(d, dtype=torch.float64), upper)


@given(st.integers(1, 4), st.integers(1, 40), st.integers(1, 6))
def test_solutions_solve_and_agree_with_dense_algebra(p: int, n: int, d: int) -> None:
    system = drawn(p, n, d)
    b = torch.randn(p, n, d, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    x, definite = system.solve(b)
    assert definite.all()
    torch.testing.assert_close(system.matvec(x), b, rtol=1e-9, atol=1e-9)
    torch.testing.assert_close(x.flatten(1), torch.linalg.solve(system.dense(), b.flatten(1)), rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("n", [1, 2, 3, 7, 16])
def test_products(n: int) -> None:
    system, v = drawn(2, n, 3), torch.randn(2, n, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(2))
    dense = system.dense()
    assert torch.equal(dense, dense.mT)
    product = (dense @ v.flatten(1)[..., None])[..., 0]
    torch.testing.assert_close(system.matvec(v).flatten(1), product)
    torch.testing.assert_close(system.quadratic(v), (v.flatten(1) * product).sum(-1))


@pytest.mark.parametrize("n", [1, 2, 5, 8])
def test_indefinite_systems_are_named_and_leave_the_others_alone(n: int) -> None:
    system = drawn(3, n, 2)
    diagonal = system.diagonal.clone()
    diagonal[1, n // 2] -= 100 * torch.eye(2, dtype=torch.float64)
    spoiled = BlockTridiagonal(diagonal, system.upper)
    b = torch.ones(3, n, 2, dtype=torch.float64)
    x, definite = spoiled.solve(b)
    assert definite.tolist() == [True, False, True]
    assert x[1].isnan().all()
    torch.testing.assert_close(x[[0, 2]], system.solve(b)[0][[0, 2]], rtol=1e-14, atol=1e-14)


@pytest.mark.parametrize("d", [1, 2])
@pytest.mark.parametrize("n", [1, 2, 15, 31, 70])
def test_many_systems_are_solved_as_each_alone_is(n: int, d: int) -> None:
    system = drawn(MANY, n, d)
    diagonal = system.diagonal.clone()
    diagonal[3, n // 2] -= 100 * torch.eye(d, dtype=torch.float64)
    diagonal[5, 0] = torch.nan
    system = BlockTridiagonal(diagonal, system.upper)
    b = torch.randn(MANY, n, d, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    x, definite = system.solve(b)
    assert definite.logical_not().nonzero().flatten().tolist() == [3, 5]
    few = torch.arange(8)
    torch.testing.assert_close(x[few], system[few].solve(b[few])[0], rtol=1e-12, atol=1e-12, equal_nan=True)


def test_definiteness_is_that_of_the_whole_matrix() -> None:
    """Definite blocks on the diagonal are not enough."""
    system = drawn(1, 6, 2)
    coupled = BlockTridiagonal(system.diagonal, 50 * system.upper)
    assert torch.linalg.eigvalsh(coupled.dense()).min() < 0
    assert not coupled.solve(torch.ones(1, 6, 2, dtype=torch.float64))[1].any()


def test_nan_is_not_definite() -> None:
    system = drawn(2, 5, 2)
    diagonal = system.diagonal.clone()
    diagonal[0, 3] = torch.nan
    x, definite = BlockTridiagonal(diagonal, system.upper).solve(torch.ones(2, 5, 2, dtype=torch.float64))
    assert definite.tolist() == [False, True] and torch.isfinite(x[1]).all()


def test_damping_scales_the_diagonal_blocks() -> None:
    system = drawn(2, 4, 2)
    damped = system.damped(torch.tensor([0.0, 0.5], dtype=torch.float64))
    torch.testing.assert_close(damped.diagonal[1], 1.5 * system.diagonal[1])
    assert torch.equal(damped.diagonal[0], system.diagonal[0]) and torch.equal(damped.upper, system.upper)


def test_others_may_be_added() -> None:
    one, other, weight = drawn(3, 4, 2), drawn(3, 4, 2, seed=1), torch.tensor([0.0, 0.5, 2.0], dtype=torch.float64)
    expected = one.dense() + weight[:, None, None] * other.dense()
    torch.testing.assert_close(one.plus(weight, other).dense(), expected)


def test_rows_can_be_taken_replaced_and_stacked() -> None:
    system, other = drawn(4, 3, 2), drawn(2, 3, 2, seed=5)
    rows = torch.tensor([3, 1])
    mixed = system.updated(rows, other)
    assert torch.equal(mixed[rows].dense(), other.dense())
    assert torch.equal(mixed.dense()[[0, 2]], system.dense()[[0, 2]])
    assert torch.equal(BlockTridiagonal.stack([system, other]).dense(), torch.cat([system.dense(), other.dense()]))
