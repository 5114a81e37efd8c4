"""Lanczos' method: the lowest eigenvalues where the space is large enough, bounds of them from above where it is not."""

import torch
from torch import Tensor

from egregium.numerics.lanczos import lowest


def pencil(count: int, n: int, seed: int) -> tuple[Tensor, Tensor, Tensor]:
    """Symmetric matrices of either sign, positive ones, and starts."""
    generator = torch.Generator().manual_seed(seed)
    matrix, factor = torch.randn(2, count, n, n, generator=generator, dtype=torch.float64)
    start = torch.randn(count, 1, n, generator=generator, dtype=torch.float64)
    return matrix + matrix.mT, factor @ factor.mT + torch.eye(n), start


def solved(matrix: Tensor, weight: Tensor, start: Tensor, count: int, most: int) -> tuple[Tensor, Tensor]:
    return lowest(lambda v: v @ matrix, lambda r: r @ torch.linalg.inv(weight), start, count, most)


def exact(matrix: Tensor, weight: Tensor) -> Tensor:
    factor = torch.linalg.cholesky(weight)
    white = torch.linalg.solve(factor, torch.linalg.solve(factor, matrix).mT)
    return torch.linalg.eigvalsh(0.5 * (white + white.mT))


def test_the_whole_space_has_the_eigenvalues() -> None:
    matrix, weight, start = pencil(3, 7, 0)
    values, vectors = solved(matrix, weight, start, 2, 7)
    torch.testing.assert_close(values, exact(matrix, weight)[:, :2], rtol=1e-9, atol=1e-9)
    v = vectors[:, :, 0]
    torch.testing.assert_close(v @ weight @ v.mT, torch.eye(2).double().expand(3, -1, -1), rtol=0, atol=1e-9)
    torch.testing.assert_close(v @ matrix, values[..., None] * (v @ weight), rtol=0, atol=1e-8)


def test_smaller_spaces_bound_them_from_above() -> None:
    matrix, weight, start = pencil(4, 12, 1)
    values, vectors = solved(matrix, weight, start, 2, 5)
    assert (values >= exact(matrix, weight)[:, :2] - 1e-9).all()
    v = vectors[:, 0, 0]
    torch.testing.assert_close((v * (matrix @ v[..., None])[..., 0]).sum(-1), values[:, 0], rtol=1e-9, atol=1e-9)


def test_exhausted_spaces_rows_alone_and_nan() -> None:
    matrix, weight, start = pencil(3, 6, 2)
    start[0] = 0
    matrix[1] = torch.nan
    values, vectors = solved(matrix, weight, start, 1, 40)
    assert (values[0] == 0).all() and (vectors[0] == 0).all()
    alone = solved(matrix[2:], weight[2:], start[2:], 1, 40)
    torch.testing.assert_close(values[2:], alone[0], rtol=1e-10, atol=1e-10)


def test_settled_rows_are_not_asked_for() -> None:
    _, _, start = pencil(2, 30, 3)
    diagonal = torch.stack([torch.linspace(1, 1.1, 30), torch.linspace(1, 100, 30)]).double()[:, None]
    asked: list[Tensor] = []

    def product(v: Tensor) -> Tensor:
        asked.append((v != 0).flatten(1).any(-1))
        return v * diagonal

    values, _ = lowest(product, lambda r: r, start, 1, 25, 0.02)
    products = torch.stack(asked).sum(0).tolist()
    assert products[0] == 10 < products[1]
    assert values[0, 0] >= 0  # zeros fill up what was not asked for
