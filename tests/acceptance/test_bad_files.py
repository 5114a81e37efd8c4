"""Acceptance 8, second half: bad models, data, folders, disks and commands end in a typed error, a sentence and exit code 2."""

import errno
import gzip
import hashlib
import io
import os
import tarfile
import zipfile
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import numpy as np
import pandas as pd
import pytest
import torch
from PIL import Image
from tests.acceptance.bad_input import Cases, require_typed
from torch import nn

from egregium.cli import main
from egregium.data import load
from egregium.data.download import download
from egregium.identifiability.dispersion import summarize
from egregium.identifiability.indeterminacy import indeterminacy
from egregium.identifiability.scope import scope
from egregium.identifiability.study import Study
from egregium.models import LatentModel, fit
from egregium.models.checkpoint import load_model, save
from egregium.models.vae import VAE
from egregium.runs import verify
from egregium.runs.engine import execute
from egregium.runs.files import read_json, read_table, write_json, write_tensors
from egregium.runs.folder import RunFolder
from egregium.runs.task import Task

case = Cases()

SPEC = VAE(latent=2, decoders=1, hidden=(4,), epochs=1)
POINTS = torch.rand(12, 5, generator=torch.Generator().manual_seed(0))


@pytest.fixture(scope="module")
def model() -> LatentModel:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return LatentModel(nn.Linear(5, 2), nn.Linear(2, 5))


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A fresh folder, where commands run too, and where named data sets are not found elsewhere."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("EGREGIUM_DATA", raising=False)
    monkeypatch.setattr("egregium.data.catalog.cache_folder", lambda: tmp_path / "cache")
    return tmp_path


# Models


@case
def encoder_that_is_no_function(here, model):
    return LatentModel(3, nn.Linear(2, 5))  # type: ignore[arg-type]


@case
def model_without_decoder(here, model):
    return LatentModel(nn.Linear(5, 2), [])


@case
def encoder_that_returns_a_tuple(here, model):
    return LatentModel(lambda x: (x[:, :2], x), nn.Linear(2, 5)).encode(POINTS)  # type: ignore[arg-type, return-value]


@case
def encoder_that_samples(here, model):
    return LatentModel(lambda x: x[:, :2] + torch.randn(len(x), 2), nn.Linear(2, 5)).encode(POINTS)


@case
def encoder_that_gives_nan(here, model):
    return LatentModel(lambda x: x[:, :2] * torch.nan, nn.Linear(2, 5)).encode(POINTS)


@case
def observations_of_another_shape(here, model):
    return model.encode(torch.zeros(3, 7))


@case
def no_observations(here, model):
    return model.encode(torch.zeros(0, 5))


@case
def prior_without_event_dimension(here, model):
    return LatentModel(nn.Linear(5, 2), nn.Linear(2, 5), prior=torch.distributions.Normal(0.0, 1.0))


@case
def specification_without_latent_dimension(here, model):
    return VAE(latent=0)


@case
def specification_with_an_unknown_field(here, model):
    return VAE.from_json({**SPEC.to_json(), "temperature": 1.0})


@case
def relu_activation(here, model):
    return VAE(activation="relu")  # type: ignore[arg-type]


@case
def training_on_nan(here, model):
    return fit(SPEC, POINTS * torch.nan, seeds=1, progress=False)


@case
def training_on_nothing(here, model):
    return fit(SPEC, POINTS[:0], seeds=1, progress=False)


@case
def training_on_words(here, model):
    return fit(SPEC, np.array(["a", "b"]), seeds=1, progress=False)


@case
def training_without_seeds(here, model):
    return fit(SPEC, POINTS, seeds=[], progress=False)


@case
def training_a_bernoulli_likelihood_on_counts(here, model):
    return fit(VAE(latent=2, decoders=1, hidden=(4,), likelihood="bernoulli"), 5 * POINTS, seeds=1, progress=False)


@case
def missing_checkpoint(here, model):
    return load_model(here / "nothing.safetensors")


def checkpoint(here: Path) -> Path:
    save(here / "model.safetensors", SPEC.build((5,), 0), SPEC, (5,), 0, {"train": [1.0]})
    return here / "model.safetensors"


@case
def truncated_checkpoint(here, model):
    path = checkpoint(here)
    path.write_bytes(path.read_bytes()[:-100])
    return load_model(path)


@case
def checkpoint_with_a_flipped_bit(here, model):
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


# Studies


@case
def study_without_models(here, model):
    return Study([], POINTS)


@case
def study_of_something_else(here, model):
    return Study([nn.Linear(2, 5)], POINTS)  # type: ignore[list-item]


@case
def study_of_two_points(here, model):
    return Study([model], POINTS[:2])


@case
def study_of_points_in_a_list(here, model):
    return Study([model], POINTS.tolist())  # type: ignore[arg-type]


@case
def study_of_points_with_nan(here, model):
    return Study([model], POINTS * torch.nan, pairs=2, relations=["euclidean"]).run()


@case
def study_without_pairs(here, model):
    return Study([model], POINTS, pairs=0)


@case
def study_of_an_unknown_relation(here, model):
    return Study([model], POINTS, relations=["friendship"])


