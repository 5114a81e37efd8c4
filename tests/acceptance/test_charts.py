"""Charts against numerically integrated Fisher information over five decades of the parameter (issue 3, acceptance 3)."""

from collections.abc import Callable
from dataclasses import dataclass

import pytest
import torch
from torch import Tensor

from egregium.geodesics import connect
from egregium.relations import angle, curvature, exp, log, log_density
from egregium.spaces import Pullback
from egregium.spaces.charts import Bernoulli, Categorical, Columns, Gaussian, GaussianWithScale, NegativeBinomial, Poisson
from egregium.testing.twins import Diffeomorphism, StandardNormalImage, random_decoder, twin

LINE = 1e-6
DECADES = [10.0**k for k in range(-3, 3)]
SHARES = [10.0**k for k in range(-6, 0)]
LogProb = Callable[[Tensor, Tensor], Tensor]


@dataclass(frozen=True)
class Likelihood:
    """`log p(x | eta)` of an outcome, a chart, parameters `(n, k)`, and all outcomes `(m, j)` of each with measures `(m,)`."""

    chart: Callable[[Tensor], Tensor]
    log_prob: LogProb
    parameters: Tensor
    outcomes: Callable[[Tensor], tuple[Tensor, Tensor]]


def information(of: Likelihood, eta: Tensor) -> Tensor:
    """`E[s s^T]` of the score `s = d log p(x | eta) / d eta`, `(k, k)`."""
    x, measure = of.outcomes(eta)
    score = torch.func.vmap(torch.func.grad(lambda e, y: of.log_prob(y, e)), (None, 0))(eta, x)
    chance = measure * torch.func.vmap(lambda y: of.log_prob(y, eta))(x).exp()
    assert chance.sum().item() == pytest.approx(1, abs=1e-9)  # no outcome is left out
    return score.mT @ (chance[:, None] * score)


def counts(most: int) -> tuple[Tensor, Tensor]:
    x = torch.arange(most + 1, dtype=torch.float64)[:, None]
    return x, torch.ones_like(x[:, 0])


def line(mean: Tensor, sigma: Tensor, n: int = 601) -> tuple[Tensor, Tensor]:
    """Of the trapezoidal rule, exact to rounding for a Gaussian."""
    t = torch.linspace(-10, 10, n, dtype=torch.float64)
    return (mean + sigma * t)[:, None], sigma * (t[1] - t[0]) * torch.ones_like(t)


def product(*parts: tuple[Tensor, Tensor]) -> tuple[Tensor, Tensor]:
    """All joint outcomes of independent observations."""
    grids = torch.cartesian_prod(*(torch.arange(len(x)) for x, _ in parts)).unbind(-1)
    x = torch.cat([outcome[grid] for (outcome, _), grid in zip(parts, grids, strict=True)], -1)
    return x, torch.stack([measure[grid] for (_, measure), grid in zip(parts, grids, strict=True)]).prod(0)


def gaussian(x: Tensor, mean: Tensor, sigma: Tensor) -> Tensor:
    return -0.5 * ((x - mean) / sigma) ** 2 - sigma.log() - 0.5 * torch.log(torch.tensor(2 * torch.pi, dtype=torch.float64))


def bernoulli(x: Tensor, p: Tensor) -> Tensor:
    return torch.where(x > 0.5, p.log(), torch.log1p(-p))


def poisson(x: Tensor, mean: Tensor) -> Tensor:
    return x * mean.log() - mean - torch.lgamma(x + 1)


def negative_binomial(x: Tensor, mean: Tensor, theta: float) -> Tensor:
    r = torch.tensor(theta, dtype=torch.float64)
    ways = torch.lgamma(x + r) - torch.lgamma(r) - torch.lgamma(x + 1)
    return ways - r * torch.log1p(mean / r) + x * (mean.log() - (r + mean).log())


def with_last(shares: Tensor) -> Tensor:
    """All shares `(*batch, k)`, from all but the last."""
    return torch.cat([shares, 1 - shares.sum(-1, keepdim=True)], -1)


