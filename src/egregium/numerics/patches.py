"""Polynomials of low degree on the cells of a square, instead of one of high degree on all of it.

They are cut from it once and say the same up to a small error, for a fraction of the operations at each point: values at a
point take 15 coefficients a component instead of 289.
"""

from functools import lru_cache

import torch
from torch import Tensor

from egregium.numerics import chebyshev

CELLS = 16  # along an axis
DEGREE = 4  # of both coordinates together
POWERS = tuple((a, b) for b in range(DEGREE + 1) for a in range(DEGREE + 1 - b))
TERMS = len(POWERS)
ORDERS = ((0, 0), (1, 0), (0, 1), (2, 0), (1, 1), (0, 2))  # of the derivatives in a jet


def cut(coefficients: Tensor) -> Tensor:
    """Patches `(p, CELLS^2, k, TERMS)` of polynomials with Chebyshev `coefficients` `(p, n, k, n)` on squares."""
    p, n, k, _ = coefficients.shape
    along = _to_cells(n - 1).to(coefficients)  # (CELLS (DEGREE + 1), n)
    local = along @ (coefficients @ along.mT).flatten(2)
    parts = local.view(p, CELLS, DEGREE + 1, k, CELLS, DEGREE + 1).permute(0, 1, 4, 3, 5, 2)
    across = torch.tensor([b * (DEGREE + 1) + a for a, b in POWERS], device=coefficients.device)
    return (parts.flatten(-2)[..., across] @ _to_monomials().to(coefficients)).flatten(1, 2)


def place(u: Tensor) -> tuple[Tensor, Tensor]:
    """Cells `(N,)` that hold points u `(N, 2)` of the square [0, 1]^2, and the `monomials` `(N, TERMS)` there."""
    scaled = CELLS * u
    cell = scaled.floor().clamp(0, CELLS - 1)
    number = cell.nan_to_num(0.0).long()
    return CELLS * number[:, 0] + number[:, 1], monomials(2 * (scaled - cell) - 1)


def monomials(w: Tensor) -> Tensor:
    """`w_1^a w_2^b` in the order of POWERS `(N, TERMS)`, for points w `(N, 2)` of a cell [-1, 1]^2."""
    x, y = w[:, :1], w[:, 1:]
    powers = [torch.ones_like(x), x]
    while len(powers) <= DEGREE:
        powers.append(powers[-1] * x)
    row = torch.cat(powers, 1)
    rows = [row]
    for degree in range(DEGREE - 1, -1, -1):
        rows.append(y * rows[-1][:, : degree + 1])
    return torch.cat(rows, 1)


@lru_cache(maxsize=8)
def to_jets(dtype: torch.dtype, device: torch.device) -> Tensor:
    """Matrix `(TERMS, 6 TERMS)` from monomials to these and their derivatives in a cell, in the order of ORDERS."""
    blocks = [torch.zeros(TERMS, TERMS, dtype=dtype) for _ in ORDERS]
    for block, (i, j) in zip(blocks, ORDERS, strict=True):
        for term, (a, b) in enumerate(POWERS):
            if a >= i and b >= j:
                block[POWERS.index((a - i, b - j)), term] = _falling(a, i) * _falling(b, j)
    return torch.cat(blocks, 1).to(device)


def scales(sizes: Tensor) -> Tensor:
    """What derivatives in cells are to be multiplied by on squares of `sizes` `(p,)`, `(p, 6)`."""
    return (2 * CELLS / sizes)[:, None] ** torch.tensor([i + j for i, j in ORDERS], device=sizes.device)


def _falling(power: int, order: int) -> int:
    value = 1
    for step in range(order):
        value *= power - step
    return value


@lru_cache(maxsize=8)
def _to_cells(degree: int) -> Tensor:
    """Matrix from coefficients on [-1, 1] to those, on each cell in turn, of what interpolates there."""
    starts = torch.arange(CELLS, dtype=torch.float64)[:, None]
    local = (2 * starts + 1 + chebyshev.nodes(DEGREE)) / CELLS - 1
    return (chebyshev.to_coefficients(DEGREE) @ chebyshev.basis(local, degree)).flatten(0, 1)


@lru_cache(maxsize=1)
def _to_monomials() -> Tensor:
    """Matrix `(TERMS, TERMS)` from coefficients of `T_a T_b` to those of monomials."""
    single = torch.eye(DEGREE + 1, dtype=torch.float64)
    for k in range(2, DEGREE + 1):
        single[k] = 2 * single[k - 1].roll(1) - single[k - 2]
    return torch.stack([torch.stack([single[a, i] * single[b, j] for i, j in POWERS]) for a, b in POWERS])
