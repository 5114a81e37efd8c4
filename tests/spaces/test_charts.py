"""Charts are isometries to Fisher-Rao: `phi'^2` is the Fisher information, value and derivative right at both ends."""

from collections.abc import Callable

import mpmath
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from egregium.errors import DecoderError, OptionError
from egregium.geodesics import connect
from egregium.spaces import Pullback
from egregium.spaces.charts import (
    Bernoulli,
    Categorical,
    Chart,
    Columns,
    Gaussian,
    GaussianWithScale,
    NegativeBinomial,
    Poisson,
    distance,
    expected,
)


def fisher(log_prob: Callable[[Tensor, Tensor], Tensor], outcomes: Tensor, eta: Tensor, weights: Tensor) -> Tensor:
    """`E[(d log p(x | eta) / d eta)^2]`, with outcomes `(n,)` and their weights `(n, k)` at parameters eta `(k,)`."""
    score = torch.stack([torch.func.grad(lambda e, x=x: log_prob(x, e).sum())(eta) for x in outcomes])
    return (weights * score**2).sum(0)


def slope(chart: Callable[[Tensor], Tensor], x: Tensor) -> Tensor:
    leaf = x.clone().requires_grad_()
    return torch.autograd.grad(chart(leaf).sum(), leaf)[0]


OUTCOMES = torch.tensor([0.0, 1.0], dtype=torch.float64)


def test_bernoulli_is_an_isometry_from_logits() -> None:
    logit = torch.linspace(-12, 12, 25, dtype=torch.float64)
    p = logit.sigmoid()
    information = fisher(lambda x, e: -torch.nn.functional.softplus(e * (1 - 2 * x)), OUTCOMES, logit, torch.stack([1 - p, p]))
    torch.testing.assert_close(slope(Bernoulli(logits=True), logit) ** 2, information, rtol=1e-9, atol=0)


def test_bernoulli_is_an_isometry_from_probabilities() -> None:
    p = torch.linspace(1e-4, 1 - 1e-4, 25, dtype=torch.float64)
    information = fisher(lambda x, e: (x * e + (1 - x) * (1 - e)).log(), OUTCOMES, p, torch.stack([1 - p, p]))
    torch.testing.assert_close(slope(Bernoulli(), p) ** 2, information, rtol=1e-9, atol=0)


def test_gaussian_is_an_isometry() -> None:
    nodes = torch.linspace(-12, 12, 4001, dtype=torch.float64)  # the trapezoidal rule is exact to rounding here
    sigma, mean = 0.3, torch.tensor([0.7], dtype=torch.float64)
    outcomes = mean + sigma * nodes
    weights = (-0.5 * nodes**2).exp()[:, None] / (2 * torch.pi) ** 0.5 * (nodes[1] - nodes[0])
    information = fisher(lambda x, e: -0.5 * ((x - e) / sigma) ** 2, outcomes, mean, weights)
    torch.testing.assert_close(slope(Gaussian(sigma), mean) ** 2, information, rtol=1e-10, atol=0)


def count_information(log_prob: Callable[[Tensor, Tensor], Tensor], mean: float, most: int) -> float:
    """Fisher information about the mean of counts, summed over 0 to `most`."""
    counts, eta = torch.arange(most + 1, dtype=torch.float64), torch.tensor(mean, dtype=torch.float64)
    score = torch.func.vmap(torch.func.grad(lambda e, x: log_prob(x, e)), (None, 0))(eta, counts)
    return float((log_prob(counts, eta).exp() * score**2).sum())


def poisson(x: Tensor, mean: Tensor) -> Tensor:
    return x * mean.log() - mean - torch.lgamma(x + 1)


def negative_binomial(theta: float) -> Callable[[Tensor, Tensor], Tensor]:
    def log_prob(x: Tensor, mean: Tensor) -> Tensor:
        r = torch.tensor(theta, dtype=torch.float64)
        ways = torch.lgamma(x + r) - torch.lgamma(r) - torch.lgamma(x + 1)
        return ways + r * (r / (r + mean)).log() + x * (mean / (r + mean)).log()

    return log_prob


