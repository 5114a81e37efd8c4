"""Ratios of gamma functions against 40 digits."""

import math

import mpmath
import pytest
import torch

from egregium.numerics.gamma import digamma_difference, log_gamma_ratio, log_sphere_area

A = (0.5, 1.0, 1.5, 3.0, 11.99, 50.0, 250.0, 1e3, 1e6, 1e9)


@pytest.mark.parametrize("b", [0.0, 0.5, 1.0, 10.0, 64.0, 250.0])
def test_ratios(b: float) -> None:
    with mpmath.workdps(40):
        functions = [mpmath.loggamma, mpmath.digamma, lambda x: mpmath.polygamma(1, x)]
        exact = [[f(mpmath.mpf(a) + b) - f(mpmath.mpf(a)) for f in functions] for a in A]
    expected = torch.tensor([[float(part) for part in row] for row in exact], dtype=torch.float64).mT
    a = torch.tensor(A, dtype=torch.float64, requires_grad=True)
    ratio, difference = log_gamma_ratio(a, b), digamma_difference(a, b)
    assert ((ratio - expected[0]).abs() / expected[0].abs().clamp_min(1)).max() < 1e-13
    torch.testing.assert_close(difference, expected[1], rtol=1e-13, atol=0)
    torch.testing.assert_close(torch.autograd.grad(ratio.sum(), a)[0], expected[1], rtol=1e-9, atol=1e-15)
    torch.testing.assert_close(torch.autograd.grad(difference.sum(), a)[0], expected[2], rtol=1e-9, atol=1e-24)


def test_areas() -> None:
    areas = [math.exp(log_sphere_area(n)) for n in range(4)]
    assert areas == pytest.approx([2, 2 * math.pi, 4 * math.pi, 2 * math.pi**2], rel=1e-14)
