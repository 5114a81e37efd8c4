"""Users' models: what is accepted, what is refused with the line to write, and what an identity sees."""

from dataclasses import FrozenInstanceError
from functools import partial

import pytest
import torch
from torch import nn
from torch.distributions import Beta, Gamma, Independent, Normal

from egregium.errors import ModelError, TensorError
from egregium.models.latent_model import LatentModel, modules_of
from egregium.protocols import Model
from egregium.spaces.charts import Gaussian

X = torch.randn(7, 5, generator=torch.Generator().manual_seed(0))


class Autoencoder(nn.Module):
    """A user's model: `encode` gives a tuple, as VAEs do; dropout and batch normalisation betray training mode."""

    def __init__(self) -> None:
        super().__init__()
        self.down = nn.Sequential(nn.Linear(5, 4), nn.BatchNorm1d(4), nn.Dropout(0.5), nn.Linear(4, 2))
        self.up = nn.Linear(2, 5)

    def encode(self, x):
        return self.down(x), torch.zeros(len(x), 2)

    def mean(self, x):
        return self.down(x)

    def decode(self, z):
        return self.up(z)


@pytest.fixture
def net():
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return Autoencoder().train()


def ways_to_encode(net):
    def function(x):
        return net.encode(x)[0]

    bound = net.mean
    return [net.down, net.mean, lambda x: net.encode(x)[0], function, lambda x: bound(x), partial(Autoencoder.mean, net)]


def test_every_way_to_encode_gives_the_same_in_evaluation_mode_and_restores_it(net):
    expected = net.eval().mean(X).detach()
    net.train()
    net.down[2].eval()
    for encode in ways_to_encode(net):
        model = LatentModel(encode, net.decode)
        z = model.encode(X)
        assert torch.equal(z, expected) and not z.requires_grad
        assert model.dim == 2 and model.prior.log_prob(z).shape == (7,)
        assert net.training and net.down[1].training and not net.down[2].training
        assert torch.allclose(model.encode(X, chunk_size=3), expected, atol=1e-6)


def test_the_mode_is_restored_after_a_failure(net):
    with pytest.raises(ModelError):
        LatentModel(net.mean, net.decode).encode(torch.zeros(3, 6))
    assert net.down.training


def test_dtype_follows_the_weights(net):
    assert LatentModel(net.double().mean, net.decode).encode(X).dtype == torch.float64
    assert LatentModel(lambda x: x[:, :2], net.decode).encode(X).dtype == torch.float32


def test_it_is_a_model_and_frozen(net):
    model = LatentModel(net.mean, [net.decode, lambda z: net.decode(z)], chart=Gaussian(0.5), name="mine")
    assert isinstance(model, Model) and len(model.decoders) == 2
    assert repr(model) == "LatentModel('mine', 2 decoders, chart Gaussian(sigma=0.5))"
    with pytest.raises(FrozenInstanceError):
        model.name = "other"  # type: ignore[misc]


def test_a_module_list_is_an_ensemble_and_a_sequential_is_one_decoder(net):
    assert len(LatentModel(net.mean, nn.ModuleList([net.up, net.up])).decoders) == 2
    assert len(LatentModel(net.mean, nn.Sequential(net.up, nn.Tanh())).decoders) == 1


@pytest.mark.parametrize(
    ("encode", "sentence"),
    [
        (lambda net: net.encode, r"tuple of 2.*write `encode=lambda x: model.encode\(x\)\[0\]`"),
        (lambda net: lambda x: {"z": net.mean(x)}, r"a dict.*encode\(x\)\['z'\]"),
        (lambda net: lambda x: Normal(net.mean(x), 1), r"a Distribution.*\.mean`"),
        (lambda net: lambda x: net.mean(x).numpy(), "ndarray"),
        (lambda net: lambda x: net.mean(x)[0], r"shape \(2,\)"),
        (lambda net: lambda x: net.mean(x)[:, 0], r"shape \(7,\)"),
        (lambda net: lambda x: net.mean(x)[:, :, None], r"shape \(7, 2, 1\)"),
        (lambda net: lambda x: net.mean(x).long(), "int64"),
        (lambda net: lambda x: net.mean(x) / 0, "NaN or infinity for 7 of 7"),
        (lambda net: lambda x: net.mean(x) + torch.randn(len(x), 2), "random"),
        (lambda net: lambda x: net.mean(x[:, :3]), r"failed on observations of shape \(7, 5\): RuntimeError"),
    ],
)
def test_encoders_that_are_none(net, encode, sentence):
    with pytest.raises(ModelError, match=sentence), torch.random.fork_rng():
        LatentModel(encode(net), net.decode).encode(X)


