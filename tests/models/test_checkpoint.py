"""Checkpoints come back exactly; a damaged or foreign file is a sentence, never a model."""

import json
from dataclasses import replace

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from egregium.errors import ModelError, StorageError
from egregium.models.checkpoint import DIGEST_KEY, META_KEY, _digest, load, load_model, save
from egregium.models.vae import VAE
from egregium.runs.files import read_tensors, write_tensors
from egregium.spaces.charts import Bernoulli, Gaussian

SPEC = VAE(latent=2, decoders=2, hidden=(3,), channels=(2,), sigma=0.5)
HISTORY = {"train": [2.0, 0.1], "held_out": [2.5, 0.30000000000000004], "best_epoch": [2.0]}


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory):
    """A good checkpoint of an untrained model on images (1, 2, 3)."""
    path = tmp_path_factory.mktemp("checkpoint") / "model.safetensors"
    save(path, SPEC.build((1, 2, 3), 5), SPEC, (1, 2, 3), 5, HISTORY)
    return path


@pytest.mark.parametrize("spec", [SPEC, replace(SPEC, convolutional=True, likelihood="bernoulli", split_batches=False)])
def test_round_trip(spec, tmp_path):
    module = spec.build((1, 4, 4), 5)
    save(tmp_path / "model.safetensors", module, spec, (1, 4, 4), 5, HISTORY)
    found = load(tmp_path)
    assert (found.spec, found.shape, found.seed, found.history) == (spec, (1, 4, 4), 5, HISTORY)
    assert list(found.module.state_dict()) == list(module.state_dict())
    assert all(torch.equal(weight, found.module.state_dict()[name]) for name, weight in module.state_dict().items())
    assert not found.module.training and not any(p.requires_grad for p in found.module.parameters())
    save(tmp_path / "again.safetensors", module, spec, (1, 4, 4), 5, HISTORY)
    assert (tmp_path / "again.safetensors").read_bytes() == (tmp_path / "model.safetensors").read_bytes()


def test_a_loaded_model_is_ready_to_be_measured(checkpoint):
    model = load_model(checkpoint)
    assert (model.name, model.dim, len(model.decoders), model.chart) == ("seed 5", 2, 2, Gaussian(0.5))
    z = model.encode(torch.zeros(4, 1, 2, 3))
    assert z.shape == (4, 2) and model.decoders[1](z).shape == (4, 1, 2, 3) and model.prior.log_prob(z).shape == (4,)
    assert model.identity() == load_model(checkpoint, name="other").identity()
    assert load_model(checkpoint, name="other").name == "other"


def test_bernoulli_models_decode_to_logits_and_say_so(tmp_path):
    spec = replace(SPEC, likelihood="bernoulli")
    save(tmp_path / "model.safetensors", spec.build((3,), 0), spec, (3,), 0, HISTORY)
    assert load_model(tmp_path).chart == Bernoulli(logits=True)


@given(cut=st.floats(0, 1, exclude_max=True))
def test_truncated_files(checkpoint, cut):
    data = checkpoint.read_bytes()
    part = checkpoint.with_name("truncated.safetensors")
    part.write_bytes(data[: int(cut * len(data))])
    with pytest.raises((ModelError, StorageError), match=r"truncated\.safetensors"):
        load_model(part)


@given(place=st.floats(0, 1, exclude_max=True), bit=st.integers(0, 7))
def test_a_flipped_bit_never_goes_unseen(checkpoint, place, bit):
    data = bytearray(checkpoint.read_bytes())
    data[int(place * len(data))] ^= 1 << bit
    part = checkpoint.with_name("flipped.safetensors")
    part.write_bytes(data)
    try:
        found = load(part)
    except (ModelError, StorageError) as error:
        assert "flipped.safetensors" in str(error)
        return
    good = load(checkpoint)  # the bit was in the padding or the order of the header
    assert (found.spec, found.shape, found.seed, found.history) == (good.spec, good.shape, good.seed, good.history)
    assert all(torch.equal(weight, found.module.state_dict()[name]) for name, weight in good.module.state_dict().items())


def rewrite(checkpoint, path, describe=lambda meta: meta, weights=lambda tensors: tensors):
    """The checkpoint with another description or other weights, and a checksum that fits them."""
    tensors, meta = read_tensors(checkpoint)
    text, tensors = json.dumps(describe(json.loads(meta[META_KEY]))), weights(tensors)
    write_tensors(path, tensors, {META_KEY: text, DIGEST_KEY: _digest(text, tensors)})


@pytest.mark.parametrize(
    ("describe", "sentence"),
    [
        (lambda meta: meta | {"schema": 2}, "reads schema 1"),
        (lambda meta: meta | {"spec": {"model": "flow"}}, '"model": "vae"'),
        (lambda meta: meta | {"spec": meta["spec"] | {"activation": "relu"}}, "activation='relu'"),
        (lambda meta: meta | {"spec": meta["spec"] | {"hidden": [4]}}, "do not fit"),
        (lambda meta: meta | {"shape": [7]}, "do not fit"),
        (lambda meta: meta | {"shape": "image"}, "damaged"),
        (lambda meta: {k: v for k, v in meta.items() if k != "seed"}, "damaged"),
        (lambda meta: meta | {"history": None}, "damaged"),
        (lambda meta: [], "damaged"),
    ],
)
def test_descriptions_that_cannot_be_used(checkpoint, tmp_path, describe, sentence):
    rewrite(checkpoint, tmp_path / "model.safetensors", describe)
    with pytest.raises(ModelError, match=sentence):
        load_model(tmp_path)


@pytest.mark.parametrize(
    ("weights", "sentence"),
    [
        (lambda t: {k: v for k, v in t.items() if k != min(t)}, "1 differ"),
        (lambda t: t | {"extra": torch.zeros(1)}, "'extra'"),
        (lambda t: t | {min(t): t[min(t)].double()}, "1 differ"),
        (lambda t: t | {min(t): torch.full_like(t[min(t)], float("nan"))}, "NaN"),
    ],
)
def test_weights_that_do_not_fit(checkpoint, tmp_path, weights, sentence):
    rewrite(checkpoint, tmp_path / "model.safetensors", weights=weights)
    with pytest.raises(ModelError, match=sentence):
        load_model(tmp_path)


def test_foreign_and_missing_files(tmp_path):
    write_tensors(tmp_path / "foreign.safetensors", {"weight": torch.zeros(2)})
    with pytest.raises(ModelError, match="LatentModel"):
        load_model(tmp_path / "foreign.safetensors")
    (tmp_path / "pickle.pt").write_bytes(b"\x80\x04\x95" + bytes(100))
    with pytest.raises(StorageError, match="damaged"):
        load_model(tmp_path / "pickle.pt")
    for missing in (tmp_path, tmp_path / "none.safetensors"):
        with pytest.raises(StorageError, match="no checkpoint at"):
            load_model(missing)
