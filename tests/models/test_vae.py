"""The specification as a value, and the objective against its formula."""

import json
from dataclasses import replace

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.distributions import Bernoulli, Normal, kl_divergence

from egregium.errors import EgregiumError, ModelError, OptionError
from egregium.models.nets import ACTIVATIONS, SeparateDecoders
from egregium.models.vae import VAE, negative_elbo

whole = st.integers(1, 300)
positive = st.floats(1e-6, 1e3)
widths = st.lists(whole, min_size=1, max_size=4).map(tuple)

specs = st.builds(
    VAE,
    latent=whole,
    decoders=st.integers(1, 20),
    hidden=widths,
    convolutional=st.booleans(),
    channels=widths,
    likelihood=st.sampled_from(["gaussian", "bernoulli"]),
    sigma=positive,
    activation=st.sampled_from(sorted(ACTIVATIONS)),
    beta=positive,
    split_batches=st.booleans(),
    epochs=whole,
    batch_size=st.integers(20, 500),
    lr=positive,
    warmup=st.integers(0, 1000),
    optimizer=st.sampled_from(["adam", "adamax"]),
    held_out=st.floats(0.01, 0.5),
    patience=whole,
)


@given(specs)
def test_json_round_trip(spec):
    assert VAE.from_json(json.loads(json.dumps(spec.to_json()))) == spec


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
        lambda s: st.lists(s) | st.dictionaries(st.text(), s),
    )
)
def test_any_other_json_is_an_error_of_this_library(value):
    for name in ("latent", "hidden", "sigma", "activation", "split_batches", "held_out"):
        try:
            spec = VAE.from_json({"model": "vae", name: value})
        except EgregiumError:
            continue
        assert getattr(spec, name) == (tuple(value) if isinstance(value, list) else value)
    with pytest.raises(ModelError, match='"model": "vae"'):
        VAE.from_json(value)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "options",
    [
        {"latent": 0},
        {"latent": 2.0},
        {"latent": True},
        {"decoders": -1},
        {"hidden": ()},
        {"hidden": (3, 0)},
        {"hidden": "ab"},
        {"hidden": 64},
        {"convolutional": True, "channels": ()},
        {"convolutional": 1},
        {"likelihood": "poisson"},
        {"sigma": 0},
        {"sigma": float("nan")},
        {"sigma": float("inf")},
        {"activation": "relu"},
        {"activation": "elu"},
        {"beta": -1.0},
        {"epochs": 0},
        {"batch_size": 4, "decoders": 8},
        {"optimizer": "sgd"},
        {"held_out": 0.0},
        {"held_out": 0.6},
        {"patience": 0},
        {"warmup": -1},
    ],
    ids=str,
)
def test_values_out_of_range_name_themselves(options):
    with pytest.raises(OptionError, match=next(iter(options))):
        VAE(**options)


def test_unknown_fields_are_named():
    with pytest.raises(ModelError, match="flow, layers"):
        VAE.from_json(VAE().to_json() | {"layers": 3, "flow": 1})


@pytest.mark.parametrize("shape", [(64,), (8, 8), (1, 1, 8), (1, 1, 2, 2)])
def test_convolutions_need_images(shape):
    with pytest.raises(ModelError, match="convolutional=False"):
        VAE(convolutional=True).build(shape, 0)


@pytest.mark.parametrize("shape", [(), (0,), (1, 0, 8)])
def test_nothing_to_model(shape):
    with pytest.raises(ModelError, match="cannot be modelled"):
        VAE().build(shape, 0)


@pytest.mark.parametrize("likelihood", ["gaussian", "bernoulli"])
@pytest.mark.parametrize("split", [True, False])
def test_the_objective_is_its_formula(likelihood, split):
    spec = VAE(latent=2, decoders=3, hidden=(4,), likelihood=likelihood, sigma=0.3, beta=0.7)
    module = spec.build((5,), 0)
    generator = torch.Generator().manual_seed(0)
    x = torch.rand(6, 5, generator=generator).round()
    torch.manual_seed(0)
    value = negative_elbo(spec, module, module.ensemble(), x, split=split)

    torch.manual_seed(0)
    noise = torch.randn(6, 2)
    mean, log_var = module.encoder(x).chunk(2, -1)
    posterior = Normal(mean, log_var.exp().sqrt())
    z = mean + posterior.scale * noise
    misfit = []
    for s, decoder in enumerate(module.decoders):
        rows = slice(2 * s, 2 * s + 2) if split else slice(None)
        out = decoder(z[rows])
        if likelihood == "gaussian":
            misfit.append((0.5 * (out - x[rows]).square() / 0.3**2).sum(1))
        else:
            misfit.append(-Bernoulli(logits=out).log_prob(x[rows]).sum(1))
    kl = kl_divergence(posterior, Normal(0.0, 1.0)).sum(1)
    assert torch.isclose(value, torch.cat(misfit).mean() + 0.7 * kl.mean(), rtol=1e-5)  # float32 sums
    torch.manual_seed(0)
    separate = negative_elbo(spec, module, SeparateDecoders(module.decoders), x, split=split)
    assert torch.isclose(value, separate, rtol=1e-5)


def test_seeds_draw_other_weights():
    first, second = (replace(VAE(), hidden=(4,)).build((3,), seed).state_dict() for seed in (0, 1))
    assert all(not torch.equal(first[name], second[name]) for name in first)
