"""The reduction of a last linear layer is exact, or is not made at all, and leaves the user's modules as they were."""

import pytest
import torch
from torch import Tensor, nn

from egregium.geodesics import connect
from egregium.spaces import Pullback
from egregium.spaces.charts import Bernoulli, Gaussian
from egregium.spaces.reduction import reduced

Z = torch.randn(6, 2, generator=torch.Generator().manual_seed(0), dtype=torch.float64)


def body(*last: nn.Module, seed: int = 0) -> nn.Sequential:
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        return nn.Sequential(nn.Sequential(nn.Linear(2, 6), nn.Tanh()), nn.Dropout(0.5), nn.Linear(6, 20), *last).double()


class Squashed(nn.Sequential):
    def forward(self, input: Tensor) -> Tensor:
        return torch.sigmoid(super().forward(input))


class Doubled(nn.Linear):
    def forward(self, input: Tensor) -> Tensor:
        return 2 * super().forward(input)


@pytest.mark.parametrize("last", [(), (nn.Unflatten(1, (4, 5)),), (nn.Unflatten(1, (4, 5)), nn.Flatten()), (nn.Identity(),)])
@pytest.mark.parametrize("chart", [None, Gaussian(0.1)])
def test_the_metric_is_the_same_in_fewer_numbers(last: tuple[nn.Module, ...], chart: Gaussian | None) -> None:
    space = Pullback(body(*last), chart=chart)
    smaller = space.economical()
    assert smaller.ambient(Z).shape == (6, 6) and space.ambient(Z).shape == (6, 20)
    torch.testing.assert_close(smaller.metric(Z), space.metric(Z), rtol=1e-12, atol=1e-12)


def test_ensembles() -> None:
    space = Pullback([body(seed=seed) for seed in range(3)])
    assert space.economical().ambient(Z).shape == (6, 18)
    torch.testing.assert_close(space.economical().metric(Z), space.metric(Z), rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize(
    "decoder",
    [
        lambda z: z.repeat(1, 2),
        body().forward,
        body(nn.Tanh()),
        body(nn.Linear(20, 20).double()),
        Squashed(*body()),
        nn.Sequential(Squashed(*body()), nn.Identity()),
        body(Doubled(20, 30).double()),
        nn.utils.parametrizations.weight_norm(nn.Linear(2, 9).double()),
    ],
    ids=["function", "method", "activation last", "square", "own forward", "own forward inside", "own linear", "parametrised"],
)
def test_what_is_not_a_plain_linear_end_is_left_alone(decoder) -> None:
    assert reduced(decoder) is None
    space = Pullback(decoder, dim=2)
    assert space.economical() is space


def test_hooks_are_respected() -> None:
    for part in (lambda m: m, lambda m: m[-1]):
        model = body()
        part(model).register_forward_hook(lambda module, given, out: 3 * out)
        assert reduced(model) is None


@pytest.mark.parametrize(
    "space", [Pullback(body(), chart=Bernoulli(logits=True)), Pullback([body(), body(seed=1)], uncertainty=0.5)]
)
def test_charts_and_means_that_mix_outputs_are_left_alone(space: Pullback) -> None:
    assert space.economical() is space


def test_the_users_module_stays_as_it_was() -> None:
    model = body().train()
    model[1].eval()
    modes = [part.training for part in model.modules()]
    connect(Pullback(model), Z[:2], Z[2:4])
    assert [part.training for part in model.modules()] == modes
    assert all(weight.requires_grad and weight.grad is None for weight in model.parameters())


def test_lengths_do_not_depend_on_it() -> None:
    model = body().eval()
    plain = connect(Pullback(lambda z: model(z), dim=2), Z[:3], Z[3:], rtol=1e-8)
    torch.testing.assert_close(connect(Pullback(model), Z[:3], Z[3:], rtol=1e-8).length, plain.length, rtol=1e-8, atol=0)
