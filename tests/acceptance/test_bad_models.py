"""Acceptance 8: bad models, trainings, checkpoints and studies end in a typed error."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from tests.acceptance.bad_input import Cases, judged
from torch import nn

from egregium.identifiability.assumptions import check
from egregium.identifiability.dispersion import summarize
from egregium.identifiability.indeterminacy import indeterminacy
from egregium.identifiability.scope import scope
from egregium.identifiability.study import Study
from egregium.models import LatentModel, fit
from egregium.models.checkpoint import load_model, save
from egregium.models.vae import VAE
from egregium.runs.files import write_tensors

case = Cases()


SPEC = VAE(latent=2, decoders=1, hidden=(4,), epochs=1)
POINTS = torch.rand(12, 5, generator=torch.Generator().manual_seed(0))


@case
def encoder_that_is_no_function():
    return LatentModel(3, nn.Linear(2, 5))  # type: ignore[arg-type]


@case
def model_without_decoder():
    return LatentModel(nn.Linear(5, 2), [])


@case
def encoder_that_returns_a_tuple():
    return LatentModel(lambda x: (x[:, :2], x), nn.Linear(2, 5)).encode(POINTS)  # type: ignore[arg-type, return-value]


@case
def encoder_that_samples():
    return LatentModel(lambda x: x[:, :2] + torch.randn(len(x), 2), nn.Linear(2, 5)).encode(POINTS)


@case
def encoder_that_gives_nan():
    return LatentModel(lambda x: x[:, :2] * torch.nan, nn.Linear(2, 5)).encode(POINTS)


@case
def observations_with_nan(model):
    return model.encode(POINTS.index_fill(0, torch.tensor([3]), torch.nan))


@case
def check_of_something_else():
    return check(nn.Linear(2, 5), POINTS)  # type: ignore[arg-type]


@case
def indeterminacy_of_something_else(model):
    return indeterminacy(model, nn.Linear(2, 5), torch.zeros(4, 2))  # type: ignore[arg-type]


@case
def observations_of_another_shape(model):
    return model.encode(torch.zeros(3, 7))


@case
def no_observations(model):
    return model.encode(torch.zeros(0, 5))


@case
def prior_without_event_dimension():
    return LatentModel(nn.Linear(5, 2), nn.Linear(2, 5), prior=torch.distributions.Normal(0.0, 1.0))


@case
def specification_without_latent_dimension():
    return VAE(latent=0)


@case
def specification_with_an_unknown_field():
    return VAE.from_json({**SPEC.to_json(), "temperature": 1.0})


@case
def relu_activation():
    return VAE(activation="relu")  # type: ignore[arg-type]


@case
def training_on_nan():
    return fit(SPEC, POINTS * torch.nan, seeds=1, progress=False)


@case
def training_on_nothing():
    return fit(SPEC, POINTS[:0], seeds=1, progress=False)


@case
def training_on_words():
    return fit(SPEC, np.array(["a", "b"]), seeds=1, progress=False)


@case
def training_without_seeds():
    return fit(SPEC, POINTS, seeds=[], progress=False)


@case
def training_a_bernoulli_likelihood_on_counts():
    return fit(VAE(latent=2, decoders=1, hidden=(4,), likelihood="bernoulli"), 5 * POINTS, seeds=1, progress=False)


@case
def missing_checkpoint(here, model):
    return load_model(here / "nothing.safetensors")


def checkpoint(here: Path) -> Path:
    save(here / "model.safetensors", SPEC.build((5,), 0), SPEC, (5,), 0, {"train": [1.0]})
    return here / "model.safetensors"


@case
def truncated_checkpoint(here):
    path = checkpoint(here)
    path.write_bytes(path.read_bytes()[:-100])
    return load_model(path)


@case
def checkpoint_with_a_flipped_bit(here):
    path = checkpoint(here)
    content = bytearray(path.read_bytes())
    content[-7] ^= 16
    path.write_bytes(content)
    return load_model(path)


@case
def checkpoint_of_somebody_else(here, model):
    write_tensors(here / "model.safetensors", {"weight": torch.zeros(3)})
    return load_model(here / "model.safetensors")


@case
def pickled_checkpoint(here, model):
    (here / "model.safetensors").write_bytes(bytes.fromhex("80049510000000000000008c026f73948c0673797374656d9493942e"))
    return load_model(here / "model.safetensors")


@case
def study_without_models():
    return Study([], POINTS)


@case
def study_of_something_else():
    return Study([nn.Linear(2, 5)], POINTS)  # type: ignore[list-item]


@case
def study_of_two_points(model):
    return Study([model], POINTS[:2])


@case
def study_of_points_in_a_list(model):
    return Study([model], POINTS.tolist())  # type: ignore[arg-type]


@case
def study_of_points_with_nan(model):
    return Study([model], POINTS * torch.nan, pairs=2, relations=["euclidean"]).run()


@case
def study_without_pairs(model):
    return Study([model], POINTS, pairs=0)


@case
def study_of_an_unknown_relation(model):
    return Study([model], POINTS, relations=["friendship"])


@case
def study_on_an_unknown_engine(model):
    return Study([model], POINTS, pairs=2, relations=["euclidean"]).run(engine="slurm")


@case
def summary_of_a_table_without_columns():
    return summarize(pd.DataFrame({"value": [1.0]}))


@case
def summary_of_an_empty_table(model):
    columns = ["model", "pair", "i", "j", "k", "relation", "endpoint", "n_points", "value", "lower", "upper", "status"]
    return summarize(pd.DataFrame(columns=columns))


@case
def scope_of_an_unknown_relation(model):
    return scope(model, "friendship")


@case
def indeterminacy_of_models_of_other_data(model):
    other = LatentModel(nn.Linear(7, 2), nn.Linear(2, 7))
    return indeterminacy(model, other, torch.zeros(4, 2), start=torch.zeros(4, 2))


@pytest.mark.parametrize("name", case)
def test_case(name: str, request: pytest.FixtureRequest) -> None:
    print(f"{name}: {judged(case[name], request)}")
