"""Acceptance 8: bad decoders, spaces and charts end in a typed error or in a status."""

import math

import pytest
import torch
from tests.acceptance.bad_input import ONE, ZERO, Cases, bowl, fresh, joined, judged, logarithmic
from torch import Tensor, nn

from egregium.geodesics import connect
from egregium.spaces import Euclidean, Pullback, charts

case = Cases()


@case
def decoder_that_is_no_function():
    return Pullback(3)  # type: ignore[arg-type]


@case
def no_decoder():
    return Pullback([])


@case
def tuple_output():
    return joined(lambda z: (bowl(z), z))


@case
def dict_output():
    return joined(lambda z: {"mean": bowl(z)})


@case
def distribution_output():
    return joined(lambda z: torch.distributions.Normal(bowl(z), 1.0))


@case
def no_output():
    return joined(lambda z: None)


@case
def array_output():
    return joined(lambda z: bowl(z).detach().numpy())


@case
def integer_output():
    return joined(lambda z: bowl(z).long())


@case
def output_without_batch_dimension():
    return joined(lambda z: z.sum(-1))


@case
def output_with_another_number_of_rows():
    return joined(lambda z: bowl(z)[:1])


@case
def fewer_outputs_than_latent_dimensions():
    return joined(lambda z: z[:, :1])


@case
def decoder_that_raises():
    def broken(z: Tensor) -> Tensor:
        raise ValueError("a sentence of somebody else's")

    return joined(broken)


@case
def decoder_that_expects_one_point():
    return joined(lambda z: torch.stack([z[0], z[1], z[0] * z[1]]))


@case
def stochastic_function():
    return joined(lambda z: bowl(z) + torch.randn(len(z), 3))


@case
def dropout_behind_a_function():
    layer = fresh(nn.Sequential(nn.Linear(2, 5), nn.Dropout(0.5))).double().train()
    return joined(lambda z: layer(z))


@case
def batch_normalisation_behind_a_function():
    layer = fresh(nn.Sequential(nn.Linear(2, 5), nn.BatchNorm1d(5, track_running_stats=False))).double().train()
    return joined(lambda z: layer(z))


@case
def output_that_depends_on_the_batch():
    return joined(lambda z: bowl(z) - bowl(z).mean(0))


@case
def constant_decoder():
    return joined(lambda z: torch.ones(len(z), 5).double())


@case
def detached_decoder():
    return joined(lambda z: bowl(z.detach()))


@case
def decoder_without_gradient():
    def silent(z: Tensor) -> Tensor:
        with torch.no_grad():
            return bowl(z)

    return joined(silent)


@case
def collapsed_latent_dimension():
    return joined(lambda z: torch.stack([z[:, 0], z[:, 0] ** 2, z[:, 0].sin()], -1))


@case
def nearly_collapsed_latent_dimension():
    return joined(lambda z: torch.stack([z[:, 0], z[:, 0] ** 2, 1e-12 * z[:, 1]], -1))


@case
def rank_lost_on_the_way():
    return joined(lambda z: torch.stack([z[:, 0] ** 3, z[:, 0] ** 4, z[:, 1]], -1), -ONE, ONE)


@case
def nan_everywhere():
    return joined(lambda z: bowl(z) * math.nan)


@case
def infinity_everywhere():
    return joined(lambda z: bowl(z) / 0)


@case
def nan_at_one_end():
    return joined(logarithmic, -ONE, ONE)


@case
def nan_in_the_middle():
    return joined(lambda z: torch.cat([z, (z[:, :1] ** 2 - 0.25).sqrt()], -1), -ONE, ONE)


@case
def overflow_of_the_output():
    return joined(lambda z: 1e200 * bowl(z))


@case
def jump_on_the_way():
    return joined(lambda z: torch.cat([z, (z[:, :1] > 0.1).to(z)], -1), -ONE, ONE)


@case
def oscillation_too_fast_to_follow():
    return joined(lambda z: torch.cat([z, (1e4 * z[:, :1]).sin()], -1), max_steps=5)


@case
def list_of_decoders_with_unequal_outputs():
    return joined([bowl, lambda z: z])


@case
def half_precision_decoder():
    return joined(fresh(nn.Linear(2, 5)).half())


@case
def decoder_on_another_device():
    return joined(nn.Linear(2, 5, device="meta"))


@case
def dimension_that_contradicts_the_base():
    return Pullback(bowl, dim=3, base=Euclidean(2))


@case
def dimension_zero():
    return Pullback(bowl, dim=0)


@case
def euclidean_space_without_dimension():
    return Euclidean(0)


@case
def uncertainty_of_one_decoder():
    return Pullback(bowl, uncertainty=1.0)


@case
def negative_uncertainty():
    return Pullback([bowl, bowl], uncertainty=-1.0)


@case
def nan_uncertainty():
    return Pullback([bowl, bowl], uncertainty=math.nan)


@case
def infinite_uncertainty():
    return joined_with_uncertainty(math.inf)


def joined_with_uncertainty(weight: float) -> object:
    return connect(Pullback([bowl, lambda z: 2 * bowl(z)], uncertainty=weight), ZERO, ONE, on_fail="mark")


@case
def sigma_zero():
    return charts.Gaussian(sigma=0.0)


@case
def sigma_nan():
    return charts.Gaussian(sigma=math.nan)


@case
def sigma_infinite():
    return connect(Pullback(bowl, chart=charts.Gaussian(sigma=math.inf)), ZERO, ONE, on_fail="mark")


@case
def logits_for_probabilities():
    return connect(Pullback(lambda z: 5 * bowl(z), chart=charts.Bernoulli()), ZERO, ONE)


@case
def chart_that_raises():
    return connect(Pullback(bowl, chart=charts.Chart(lambda x: x @ torch.ones(7, 7))), ZERO, ONE)


@case
def chart_that_returns_a_tuple():
    return connect(Pullback(bowl, chart=charts.Chart(lambda x: (x, x))), ZERO, ONE)  # type: ignore[arg-type, return-value]


@pytest.mark.parametrize("name", case)
def test_case(name: str, request: pytest.FixtureRequest) -> None:
    print(f"{name}: {judged(case[name], request)}")
