"""The half-plane in Euclidean space: its metric, curvature and distance, at every scale."""

import mpmath
import pytest
import torch

from egregium.geodesics import connect
from egregium.relations import curvature
from egregium.spaces import Pullback
from egregium.spaces.half_plane import NUMBERS, SPACING, distance, immersed

SPACE = Pullback(lambda z: immersed(z[:, 0], z[:, 1]), dim=2)


def points(n: int, log_scale: float) -> torch.Tensor:
    generator = torch.Generator().manual_seed(0)
    t = log_scale * (2 * torch.rand(n, generator=generator, dtype=torch.float64) - 1)
    return torch.stack([t.exp() * torch.randn(n, generator=generator, dtype=torch.float64), t], -1)


def test_the_metric_at_every_scale() -> None:
    """Over 26 decades of the scale; the Gaussian sums are right to 5e-12."""
    z = points(300, 30.0)
    block = SPACE.jacobian(z)
    block[..., 0] *= z[:, 1].exp()[:, None]
    unit = block.mT @ block - torch.diag(torch.tensor([1.0, 2.0])).double()
    assert block.shape[1] == NUMBERS and unit.abs().max() <= 1e-11


def test_the_curvature_is_minus_one_half_and_bends_alike_everywhere() -> None:
    z = points(50, 8.0)
    assert (0.5 * curvature.scalar(SPACE, z) + 0.5).abs().max() <= 1e-10
    bend = curvature.mean_curvature(SPACE, z).norm(dim=-1)
    assert (bend / bend[0] - 1).abs().max() <= 1e-9


def test_no_jump_where_a_place_changes_its_level() -> None:
    """Where the terms in use change, they are below rounding."""
    t = SPACING * (torch.arange(-3, 3, dtype=torch.float64) + 0.5)
    before, after = (immersed(torch.ones_like(t), t + side * 1e-15) for side in (-1, 1))
    assert (after - before).abs().max() <= 1e-14


def test_single_precision() -> None:
    z0, z1 = (points(20, 5.0)[k::2].float() for k in range(2))
    g, truth = connect(SPACE, z0, z1, rtol=1e-4), distance(*z0.unbind(-1), *z1.unbind(-1))
    assert g.length.dtype == torch.float32 and (g.length / truth - 1).abs().max() <= 1e-4


@pytest.mark.parametrize("rtol", [1e-3, 1e-8])
def test_geodesics(rtol: float) -> None:
    z0 = torch.tensor([[0.0, 0.0], [1.0, -3.0], [0.0, 0.0], [2.0, 5.0]], dtype=torch.float64)
    z1 = torch.tensor([[0.5, 0.2], [1.2, -2.0], [4.0, 1.0], [2.0, 3.0]], dtype=torch.float64)
    g, truth = connect(SPACE, z0, z1, rtol=rtol), distance(*z0.unbind(-1), *z1.unbind(-1))
    assert (g.length / truth - 1).abs().max() <= rtol
    assert (g.upper >= truth).all() and (g.lower <= truth).all()


@pytest.mark.parametrize("shift", [0.0, 1e-9, 0.3, 1e4])
@pytest.mark.parametrize("stretch", [1e-9, 0.7, 30.0, -30.0])
def test_distance_to_full_precision(shift: float, stretch: float) -> None:
    with mpmath.workdps(60):
        apart = mpmath.mpf(shift) ** 2 / (8 * mpmath.exp(mpmath.mpf(stretch)))
        truth = float(2 * mpmath.sqrt(2) * mpmath.asinh(mpmath.sqrt(apart + mpmath.sinh(mpmath.mpf(stretch) / 2) ** 2)))
    zero = torch.zeros(1, dtype=torch.float64)
    found = distance(zero, zero, zero + shift, zero + stretch)
    assert found.item() == pytest.approx(truth, rel=2e-15)
