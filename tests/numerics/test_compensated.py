"""Rounding errors against exact fractions."""

from fractions import Fraction

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from egregium.numerics.compensated import dot, rejection, two_product, two_sum

EPS = torch.finfo(torch.float64).eps
NUMBERS = st.floats(-1e100, 1e100, allow_nan=False).filter(lambda x: x == 0 or abs(x) > 1e-100)


def drawn(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def exactly(x: Tensor) -> list[Fraction]:
    return [Fraction(one) for one in x.flatten().tolist()]


@given(NUMBERS, NUMBERS)
def test_sums_and_products_lose_nothing(a: float, b: float) -> None:
    x, y = torch.tensor(a, dtype=torch.float64), torch.tensor(b, dtype=torch.float64)
    for of, exact in ((two_sum, Fraction(a) + Fraction(b)), (two_product, Fraction(a) * Fraction(b))):
        rounded, rest = of(x, y)
        assert Fraction(rounded.item()) + Fraction(rest.item()) == exact
        assert rounded.item() == float(exact)  # rounded once


def test_inner_products_of_rows() -> None:
    a, b = drawn(6, 5), drawn(6, 5, seed=1)
    found = dot(a, b)
    assert found.shape == (6, 1)
    for row, value in enumerate(found[:, 0].tolist()):
        terms = [x * y for x, y in zip(exactly(a[row]), exactly(b[row]), strict=True)]
        assert abs(Fraction(value) - sum(terms)) <= 5 * EPS * float(sum(map(abs, terms)))  # a rounding a term


def across(v: Tensor, z: Tensor) -> Tensor:
    """The part of one vector v orthogonal to z, without rounding until the end."""
    f, g = exactly(v), exactly(z)
    share = sum(a * b for a, b in zip(f, g, strict=True)) / sum(b * b for b in g)
    return torch.tensor([float(a - share * b) for a, b in zip(f, g, strict=True)], dtype=torch.float64)


@pytest.mark.parametrize("tilt", [1.0, 1e-4, 1e-8, 1e-12, 1e-15])
def test_rejections_keep_their_digits_however_small(tilt: float) -> None:
    z = drawn(8, 3)
    v = 1.7 * z + tilt * drawn(8, 3, seed=1)
    found = rejection(v, z)
    for row in range(8):
        expected = across(v[row], z[row])
        assert (found[row] - expected).norm() <= 4 * EPS * expected.norm()  # a few roundings of its own size
    naive = v - z * (dot(v, z) / dot(z, z))
    if tilt < 1e-10:  # what it is for
        assert (naive - found).norm() > 1e3 * EPS * found.norm()


def test_rejections_are_differentiable_as_the_projections_that_they_are() -> None:
    v, z = drawn(4, 3).requires_grad_(), drawn(4, 3, seed=1).requires_grad_()
    assert torch.autograd.gradcheck(rejection, (v, z))
    (slope,) = torch.autograd.grad(rejection(v, v.detach()).sum(), v)  # where it is zero too
    unit = v.detach() / v.detach().norm(dim=-1, keepdim=True)
    torch.testing.assert_close(slope, torch.ones_like(v) - unit * unit.sum(-1, keepdim=True))
