"""`egregium study`: from a data set to a run folder with a report's worth of results, in tasks that cannot be lost."""

from functools import lru_cache
from pathlib import Path
from typing import Any

import torch

from egregium.data.dataset import Dataset, load
from egregium.identifiability.battery import chosen
from egregium.identifiability.diagnostics import compare, diagnose
from egregium.identifiability.measurement import measure
from egregium.identifiability.pictures import pictures
from egregium.identifiability.plan import Triples
from egregium.identifiability.study import gathered, keep, kept, write_results
from egregium.models.checkpoint import load_model
from egregium.models.optimisation import checked
from egregium.models.training import training_task
from egregium.models.vae import VAE
from egregium.runs.engine import execute
from egregium.runs.files import read_json, read_tensors, write_json, write_tensors
from egregium.runs.folder import RunFolder
from egregium.runs.progress import Progress
from egregium.runs.provenance import provenance
from egregium.runs.task import Report, Task

MODULE = "egregium.identifiability.campaign"
DIGITS = {"hidden": (64, 64), "epochs": 300, "lr": 4e-3}


def run_study(
    options: dict[str, Any], out: str | Path, *, workers: int = 2, force: bool = False, progress: Progress | None = None
) -> Path:
    """Train, measure, compare and summarise; returns the run folder. The same call goes on where it was interrupted.

    `options`: `data, data_dir, size, standardize, limit, models, pairs, latent_dim, decoders, convolutional, hidden,
    likelihood, epochs, relations, seed`, as the command line has them.

    Raises: `DataError`, `ModelError`, `OptionError`, `RunError`, `StorageError`, `TensorError`.
    """
    entries = chosen(options["relations"])
    source = _source(options)
    data = _load(**source)
    source["checksum"] = data.checksum
    spec = _spec(options, data)
    plan = {"data": source, "pairs": options["pairs"], "seed": options["seed"], "relations": list(entries)}
    config = {"kind": "study", "options": {**options, "relations": list(entries)}, "spec": spec.to_json(),
              "data": {"name": data.name, "train": len(data.train), "test": len(data.test), "shape": list(data.shape)},
              "data_checksum": data.checksum}  # fmt: skip
    checked(spec, data.train)  # what cannot work should fail here, before a folder is made
    Triples.draw(len(data.test), options["pairs"], options["seed"])
    with RunFolder.open(Path(out), config, provenance(), force) as folder:
        trained = [training_task(spec, source, options["seed"] + r) for r in range(options["models"])]
        measured = [
            Task(f"{MODULE}:measure_task", {**plan, "place": r}, (task, trained[0]), f"measuring, training {r}")
            for r, task in enumerate(trained)
        ]
        ring = _ring(trained, measured) if "geodesic_mean" in entries else []
        drawn = Task(f"{MODULE}:picture_task", plan, tuple(trained[:4]), "pictures")
        execute([*measured, *ring, drawn], folder, workers=workers, progress=progress)
        _finish(folder, measured, ring, drawn, {name: entry.scale for name, entry in entries.items()})
    return Path(out)


def described(options: dict[str, Any]) -> str:
    """What the data of a study are, in a line."""
    data = _load(**_source(options))
    kinds = "" if data.train_labels is None else f", {len(data.train_labels.unique())} kinds of label"
    shape = " x ".join(str(n) for n in data.shape)
    note = f". {data.note}" if data.note else ""
    return f"{data.origin}: {len(data.train)} examples to train on, {len(data.test)} to test, of {shape} numbers{kinds}{note}"


def _source(options: dict[str, Any]) -> dict[str, Any]:
    given = {name: options[name] for name in ("data_dir", "size", "standardize", "limit") if options.get(name)}
    return {"source": options["data"], "seed": options["seed"], **given}


def _ring(trained: list[Task], measured: list[Task]) -> list[Task]:
    """Each training compared with the next, the last with the first."""
    count = len(trained)
    steps = [(a, (a + 1) % count) for a in range(count if count > 2 else count - 1)]
    return [
        Task(f"{MODULE}:compare_task", {}, (trained[a], trained[b], measured[a], measured[b]), f"comparing {a} and {b}")
        for a, b in steps
    ]


def _spec(options: dict[str, Any], data: Dataset) -> VAE:
    settings = {"latent": options["latent_dim"], "decoders": options["decoders"], "convolutional": options["convolutional"],
                "likelihood": options["likelihood"]}  # fmt: skip
    if options["data"] == "digits":
        settings |= DIGITS
    settings |= {name: options[name] for name in ("hidden", "epochs") if options[name] is not None}
    if "hidden" in settings:
        settings["hidden"] = tuple(settings["hidden"])
    return VAE(**settings)


def _finish(folder: RunFolder, measured: list[Task], ring: list[Task], drawn: Task, scales: dict[str, str]) -> None:
    measurements = [kept(folder.path(task)) for task in measured]
    table = gathered([one.rows for one in measurements], scales)
    edges = [read_json(folder.path(task) / "edge.json") for task in ring]
    write_results(folder.root, table, diagnose(table, [one.extras for one in measurements], edges))
    arrays, _ = read_tensors(folder.path(drawn) / "figures.safetensors")
    write_tensors(folder.root / "figures.safetensors", arrays)
    folder.record_results()


@lru_cache(maxsize=2)
def _load(source: str, **options: Any) -> Dataset:
    return load(source, **options)


def _data(arguments: dict[str, Any]) -> Dataset:
    return _load(**{name: value for name, value in arguments["data"].items() if name != "checksum"})


def measure_task(arguments: dict[str, Any], inputs: list[Path], out: Path, progress: Report) -> None:
    """Measure one training; `inputs`: its checkpoint and that of the first training, the reference for alignment."""
    data = _data(arguments)
    triples = Triples.draw(len(data.test), arguments["pairs"], arguments["seed"])
    model, first = load_model(inputs[0]), load_model(inputs[1])
    measured = measure(
        model, f"{arguments['place']:03d}", data.test, triples, chosen(arguments["relations"]), first.encode(data.test),
        lambda done, total: progress({"done": done, "total": total}),
    )  # fmt: skip
    keep(measured, out)


def compare_task(arguments: dict[str, Any], inputs: list[Path], out: Path, progress: Report) -> None:
    """Compare two trainings; `inputs`: their checkpoints and their measurements."""
    a, b = load_model(inputs[0]), load_model(inputs[1])
    write_json(out / "edge.json", compare(a, b, kept(inputs[2]).extras, kept(inputs[3]).extras))


def picture_task(arguments: dict[str, Any], inputs: list[Path], out: Path, progress: Report) -> None:
    """Arrays for the report's pictures; `inputs`: checkpoints of up to four trainings."""
    data = _data(arguments)
    models = [load_model(folder) for folder in inputs]
    triples = Triples.draw(len(data.test), arguments["pairs"], arguments["seed"])
    ends = _far_pair(models[0].encode(data.test), triples)
    write_tensors(out / "figures.safetensors", pictures(models, data.test, data.test_labels, ends))


def _far_pair(latent: torch.Tensor, triples: Triples) -> tuple[int, int]:
    """Of the pairs measured, the one at the 90 % quantile of latent distance: long enough to see, not the extreme."""
    i, j = triples.index[:, 0], triples.index[:, 1]
    order = (latent[i] - latent[j]).norm(dim=-1).argsort()
    place = order[int(0.9 * (len(order) - 1))]
    return int(i[place]), int(j[place])
