"""Paths that cancel are found; models whose paths do not are left alone."""

import pytest
import torch

from egregium.causal import DAG, SCM, AdditiveNoise, Do, Linear, unfaithful
from egregium.errors import OptionError


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


def test_variables_that_were_set_are_left_out() -> None:
    fork = SCM.linear(torch.tensor([[0.0, 2, 1], [0, 0, 0], [0, 0, 0]]))
    assert not unfaithful(fork.intervene(Do({0: 1.0}))) and not unfaithful(fork.intervene(Do({1: 1.0})))


@pytest.mark.parametrize("options", [{"number": 0}, {"number": 20}, {"largest": -1}], ids=str)
def test_too_few_draws_are_refused(options: dict[str, int]) -> None:
    with pytest.raises(OptionError, match="number >= 100 draws"):
        unfaithful(SCM.linear(torch.zeros(2, 2)), **options)
