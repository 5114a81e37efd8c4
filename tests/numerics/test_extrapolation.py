"""Richardson's limit of schemes whose error is even in the step."""

import pytest
import torch
from torch import Tensor

from egregium.numerics.extrapolation import limit


def trapezoid(n: int) -> Tensor:
    t = torch.linspace(0, 1, n + 1, dtype=torch.float64)
    values = torch.stack([t.exp(), (5 * t).sin()])
    return torch.trapezoid(values, t, dim=1)[:, None]


@pytest.mark.parametrize("rtol", [1e-3, 1e-6, 1e-12])
def test_integrals_by_the_trapezoidal_rule(rtol: float) -> None:
    exact = torch.tensor([[torch.e - 1], [(1 - torch.tensor(5.0).double().cos()) / 5]], dtype=torch.float64)
    found, error = limit(trapezoid, 4, rtol, 4096)
    assert (error <= rtol).all()
    assert ((found - exact).abs() / exact).max() <= max(rtol, 1e-14)


def test_it_stops_at_the_finest_level_and_says_how_far_it_got() -> None:
    _, error = limit(trapezoid, 4, 1e-15, 8)
    assert (error > 1e-15).all() and error.isfinite().all()
    assert limit(trapezoid, 4, 1e-3, 4)[1].isinf().all()
