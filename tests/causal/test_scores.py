"""Targets, counterfactuals, and all scores at once."""

import pytest
import torch

from egregium.causal import DAG, counterfactual_error, score, target_accuracy
from egregium.errors import OptionError, ShapeError, TensorError

X = torch.randn(200, 3, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
TARGETS = torch.arange(200) % 4


def test_targets_are_renamed() -> None:
    order = [2, 0, 1]  # true variable 0 is found variable 2
    names = torch.tensor([0, 3, 1, 2])
    assert target_accuracy(TARGETS, names[TARGETS], order) == 1
    assert target_accuracy(TARGETS, TARGETS, order) == 0.25  # none is none


def test_the_error_of_the_mean_is_one_and_images_count_as_they_are() -> None:
    assert counterfactual_error(X, X.mean(0).expand_as(X)) == pytest.approx(1)
    assert counterfactual_error(X.reshape(200, 1, 3), X.reshape(200, 1, 3)) == 0
    noise = torch.randn(X.shape, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    assert counterfactual_error(X, X + 0.1 * noise) == pytest.approx(0.1, rel=0.15)


def test_the_error_does_not_see_rotation_and_scale() -> None:
    guess, turn = X + 0.3 * X.tanh(), torch.linalg.qr(X[:3]).Q
    assert counterfactual_error(3 * X @ turn + 1, 3 * guess @ turn + 1) == pytest.approx(counterfactual_error(X, guess))


def test_all_scores_with_their_ceilings(pairs) -> None:
    truth = pairs(number=1500)
    order = [1, 2, 0]  # found variable k is true variable order[k]
    names = torch.tensor([0, 3, 1, 2])
    found = score(
        truth.z, truth.z[:, order].sinh(), graphs=(truth.graph, truth.graph.relabelled([2, 0, 1])),
        targets=(truth.targets, names[truth.targets]), counterfactuals=(truth.z_after, truth.z_after),
    )  # fmt: skip
    assert (found.shd, found.graph_edit_distance, found.target_accuracy, found.counterfactual_error) == (0, 0, 1, 0)
    assert found.alignment.mcc == pytest.approx(1)
    assert found.alignment.mcc == pytest.approx(found.ceiling_alignment.mcc, rel=1e-14)  # sums in another order
    assert found.dci.disentanglement == pytest.approx(found.ceiling.disentanglement, abs=0.003)
    assert repr(found).count("truth") == 8 and "structural Hamming distance         0  (truth 0)" in repr(found)


def test_what_is_not_given_is_not_scored(pairs) -> None:
    z = pairs(number=600).z
    found = score(z, z)
    assert found.shd is None and found.target_accuracy is None and "target" not in repr(found)


def test_bad_input() -> None:
    with pytest.raises(ShapeError):
        target_accuracy(TARGETS, TARGETS[:5], [0, 1, 2])
    with pytest.raises(TensorError, match="integer"):
        target_accuracy(TARGETS.double(), TARGETS, [0, 1, 2])
    with pytest.raises(TensorError, match=r"0 \.\. 2"):
        target_accuracy(TARGETS, TARGETS, [0, 1])
    with pytest.raises(OptionError, match="permutation"):
        target_accuracy(TARGETS, TARGETS, [0, 1, 1])
    with pytest.raises(ShapeError):
        counterfactual_error(X, X[:5])
    with pytest.raises(TensorError, match="vary"):
        counterfactual_error(X * 0, X)
    with pytest.raises(TensorError, match="NaN"):
        counterfactual_error(X, X.log())
    with pytest.raises(OptionError, match="pair"):
        score(X, X, graphs=DAG.chain(3))  # pyright: ignore[reportArgumentType]
