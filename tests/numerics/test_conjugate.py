"""Conjugate gradients: right solutions, an honest account of what is left, and every direction of descent that they meet."""

import torch
from torch import Tensor

from egregium.numerics.conjugate import conjugate_gradients


def systems(count: int, n: int, seed: int) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(seed)
    factor = torch.randn(count, n, n, generator=generator, dtype=torch.float64)
    return factor @ factor.mT / n + torch.eye(n), torch.randn(count, 1, n, generator=generator, dtype=torch.float64)


def times(matrix: Tensor):
    return lambda v: v @ matrix.mT


def unchanged(v: Tensor) -> Tensor:
    return v


def test_solutions_and_what_is_left() -> None:
    matrix, b = systems(4, 6, 0)
    exact = torch.linalg.solve(matrix, b.mT).mT
    solved = conjugate_gradients(times(matrix), unchanged, b, 1e-24, 40)
    assert not solved.bent.any()
    torch.testing.assert_close(solved.x, exact, rtol=1e-10, atol=1e-10)
    rough = conjugate_gradients(times(matrix), unchanged, b, 0.1, 40)
    truth = (b * exact).sum((-2, -1))
    assert (rough.found <= truth * (1 + 1e-12)).all()  # grows from below
    assert (rough.left <= 0.1 * (b * b).sum((-2, -1))).all()
    assert (rough.found + rough.left >= truth).all()  # the matrices are at least 1, so that the unit inverse is too large


def test_the_exact_inverse_needs_one_product() -> None:
    matrix, b = systems(3, 5, 1)
    inverse = torch.linalg.inv(matrix)
    asked = []

    def product(v: Tensor) -> Tensor:
        asked.append(1)
        return v @ matrix.mT

    conjugate_gradients(product, times(inverse), b, 1e-20, 40)
    assert len(asked) == 1


def test_negative_curvature_is_met_in_that_row_alone() -> None:
    matrix, b = systems(3, 6, 2)
    values, vectors = torch.linalg.eigh(matrix[1])
    values[0] = -0.05
    matrix[1] = vectors @ values.diag() @ vectors.mT
    solved = conjugate_gradients(times(matrix), unchanged, b, 1e-20, 40)
    assert solved.bent.tolist() == [False, True, False]
    alone = conjugate_gradients(times(matrix[:1]), unchanged, b[:1], 1e-20, 40)
    torch.testing.assert_close(solved.x[:1], alone.x, rtol=1e-12, atol=1e-12)


def test_a_question_is_answered_as_soon_as_it_can_be() -> None:
    matrix, b = systems(2, 8, 4)
    truth = (b * torch.linalg.solve(matrix, b.mT).mT).sum((-2, -1))
    asked: list[Tensor] = []

    def product(v: Tensor) -> Tensor:
        asked.append((v != 0).flatten(1).any(-1))
        return times(matrix)(v)

    solved = conjugate_gradients(product, unchanged, b, 0.01, 40, truth * torch.tensor([0.5, 2.0]))
    assert solved.found[0] > 0.5 * truth[0]
    assert solved.found[1] <= truth[1] * (1 + 1e-12) and solved.left[1] <= 0.01 * 2 * truth[1]
    products = torch.stack(asked).sum(0)
    assert products[0] < products[1] < 8  # finished rows are not asked for


def test_zero_right_hand_sides_and_nan_rows() -> None:
    matrix, b = systems(3, 4, 3)
    b[0], b[1] = 0, torch.nan
    solved = conjugate_gradients(times(matrix), unchanged, b, 1e-20, 20)
    assert (solved.x[0] == 0).all() and not solved.bent[0]
    assert torch.isfinite(solved.x[2]).all()