@case
def study_on_an_unknown_engine(here, model):
    return Study([model], POINTS, pairs=2, relations=["euclidean"]).run(engine="slurm")


@case
def summary_of_a_table_without_columns(here, model):
    return summarize(pd.DataFrame({"value": [1.0]}))


@case
def summary_of_an_empty_table(here, model):
    columns = ["model", "pair", "i", "j", "k", "relation", "endpoint", "n_points", "value", "lower", "upper", "status"]
    return summarize(pd.DataFrame(columns=columns))


@case
def scope_of_an_unknown_relation(here, model):
    return scope(model, "friendship")


@case
def indeterminacy_of_models_of_other_data(here, model):
    other = LatentModel(nn.Linear(7, 2), nn.Linear(2, 7))
    return indeterminacy(model, other, torch.zeros(4, 2), start=torch.zeros(4, 2))


# Data


@case
def data_of_an_unknown_name(here, model):
    return load("mnits")


@case
def empty_array_file(here, model):
    (here / "x.npy").write_bytes(b"")
    return load(here / "x.npy")


@case
def truncated_array_file(here, model):
    np.save(here / "x.npy", np.zeros((50, 4)))
    (here / "x.npy").write_bytes((here / "x.npy").read_bytes()[:-64])
    return load(here / "x.npy")


@case
def array_file_with_pickled_objects(here, model):
    np.save(here / "x.npy", np.array([{"a": 1}], dtype=object), allow_pickle=bool(1))
    return load(here / "x.npy")


@case
def array_file_with_nan(here, model):
    np.save(here / "x.npy", np.full((50, 4), np.nan))
    return load(here / "x.npy")


@case
def table_with_words(here, model):
    (here / "x.csv").write_text("a,b\n1,2\n3,four\n")
    return load(here / "x.csv")


@case
def table_with_ragged_lines(here, model):
    (here / "x.csv").write_text("a,b\n1,2\n3,4,5\n")
    return load(here / "x.csv")


@case
def parquet_file_that_is_none(here, model):
    (here / "x.parquet").write_bytes(b"PAR1 and no more")
    return load(here / "x.parquet")


@case
def data_of_an_unknown_kind(here, model):
    (here / "x.docx").write_text("words")
    return load(here / "x.docx")


@case
def folder_without_images(here, model):
    (here / "images").mkdir()
    (here / "images" / "notes.txt").write_text("none")
    return load(here / "images")


def picture(side: int = 8) -> bytes:
    stream = io.BytesIO()
    Image.new("L", (side, side), 9).save(stream, "png")
    return stream.getvalue()


@case
def folder_with_a_damaged_image(here, model):
    (here / "images").mkdir()
    for k in range(4):
        (here / "images" / f"{k}.png").write_bytes(picture()[: 50 if k == 2 else None])
    return load(here / "images")


@case
def images_of_unequal_sizes(here, model):
    (here / "images").mkdir()
    for k in range(4):
        (here / "images" / f"{k}.png").write_bytes(picture(8 + k))
    return load(here / "images")


@case
def tar_that_escapes(here, model):
    with tarfile.open(here / "x.tar", "w") as archive:
        member = tarfile.TarInfo("../../outside.png")
        member.size = len(picture())
        archive.addfile(member, io.BytesIO(picture()))
    return load(here / "x.tar")


@case
def tar_with_a_link(here, model):
    with tarfile.open(here / "x.tar", "w") as archive:
        member = tarfile.TarInfo("a.png")
        member.type, member.linkname = tarfile.SYMTYPE, "/etc/passwd"
        archive.addfile(member)
    return load(here / "x.tar")


@case
def truncated_tar(here, model):
    with tarfile.open(here / "x.tar.gz", "w:gz") as archive:
        for k in range(4):
            member = tarfile.TarInfo(f"{k}.png")
            member.size = len(picture())
            archive.addfile(member, io.BytesIO(picture()))
    (here / "x.tar.gz").write_bytes((here / "x.tar.gz").read_bytes()[:-40])
    return load(here / "x.tar.gz")


@case
def zip_that_escapes(here, model):
    with zipfile.ZipFile(here / "x.zip", "w") as archive:
        archive.writestr("../outside.png", picture())
    return load(here / "x.zip")


@case
def idx_files_cut_short(here, model):
    content = bytes([0, 0, 8, 3]) + np.array([10, 28, 28], ">u4").tobytes() + bytes(100)
    (here / "mnist").mkdir()
    for role in ("train-images-idx3-ubyte", "train-labels-idx1-ubyte", "t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte"):
        (here / "mnist" / f"{role}.gz").write_bytes(gzip.compress(content))
    return load("mnist", data_dir=here)


@case
def named_data_in_an_empty_folder(here, model):
    (here / "empty").mkdir()
    return load("mnist", data_dir=here / "empty")


@case
def image_size_of_an_array(here, model):
    np.save(here / "x.npy", np.zeros((50, 4)))
    return load(here / "x.npy", size=8)


@case
def fraction_of_two(here, model):
    return load("digits", test_fraction=2.0)


