"""`fit_best`: the training with the least objective, each of which goes on where it was."""

import pytest
import torch

from egregium.causal.learning import BetaVAE, Learned, fit_best
from egregium.causal.learning import starts as module
from egregium.errors import ModelError, OptionError


def test_the_least_objective_wins(small, tmp_path) -> None:
    method = small.method(BetaVAE)
    found = fit_best(method, small.x, small.x_after, starts=3, seed=4, out=tmp_path, progress=False)
    each = [small.fit(BetaVAE, seed=seed, out=tmp_path / f"seed-{seed}") for seed in (4, 5, 6)]
    least = min(each, key=module.last_objective)
    assert found.seed == least.seed and torch.equal(found.encode(small.x), least.encode(small.x))
    assert len({module.last_objective(one) for one in each}) == 3


def test_finished_starts_are_read(small, tmp_path, monkeypatch) -> None:
    first = small.fit(BetaVAE, out=tmp_path / "seed-0")
    monkeypatch.setattr("egregium.causal.learning.training._Training", None)
    again = fit_best(small.method(BetaVAE), small.x, small.x_after, starts=1, out=tmp_path, progress=False)
    assert torch.equal(again.encode(small.x), first.encode(small.x))


def test_starts_that_fail_are_left_out(small, monkeypatch) -> None:
    def fails(*arguments: object, seed: int, **options: object) -> Learned:
        if seed != 1:
            raise ModelError(f"seed {seed} failed")
        return small.fit(BetaVAE, seed=seed)

    monkeypatch.setattr(module, "fit", fails)
    pairs = small.method(BetaVAE), small.x, small.x_after
    assert fit_best(*pairs, starts=2).seed == 1
    with pytest.raises(ModelError, match="seed 3"):
        fit_best(*pairs, starts=2, seed=2)


@pytest.mark.parametrize("starts", [0, 1.5, True])
def test_bad_starts(small, starts) -> None:
    with pytest.raises(OptionError, match="starts"):
        fit_best(small.method(BetaVAE), small.x, small.x_after, starts=starts)
