"""Damaged and foreign files are refused with a sentence."""

import pytest
import torch

from egregium.causal.learning import BetaVAE, load_learned, save_learned
from egregium.causal.learning.files import META_KEY
from egregium.errors import ModelError, StorageError
from egregium.runs.files import read_tensors, write_tensors


@pytest.fixture
def file(trained, tmp_path):
    save_learned(tmp_path / "model.safetensors", trained(BetaVAE))
    return tmp_path / "model.safetensors"


def test_missing_and_truncated_files(file, tmp_path) -> None:
    with pytest.raises(StorageError, match="no trained network"):
        load_learned(tmp_path / "elsewhere")
    file.write_bytes(file.read_bytes()[:200])
    with pytest.raises(StorageError, match="damaged"):
        load_learned(file)


def test_files_of_others(file) -> None:
    write_tensors(file, {"a": torch.zeros(1)}, {"format": "pt"})
    with pytest.raises(ModelError, match="not written by"):
        load_learned(file)


@pytest.mark.parametrize(
    ("here", "there", "message"),
    [
        ('"schema": 1', '"schema": 2', "schema 2; this version of egregium reads schema 1"),
        ('"beta-vae"', '"gamma-vae"', "damaged"),
        ('"beta": 1.0', '"beta": -1.0', "positive"),
        ('"hidden": [16, 16]', '"hidden": [16, 17]', "damaged"),
        ('"seed"', '"seeds"', "damaged"),
        ("{", "", "damaged"),
    ],
)
def test_damaged_descriptions(file, here: str, there: str, message: str) -> None:
    tensors, meta = read_tensors(file)
    assert here in meta[META_KEY]
    write_tensors(file, tensors, {META_KEY: meta[META_KEY].replace(here, there, 1)})
    with pytest.raises(ModelError, match=message):
        load_learned(file)


def test_weights_that_are_missing(file) -> None:
    tensors, meta = read_tensors(file)
    del tensors["model.log_sigma"]
    write_tensors(file, tensors, meta)
    with pytest.raises(ModelError, match="log_sigma"):
        load_learned(file)
