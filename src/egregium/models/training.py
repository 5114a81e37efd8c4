"""Train a specification many times, each training a task of a run folder, on worker processes or in this one."""

import hashlib
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from egregium.data.dataset import Dataset, load
from egregium.errors import DataError, OptionError, TensorError
from egregium.models.checkpoint import FILE_NAME, load_model, save
from egregium.models.latent_model import LatentModel
from egregium.models.optimisation import checked, train
from egregium.models.vae import VAE
from egregium.runs.engine import execute
from egregium.runs.files import read_tensors, write_json, write_tensors
from egregium.runs.folder import RunFolder
from egregium.runs.progress import Bars, Silent
from egregium.runs.provenance import provenance
from egregium.runs.task import Report, Task

DATA_FILE = "training_data.safetensors"
LOAD_OPTIONS = ("data_dir", "size", "standardize", "test_fraction", "seed", "limit")


def fit(
    spec: VAE,
    data: Dataset | Tensor | np.ndarray,
    *,
    seeds: int | Sequence[int],
    out: str | Path | None = None,
    workers: int = 2,
    progress: bool = True,
) -> list[LatentModel]:
    """Train `spec` once per seed on the same data; equal seeds give bit-identical models, wherever and in whatever order.

    Args:
        spec: what to train and how.
        data: a `Dataset`, of which only the training part is used, or observations `(N, *shape)`.
        seeds: a number R for the seeds 0 .. R - 1, or the seeds.
        out: a run folder to keep the trainings in; the same call goes on where it was interrupted, and finished trainings
            are read, not repeated. More seeds may be added later. Without it nothing is kept on disk.
        workers: processes that train side by side, one thread each; with 1, or one seed, training runs in this process.
        progress: show a bar per training, with its loss and the time left, on stderr.

    Returns:
        One model per seed, in order, named "seed 0" and so on.

    Raises:
        OptionError: seeds or workers outside their range.
        TensorError: data that cannot be trained on (too few, NaN, outside [0, 1] for a Bernoulli likelihood).
        ModelError: `spec` cannot model such data, or a loss became NaN or infinite.
        RunError: `out` holds another specification or other data, is in use, or a worker died.
    """
    chosen = _seeds(seeds)
    x = checked(spec, _observations(data))  # here, before any worker starts
    if out is not None:
        return _fit_in(Path(out), spec, x, chosen, workers, progress)
    with tempfile.TemporaryDirectory(prefix="egregium-fit-") as place:
        return _fit_in(Path(place) / "run", spec, x, chosen, workers, progress)


def training_task(spec: VAE, data: dict[str, Any], seed: int, needs: tuple[Task, ...] = ()) -> Task:
    """The task that trains `spec` with one seed; its folder holds `model.safetensors` for `load_model`.

    `data` is `{"source": name or path, "checksum": Dataset.checksum}` with `load`'s options `data_dir, size, test_fraction,
    seed, limit` where wanted.
    """
    return Task(
        "egregium.models.training:train_task",
        {"spec": spec.to_json(), "data": data, "seed": seed},
        needs,
        label=f"training, seed {seed}",
    )


def train_task(arguments: dict[str, Any], inputs: list[Path], out: Path, progress: Report) -> None:
    """Train once, as a task: reads the data that `arguments["data"]` names and writes `model.safetensors` into `out`.

    Raises:
        DataError: the data differ from those whose checksum the task was given.
    """
    spec, seed = VAE.from_json(arguments["spec"]), arguments["seed"]
    x = _training_data(arguments["data"], inputs)
    module, history = train(spec, x, seed=seed, report=progress)
    save(out / FILE_NAME, module, spec, tuple(x.shape[1:]), seed, history)


def note_data_task(arguments: dict[str, Any], inputs: list[Path], out: Path, progress: Report) -> None:
    """A task that trainings on data from memory need: its place tells them the run folder, where `DATA_FILE` lies.

    The data themselves are no task's output, since nothing could compute them again when the folder is verified.
    """
    write_json(out / "data.json", arguments)


def _fit_in(root: Path, spec: VAE, x: Tensor, seeds: list[int], workers: int, progress: bool) -> list[LatentModel]:
    checksum = _checksum(x)
    note = Task("egregium.models.training:note_data_task", {"checksum": checksum, "shape": list(x.shape)}, label="data")
    tasks = [training_task(spec, {"file": DATA_FILE, "checksum": checksum}, seed, (note,)) for seed in seeds]
    config = {"kind": "fit", "spec": spec.to_json(), "data_checksum": checksum}
    with RunFolder.open(root, config, provenance()) as folder:
        write_tensors(root / DATA_FILE, {"x": x})
        shown = Bars("trainings") if progress else Silent()
        execute([note], folder, in_process=True)
        folders = execute(tasks, folder, workers=workers, progress=shown, in_process=workers == 1 or len(set(seeds)) == 1)
        folder.record_results()
        return [load_model(finished) for finished in folders]


def _training_data(data: dict[str, Any], inputs: list[Path]) -> Tensor:
    if "file" in data:
        file = inputs[0].parents[1] / data["file"]
        tensors, _ = read_tensors(file)
        x = tensors.get("x")
        if x is None or _checksum(x) != data["checksum"]:
            raise DataError(f"{file} does not hold the training data of this run any more; call fit again with the same data.")
        return x
    options = {name: data[name] for name in LOAD_OPTIONS if name in data}
    found = load(data["source"], **options)
    if found.checksum != data["checksum"]:
        raise DataError(
            f"the data of {data['source']} have changed since this run began: checksum {found.checksum[:12]}, "
            f"expected {data['checksum'][:12]}; restore them or start a new run."
        )
    return found.train


def _observations(data: Dataset | Tensor | np.ndarray) -> Tensor:
    if isinstance(data, Dataset):
        return data.train
    if isinstance(data, Tensor):
        return data
    if isinstance(data, np.ndarray) and data.dtype.kind in "fiub":
        return torch.from_numpy(np.ascontiguousarray(data))
    given = f"an array of {data.dtype}" if isinstance(data, np.ndarray) else type(data).__name__
    raise TensorError(
        f"fit expects a Dataset, a tensor or a numeric array (N, *shape) as data; got {given}: egregium.data.load reads files."
    )


def _seeds(seeds: int | Sequence[int]) -> list[int]:
    if isinstance(seeds, Sequence) and not isinstance(seeds, str):
        chosen = list(seeds)
    else:
        chosen = list(range(seeds)) if isinstance(seeds, int) and not isinstance(seeds, bool) else []
    sound = all(isinstance(seed, int) and not isinstance(seed, bool) and 0 <= seed < 2**63 for seed in chosen)
    if not chosen or not sound or len(set(chosen)) < len(chosen):
        raise OptionError(
            f"fit got seeds={seeds!r}; expected a number of trainings of at least 1, or distinct whole numbers from 0."
        )
    return chosen


def _checksum(x: Tensor) -> str:
    hashed = hashlib.sha256(f"{x.dtype}{tuple(x.shape)}".encode())
    hashed.update(x.contiguous().numpy().data)
    return hashed.hexdigest()
