"""Many trainings: the same models from worker processes, from this process, and after an interruption."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from egregium.data.dataset import Dataset, load
from egregium.errors import DataError, ModelError, OptionError, RunError, TensorError
from egregium.models.training import DATA_FILE, fit, train_task, training_task
from egregium.models.vae import VAE
from egregium.runs.engine import execute
from egregium.runs.files import checksum, read_json
from egregium.runs.folder import RunFolder
from egregium.runs.provenance import provenance

SPEC = VAE(latent=2, decoders=2, hidden=(4,), epochs=2, batch_size=32)
X = torch.rand(60, 1, 3, 3, generator=torch.Generator().manual_seed(0))


def weights(model):
    return [tensor for decoder in model.decoders for tensor in decoder.state_dict().values()] + [model.encode(X)]


def equal(a, b):
    return all(torch.equal(s, t) for s, t in zip(weights(a), weights(b), strict=True))


def test_workers_this_process_and_resumed_runs_agree(tmp_path):
    here = fit(SPEC, X, seeds=3, workers=1, progress=False)
    there = fit(SPEC, X.numpy(), seeds=[2, 0], out=tmp_path / "run", progress=False)
    assert [model.name for model in there] == ["seed 2", "seed 0"]
    assert equal(there[0], here[2]) and equal(there[1], here[0]) and not equal(here[0], here[1])
    assert there[1].identity() == here[0].identity() != here[1].identity()

    done = {path: path.stat().st_mtime_ns for path in (tmp_path / "run" / "tasks").glob("*/*")}
    more = fit(SPEC, X, seeds=3, out=tmp_path / "run", workers=1, progress=False)
    assert all(equal(a, b) for a, b in zip(more, here, strict=True))
    assert all(path.stat().st_mtime_ns == stamp for path, stamp in done.items())
    with pytest.raises(RunError, match="latent"):
        fit(replace(SPEC, latent=3), X, seeds=1, out=tmp_path / "run", progress=False)
    with pytest.raises(RunError, match="other data"):
        fit(SPEC, X + 1, seeds=1, out=tmp_path / "run", progress=False)

    (note,) = (path.parent for path in (tmp_path / "run").glob("tasks/*/data.json"))
    (again,) = (
        done for path in (tmp_path / "run").glob("tasks/*/done.json") if (done := read_json(path))["arguments"].get("seed") == 2
    )
    train_task(again["arguments"], [note], tmp_path, lambda info: None)
    assert checksum(tmp_path / "model.safetensors") == again["files"]["model.safetensors"]["sha256"]


def test_the_test_set_is_never_looked_at():
    test = torch.full((5, 1, 3, 3), float("nan"))
    data = Dataset("mine", X, test, None, None, "0" * 64)
    assert equal(fit(SPEC, data, seeds=1, progress=False)[0], fit(SPEC, X, seeds=1, progress=False)[0])


def test_progress_goes_to_stderr(capfd):
    fit(SPEC, X, seeds=1)
    out, err = capfd.readouterr()
    assert not out and "seed 0" in err


def test_tasks_load_named_data_by_checksum(tmp_path):
    digits = load("digits", limit=50)
    data = {"source": "digits", "limit": 50, "checksum": digits.checksum}
    good = training_task(SPEC, data, 4)
    with RunFolder.open(tmp_path, {}, provenance()) as folder:
        (path,) = execute([good], folder, in_process=True)
        assert sorted(file.name for file in path.iterdir()) == ["done.json", "model.safetensors"]
        with pytest.raises(DataError, match="have changed"):
            execute([training_task(SPEC, data | {"checksum": "0" * 64}, 4)], folder, in_process=True)


def test_training_data_that_were_exchanged_in_the_folder(tmp_path):
    run = tmp_path / "run"
    fit(SPEC, X, seeds=1, out=run, progress=False)
    fit(SPEC, X + 1, seeds=1, out=tmp_path / "other", progress=False)
    (note,) = (path.parent for path in run.glob("tasks/*/data.json"))
    (arguments,) = (task for path in run.glob("tasks/*/done.json") if "seed" in (task := arguments_of(path)))
    (tmp_path / "other" / DATA_FILE).replace(run / DATA_FILE)
    with pytest.raises(DataError, match="does not hold the training data"):
        train_task(arguments, [note], tmp_path, lambda info: None)


def arguments_of(path):
    return read_json(path)["arguments"]


@pytest.mark.parametrize("seeds", [0, -1, True, 1.5, [], [1, 1], [0.5], [-1], "12", [2**63], None], ids=str)
def test_seeds(seeds):
    with pytest.raises(OptionError, match="seeds="):
        fit(SPEC, X, seeds=seeds, progress=False)


@pytest.mark.parametrize("data", [None, "digits", [[1.0]], np.array(["a"]), np.zeros((30, 3), complex)], ids=str)
def test_data(data):
    with pytest.raises(TensorError, match="fit expects a Dataset"):
        fit(SPEC, data, seeds=1, progress=False)


def test_what_cannot_work_fails_before_a_folder_is_made(tmp_path):
    with pytest.raises(TensorError, match="NaN"):
        fit(SPEC, X / 0 * 0, seeds=2, out=tmp_path / "run", progress=False)
    with pytest.raises(ModelError, match="convolutional=False"):
        fit(replace(SPEC, convolutional=True), X.flatten(1), seeds=2, out=tmp_path / "run", progress=False)
    with pytest.raises(ModelError, match=r"at most 9 latent dimensions \(--latent-dim"):
        fit(replace(SPEC, latent=10), X, seeds=2, out=tmp_path / "run", progress=False)
    assert not (tmp_path / "run").exists()


def test_a_training_that_diverges_keeps_its_error_through_the_engine():
    with pytest.raises(ModelError, match="training with seed 0 failed in epoch 1"):
        fit(SPEC, 1e25 * torch.ones_like(X), seeds=1, progress=False)
