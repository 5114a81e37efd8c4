"""Sine, cosine and arc of every curvature against 40 digits, and their derivatives in it through zero."""

from typing import Any

import mpmath
import pytest
import torch
from torch import Tensor

from egregium.numerics.trigonometry import SMALL, Trigonometry

CURVATURES = (-2.0, -0.3, -1e-3, -1e-12, 0.0, 1e-12, 1e-3, 0.3, 2.0)
RADII = (0.0, 1e-9, 1e-3, 0.1, 0.5, 1.0, 2.0)
NEXT_TO_SMALL = (SMALL * (1 - 1e-9), SMALL * (1 + 1e-9), -SMALL * (1 - 1e-9), -SMALL * (1 + 1e-9))
FORMS = ("sine", "cosine", "sinc")


def exact(form: str, curvature: Any, r: Any) -> Any:
    """By the entire functions of `x = curvature r^2` that they are."""
    x = curvature * r * r
    root = mpmath.sqrt(x)
    sinc = mpmath.mpf(1) if x == 0 else mpmath.sin(root) / root
    return mpmath.re({"sine": r * sinc, "cosine": mpmath.cos(root), "sinc": sinc}[form])


def values(form: str, curvature: float, radii: tuple[float, ...] = RADII) -> Tensor:
    with mpmath.workdps(40):
        found = [float(exact(form, mpmath.mpf(curvature), mpmath.mpf(r))) for r in radii]
    return torch.tensor(found, dtype=torch.float64)


def slopes(form: str, curvature: float, radii: tuple[float, ...] = RADII) -> Tensor:
    """Derivatives in the curvature, by differences of 80 digits."""
    with mpmath.workdps(80):
        step = mpmath.mpf("1e-25")
        found = [
            (exact(form, curvature + step, mpmath.mpf(r)) - exact(form, curvature - step, mpmath.mpf(r))) / (2 * step)
            for r in radii
        ]
    return torch.tensor([float(one) for one in found], dtype=torch.float64)


def read(form: str, curvature: float | Tensor, r: Tensor) -> Tensor:
    return getattr(Trigonometry(curvature), form)(r)


def learned(curvature: float) -> Tensor:
    return torch.tensor(curvature, dtype=torch.float64, requires_grad=True)


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("curvature", CURVATURES)
def test_numbers_and_tensors_are_right(form: str, curvature: float) -> None:
    r, expected = torch.tensor(RADII, dtype=torch.float64), values(form, curvature)
    for given in (curvature, learned(curvature)):
        found = read(form, given, r)
        torch.testing.assert_close(found.detach(), expected, rtol=1e-15, atol=1e-15)  # cosines pass through zero


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("curvature", NEXT_TO_SMALL)
def test_series_and_functions_meet(form: str, curvature: float) -> None:
    r, one = torch.ones(1, dtype=torch.float64), learned(curvature)
    found = read(form, one, r)
    torch.testing.assert_close(found.detach(), values(form, curvature, (1.0,)), rtol=4e-16, atol=0)
    (slope,) = torch.autograd.grad(found.sum(), one)
    torch.testing.assert_close(slope, slopes(form, curvature, (1.0,))[0], rtol=1e-13, atol=0)


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("curvature", CURVATURES)
def test_derivatives_in_the_curvature_pass_through_zero(form: str, curvature: float) -> None:
    one = learned(curvature)
    each = [torch.autograd.grad(read(form, one, torch.tensor(r, dtype=torch.float64)), one)[0] for r in RADII]
    torch.testing.assert_close(torch.stack(each), slopes(form, curvature), rtol=1e-12, atol=1e-18)


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("curvature", CURVATURES)
def test_derivatives_in_the_radius(form: str, curvature: float) -> None:
    for given in (curvature, learned(curvature)):
        r = torch.tensor(RADII, dtype=torch.float64, requires_grad=True)
        (slope,) = torch.autograd.grad((read(form, given, r) + 0 * r).sum(), r)  # constants too
        with mpmath.workdps(40):
            expected = [float(mpmath.diff(lambda x: exact(form, mpmath.mpf(curvature), x), mpmath.mpf(x))) for x in RADII]
        torch.testing.assert_close(slope, torch.tensor(expected, dtype=torch.float64), rtol=1e-11, atol=1e-11)


@pytest.mark.parametrize("curvature", [*CURVATURES, *NEXT_TO_SMALL])
def test_the_arc_is_the_inverse(curvature: float) -> None:
    farthest = 0.999 * torch.pi / curvature**0.5 if curvature > 0 else 20.0
    r = torch.tensor([0.0, 1e-12, 1e-3, 0.1, 0.5, 1.0, 2.0, min(farthest, 20.0)], dtype=torch.float64)
    for given in (curvature, learned(curvature)):
        trig = Trigonometry(given)
        torch.testing.assert_close(trig.arc(trig.sine(r), trig.cosine(r)).detach(), r, rtol=4e-15, atol=0)


@pytest.mark.parametrize("curvature", [*CURVATURES, *NEXT_TO_SMALL])
def test_derivatives_of_the_arc(curvature: float) -> None:
    """`d arc = (c ds - s dc)`, and in the curvature what keeps `arc(s, c) = r` where s and c move with it."""
    one, r = learned(curvature), torch.tensor([1e-3, 0.5, 1.0], dtype=torch.float64, requires_grad=True)
    trig = Trigonometry(one)
    back = trig.arc(trig.sine(r), trig.cosine(r))
    in_curvature, in_radius = torch.autograd.grad(back.sum(), (one, r))
    torch.testing.assert_close(in_radius, torch.ones(3).double(), rtol=1e-13, atol=0)
    assert abs(in_curvature) < 1e-12


@pytest.mark.parametrize("curvature", CURVATURES)
def test_the_arc_of_zero_is_zero(curvature: float) -> None:
    for given in (curvature, learned(curvature)):
        assert Trigonometry(given).arc(torch.zeros(1).double(), torch.ones(1).double()).item() == 0
