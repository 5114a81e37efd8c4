"""Importance-weighted log-likelihoods: exact where the posterior is, bounds otherwise."""

import math

import pytest
import torch
from torch.distributions import Independent, MultivariateNormal, Normal

import egregium as eg
from egregium.errors import ModelError, OptionError, TensorError
from egregium.models import log_likelihood
from egregium.models.likelihood import observed
from egregium.spaces import Hyperbolic, Sphere, charts

SIGMA = 0.5
W = torch.randn(5, 2, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
X = torch.randn(6, 5, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
EXACT = MultivariateNormal(torch.zeros(5).double(), W @ W.T + SIGMA**2 * torch.eye(5).double()).log_prob(X)


def factor_analysis(widen: float = 1.0) -> eg.LatentModel:
    """`x = W z + noise`, whose posterior is known; `widen` makes it wrong."""
    covariance = torch.linalg.inv(torch.eye(2).double() + W.T @ W / SIGMA**2)

    def posterior(x: torch.Tensor) -> MultivariateNormal:
        return MultivariateNormal(x @ W @ covariance / SIGMA**2, widen * covariance)

    prior = Independent(Normal(torch.zeros(2).double(), torch.ones(2).double()), 1)
    return eg.LatentModel(
        lambda x: posterior(x).mean, lambda z: z @ W.T, prior=prior, chart=charts.Gaussian(SIGMA), posterior=posterior
    )


@pytest.mark.parametrize("samples", [1, 7])
def test_with_the_true_posterior_every_sample_is_exact(samples: int) -> None:
    torch.testing.assert_close(log_likelihood(factor_analysis(), X, samples=samples), EXACT)


def test_with_a_wrong_posterior_it_rises_to_the_truth() -> None:
    few, many = (log_likelihood(factor_analysis(widen=3.0), X, samples=k) for k in (1, 5000))
    assert few.mean() < many.mean() and (many - EXACT).abs().max() < 0.1  # some 1 / sqrt(5000) each


def test_draws_hang_on_the_seed_alone() -> None:
    state, told = torch.get_rng_state(), []
    one, same, other = (log_likelihood(factor_analysis(3.0), X, samples=3, seed=seed, report=told.append) for seed in (0, 0, 1))
    assert torch.equal(one, same) and not torch.equal(one, other) and torch.equal(state, torch.get_rng_state())
    assert told[-1] == {"done": 6, "total": 6}


def test_on_a_sphere() -> None:
    """A uniform prior on directions, seen without error but for noise: the integral over the sphere by quadrature."""
    sphere = Sphere(2)
    model = eg.LatentModel(
        lambda x: torch.nn.functional.normalize(x, dim=-1), lambda z: z, base=sphere, chart=charts.Gaussian(0.5),
        prior=eg.distributions.Uniform(sphere, dtype=torch.float64),
        posterior=lambda x: eg.distributions.PowerSpherical(sphere, torch.nn.functional.normalize(x, dim=-1), 4.0),
    )  # fmt: skip
    x = torch.tensor([[0.0, 0.0, 1.2], [0.3, -0.4, 0.0]]).double()
    r = x.norm(dim=-1)
    bent = (r / 0.25).sinh() / (r / 0.25)  # the mean of exp(x.u / s^2)
    exact = -0.5 * (r**2 + 1) / 0.25 - 1.5 * math.log(2 * math.pi * 0.25) + bent.log()
    assert (log_likelihood(model, x, samples=4000) - exact).abs().max() < 0.1


@pytest.mark.parametrize(
    ("chart", "parameters", "value", "expected"),
    [
        (charts.Bernoulli(logits=True), 0.0, 1.0, math.log(0.5)), (charts.Bernoulli(), 0.25, 0.0, math.log(0.75)),
        (charts.Poisson(), 2.0, 1.0, math.log(2) - 2), (charts.Poisson(log_rate=True), math.log(2), 1.0, math.log(2) - 2),
        (charts.NegativeBinomial(theta=1.0), 1.0, 0.0, math.log(0.5)),
        (charts.NegativeBinomial(theta=1.0, log_rate=True), 0.0, 0.0, math.log(0.5)),
    ],
    ids=str,
)  # fmt: skip
def test_laws_of_observations(chart: object, parameters: float, value: float, expected: float) -> None:
    found = observed(chart, torch.tensor([parameters])).log_prob(torch.tensor([value]))
    assert found.item() == pytest.approx(expected, rel=1e-5)


def test_laws_of_several_numbers() -> None:
    assert observed(charts.Categorical(), torch.tensor([0.25, 0.75])).log_prob(torch.tensor([0.0, 1.0])).exp() == pytest.approx(
        0.75
    )
    both = observed(charts.GaussianWithScale(log_scale=True), torch.tensor([[1.0, 0.0]]))
    assert (both.mean.item(), both.stddev.item()) == (1.0, 1.0)


def test_one_hot_observations() -> None:
    prior = Independent(Normal(torch.zeros(2).double(), torch.ones(2).double()), 1)
    model = eg.LatentModel(
        lambda x: x[:, :2], lambda z: torch.zeros(len(z), 3).double(), prior=prior, chart=charts.Categorical(logits=True),
        posterior=lambda x: Independent(Normal(torch.zeros(len(x), 2).double(), torch.ones(len(x), 2).double()), 1),
    )  # fmt: skip
    found = log_likelihood(model, torch.eye(3).double(), samples=5)
    torch.testing.assert_close(found, torch.full((3,), -math.log(3)).double())


def test_a_coordinate_prior_with_a_posterior_against_a_volume() -> None:
    """N(0, I) in normal coordinates, and a wrapped normal as posterior: an integral over the plane."""
    plane = Hyperbolic(2)
    model = eg.LatentModel(
        lambda x: x, lambda z: z, base=plane, chart=charts.Gaussian(0.8),
        prior=Independent(Normal(torch.zeros(2).double(), torch.ones(2).double()), 1),
        posterior=lambda x: eg.distributions.WrappedNormal(plane, 0.5 * x, 0.8),
    )  # fmt: skip
    x = torch.tensor([[0.3, -1.0]]).double()
    exact = Normal(0.0, math.sqrt(1 + 0.8**2)).log_prob(x).sum(-1)
    assert (log_likelihood(model, x, samples=20_000) - exact).abs().max() < 0.02


def test_data_are_brought_to_the_weights() -> None:
    spec = eg.models.VAE(latent=2, decoders=1, hidden=(4,), epochs=1, batch_size=10)
    (model,) = eg.fit(spec, X.float().repeat(6, 1), seeds=1, workers=1, progress=False)
    torch.testing.assert_close(log_likelihood(model, X), log_likelihood(model, X.float()))
    with pytest.raises(TensorError, match="NaN"):
        log_likelihood(model, X.where(X[2, 1] != X, torch.nan))
    flat = eg.LatentModel(model.encode, lambda z: model.decoders[0](z)[:, None], posterior=model.posterior, chart=model.chart)
    with pytest.raises(ModelError, match="observations have shape"):
        log_likelihood(flat, X.float())
    bare = eg.LatentModel(model.encode, model.decoders[0], chart=model.chart, posterior=lambda x: Normal(x[:, :2], 1.0))
    with pytest.raises(ModelError, match="Independent"):
        log_likelihood(bare, X.float())


def test_refusals() -> None:
    plain = eg.LatentModel(torch.nn.Linear(5, 2), torch.nn.Linear(2, 5))
    with pytest.raises(ModelError, match="posterior"):
        log_likelihood(plain, X.float())
    with pytest.raises(OptionError, match="samples"):
        log_likelihood(factor_analysis(), X, samples=0)
    with pytest.raises(ModelError, match="chart"):
        observed(None, X)
    with pytest.raises(ModelError, match="callable for `posterior`"):
        eg.LatentModel(torch.nn.Linear(5, 2), torch.nn.Linear(2, 5), posterior=3)  # type: ignore[arg-type]