@pytest.mark.parametrize("x", [torch.zeros(0, 5), torch.zeros(5), [[0.0] * 5], torch.tensor(1.0)], ids=str)
def test_observations_that_are_none(net, x):
    with pytest.raises(TensorError, match="at least one observation"):
        LatentModel(net.mean, net.decode).encode(x)


def test_what_is_not_a_model(net):
    with pytest.raises(ModelError, match=r"callable for `encode`.*got str"):
        LatentModel("model.pt", net.decode)  # type: ignore[arg-type]
    with pytest.raises(ModelError, match=r"callable for `decode`.*got Tensor"):
        LatentModel(net.mean, [net.decode, X])  # type: ignore[list-item]
    with pytest.raises(ModelError, match="empty list of decoders"):
        LatentModel(net.mean, [])


def test_priors(net):
    z = torch.randn(4, 3, 2, generator=torch.Generator().manual_seed(0))
    standard = LatentModel(net.mean, net.up).prior
    expected = Independent(Normal(torch.zeros(2), torch.ones(2)), 1)
    assert torch.allclose(standard.log_prob(z), expected.log_prob(z), atol=1e-6)
    with torch.random.fork_rng():
        assert standard.sample(torch.Size([4])).shape == (4, 2)
    gamma = Independent(Gamma(torch.ones(2), torch.ones(2)), 1)
    assert LatentModel(net.mean, net.decode, prior=gamma).prior is gamma
    with pytest.raises(ModelError, match="Independent"):
        LatentModel(net.mean, net.decode, prior=Beta(torch.ones(2), torch.ones(2)))
    with pytest.raises(ModelError, match="gives 2 latent numbers, but the latent dimension is 3"):
        LatentModel(net.mean, net.decode, prior=Independent(Normal(torch.zeros(3), torch.ones(3)), 1)).encode(X)


def test_the_dimension_is_asked_for_where_nothing_tells(net):
    with pytest.raises(ModelError, match="encode some data first or give a prior"):
        LatentModel(net.mean, net.decode).prior.sample()
    assert LatentModel(net.mean, net.up).dim == 2


def test_identity_sees_weights_functions_chart_and_prior_but_not_the_name(net):
    def model(scale=1.0, **options):
        found = LatentModel(net.mean, lambda z: scale * net.decode(z), **options)
        found.encode(X)
        return found.identity()

    base = model()
    assert base == model(name="other") and len(base) == 64
    others = [
        model(scale=1.01),
        model(chart=Gaussian(2.0)),
        model(prior=Independent(Normal(torch.ones(2), torch.ones(2)), 1)),
        model(prior=Independent(Gamma(torch.ones(2), torch.ones(2)), 1)),
        LatentModel(net.mean, net.up).identity(),
        LatentModel(net.mean, [net.up, net.up]).identity(),
    ]
    with torch.no_grad():
        net.down[0].weight[0, 0] += 1e-6
    others.append(model())
    assert len({base, *others}) == len(others) + 1


def test_modules_are_found_through_closures_and_partials(net):
    outer = None

    def empty(x):
        return outer_later(x)

    assert modules_of(empty) == [] and modules_of(len) == []
    assert modules_of(partial(lambda model, x: model(x), net)) == [net]
    assert outer is None
    del outer
    outer_later = net
    assert modules_of(empty) == [net]
