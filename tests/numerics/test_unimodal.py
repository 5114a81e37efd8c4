"""Where densities end, integrals between there, and quantiles against those found by inverting the distribution function."""

import pytest
import torch
from torch import Tensor

from egregium.numerics.unimodal import DROP, edge, moving, panel, quantile_slope


def gaussian(r: Tensor) -> Tensor:
    return -0.5 * r**2


def test_edges() -> None:
    start, end = torch.tensor([0.0, 0.0, 5.0]).double(), torch.tensor([50.0, 3.0, 50.0]).double()
    expected = torch.tensor([(2 * DROP) ** 0.5, 3.0, (2 * DROP + 25) ** 0.5], dtype=torch.float64)
    torch.testing.assert_close(edge(gaussian, start, end), expected, rtol=1e-7, atol=0)
    torch.testing.assert_close(edge(gaussian, -start, -end, 0.5)[0], torch.tensor(-1.0).double(), rtol=1e-7, atol=0)


def test_panels() -> None:
    nodes, weights = panel(torch.zeros(2).double(), torch.tensor([(2 * DROP) ** 0.5, -1.0]).double())
    found = (weights * gaussian(nodes).exp()).sum(0)
    expected = torch.tensor([(torch.pi / 2) ** 0.5, -0.8556243918921488], dtype=torch.float64)
    torch.testing.assert_close(found, expected, rtol=1e-13, atol=0)  # nothing is lost beyond DROP


@pytest.mark.parametrize("shape", [2.0, 3.0, 40.0])
def test_quantiles_of_gamma_laws_are_known(shape: float) -> None:
    """`r = q / rate`, so that `dr / d eta = r / rate`, `eta = -rate`; tails to 1e-12 as well."""
    rate = 1.7
    r = torch.tensor([0.01, 0.3, 1.0, 3.0, 30.0, 60.0], dtype=torch.float64)
    found = quantile_slope(
        lambda s: (shape - 1) * s.log() - rate * s, lambda s: s, torch.full_like(r, shape / rate), r, 0 * r, 0 * r + 500
    )
    torch.testing.assert_close(found, r / rate, rtol=1e-11, atol=0)


def test_moving() -> None:
    parameter = torch.tensor(2.0, requires_grad=True)
    moved = moving(torch.tensor(5.0), torch.tensor(3.0), parameter)
    assert moved.item() == 5 and torch.autograd.grad(moved, parameter)[0].item() == 3
