"""The mixture of posteriors: against torch's, its density on the manifold, and what it refuses."""

from dataclasses import dataclass

import pytest
import torch
from torch.distributions import Categorical, Independent, MixtureSameFamily, Normal

from egregium.distributions import AggregatePosterior
from egregium.errors import OptionError, ShapeError, TensorError
from egregium.protocols import LatentDensity
from egregium.relations import log_density
from egregium.spaces import Pullback
from egregium.testing.twins import Diffeomorphism, random_decoder, twin

GENERATOR = torch.Generator().manual_seed(0)
MEANS = torch.randn(40, 3, generator=GENERATOR, dtype=torch.float64)
SCALES = 0.1 + torch.rand(40, 3, generator=GENERATOR, dtype=torch.float64)
Z = torch.randn(5, 4, 3, generator=GENERATOR, dtype=torch.float64)
Q = AggregatePosterior(MEANS, SCALES)


def test_it_is_the_mixture() -> None:
    torch_s = MixtureSameFamily(Categorical(torch.ones(40).double()), Independent(Normal(MEANS, SCALES), 1))
    torch.testing.assert_close(Q.log_prob(Z), torch_s.log_prob(Z), rtol=1e-12, atol=1e-12)
    torch.testing.assert_close(AggregatePosterior(MEANS, torch.diag_embed(SCALES)).log_prob(Z), Q.log_prob(Z))
    assert isinstance(Q, LatentDensity) and Q.event_shape == (3,) and "N = 40" in repr(Q)


def test_pieces_make_no_difference(monkeypatch: pytest.MonkeyPatch) -> None:
    whole = Q.log_prob(Z)
    monkeypatch.setattr(
        "egregium.distributions.aggregate.row_chunks", lambda rows, floats: [slice(k, k + 3) for k in range(0, rows, 3)]
    )
    torch.testing.assert_close(Q.log_prob(Z), whole, rtol=1e-14, atol=1e-14)


@pytest.mark.parametrize("scales", [SCALES, torch.diag_embed(SCALES)])
def test_samples_have_its_moments(scales: torch.Tensor) -> None:
    torch.manual_seed(0)
    drawn = AggregatePosterior(MEANS, scales).sample(torch.Size([200, 100]))
    assert drawn.shape == (200, 100, 3) and AggregatePosterior(MEANS, scales).sample().shape == (3,)
    covariance = MEANS.mT.cov(correction=0) + torch.diag((SCALES**2).mean(0))
    assert (drawn.flatten(0, 1).mean(0) - MEANS.mean(0)).abs().max() < 0.05  # 5 standard errors
    assert (drawn.flatten(0, 1).mT.cov() - covariance).abs().max() < 0.1


def test_the_density_on_the_manifold_is_that_of_a_twin() -> None:
    """Posteriors pushed through an affine map exactly."""
    decoder, a = random_decoder(3, 12, seed=0), Diffeomorphism(3, seed=1, strength=0.0)
    matrix = a.forward(torch.eye(3, dtype=torch.float64)).mT
    assert torch.allclose(a.forward(Z), Z @ matrix.mT)
    pushed = AggregatePosterior(a.forward(MEANS), matrix @ torch.diag_embed(SCALES))
    here = log_density(Pullback(decoder, dim=3), Z, Q)
    there = log_density(Pullback(twin(decoder, a), dim=3), a.forward(Z), pushed)
    print(f"\ndensity of the aggregate posterior, twins differ by {(here - there).abs().max():.1e} nats")
    torch.testing.assert_close(there, here, rtol=0, atol=1e-10)


def test_a_nonlinear_twin_carries_it_along() -> None:
    """Its image is no mixture of Gaussians any more, but a density all the same."""

    @dataclass(frozen=True)
    class Image:
        a: Diffeomorphism

        def log_prob(self, value: torch.Tensor) -> torch.Tensor:
            z = self.a.inverse(value)
            return Q.log_prob(z) - self.a.log_det(z)

        def sample(self, sample_shape: torch.Size = torch.Size()) -> torch.Tensor:  # noqa: B008
            return self.a.forward(Q.sample(sample_shape))

    decoder, a = random_decoder(3, 12, seed=0), Diffeomorphism(3, seed=1)
    here = log_density(Pullback(decoder, dim=3), Z, Q)
    there = log_density(Pullback(twin(decoder, a), dim=3), a.forward(Z), Image(a))
    torch.testing.assert_close(there, here, rtol=0, atol=1e-9)


def test_refusals() -> None:
    with pytest.raises(ShapeError, match=r"means \(N, d\)"):
        AggregatePosterior(MEANS, SCALES[:5])
    with pytest.raises(ShapeError, match=r"means \(N, d\)"):
        AggregatePosterior(MEANS[0], SCALES[0])
    for bad in (-SCALES, torch.zeros(40, 3, 3).double()):
        with pytest.raises(OptionError, match="positive"):
            AggregatePosterior(MEANS, bad)
    with pytest.raises(TensorError, match="finite"):
        AggregatePosterior(MEANS * torch.inf, SCALES)
    with pytest.raises(ShapeError, match=r"\(\*batch, 3\)"):
        Q.log_prob(Z[..., :2])
