"""The search for minima on a table: every pair with as many segments as it needs, whatever its batch."""

import pytest
import torch
from tests.acceptance.landscapes import folded_decoder
from torch import Tensor

from egregium.geodesics import table_search
from egregium.geodesics.metric_table import MetricTable
from egregium.geodesics.table_search import UNRESOLVED, Curves, Pairs, searched
from egregium.spaces import Pullback

SPACE = Pullback(folded_decoder(10, 5, 1.7), dim=2)
Z0, Z1 = torch.randn(2, 12, 2, generator=torch.Generator().manual_seed(0), dtype=torch.float64)


def parts(rows: Tensor, starts: list[Tensor]) -> list[tuple[Tensor, Curves]]:
    """What is found for these pairs, with their places among all."""
    z0, z1 = Z0[rows], Z1[rows]
    pairs = Pairs(MetricTable(SPACE.immerse, 1e-3, z0), z0, z1, (z1 - z0).abs().amax(-1), 0.2 * 1e-3**0.5)
    found = searched(pairs, torch.zeros(len(rows), dtype=torch.float64), [start[rows] for start in starts])
    return [(rows[some], curves) for some, curves in found]


def test_polygons_that_are_too_coarse_are_searched_with_more_segments() -> None:
    found = parts(torch.arange(12), [])
    assert torch.cat([rows for rows, _ in found]).sort().values.tolist() == list(range(12))
    assert [curves.found.nodes.shape[1] - 1 for _, curves in found] == [16, 32]
    for rows, curves in found:
        assert (curves.length <= (1 + UNRESOLVED) * curves.found.energy.sqrt()).all()
        torch.testing.assert_close(curves.found.nodes[:, [0, -1]], torch.stack([Z0[rows], Z1[rows]], 1))


def test_lattices_may_be_searched_in_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    whole = parts(torch.arange(12), [])
    monkeypatch.setattr(table_search, "TOGETHER", 5)
    for (rows, curves), (again, same) in zip(whole, parts(torch.arange(12), []), strict=True):
        assert rows.equal(again) and curves.found.steps.equal(same.found.steps)
        torch.testing.assert_close(curves.length, same.length, rtol=1e-9, atol=0)
        torch.testing.assert_close(curves.second_best, same.second_best, rtol=1e-9, atol=0, equal_nan=True)


def test_starts_are_run_through_at_even_speed() -> None:
    pairs = Pairs(MetricTable(SPACE.immerse, 1e-3, Z0), Z0, Z1, (Z1 - Z0).abs().amax(-1), 0.01)
    line = pairs.straight
    even = pairs.even(line)
    before, after = (pairs.speed(0.5 * (z[:, 1:] + z[:, :-1]), z.diff(dim=1)) for z in (line, even))
    assert (after.std(-1) / after.mean(-1) < 0.6 * before.std(-1) / before.mean(-1)).all()
    torch.testing.assert_close(even[:, [0, -1]], line[:, [0, -1]])
    away = (even - line).flatten(0, 1)
    along = (Z1 - Z0).repeat_interleave(17, 0)
    torch.testing.assert_close(away[:, 0] * along[:, 1], away[:, 1] * along[:, 0])  # still on the line


def test_lengths_and_steps_do_not_depend_on_the_batch() -> None:
    t = torch.linspace(0, 1, 9, dtype=torch.float64)[None, :, None]
    starts = [torch.lerp(Z0[:, None], Z1[:, None], t) + 0.3 * (torch.pi * t).sin()]
    for rows, curves in parts(torch.arange(12), starts):
        for place in (0, -1):
            ((_, alone),) = parts(rows[place][None], starts)
            torch.testing.assert_close(alone.length[0], curves.length[place], rtol=1e-9, atol=0)
            assert alone.found.steps[0] == curves.found.steps[place]