@pytest.mark.parametrize("mean", [1e-3, 1e-2, 0.1, 1.0, 10.0, 100.0])
def test_poisson_is_an_isometry_over_five_decades(mean: float) -> None:
    information = count_information(poisson, mean, most=400)
    eta = torch.tensor([mean], dtype=torch.float64)
    assert slope(Poisson(), eta).item() ** 2 == pytest.approx(information, rel=1e-9)
    assert slope(Poisson(log_rate=True), eta.log()).item() ** 2 == pytest.approx(information * mean**2, rel=1e-9)


@pytest.mark.parametrize("theta", [0.5, 3.0, 40.0])
@pytest.mark.parametrize("mean", [1e-3, 1e-2, 0.1, 1.0, 10.0, 100.0])
def test_negative_binomial_is_an_isometry_over_five_decades(mean: float, theta: float) -> None:
    information = count_information(
        negative_binomial(theta), mean, most=int(100 + 60 * (mean + mean**2 / theta) ** 0.5 + 8 * mean / theta * 6)
    )
    eta = torch.tensor([mean], dtype=torch.float64)
    assert slope(NegativeBinomial(theta), eta).item() ** 2 == pytest.approx(information, rel=1e-6)
    assert slope(NegativeBinomial(theta, log_rate=True), eta.log()).item() ** 2 == pytest.approx(
        information * mean**2, rel=1e-6
    )


