"""Weights from interventions: the law of the estimates, cancelling paths, and derivatives of the likelihood."""

import pytest
import torch
from torch.autograd.functional import hessian, jacobian

from egregium.causal import DAG
from egregium.causal.linear_mechanisms import Likelihood, Moments, fit_mechanisms, total_effects

DIAMOND = ((0.0, 0, 0, 0), (1, 0, 0, 0), (-0.7, 0, 0, 0), (0, 1.4, 0.9, 0))


def moments(found) -> Moments:
    """Of pairs whose noises are known."""
    encoder = torch.eye(len(found.weights), dtype=torch.float64) - found.weights
    before, after = found.z @ encoder.T, found.z_after @ encoder.T
    target = found.targets - 1
    return Moments.from_pairs(before, after.gather(1, target.clamp_min(0)[:, None])[:, 0], target)


def test_graph_and_weights_are_found(pairs) -> None:
    truth = pairs(DIAMOND, 8000)
    found = fit_mechanisms(moments(truth), 4.0)
    assert found.graph == truth.graph
    edges = truth.weights != 0
    assert float(((found.weights - truth.weights) / found.standard_errors)[edges].abs().max()) < 3.5
    assert not found.weights[~edges].any()


def test_standard_errors_are_those_of_the_estimates(pairs) -> None:
    """Over 40 data sets the deviations in standard errors have variance 1: 160 squares, so to 0.11 (1 standard error)."""
    edges, deviations = torch.tensor(DIAMOND) != 0, []
    for seed in range(40):
        truth = pairs(DIAMOND, 2000, seed)
        found = fit_mechanisms(moments(truth), 4.0)
        deviations.append(((found.weights - truth.weights) / found.standard_errors)[edges])
    assert float(torch.cat(deviations).square().mean()) == pytest.approx(1, abs=0.33)


def test_absent_edges_are_taken_for_edges_as_rarely_as_the_threshold_says(pairs) -> None:
    """At 2 standard errors, 5 % of those absent: of 200 pairs in order some 9, and 2 to 24 but for 1 time in 100."""
    empty = torch.zeros(5, 5)
    found = [fit_mechanisms(moments(pairs(empty, 1200, seed)), 2.0) for seed in range(20)]
    assert 2 <= sum(len(one.graph.edges) for one in found) <= 24


def test_cancelling_paths_hide_no_edge(pairs) -> None:
    """0 -> 1 -> 2 and 0 -> 2 cancel: 0 has no total effect on 2, which depends on it."""
    truth = pairs(((0, 0, 0), (1, 0, 0), (-0.9, 0.9, 0)), 8000)
    assert float(total_effects(truth.weights)[2, 0].abs()) < 1e-12
    assert fit_mechanisms(moments(truth), 4.0).graph == truth.graph


def test_numbering_does_not_matter(pairs) -> None:
    truth = pairs(DIAMOND, 8000)
    m, order = moments(truth), [2, 0, 3, 1]
    other = Moments(m.gram[order][:, order][:, :, order], m.cross[order][:, order], m.square[order], m.pairs[order])
    here, there = fit_mechanisms(m, 4.0), fit_mechanisms(other, 4.0)
    torch.testing.assert_close(there.weights, here.weights[order][:, order], rtol=1e-9, atol=1e-9)


def test_one_value_as_law_of_interventions_is_fitted(pairs) -> None:
    truth = pairs(DIAMOND, 4000)
    encoder = torch.eye(4, dtype=torch.float64) - truth.weights
    noise, target = truth.z @ encoder.T, truth.targets - 1
    after = 2.5 - ((total_effects(truth.weights) - torch.eye(4)) @ noise.T).T.gather(1, target.clamp_min(0)[:, None])[:, 0]
    found = fit_mechanisms(Moments.from_pairs(noise, after, target), 4.0)
    torch.testing.assert_close(found.weights, truth.weights, rtol=0, atol=1e-5)
    assert found.graph == truth.graph


def test_gradient_and_information_are_those_of_the_loss(pairs) -> None:
    likelihood = Likelihood.saturated(moments(pairs(DIAMOND, 3000)))
    start = torch.tensor(DIAMOND, dtype=torch.float64) * 1.1
    gradient, information = likelihood.slope(start)
    slope = jacobian(likelihood.loss, start)
    torch.testing.assert_close(gradient.reshape(4, 4), -slope, rtol=1e-9, atol=1e-6)
    at_best = likelihood.refined(start, [(1, 0), (2, 0), (3, 1), (3, 2)])
    curved = torch.as_tensor(hessian(likelihood.loss, at_best)).reshape(16, 16)
    at = torch.tensor([4, 8, 13, 14])
    information = likelihood.slope(at_best)[1]
    assert float((curved - information)[at][:, at].norm() / information[at][:, at].norm()) < 0.05  # residuals of mean 0


def test_no_edges_and_one_variable(pairs) -> None:
    found = fit_mechanisms(moments(pairs([[0.0]], 40)), 4.0)
    assert found.graph == DAG.empty(1) and bool(found.standard_errors.isnan().all())
