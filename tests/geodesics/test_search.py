"""Which minimum is found: where more starts are tried, and that they find shorter curves."""

import pytest
import torch
from torch import Tensor

from egregium.geodesics import connect, solvers
from egregium.spaces import Pullback
from egregium.testing.twins import random_decoder


def walk(seed: int, d: int, ambient: int, row: int) -> tuple[Pullback, Tensor, Tensor]:
    """A random decoder and two successive points of a random walk."""
    points = torch.randn(102, d, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    return Pullback(random_decoder(d, ambient, seed), dim=d), points[row], points[row + 1]


def triple(seed: int, pair: int) -> tuple[Pullback, Tensor, Tensor]:
    """A folded decoder of five axes and two standard normal points."""
    corner, first, second = torch.randn(3, 10, 5, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    end = torch.cat([first, second])[pair]
    return Pullback(random_decoder(5, 10, seed), dim=5), corner[pair % 10], end


def test_tight_tolerances_look_for_shorter_ways_on_folded_decoders() -> None:
    space, z0, z1 = triple(2, 17)
    rough, tight = connect(space, z0, z1), connect(space, z0, z1, rtol=9e-5)
    assert tight.length < 0.95 * rough.length
    assert tight.second_best > tight.length


def test_a_soft_minimum_is_tried_again_from_every_start() -> None:
    """One start leads to a polygon that is a minimum up to 64 segments and none from 128 on."""
    space, z0, z1 = walk(55, 5, 20, 99)
    g = connect(space, z0, z1)
    again = connect(space, z0, z1, rtol=1e-5, starts=g)
    torch.testing.assert_close(g.length, again.length, rtol=1e-3, atol=0)


def test_a_solver_with_segments_of_its_own_keeps_to_them() -> None:
    space, z0, z1 = triple(2, 17)
    g = connect(space, z0, z1, rtol=9e-5, solver=solvers.GaussNewton(segments=(8, 16)), on_fail="mark")
    assert g.segments.item() in (8, 16)


@pytest.mark.parametrize("rtol", [1e-3, 1e-5])
def test_curves_of_one_dimension_have_no_other_way(rtol: float) -> None:
    space = Pullback(lambda z: torch.cat([z.cos(), z.sin(), 0.3 * (9 * z).sin()], -1), dim=1)
    g = connect(space, torch.zeros(1).double(), torch.tensor([2.0]).double(), rtol=rtol)
    t = torch.linspace(0, 2, 100_001, dtype=torch.float64)
    length = torch.trapezoid((1 + (2.7 * (9 * t).cos()) ** 2).sqrt(), t)
    torch.testing.assert_close(g.length, length, rtol=rtol, atol=0)
