"""Which coordinates a pair shares, and what becomes of their posteriors."""

import torch
from torch.distributions import Normal, kl_divergence

from egregium.causal.learning.ada_gvae import _divergences, shared


def test_divergences_are_those_of_torch() -> None:
    mean, spread = torch.randn(2, 2, 5, 3, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    spread = spread.exp()
    truth = kl_divergence(Normal(mean[0], spread[0]), Normal(mean[1], spread[1]))
    torch.testing.assert_close(_divergences(mean, spread.square()), truth)


def test_coordinates_below_the_middle_get_one_posterior() -> None:
    """Divergences 50, 0 and 2 of widths 1, and the middle 25: the first stays, the others take the means of both."""
    mean = torch.tensor([[0.0, 1, 0], [10, 1, 2]])
    found, spread = shared(mean, torch.ones(2, 3))
    assert found.tolist() == [[0, 1, 1], [10, 1, 1]]
    assert torch.equal(spread, torch.ones(2, 3))


def test_variances_are_averaged_and_equal_pairs_are_left() -> None:
    mean, spread = torch.tensor([[0.0, 0], [0, 9]]), torch.tensor([[1.0, 1], [2, 1]])
    torch.testing.assert_close(shared(mean, spread)[1], torch.tensor([[2.5**0.5, 1], [2.5**0.5, 1]]))
    same = mean[:1].expand(2, 2), spread[:1].expand(2, 2)
    for here, there in zip(shared(*same), same, strict=True):
        assert torch.equal(here, there)
