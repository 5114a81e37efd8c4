"""Trained networks as files: safetensors weights with the hyper-parameters beside them, and nothing that is executed."""

import json
from pathlib import Path

import torch

from egregium.causal.learning.learned import Learned
from egregium.causal.learning.methods import METHODS
from egregium.causal.learning.standardisation import Standardisation
from egregium.errors import EgregiumError, ModelError, StorageError
from egregium.runs.files import read_tensors, write_tensors

FILE_NAME = "model.safetensors"
META_KEY = "egregium.causal"
SCHEMA = 1


def save_learned(path: str | Path, learned: Learned, address: str = "") -> None:
    """Write a trained network, atomically; equal trainings give equal bytes. Raises: `StorageError`."""
    meta = {
        "schema": SCHEMA, "method": learned.method.to_json(), "shape": list(learned.front.shape), "seed": learned.seed,
        "history": list(learned.history), "address": address,
    }  # fmt: skip
    tensors = {f"model.{name}": one for name, one in learned.model.state_dict().items()}
    tensors |= {f"front.{name}": one for name, one in learned.front.state_dict().items()}
    tensors = {name: one.detach().cpu().contiguous() for name, one in tensors.items()}
    write_tensors(Path(path), tensors, {META_KEY: json.dumps(meta, sort_keys=True, allow_nan=False)})


def load_learned(path: str | Path) -> tuple[Learned, str]:
    """Read what `save_learned` wrote, with its address; `path` is the file or its folder.

    Raises:
        StorageError: missing, truncated or damaged file.
        ModelError: another kind of safetensors file, or weights that do not fit their specification.
    """
    file = Path(path) / FILE_NAME if Path(path).is_dir() else Path(path)
    if not file.is_file():
        raise StorageError(f"there is no trained network at {file}; expected a {FILE_NAME} written by fit(..., out=).")
    tensors, meta = read_tensors(file)
    if META_KEY not in meta:
        raise ModelError(f"{file} is a safetensors file, but was not written by egregium.causal.fit.")
    try:
        described = json.loads(meta[META_KEY])
        if described["schema"] != SCHEMA:
            raise ModelError(f"{file} has schema {described['schema']!r}; this version of egregium reads schema {SCHEMA}.")
        method = METHODS[described["method"]["method"]].from_json(described["method"])
        front = Standardisation(tuple(described["shape"]), method.components)
        model = method.build(front.width, torch.Generator().manual_seed(0))
        front.load_state_dict({name.removeprefix("front."): one for name, one in tensors.items() if name.startswith("front.")})
        model.load_state_dict({name.removeprefix("model."): one for name, one in tensors.items() if name.startswith("model.")})
        learned = Learned(method, model.eval().requires_grad_(False), front, described["seed"], tuple(described["history"]))
        return learned, described["address"]
    except EgregiumError as error:
        raise ModelError(f"{file} cannot be used: {error}") from error
    except (KeyError, TypeError, ValueError, AttributeError, RuntimeError) as error:
        raise ModelError(
            f"the description inside {file} is damaged ({type(error).__name__}: {error}); train it again."
        ) from error
