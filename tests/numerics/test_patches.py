"""Polynomials on cells against the one that they are cut from."""

import torch
from torch import Tensor

from egregium.numerics import chebyshev, patches

HIGH = 12
GENERATOR = torch.Generator().manual_seed(0)
POINTS = torch.rand(300, 2, generator=GENERATOR, dtype=torch.float64)
COEFFICIENTS = torch.randn(2, HIGH + 1, 3, HIGH + 1, generator=GENERATOR, dtype=torch.float64)
ORDER = torch.arange(HIGH + 1)


def whole(coefficients: Tensor, u: Tensor) -> Tensor:
    """Values `(p, N, 3)` at points of [0, 1]^2."""
    x, y = chebyshev.basis(2 * u - 1, HIGH).unbind(1)
    return torch.einsum("ni,pikj,nj->pnk", x, coefficients, y)


def on_cells(coefficients: Tensor, u: Tensor) -> Tensor:
    """The same, from patches."""
    cells, monomials = patches.place(u)
    return torch.einsum("pnkt,nt->pnk", patches.cut(coefficients)[:, cells], monomials)


def test_low_degrees_are_kept() -> None:
    low = COEFFICIENTS * ((ORDER[:, None, None] + ORDER) <= patches.DEGREE)
    torch.testing.assert_close(on_cells(low, POINTS), whole(low, POINTS), rtol=1e-11, atol=1e-11)


def test_high_degrees_are_followed_closely() -> None:
    smooth = COEFFICIENTS * 2.0 ** -(ORDER[:, None, None] + ORDER)
    torch.testing.assert_close(on_cells(smooth, POINTS), whole(smooth, POINTS), rtol=0, atol=1e-4)


def jets(w: Tensor) -> Tensor:
    """Derivatives `(N, 6, TERMS)` of the monomials at points of a cell."""
    return (patches.monomials(w) @ patches.to_jets(w.dtype, w.device)).unflatten(-1, (len(patches.ORDERS), -1))


def test_jets_are_derivatives_of_the_values() -> None:
    w, h = 2 * POINTS - 1, 1e-4
    torch.testing.assert_close(jets(w)[:, 0], patches.monomials(w))
    for of, axis in (((0, 0), 0), ((0, 0), 1), ((1, 0), 0), ((1, 0), 1), ((0, 1), 1)):
        step = h * torch.eye(2, dtype=torch.float64)[axis]
        derived = (of[0] + (axis == 0), of[1] + (axis == 1))
        slope = (jets(w + step) - jets(w - step))[:, patches.ORDERS.index(of)] / (2 * h)
        torch.testing.assert_close(jets(w)[:, patches.ORDERS.index(derived)], slope, rtol=1e-6, atol=1e-6)


def test_the_border_belongs_to_the_last_cell() -> None:
    cells, monomials = patches.place(torch.tensor([[0.0, 0.0], [1.0, 1.0], [torch.nan, 0.5]]))
    assert cells[:2].tolist() == [0, patches.CELLS**2 - 1]
    assert monomials[0, 1] == -1 and monomials[1, 1] == 1 and monomials[2].isnan().any()