def widest(eta: Tensor, theta: float) -> int:
    mean = float(eta[0])
    return int(100 + 60 * (mean + mean**2 / theta) ** 0.5 + 48 * mean / theta)


def column(values: list[float]) -> Tensor:
    return torch.tensor(values, dtype=torch.float64)[:, None]


def odds(shares: list[float]) -> Tensor:
    return column([*shares, *(1 - share for share in shares)])


SIGMA = torch.tensor(0.3, dtype=torch.float64)
PAIR = torch.tensor([0.0, 1.0], dtype=torch.float64)[:, None], torch.ones(2, dtype=torch.float64)
ONE_OF_THREE = torch.eye(3, dtype=torch.float64), torch.ones(3, dtype=torch.float64)
SOFT = (
    torch.tensor([[-1.0, 0.5, 0.0]], dtype=torch.float64)
    * torch.log(torch.tensor(1e5).double())
    * column([0.01, 0.1, 0.5, 1.0])
)
MIXED = torch.cat([column([0.2, -3.0, 50.0]), column([1e-3, 1.0, 8.0]), column([1e-5, 0.3, 0.99])], -1)

LIKELIHOODS = {
    "Gaussian": Likelihood(
        Gaussian(0.3), lambda x, e: gaussian(x, e, SIGMA).sum(), column(DECADES), lambda e: line(e[0], SIGMA)
    ),
    "GaussianWithScale, std": Likelihood(
        GaussianWithScale(),
        lambda x, e: gaussian(x[0], e[0], e[1]),
        torch.cat([torch.full((6, 1), 0.7, dtype=torch.float64), column(DECADES)], -1),
        lambda e: line(e[0], e[1]),
    ),
    "GaussianWithScale, mean": Likelihood(
        GaussianWithScale(),
        lambda x, e: gaussian(x[0], e[0], e[1]),
        torch.cat([column(DECADES), torch.full((6, 1), 0.2, dtype=torch.float64)], -1),
        lambda e: line(e[0], e[1]),
    ),
    "GaussianWithScale, log std": Likelihood(
        GaussianWithScale(log_scale=True),
        lambda x, e: gaussian(x[0], e[0], e[1].exp()),
        torch.cat([torch.full((6, 1), 0.7, dtype=torch.float64), column(DECADES).log()], -1),
        lambda e: line(e[0], e[1].exp()),
    ),
    "Bernoulli": Likelihood(Bernoulli(), lambda x, e: bernoulli(x[0], e[0]), odds(SHARES), lambda _: PAIR),
    "Bernoulli, logits": Likelihood(
        Bernoulli(logits=True),
        lambda x, e: -torch.nn.functional.softplus(e[0] * (1 - 2 * x[0])),
        odds(SHARES).logit(),
        lambda _: PAIR,
    ),
    "Categorical, logits": Likelihood(
        Categorical(logits=True), lambda x, e: (x * torch.log_softmax(e, -1)).sum(), SOFT, lambda _: ONE_OF_THREE
    ),
    "Categorical": Likelihood(
        lambda x: Categorical()(with_last(x)),
        lambda x, e: (x * with_last(e).log()).sum(),
        torch.cat([column(SHARES), column([0.3] * len(SHARES))], -1),
        lambda _: ONE_OF_THREE,
    ),
    "Poisson": Likelihood(Poisson(), lambda x, e: poisson(x[0], e[0]), column(DECADES), lambda _: counts(400)),
    "Poisson, log rate": Likelihood(
        Poisson(log_rate=True), lambda x, e: poisson(x[0], e[0].exp()), column(DECADES).log(), lambda _: counts(400)
    ),
    **{
        f"NegativeBinomial({theta})": Likelihood(
            NegativeBinomial(theta),
            lambda x, e, theta=theta: negative_binomial(x[0], e[0], theta),
            column(DECADES),
            lambda e, theta=theta: counts(widest(e, theta)),
        )
        for theta in (0.5, 3.0, 40.0)
    },
    "NegativeBinomial(2), log rate": Likelihood(
        NegativeBinomial(2.0, log_rate=True),
        lambda x, e: negative_binomial(x[0], e[0].exp(), 2.0),
        column(DECADES).log(),
        lambda e: counts(widest(e.exp(), 2.0)),
    ),
    "Columns of Gaussian, Poisson, Bernoulli": Likelihood(
        Columns((Gaussian(0.3), 1), (Poisson(), 1), (Bernoulli(), 1)),
        lambda x, e: gaussian(x[0], e[0], SIGMA) + poisson(x[1], e[1]) + bernoulli(x[2], e[2]),
        MIXED,
        lambda e: product(line(e[0], SIGMA, 101), counts(60), PAIR),
    ),
    "Columns of GaussianWithScale, Poisson": Likelihood(
        Columns((GaussianWithScale(), 2), (Poisson(), 1)),
        lambda x, e: gaussian(x[0], e[0], e[1]) + poisson(x[1], e[2]),
        torch.cat([column([0.2, -3.0, 50.0]), column([1e-3, 1.0, 100.0]), column([1e-3, 1.0, 8.0])], -1),
        lambda e: product(line(e[0], e[1], 101), counts(60)),
    ),
}


