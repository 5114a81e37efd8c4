"""The resolved configuration of a study, flattened for a table; nothing in it names the author's machine."""

from collections.abc import Iterator
from pathlib import PurePosixPath, PureWindowsPath
from typing import Any

from egregium.report.results import Results
from egregium.report.words import NOTHING

NAMES = {
    "activation": "Activation function",
    "batch_size": "Observations per training step",
    "beta": "Weight of the latent prior in the objective",
    "channels": "Channels of the convolutions",
    "checksum": "Checksum of the data",
    "code": "Checksum of the code",
    "convolutional": "Convolutional networks",
    "data.data_dir": "Folder of the data",
    "data.shape": "Shape of an observation",
    "data.test": "Observations to test on",
    "data.train": "Observations to train on",
    "data_checksum": "Checksum of the data",
    "data_dir": "Folder of the data",
    "decoders": "Decoders in each model",
    "epochs": "Most epochs",
    "git": "Git revision",
    "held_out": "Share of the training data held out to stop on",
    "hidden": "Widths of the hidden layers",
    "kind": "Kind of run",
    "latent": "Latent dimensions",
    "latent_dim": "Latent dimensions",
    "likelihood": "Likelihood",
    "limit": "Most observations read",
    "lr": "Highest learning rate",
    "models": "Trained models",
    "name": "Data",
    "optimizer": "Optimiser",
    "options.data": "Data",
    "pairs": "Pairs of test points",
    "patience": "Epochs without progress before stopping",
    "seed": "Seed",
    "relations": "Relations",
    "sigma": "Standard deviation of the Gaussian likelihood",
    "size": "Size of images",
    "source": "Data",
    "spec.model": "Model",
    "split_batches": "Each decoder sees its own part of a batch",
    "standardize": "Data standardised",
    "warmup": "Steps of rising learning rate",
}


def in_words(name: str) -> str:
    """A dotted name of a setting as a reader would call it; names that are unknown here lose their underscores.

    >>> in_words("spec.batch_size"), in_words("provenance.my_tool")
    ('Observations per training step', 'my tool')
    """
    parts = name.split(".")
    known = (NAMES[key] for key in (".".join(parts[-2:]), parts[-1]) if key in NAMES)
    return next(known, parts[-1].replace("_", " "))


def data_name(results: Results) -> str:
    """The name of the data in the configuration, if it can be told."""
    data = results.setting("data")
    found = data if isinstance(data, str) else results.setting("source")
    return plain_setting(found) if isinstance(found, str) else ""


def flat(value: Any, prefix: str = "") -> Iterator[tuple[str, str]]:
    """Nested settings as dotted names with short values.

    >>> list(flat({"model": {"hidden": [256, 256], "split": True}}))
    [('model.hidden', '256, 256'), ('model.split', 'yes')]
    """
    if isinstance(value, dict):
        for key, inner in value.items():
            yield from flat(inner, f"{prefix}.{key}" if prefix else str(key))
    elif isinstance(value, list) and any(isinstance(item, dict | list) for item in value):
        for place, inner in enumerate(value):
            yield from flat(inner, f"{prefix}.{place}")
    elif isinstance(value, list):
        yield prefix, ", ".join(plain_setting(item) for item in value)
    else:
        yield prefix, plain_setting(value)


def plain_setting(value: object) -> str:
    """A setting in words; of an absolute path only the last name.

    >>> plain_setting("/home/someone/data")
    'data'
    """
    if value is None:
        return NOTHING
    if isinstance(value, bool):
        return "yes" if value else "no"
    said = str(value)
    if PurePosixPath(said).is_absolute() or PureWindowsPath(said).is_absolute():
        return PureWindowsPath(said).name
    return said
