"""The closed-form solution: exact up to order, sign, scale; equivariant; in float32; and where it must refuse."""

from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from egregium.causal import LinearOracle, linear_oracle, spearman_mcc, structural_hamming_distance, target_accuracy
from egregium.errors import ModelError, OptionError, ShapeError, TensorError

WEIGHTS = ((0.0, 0, 0, 0), (1.1, 0, 0, 0), (0, -0.8, 0, 0), (0.9, 0, 1.3, 0))


def mixing(ambient: int, n: int, seed: int = 0) -> Tensor:
    return torch.randn(ambient, n, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def solved(truth, ambient: int = 4, dtype: torch.dtype = torch.float64, **options) -> tuple[LinearOracle, Tensor, Tensor]:
    """The oracle's answer, and the observations before and after."""
    matrix = mixing(ambient, truth.z.shape[1])
    x, x_after = ((z @ matrix.T + 0.5).to(dtype) for z in (truth.z, truth.z_after))
    return linear_oracle(x, x_after, **options), x, x_after


@pytest.mark.parametrize("ambient", [4, 9])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_variables_graph_and_targets_are_found(pairs, ambient: int, dtype: torch.dtype) -> None:
    truth = pairs(WEIGHTS, 6000)
    found, _, _ = solved(truth, ambient, dtype)
    here = spearman_mcc(truth.z.to(dtype), found.latents)
    assert here.mcc > 0.9995
    assert structural_hamming_distance(truth.graph, here.graph(found.graph)) == 0
    assert target_accuracy(truth.targets, found.targets, here.permutation) > 0.9995  # tiny changes drown in rounding
    assert {found.latents.dtype, found.weights.dtype, found.directions.dtype} == {dtype}


def test_noise_is_found_exactly_and_causes_come_first(pairs) -> None:
    truth = pairs(WEIGHTS, 3000)
    found, _, _ = solved(truth)
    noise = truth.z @ (torch.eye(4, dtype=torch.float64) - truth.weights).T
    noise = noise / noise.std(0)
    cosines = (noise - noise.mean(0)).T @ (found.noise - found.noise.mean(0)) / (len(noise) - 1)
    torch.testing.assert_close(cosines.abs().amax(1), torch.ones(4, dtype=torch.float64), rtol=0, atol=1e-10)
    assert not found.weights.tril().any()
    assert torch.equal(found.weights != 0, found.graph.adjacency)


def rotated(truth, ambient: int, **options) -> LinearOracle:
    turn = 3 * torch.linalg.qr(mixing(ambient, truth.z.shape[1])).Q
    return linear_oracle(truth.z @ turn.T, truth.z_after @ turn.T, orthogonal=True, **options)


@pytest.mark.parametrize("ambient", [4, 9])
def test_weights_of_orthogonal_mixing_are_exact(pairs, ambient: int) -> None:
    """In one unit for all variables, that in which mixing is orthonormal."""
    truth = pairs(WEIGHTS, 600)
    found = rotated(truth, ambient)
    torch.testing.assert_close(found.mixing.T @ found.mixing, torch.eye(4, dtype=torch.float64))
    here = spearman_mcc(truth.z, found.latents)
    order, sign = list(here.permutation), here.correlations.gather(1, torch.tensor(here.permutation)[:, None])[:, 0].sign()
    torch.testing.assert_close(found.weights.T[order][:, order] * sign * sign[:, None], truth.weights)
    centred = truth.z - truth.z.mean(0)
    torch.testing.assert_close((found.latents - found.latents.mean(0))[:, order] * sign / 3, centred)
    assert not found.standard_errors.nan_to_num(0).any()


@pytest.mark.parametrize("weights", [((0.0, 0), (0.04, 0)), ((0.0, 0, 0), (0, 0, 0), (0.04, 1, 0))], ids=["two", "three"])
@pytest.mark.parametrize("seed", range(4))
def test_an_edge_whose_direction_samples_do_not_tell_has_no_certain_weight(pairs, weights: tuple, seed: int) -> None:
    truth = pairs(weights, 1500, seed)
    found = rotated(truth, 3)
    right = structural_hamming_distance(truth.graph, spearman_mcc(truth.z, found.latents).graph(found.graph)) == 0
    assert found.standard_errors.isinf().any() or right
    assert len(found.graph.edges) == len(truth.graph.edges)


def test_mixing_that_is_not_orthogonal_is_found_out(pairs) -> None:
    with pytest.raises(ModelError, match="orthogonal"):
        solved(pairs(WEIGHTS, 6000), orthogonal=True)


def test_weights_agree_up_to_the_scale_of_each_noise(pairs) -> None:
    truth = pairs(WEIGHTS, 6000)
    found, _, _ = solved(truth)
    here = spearman_mcc(truth.z, found.latents)
    order = list(here.permutation)
    sign = here.correlations[range(4), order].sign()
    scale = (truth.z @ (torch.eye(4, dtype=torch.float64) - truth.weights).T).std(0)
    weights, errors = (matrix[order][:, order] for matrix in (found.weights.T, found.standard_errors.T))
    expected = truth.weights * sign[:, None] * sign * scale / scale[:, None]
    assert float(((weights - expected) / errors).nan_to_num().abs().max()) < 4


def test_pairs_are_encoded_decoded_and_foretold(pairs) -> None:
    truth = pairs(WEIGHTS, 2000)
    found, x, x_after = solved(truth, 7)
    torch.testing.assert_close(found.encode(x), found.latents, rtol=0, atol=1e-9)
    torch.testing.assert_close(found.decode(found.latents), x, rtol=0, atol=1e-9)
    for target in range(4):
        some = found.targets == target + 1
        foretold = found.counterfactual(x[some], target, found.encode(x_after[some])[:, target])
        torch.testing.assert_close(foretold, x_after[some], rtol=0, atol=1e-9)


@settings(max_examples=10)
@given(st.integers(0, 10**6))
def test_linear_maps_of_observations_change_nothing(pairs, seed: int) -> None:
    truth = pairs(WEIGHTS, 300)
    here, x, x_after = solved(truth)
    turn = mixing(6, 4, seed)
    there = linear_oracle(x @ turn.T, x_after @ turn.T)
    match = spearman_mcc(here.noise, there.noise)
    assert match.mcc > 1 - 1e-9
    assert match.graph(there.graph) == here.graph and torch.equal(match.targets(there.targets), here.targets)


def test_other_laws_of_noise(pairs) -> None:
    """Least squares needs no normal law: skewed noise with mean 1."""
    truth = pairs(WEIGHTS, 8000, law=lambda u: u.exp().clamp_max(6))
    found, _, _ = solved(truth)
    here = spearman_mcc(truth.z, found.latents)
    assert here.mcc > 0.998 and here.graph(found.graph) == truth.graph


def test_noise_of_observations_is_allowed_for(pairs) -> None:
    truth = pairs(WEIGHTS, 4000)
    _, x, x_after = solved(truth)
    generator = torch.Generator().manual_seed(1)
    noisy = [one + 1e-5 * torch.randn(one.shape, generator=generator, dtype=one.dtype) for one in (x, x_after)]
    with pytest.raises(ModelError, match="rtol"):
        linear_oracle(*noisy)
    found = linear_oracle(*noisy, rtol=1e-4)
    assert found.n == 4 and spearman_mcc(truth.z, found.latents).graph(found.graph) == truth.graph


@pytest.mark.parametrize("bend", [1e-3, 1.0])
def test_nonlinear_mixing_is_refused(pairs, bend: float) -> None:
    truth = pairs(WEIGHTS, 1000)
    x, x_after = (z + bend * z.tanh() for z in (truth.z @ mixing(4, 4).T, truth.z_after @ mixing(4, 4).T))
    with pytest.raises(ModelError, match="mixing is not linear"):
        linear_oracle(x, x_after)


def test_a_variable_that_is_no_target_is_missed_in_words(pairs) -> None:
    truth = pairs(WEIGHTS, 1000)
    kept = truth.targets != 2
    with pytest.raises(ModelError, match="never intervened on"):
        linear_oracle(truth.z[kept], truth.z_after[kept])


def test_interventions_on_two_variables_at_once_are_refused(pairs) -> None:
    truth = pairs(WEIGHTS, 1000)
    other = torch.randn(1000, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    with pytest.raises(ModelError, match="several variables"):
        linear_oracle(truth.z, torch.cat([truth.z_after[:, :3], other[:, None]], 1))


def test_too_few_pairs_of_a_target(pairs) -> None:
    truth = pairs(WEIGHTS, 1000)
    kept = (truth.targets != 2) | ((truth.targets == 2).cumsum(0) <= 4)
    with pytest.raises(TensorError, match="at least 6 pairs; one is that of 4"):
        linear_oracle(truth.z[kept], truth.z_after[kept])


def test_bad_input(pairs) -> None:
    truth = pairs(WEIGHTS, 100)
    with pytest.raises(ShapeError, match="equal shapes"):
        linear_oracle(truth.z, truth.z_after[:50])
    with pytest.raises(TensorError, match="NaN"):
        linear_oracle(truth.z, truth.z_after * torch.nan)
    with pytest.raises(ShapeError, match=r"\(N, n\)"):
        linear_oracle(truth.z[0], truth.z_after[0])
    wrong: list[dict[str, Any]] = [{"n": 0}, {"threshold": 0.0}, {"threshold": torch.nan}, {"rtol": 2.0}]
    for options in wrong:
        with pytest.raises(OptionError):
            linear_oracle(truth.z, truth.z_after, **options)


def test_bad_input_of_the_result(pairs) -> None:
    found, x, _ = solved(pairs(WEIGHTS, 200))
    with pytest.raises(ShapeError):
        found.encode(x[:, :3])
    with pytest.raises(ShapeError):
        found.decode(x[:, :3])
    with pytest.raises(OptionError, match="0 to 3"):
        found.counterfactual(x, 4, x[:, 0])
    with pytest.raises(ShapeError, match="value"):
        found.counterfactual(x, 0, x[:5, 0])
