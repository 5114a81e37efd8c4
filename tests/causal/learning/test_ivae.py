"""The prior given the intervention, and what its coordinates are called."""

import torch
from torch.distributions import Normal, kl_divergence

from egregium.causal.learning import IVAE
from egregium.causal.learning.ivae import ConditionalModel, _divergences


def model() -> ConditionalModel:
    return IVAE(3, hidden=(8,)).build(4, torch.Generator().manual_seed(0)).requires_grad_(False)


def test_divergences_are_those_of_torch() -> None:
    mean, log_spread, centre, log_width = torch.randn(4, 5, 3, generator=torch.Generator().manual_seed(0))
    truth = kl_divergence(Normal(mean, log_spread.exp()), Normal(centre, log_width.exp()))
    torch.testing.assert_close(_divergences(mean, log_spread, centre, log_width), truth)


def test_interventions_belong_to_the_coordinates_that_they_change_most() -> None:
    found = model()
    found.centre[1, 2] = found.log_width[2, 0] = 1.0
    found.centre[3] = torch.tensor([0.5, 0.1, 0.5])  # 0 and 2 belong to others
    assert found.coordinates().tolist() == [0, 3, 1, 2]


def test_observations_are_encoded_as_those_before() -> None:
    found, x = model(), torch.randn(5, 4, generator=torch.Generator().manual_seed(1))
    known = torch.cat([x, torch.tensor([1.0, 0, 0, 0]).expand(5, 4)], 1)
    assert torch.equal(found.encode(x), found.encoder(known)[:, :3])