@pytest.mark.parametrize("scale", [1e-2, 1.0, 10.0])
def test_categorical_is_an_isometry(scale: float) -> None:
    logits = scale * torch.randn(4, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    score = torch.func.jacrev(lambda x: torch.log_softmax(x, -1))(logits)
    information = torch.einsum("k,ki,kj->ij", logits.softmax(-1), score, score)
    jacobian = torch.func.jacrev(Categorical(logits=True))(logits)
    torch.testing.assert_close(jacobian.mT @ jacobian, information, rtol=1e-9, atol=1e-14)
    through = torch.func.jacrev(lambda x: Categorical()(x.softmax(-1)))(logits)
    torch.testing.assert_close(through, jacobian, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("log_mean", [-1400.0, -80.0, -1e-8, 0.0, 1e-8, 3.0, 80.0, 1200.0])
def test_log_means_to_full_precision_at_every_size(log_mean: float) -> None:
    with mpmath.workdps(60):
        e = mpmath.exp(mpmath.mpf(log_mean) / 2)
        value, derivative = float(2 * mpmath.asinh(e)), float(e / mpmath.sqrt(1 + e**2))
    x, chart = torch.tensor([log_mean], dtype=torch.float64), NegativeBinomial(1.0, log_rate=True)
    assert chart(x).item() == pytest.approx(value, rel=1e-15, abs=1e-300)
    assert slope(chart, x).item() == pytest.approx(derivative, rel=4e-15, abs=1e-300)


def test_columns_put_informations_side_by_side() -> None:
    chart = Columns((Gaussian(0.5), 2), (Poisson(), 1), (Categorical(logits=True), 3))
    x = torch.tensor([[0.3, -1.0, 4.0, 0.0, 1.0, -1.0]], dtype=torch.float64)
    expected = torch.cat([2 * x[:, :2], torch.tensor([[4.0]]), Categorical(logits=True)(x[:, 3:])], 1)
    torch.testing.assert_close(chart(x), expected)
    with pytest.raises(DecoderError, match=r"\(N, 6\); got \(1, 5\)"):
        chart(x[:, :5])
    for parts in ((), (Poisson(),), ((Poisson(), 0),)):
        with pytest.raises(OptionError, match="pairs"):
            Columns(*parts)  # type: ignore[arg-type]


def test_the_two_ways_to_a_scale_agree() -> None:
    mean, log_scale = torch.randn(2, 4, 3, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    plain, logged = torch.cat([mean, log_scale.exp()], -1), torch.cat([mean, log_scale], -1)
    torch.testing.assert_close(GaussianWithScale()(plain), GaussianWithScale(log_scale=True)(logged), rtol=1e-13, atol=1e-13)
    assert GaussianWithScale()(plain).shape == (4, 3 * 65)


def test_distances_of_distributions_are_between_chord_and_geodesic() -> None:
    """And equal the geodesic where the decoder reaches all distributions."""
    x0, x1 = torch.randn(2, 5, 2, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    for chart, decode in (
        (Categorical(logits=True), lambda z: torch.cat([z, -z.sum(-1, keepdim=True)], -1)),
        (GaussianWithScale(log_scale=True), lambda z: z),
        (Columns((Poisson(log_rate=True), 1), (Gaussian(2.0), 1)), lambda z: z),
        (Columns((GaussianWithScale(log_scale=True), 2)), lambda z: z),
    ):
        g = connect(Pullback(decode, dim=2, chart=chart), x0, x1, rtol=1e-7)
        known = distance(chart, decode(x0), decode(x1))
        torch.testing.assert_close(g.length, known, rtol=2e-7, atol=0)
        torch.testing.assert_close(g.lower, known, rtol=2e-7, atol=0)
        assert (g.lower <= known).all()
        assert ((chart(decode(x1)) - chart(decode(x0))).norm(dim=-1) <= known * (1 + 1e-12)).all()


def test_the_observation_that_is_expected() -> None:
    x = torch.tensor([[0.5, -1.0, 0.0, 2.0]], dtype=torch.float64)
    for chart, mean in (
        (Gaussian(0.3), x),
        (Bernoulli(logits=True), x.sigmoid()),
        (Categorical(logits=True), x.softmax(-1)),
        (GaussianWithScale(log_scale=True), x[:, :2]),
        (Poisson(log_rate=True), x.exp()),
        (NegativeBinomial(2.0, log_rate=True), x.exp()),
        (Chart(torch.sin), x),
        (None, x),
        (
            Columns((Poisson(log_rate=True), 1), (Gaussian(1.0), 1), (GaussianWithScale(True), 2)),
            torch.cat([x[:, :1].exp(), x[:, 1:3]], 1),
        ),
    ):
        torch.testing.assert_close(expected(chart, x), mean)
    for chart in (Bernoulli(), Categorical(), Poisson(), NegativeBinomial(2.0)):
        assert expected(chart, x) is x


def test_the_lower_bound_of_several_decoders() -> None:
    x0, x1 = torch.randn(2, 5, 2, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    decoders = [lambda z, s=s: torch.cat([z, s * z.sum(-1, keepdim=True)], -1) for s in (0.5, 1.0)]
    chart = Categorical(logits=True)
    for uncertainty in (None, 0.0, 0.5):
        space = Pullback(decoders, dim=2, chart=chart, uncertainty=uncertainty)
        g = connect(space, x0, x1, rtol=1e-6)
        chord = (space.ambient(x1) - space.ambient(x0)).norm(dim=-1)
        assert (g.lower <= g.length).all() and (g.lower >= chord * (1 - 1e-12)).all()
        assert bool((g.lower > chord * (1 + 1e-6)).all()) == (uncertainty is None)


def test_means_of_exactly_zero_have_no_infinite_derivative() -> None:
    zero = torch.zeros(1, dtype=torch.float64)
    for chart in (Poisson(), NegativeBinomial(2.0)):
        assert chart(zero).item() == 0 and slope(chart, zero).item() == 0
    p = torch.tensor([0.0, 1.0], dtype=torch.float64)
    assert Categorical()(p).tolist() == [0.0, 2.0] and slope(Categorical(), p).isfinite().all()


def test_both_ways_to_bernoulli_agree() -> None:
    logit = torch.linspace(-8, 8, 33, dtype=torch.float64)
    torch.testing.assert_close(Bernoulli()(logit.sigmoid()), Bernoulli(logits=True)(logit), rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("logit", [-1400.0, -100.0, -30.0, -1e-8, 0.0, 1e-8, 0.5, 30.0, 100.0, 1400.0])
def test_logits_to_full_precision_at_every_size(logit: float) -> None:
    with mpmath.workdps(60):
        e = mpmath.exp(mpmath.mpf(logit) / 2)
        value, derivative = float(2 * mpmath.atan(e)), float(e / (1 + e**2))
    x = torch.tensor([logit], dtype=torch.float64)
    assert Bernoulli(logits=True)(x).item() == pytest.approx(value, rel=4e-16, abs=1e-300)
    assert slope(Bernoulli(logits=True), x).item() == pytest.approx(derivative, rel=4e-15, abs=1e-300)


@given(st.floats(-1e4, 1e4), st.sampled_from([torch.float32, torch.float64]))
def test_logits_are_finite_with_their_derivatives(logit: float, dtype: torch.dtype) -> None:
    x = torch.tensor([logit, 0.0], dtype=dtype)
    value, derivative = Bernoulli(logits=True)(x), slope(Bernoulli(logits=True), x)
    assert torch.isfinite(value).all() and torch.isfinite(derivative).all()
    assert ((value >= 0) & (value <= 3.1415928)).all() and (derivative >= 0).all()


def test_probabilities_at_the_ends_have_no_infinite_derivative() -> None:
    p = torch.tensor([0.0, 0.5, 1.0], dtype=torch.float64)
    torch.testing.assert_close(Bernoulli()(p), torch.tensor([0.0, torch.pi / 2, torch.pi], dtype=torch.float64))
    assert slope(Bernoulli(), p).tolist() == [0.0, 2.0, 0.0]


def test_second_derivatives_are_finite() -> None:
    logit = torch.tensor([-200.0, -1.0, 0.0, 1.0, 200.0], dtype=torch.float64, requires_grad=True)
    (first,) = torch.autograd.grad(Bernoulli(logits=True)(logit).sum(), logit, create_graph=True)
    (second,) = torch.autograd.grad(first.sum(), logit)
    assert torch.isfinite(second).all()
    assert second[2].item() == pytest.approx(0.0, abs=1e-15)


def test_refusals() -> None:
    for sigma in (0.0, -1.0, float("nan")):
        with pytest.raises(OptionError, match="positive"):
            Gaussian(sigma)
    with pytest.raises(DecoderError, match="logits=True"):
        Bernoulli()(torch.tensor([[1.2]]))
    for p in ([[0.5, 0.6]], [[-0.1, 1.1]]):
        with pytest.raises(DecoderError, match="logits=True"):
            Categorical()(torch.tensor(p))
    for chart in (Poisson(), NegativeBinomial(1.0)):
        with pytest.raises(DecoderError, match="log_rate=True"):
            chart(torch.tensor([[-0.1]]))
    with pytest.raises(DecoderError, match="log_scale=True"):
        GaussianWithScale()(torch.tensor([[0.0, -1.0]]))
    with pytest.raises(DecoderError, match="odd"):
        GaussianWithScale()(torch.tensor([[0.0, 1.0, 1.0]]))
    for theta in (0.0, -1.0, float("inf"), float("nan")):
        with pytest.raises(OptionError, match="positive and finite"):
            NegativeBinomial(theta)
    space = Pullback(lambda z: z.repeat(1, 2), chart=Chart(lambda x: x @ torch.ones(9, 9)))
    with pytest.raises(DecoderError, match="the chart failed"):
        space.metric(torch.zeros(2))
    with pytest.raises(DecoderError, match="the chart must map"):
        Pullback(lambda z: z.repeat(1, 2), chart=Chart(lambda x: x.sum(-1))).metric(torch.zeros(2))


def test_a_chart_of_ones_own_is_part_of_the_metric() -> None:
    z = torch.tensor([[0.3, -0.2]], dtype=torch.float64)
    plain = Pullback(lambda z: torch.stack([z[:, 0].exp(), z[:, 1].exp()], -1)).metric(z)
    flat = Pullback(lambda z: z.exp(), chart=Chart(torch.log)).metric(z)
    torch.testing.assert_close(flat[0], torch.eye(2, dtype=torch.float64))
    torch.testing.assert_close(plain[0], torch.diag((2 * z[0]).exp()))
