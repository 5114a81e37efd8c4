"""Rank correlation after assignment: blind to what cannot be identified, and to nothing else."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from egregium.causal import DAG, spearman_mcc
from egregium.errors import OptionError, ShapeError, TensorError

Z = torch.randn(400, 4, generator=torch.Generator().manual_seed(0), dtype=torch.float64)


@settings(max_examples=10)
@given(st.permutations(range(4)))
def test_permutations_and_monotone_maps_change_nothing(order: list[int]) -> None:
    maps = torch.stack([Z[:, 0].exp(), -Z[:, 1].sinh(), Z[:, 2] ** 3, 2 - Z[:, 3]], 1)
    found = spearman_mcc(Z, maps[:, order])
    assert found.mcc == pytest.approx(1, abs=1e-12)
    assert [order[k] for k in found.permutation] == [0, 1, 2, 3]
    torch.testing.assert_close(found.latents(maps[:, order]), maps)


def test_a_rotation_lowers_it() -> None:
    turn = torch.linalg.qr(Z[:4]).Q
    assert spearman_mcc(Z, Z @ turn).mcc < 0.9


def test_pearson_would_rank_a_perfect_solution_below_a_mixed_one() -> None:
    perfect, mixed = (2 * Z).sinh(), Z @ (torch.eye(4) + 0.25).double()
    pearson = [torch.corrcoef(torch.cat([Z, one], 1).T)[:4, 4:].diagonal().mean() for one in (perfect, mixed)]
    assert pearson[0] < pearson[1]
    assert spearman_mcc(Z, perfect).mcc > spearman_mcc(Z, mixed).mcc


def test_graphs_and_targets_follow() -> None:
    order = [2, 0, 3, 1]
    found = spearman_mcc(Z, Z[:, order])  # found variable k is true variable order[k]
    graph = DAG([(), (0,), (0, 1), (2,)])
    assert found.graph(graph).edges == graph.relabelled(order).edges
    assert found.targets(torch.tensor([0, 1, 2, 3, 4])).tolist() == [0, 3, 1, 4, 2]


def test_the_assignment_is_the_best_one() -> None:
    """Greedily by columns it would be worse: both true variables are most like the first found one."""
    z = torch.stack([Z[:, 0], Z[:, 0] + Z[:, 1]], 1)
    found = torch.stack([Z[:, 0] + 0.1 * Z[:, 1], Z[:, 0] - 0.8 * Z[:, 1]], 1)
    best = spearman_mcc(z, found)
    size = best.correlations.abs()
    both = [(size[0, 0] + size[1, 1]) / 2, (size[0, 1] + size[1, 0]) / 2]
    assert best.mcc == pytest.approx(float(max(both)))


def test_bad_input() -> None:
    with pytest.raises(ShapeError, match="equal shapes"):
        spearman_mcc(Z, Z[:, :3])
    with pytest.raises(ShapeError, match=r"\(N, n\)"):
        spearman_mcc(Z[:, 0], Z[:, 0])
    with pytest.raises(TensorError, match="NaN"):
        spearman_mcc(Z, Z.log())
    with pytest.raises(TensorError, match="at least 10 rows"):
        spearman_mcc(Z[:9], Z[:9])
    with pytest.raises(TensorError, match=r"constant ones at \[0, 2\]"):
        spearman_mcc(Z, torch.stack([Z[:, 0] * 0, Z[:, 1], Z[:, 0] * 0, Z[:, 3]], 1))
    with pytest.raises(TensorError, match="integer"):
        spearman_mcc(Z, Z).targets(torch.zeros(3))
    with pytest.raises(TensorError, match=r"0 \.\. 4"):
        spearman_mcc(Z, Z).targets(torch.tensor([5]))
    with pytest.raises(OptionError, match="permutation"):
        spearman_mcc(Z, Z).graph(DAG.chain(3))