@case
def limit_of_zero_rows(here, model):
    return load("digits", limit=0)


@pytest.fixture
def server(here: Path) -> Iterator[str]:
    """Address of a server on this machine that serves the folder."""
    (here / "served").mkdir()

    class Quiet(SimpleHTTPRequestHandler):
        def log_message(self, format: str, *args: object) -> None: ...

    with ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(here / "served"))) as running:
        thread = Thread(target=partial(running.serve_forever, poll_interval=0.01), daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{running.server_port}/"
        running.shutdown()
        thread.join()


@case
def truncated_download(here, server, model):
    (here / "served" / "x").write_bytes(b"half")
    return download([server + "x"], here / "x", sha256=hashlib.sha256(b"half and half").hexdigest(), size=13)


@case
def download_of_something_else(here, server, model):
    (here / "served" / "x").write_bytes(b"other content")
    return download([server + "x"], here / "x", sha256=hashlib.sha256(b"half and half").hexdigest(), size=13)


@case
def download_from_nowhere(here, server, model):
    return download([server + "missing"], here / "x", sha256="0" * 64, size=13)


# Run folders and disks


@case
def folder_under_a_file(here, model):
    (here / "file").write_text("in the way")
    return RunFolder.open(here / "file" / "run", {}, {})


@case
def folder_full_of_other_things(here, model):
    (here / "thesis.tex").write_text("precious")
    return RunFolder.open(here, {}, {})


@case
def folder_of_another_configuration(here, model):
    with RunFolder.open(here / "run", {"models": 2}, {}) as folder:
        execute([Task("egregium.testing.tasks:sleepy", {"name": "a"})], folder, in_process=True)
    return RunFolder.open(here / "run", {"models": 3}, {})


@case
def folder_in_use(here, model):
    with RunFolder.open(here / "run", {}, {}):
        return RunFolder.open(here / "run", {}, {})


@case
def folder_with_a_damaged_configuration(here, model):
    RunFolder.open(here / "run", {}, {}).close()
    (here / "run" / "run.json").write_text("{")
    return RunFolder.open(here / "run", {}, {})


@case
def full_disk(here, model, monkeypatch):
    def full(descriptor: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", full)
    return write_json(here / "x.json", {})


@case
def failing_disk(here, model, monkeypatch):
    write_json(here / "x.json", {})

    def broken(*arguments: object, **options: object) -> None:
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    monkeypatch.setattr(Path, "read_bytes", broken)
    monkeypatch.setattr("builtins.open", broken)
    return read_json(here / "x.json")


@case
def damaged_json(here, model):
    (here / "x.json").write_text('{"a": ')
    return read_json(here / "x.json")


@case
def damaged_table(here, model):
    (here / "x.parquet").write_bytes(b"no table")
    return read_table(here / "x.parquet")


@case
def json_of_objects(here, model):
    return write_json(here / "x.json", {"model": model})


@case
def task_outside_the_library(here, model):
    return Task("os:system", {"command": "true"})


@case
def task_that_fails(here, model):
    with RunFolder.open(here / "run", {}, {}) as folder:
        return execute([Task("egregium.testing.tasks:failing", {"name": "a", "kind": "foreign"})], folder, in_process=True)


@case
def worker_that_dies(here, model):
    with RunFolder.open(here / "run", {}, {}) as folder:
        return execute([Task("egregium.testing.tasks:crashing", {"name": "a"})], folder, workers=1)


@case
def verification_of_no_run(here, model):
    return verify.verify(here)


# Commands


COMMANDS = {
    "an unknown command": ("studdy", "digits"),
    "a study of nothing": ("study",),
    "a study of missing data": ("study", "missing.npy"),
    "a study without models": ("study", "digits", "--models", "0"),
    "a study without pairs": ("study", "digits", "--pairs", "none"),
    "a study with an unknown option": ("study", "digits", "--speed", "high"),
    "a study of an unknown relation": ("study", "digits", "--relations", "friendship"),
    "a study with hidden layers in words": ("study", "digits", "--hidden", "many"),
    "a report of no run": ("report", "nowhere"),
    "a verification of no run": ("verify", "nowhere"),
    "fetching unknown data": ("data", "fetch", "imagenet"),
}


@pytest.mark.parametrize("name", case)
def test_case(name: str, here: Path, model: LatentModel, request: pytest.FixtureRequest) -> None:
    arguments = case[name].__code__.co_varnames[: case[name].__code__.co_argcount]
    given = {argument: request.getfixturevalue(argument) for argument in arguments}
    print(f"{name}: {require_typed(partial(case[name], **given))}")


@pytest.mark.parametrize("words", COMMANDS.values(), ids=COMMANDS)
def test_command(words: tuple[str, ...], here: Path, capfd: pytest.CaptureFixture[str]) -> None:
    assert main(list(words)) == 2
    said = capfd.readouterr().err.strip().splitlines()
    assert said[-1].startswith("egregium: ") and "Traceback" not in "".join(said)
    assert not (here.parent / "outside.png").exists()


def test_there_are_forty_cases() -> None:
    assert len(case) + len(COMMANDS) >= 40
