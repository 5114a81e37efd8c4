"""Paths that cancel are found; models whose paths do not are left alone."""

import torch

from egregium.causal import DAG, SCM, AdditiveNoise, Linear, unfaithful


def test_paths_that_cancel_are_reported() -> None:
    weights = torch.zeros(4, 4)
    weights[0, 1], weights[0, 2], weights[1, 3], weights[2, 3] = 2.0, 1.0, 0.5, -1.0
    found = unfaithful(SCM.linear(weights))
    assert [(one.i, one.j, one.given) for one in found] == [(0, 3, ())] and found[0].correlation < 0.03


def test_paths_that_do_not_are_not() -> None:
    for seed in range(3):
        generator = torch.Generator().manual_seed(seed)
        weights = (1 + 0.3 * torch.rand(4, 4, generator=generator)) * DAG.random(4, generator=generator).adjacency
        assert not unfaithful(SCM.linear(weights))


def test_dependence_without_correlation_is_seen() -> None:
    assert not unfaithful(SCM(DAG.chain(2), [Linear(), AdditiveNoise(lambda p: p[:, 0] ** 2)]))
