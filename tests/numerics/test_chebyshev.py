"""Chebyshev interpolation against polynomials, whose derivatives it knows exactly."""

import torch

from egregium.numerics import chebyshev

DEGREE = 7
COEFFICIENTS = torch.randn(DEGREE + 1, generator=torch.Generator().manual_seed(0), dtype=torch.float64)


def polynomial(u: torch.Tensor, order: int = 0) -> torch.Tensor:
    total = torch.zeros_like(u)
    for power, c in enumerate(COEFFICIENTS):
        factor = 1.0
        for k in range(order):
            factor *= power - k
        total = total + c * factor * u ** max(power - order, 0)
    return total


def test_coefficients_give_the_polynomial_back() -> None:
    u = torch.linspace(-1, 1, 23, dtype=torch.float64)
    coefficients = chebyshev.to_coefficients(DEGREE) @ polynomial(chebyshev.nodes(DEGREE))
    torch.testing.assert_close(chebyshev.basis(u, DEGREE) @ coefficients, polynomial(u), rtol=1e-11, atol=1e-11)


def test_slopes_at_the_nodes() -> None:
    x = chebyshev.nodes(DEGREE)
    assert x[0] == -1 and x[-1] == 1
    torch.testing.assert_close(chebyshev.to_slopes(DEGREE) @ polynomial(x), polynomial(x, 1), rtol=1e-11, atol=1e-11)


def test_slopes_without_the_last_terms() -> None:
    x, kept = chebyshev.nodes(DEGREE), DEGREE - 2
    high = (DEGREE * torch.acos(x)).cos() + 3 * ((DEGREE - 1) * torch.acos(x)).cos()
    low = (kept * torch.acos(x)).cos()
    torch.testing.assert_close(chebyshev.to_slopes(DEGREE, kept) @ (high + low), chebyshev.to_slopes(DEGREE) @ low)


def test_integrals() -> None:
    powers = torch.arange(DEGREE + 1)
    exact = (COEFFICIENTS * torch.where(powers % 2 == 0, 2 / (powers + 1), 0.0)).sum()
    torch.testing.assert_close(chebyshev.to_integral(DEGREE) @ polynomial(chebyshev.nodes(DEGREE)), exact)