def pulled_back(chart: Callable[[Tensor], Tensor], eta: Tensor) -> Tensor:
    block = torch.func.jacrev(lambda e: chart(e[None]).flatten())(eta)
    return block.mT @ block


@pytest.mark.parametrize("name", LIKELIHOODS)
def test_the_chart_pulls_back_fisher_information(name: str) -> None:
    of = LIKELIHOODS[name]
    wrong = 0.0
    for eta in of.parameters:
        truth, found = information(of, eta), pulled_back(of.chart, eta)
        size = truth.diagonal().sqrt()  # entries are judged in the units of the parameters that they are about
        wrong = max(wrong, float(((found - truth) / (size[:, None] * size)).abs().max()))
    print(f"\nacceptance 3, {name}: {wrong:.1e} at {len(of.parameters)} parameters")
    assert wrong <= LINE


@pytest.mark.slow
def test_all_geometry_with_learned_variance() -> None:
    """A random decoder of six means and six log standard deviations, against its exact twin."""
    decoder, a = random_decoder(2, 12, seed=3), Diffeomorphism(2, seed=3)
    chart = GaussianWithScale(log_scale=True)
    here, there = Pullback(decoder, dim=2, chart=chart), Pullback(twin(decoder, a), dim=2, chart=chart)
    z0, z1, z2 = 0.7 * torch.randn(3, 6, 2, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    y0, y1, y2 = a.forward(z0), a.forward(z1), a.forward(z2)
    one, two = connect(here, z0, z1, rtol=1e-7), connect(there, y0, y1, rtol=1e-7)
    normal = torch.distributions.MultivariateNormal(torch.zeros(2).double(), torch.eye(2).double())
    v = log(here, z0, z1, rtol=1e-7)
    wrong = {
        "distance": (two.length / one.length - 1).abs().max(),
        "lower bound": (two.lower / one.lower - 1).abs().max(),
        "angle": (angle(there, y0, y1, y2, rtol=1e-7) - angle(here, z0, z1, z2, rtol=1e-7)).abs().max(),
        "density": (log_density(there, y0, StandardNormalImage(a)) - log_density(here, z0, normal)).abs().max(),
        "curvature": (curvature.scalar(there, y0) / curvature.scalar(here, z0) - 1).abs().max(),
        "exp(log)": (here.ambient(exp(here, z0, v, rtol=1e-7)) - here.ambient(z1)).norm(dim=-1).max(),
    }
    chord = (here.ambient(z1) - here.ambient(z0)).norm(dim=-1)
    print(f"\nlearned variance: {', '.join(f'{name} {x:.1e}' for name, x in wrong.items())}")
    print(f"lower bound over length {(one.lower / one.length).tolist()}, chord over length {(chord / one.length).tolist()}")
    assert max(wrong.values()) <= 1e-6
    assert (one.lower > chord).all() and (one.lower <= one.length).all()
