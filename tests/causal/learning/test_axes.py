"""Axes and lines that are known beforehand are found."""

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from egregium.causal.learning.axes import (
    AxisFields,
    bends,
    constant_axes,
    principal_axes,
    regressed,
    squared_cosines,
    still_coordinates,
)

LINES, WIDTH = 6, 8


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


@pytest.fixture
def lines() -> Tensor:
    """Unit directions `(LINES, WIDTH)`, not orthogonal."""
    return F.normalize(torch.randn(LINES, WIDTH, generator=generator()) + 0.5, dim=1)


def moves(lines: Tensor, noise: float) -> tuple[Tensor, Tensor]:
    kind = torch.randint(len(lines), (3000,), generator=generator(1))
    length = torch.randn(3000, 1, generator=generator(2))
    return length * lines[kind] + noise * torch.randn(3000, lines.shape[1], generator=generator(3)), kind


@pytest.mark.parametrize("noise", [0.0, 0.05])
@pytest.mark.parametrize("seed", range(3))
def test_lines_are_found_without_names(lines: Tensor, noise: float, seed: int) -> None:
    move, _ = moves(lines, noise)
    length = torch.linalg.vector_norm(move, dim=1)
    found = constant_axes(F.normalize(move, dim=1), length, LINES, generator(seed))
    likeness = (found @ lines.T).abs()
    assert sorted(likeness.argmax(0).tolist()) == list(range(LINES))
    assert bool((likeness.amax(0) > (1 - 1e-6 if noise == 0 else 0.99)).all())


def test_axes_of_kinds_that_are_named(lines: Tensor) -> None:
    move, kind = moves(lines, 0.0)
    axes = principal_axes(F.normalize(move, dim=1), kind, LINES)
    torch.testing.assert_close((axes * lines).sum(1).abs(), torch.ones(LINES))
    assert not principal_axes(F.normalize(move, dim=1), kind, LINES + 1)[-1].any()


def test_a_line_is_not_bent_and_all_directions_of_a_plane_are() -> None:
    angle = torch.rand(4000, generator=generator()) * 6.2832
    around = torch.stack([angle.cos(), angle.sin()], 1)
    along = torch.tensor([[0.6, 0.8]]).expand(4000, 2)
    kind = torch.arange(2).repeat_interleave(4000)
    found = bends(torch.cat([along, around]), kind, 2)
    torch.testing.assert_close(found, torch.tensor([0.0, 0.5]), atol=0.02, rtol=0)


def test_still_coordinates_rest_on_all_other_lines(lines: Tensor) -> None:
    move, kind = moves(lines, 0.0)
    moved = lines @ still_coordinates(move, kind, LINES)  # (line, form)
    own = moved.diagonal().abs()
    assert bool(((moved - moved.diag().diag()).abs().amax(0) < 1e-3 * own).all())


def test_the_nearest_affine_map() -> None:
    u, matrix, offset = (torch.randn(shape, generator=generator(s)) for s, shape in enumerate([(50, 3), (3, 5), (5,)]))
    found = regressed(u @ matrix + offset, u)
    torch.testing.assert_close(found, (matrix, offset), atol=1e-5, rtol=1e-5)


def test_fields_are_unit_axes_that_start_near_constant_ones(lines: Tensor) -> None:
    fields, x = AxisFields(lines, generator()), 0.1 * torch.randn(40, WIDTH, generator=generator(1))
    axes = fields(x)
    torch.testing.assert_close(torch.linalg.vector_norm(axes, dim=-1), torch.ones(40, LINES))
    assert bool(((axes * lines).sum(-1) > 0.9).all())
    for i in range(LINES):
        torch.testing.assert_close(squared_cosines(axes, lines[i].expand(40, -1))[:, i], (axes[:, i] @ lines[i]).square())
