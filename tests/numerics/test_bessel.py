"""Means of exponentials over spheres against 40 digits."""

import mpmath
import pytest
import torch

from egregium.numerics.bessel import log_mean_exp, mean_deficit

KAPPA = (1e-8, 1e-3, 0.1, 1.0, 5.0, 14.9, 29.9, 30.1, 50.0, 300.0, 999.0, 1e4, 1e6)


def truth(d: int, kappa: float) -> tuple[float, float, float]:
    """`log M - kappa`, `1 - A` and `A'`."""
    with mpmath.workdps(40):
        nu, k = mpmath.mpf(d) / 2 - 1, mpmath.mpf(kappa)
        first, second = mpmath.besseli(nu, k), mpmath.besseli(nu + 1, k)
        a = second / first
        log_mean = mpmath.log(mpmath.gamma(nu + 1)) + nu * mpmath.log(2 / k) + mpmath.log(first)
        return float(log_mean - k), float(1 - a), float(1 - a**2 - (d - 1) / k * a)


@pytest.mark.parametrize("d", [2, 3, 5, 20, 60, 64, 128, 256, 500])
def test_values_and_two_derivatives(d: int) -> None:
    expected = torch.tensor([truth(d, kappa) for kappa in KAPPA], dtype=torch.float64).mT
    kappa = torch.tensor(KAPPA, dtype=torch.float64, requires_grad=True)
    value, deficit = log_mean_exp(d, kappa), mean_deficit(d, kappa)
    (slope,) = torch.autograd.grad(value.sum(), kappa)
    (bend,) = torch.autograd.grad(deficit.sum(), kappa)
    error = (value - expected[0]).abs() / expected[0].abs().clamp_min(1)
    print(f"\nd = {d}: log M {error.max():.1e}, 1 - A {(deficit / expected[1] - 1).abs().max():.1e}, "
          f"its derivative {(bend / -expected[2] - 1).abs().max():.1e}")  # fmt: skip
    assert error.max() < 1e-13
    torch.testing.assert_close(deficit, expected[1], rtol=1e-13, atol=0)
    torch.testing.assert_close(slope, -expected[1], rtol=1e-13, atol=0)
    torch.testing.assert_close(bend, -expected[2], rtol=2e-12, atol=0)  # at 30, where series end, 13 digits are lost to 12


def test_zero_and_float32() -> None:
    zero = torch.zeros(2, requires_grad=True)
    value, deficit = log_mean_exp(5, zero), mean_deficit(5, zero)
    assert value.dtype == torch.float64 and value.tolist() == [0, 0] and deficit.tolist() == [1, 1]
    assert torch.autograd.grad(value.sum(), zero)[0].tolist() == [-1, -1]
    torch.testing.assert_close(torch.autograd.grad(deficit.sum(), zero)[0], torch.full((2,), -0.2))
