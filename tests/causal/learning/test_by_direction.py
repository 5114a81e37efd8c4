"""Targets are told by how observations move, bent or not, and left open where noise could have made the move."""

import pytest
import torch
from scipy.optimize import linear_sum_assignment
from torch import Tensor

from egregium.causal import find_targets
from egregium.causal.learning.by_direction import OPEN, _ranks, targets_by_direction
from egregium.errors import OptionError, ShapeError, TensorError

N, PAIRS, WIDTH = 3, 4000, 6


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def observed(bend: float, noise: float = 0.0) -> tuple[Tensor, Tensor, Tensor]:
    """Pairs and targets; of noises into WIDTH numbers, by a linear map and waves of a size."""
    targets = torch.randint(N + 1, (PAIRS,), generator=generator(1))
    e, fresh = torch.randn(2, PAIRS, N, generator=generator(2))
    e_after = torch.where(targets[:, None] == torch.arange(1, N + 1), fresh, e)
    straight, inner, outer = (torch.randn(shape, generator=generator(3)) for shape in ((N, WIDTH), (N, WIDTH), (WIDTH, WIDTH)))
    x, y = (one @ straight + bend * torch.sin(one @ inner) @ outer for one in (e, e_after))
    jitter = noise * torch.randn(2, PAIRS, WIDTH, generator=generator(4))
    return x + jitter[0], y + jitter[1], targets


def agreement(found: Tensor, targets: Tensor) -> float:
    """Share of right ones among those told, under the best naming of variables."""
    told = found > 0
    counts = torch.stack(
        [torch.stack([((found == i) & (targets == j)).sum() for j in range(1, N + 1)]) for i in range(1, N + 1)]
    )
    i, j = linear_sum_assignment(-counts.numpy())
    return float(counts[i, j].sum() / told.sum())


@pytest.mark.parametrize(("bend", "least"), [(0.0, 1.0), (0.3, 0.98)])
def test_all_targets_are_told_where_there_is_no_noise(bend: float, least: float) -> None:
    x, y, targets = observed(bend)
    found = targets_by_direction(x, y, N, generator(), steps=300)
    assert torch.equal(found == 0, targets == 0)
    assert float((found == OPEN).double().mean()) < 0.02
    assert agreement(found, targets) >= least


def test_moves_that_noise_could_make_are_left_open() -> None:
    x, y, targets = observed(0.0, noise=0.05)
    found = targets_by_direction(x, y, N, generator(), steps=300)
    assert bool((found[targets == 0] == OPEN).double().mean() > 0.95) and not (found == 0).any()
    assert float((found > 0).double().mean()) > 0.6
    assert agreement(found, targets) > 0.98


def test_equal_generators_tell_equal_targets() -> None:
    x, y, _ = observed(0.3)
    first, again = (targets_by_direction(x, y, N, generator(7), steps=20) for _ in range(2))
    assert torch.equal(first, again)


@pytest.mark.parametrize("rows", [1, 50])
def test_nothing_is_told_of_few_moves(rows: int) -> None:
    x, y, targets = observed(0.0)
    found = targets_by_direction(x[:rows], y[:rows], N, generator())
    assert torch.equal(found, torch.where(targets[:rows] == 0, 0, OPEN))


def test_nothing_moves() -> None:
    x, _, _ = observed(0.0)
    assert not targets_by_direction(x, x, N, generator()).any()


def test_ranks_are_those_within_a_kind() -> None:
    ranks = _ranks(torch.tensor([3.0, 1.0, 2.0, 9.0, 8.0]), torch.tensor([0, 0, 0, 2, 2]), 3)
    torch.testing.assert_close(ranks, torch.tensor([2 / 3, 0, 1 / 3, 0.5, 0]))


def test_targets_of_raw_observations() -> None:
    """Pictures of any shape, far from zero and of any scale; equal calls, equal targets; nothing global changes."""
    x, y, targets = observed(0.3)
    far, near = (1e4 + 100 * one.double().unflatten(1, (2, 3)) for one in (x, y))
    before = torch.get_rng_state()
    found = find_targets(far, near, N, steps=300)
    assert torch.equal(before, torch.get_rng_state())
    assert agreement(found, targets) > 0.98 and (found == 0).equal((x == y).all(1))
    assert torch.equal(found, find_targets(far, near, N, steps=300))


@pytest.mark.parametrize(
    ("n", "options", "error"),
    [(0, {}, OptionError), (7, {}, OptionError), (2, {"steps": 0}, OptionError), (2, {"components": 1}, OptionError)],
)
def test_bad_options(n: int, options: dict, error: type[Exception]) -> None:
    x, y, _ = observed(0.0)
    with pytest.raises(error):
        find_targets(x, y, n, **options)
    with pytest.raises(TensorError, match="NaN"):
        find_targets(x, y * torch.nan, 2)
    with pytest.raises(ShapeError, match="equal shapes"):
        find_targets(x, y[:-1], 2)
