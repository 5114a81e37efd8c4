"""Targets from the posteriors of a pair."""

import torch
from torch.distributions import Normal

from egregium.causal.learning.autoencoder import divergence, likeliest_targets


def test_the_coordinate_that_moved_is_the_target() -> None:
    before, after = torch.tensor([[0.0, 0, 0], [1, 1, 1], [0, 0, 0]]), torch.tensor([[0.0, 2, 0], [1, 1, 1], [1, 0, -1.5]])
    narrow = torch.full((3, 3), 0.1)
    assert likeliest_targets((before, narrow), (after, narrow)).tolist() == [2, 0, 3]
    wide = torch.ones(3, 3)
    assert likeliest_targets((before, wide), (after, wide)).tolist() == [0, 0, 0]  # they tell nothing


def test_the_factor_is_the_integral() -> None:
    """The target changes sides where the integral, by quadrature, crosses 1."""
    z = torch.linspace(-12, 12, 40_001, dtype=torch.float64)
    first, prior = Normal(0.3, 0.4), Normal(0.0, 1.0)
    for mean in torch.linspace(-2, 2, 41, dtype=torch.float64):
        second = Normal(mean, 0.7)
        integral = torch.trapezoid((first.log_prob(z) + second.log_prob(z) - prior.log_prob(z)).exp(), z)
        pair = [(one.loc.reshape(1, 1), one.scale.reshape(1, 1)) for one in (first, second)]
        assert int(likeliest_targets(*pair)) == int(integral < 1)


def test_divergence_is_that_of_torch() -> None:
    mean, spread = torch.randn(2, 5, 3, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    truth = torch.distributions.kl_divergence(Normal(mean, spread.exp()), Normal(0.0, 1.0)).sum(-1)
    torch.testing.assert_close(divergence(mean, spread.exp()), truth)
