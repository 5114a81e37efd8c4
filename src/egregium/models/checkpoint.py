"""Trained models as files: safetensors weights with the specification beside them, and nothing that is executed."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import torch

from egregium.errors import EgregiumError, ModelError, StorageError
from egregium.models.latent_model import LatentModel, update_with_weights
from egregium.models.vae import VAE, VAEModule
from egregium.runs.files import read_tensors, write_tensors
from egregium.spaces import Euclidean
from egregium.spaces.charts import Bernoulli, Gaussian
from egregium.spaces.description import described, from_description

META_KEY = "egregium"
DIGEST_KEY = "sha256"
SCHEMA = 1
FILE_NAME = "model.safetensors"

History = dict[str, list[float]]


@dataclass(frozen=True)
class Checkpoint:
    """What a checkpoint file holds: the module in evaluation mode, and how it came about."""

    module: VAEModule
    spec: VAE
    shape: tuple[int, ...]
    seed: int
    history: History


def save(path: Path, module: VAEModule, spec: VAE, shape: Sequence[int], seed: int, history: History) -> None:
    """Write a checkpoint to `path` (safetensors), atomically; equal trainings give equal bytes.

    Raises:
        StorageError: the file cannot be written.
    """
    meta = {
        "schema": SCHEMA,
        "library": _library_version(),
        "spec": spec.to_json(),
        "shape": list(shape),
        "seed": seed,
        "history": history,
    }
    weights = {name: tensor.detach().cpu().contiguous() for name, tensor in module.state_dict().items()}
    text = json.dumps(meta, sort_keys=True, allow_nan=False)
    write_tensors(Path(path), weights, {META_KEY: text, DIGEST_KEY: _digest(text, weights)})


def load(path: str | Path) -> Checkpoint:
    """Read a checkpoint written by `save`; `path` is the file or the folder that holds `model.safetensors`.

    Raises:
        StorageError: missing, truncated or damaged file.
        ModelError: a safetensors file that is not a checkpoint of this library, or whose weights do not fit its specification.
    """
    path = Path(path)
    file = path / FILE_NAME if path.is_dir() else path
    if not file.is_file():
        raise StorageError(
            f"there is no checkpoint at {file}; expected a model.safetensors written by egregium, or its folder."
        )
    tensors, meta = read_tensors(file)
    if META_KEY not in meta:
        raise ModelError(
            f"{file} is a safetensors file, but no checkpoint of egregium; wrap such a model in LatentModel(encode, decode)."
        )
    if meta.get(DIGEST_KEY) != _digest(meta[META_KEY], tensors):
        raise ModelError(
            f"{file} is damaged: its checksum differs from the one it was written with; restore it or train it again."
        )
    try:
        described = json.loads(meta[META_KEY])
        if described["schema"] != SCHEMA:
            raise ModelError(
                f"{file} has checkpoint schema {described['schema']!r}; this version of egregium reads schema {SCHEMA}."
            )
        spec, shape = VAE.from_json(described["spec"]), tuple(int(n) for n in described["shape"])
        seed, history = int(described["seed"]), dict(described["history"])
        module = spec.build(shape, seed)
    except EgregiumError as error:
        raise ModelError(f"the checkpoint {file} cannot be used: {error}") from error
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise ModelError(
            f"the description inside {file} is damaged ({type(error).__name__}: {error}); train the model again."
        ) from error
    _install(module, tensors, file)
    return Checkpoint(module.eval().requires_grad_(False), spec, shape, seed, history)


def load_model(path: str | Path, name: str | None = None) -> LatentModel:
    """The trained model at `path` (checkpoint file or its folder), ready to be measured; named after its seed by default.

    The decoders of a Bernoulli model give logits, and its chart reads logits.

    Raises:
        StorageError: missing, truncated or damaged file.
        ModelError: not a checkpoint of this library, or one whose weights do not fit its specification.
    """
    checkpoint = load(path)
    spec, module = checkpoint.spec, checkpoint.module
    space = from_description(described(module.latent.space))
    return LatentModel(
        module.mean,
        list(module.decoders),
        prior=module.latent.family.prior(),
        base=None if isinstance(space, Euclidean) else space,
        posterior=module.posterior,
        chart=Gaussian(spec.sigma) if spec.likelihood == "gaussian" else Bernoulli(logits=True),
        name=name or f"seed {checkpoint.seed}",
    )


def _install(module: VAEModule, tensors: dict[str, torch.Tensor], file: Path) -> None:
    expected = module.state_dict()
    wrong = sorted(
        name
        for name in expected.keys() | tensors.keys()
        if name not in tensors
        or name not in expected
        or (tensors[name].shape, tensors[name].dtype) != (expected[name].shape, expected[name].dtype)
    )
    if wrong:
        raise ModelError(
            f"the weights in {file} do not fit its specification: {len(wrong)} differ, first {wrong[0]!r}; train it again."
        )
    infinite = sorted(name for name, tensor in tensors.items() if not torch.isfinite(tensor).all())
    if infinite:
        raise ModelError(f"the weights {infinite[0]!r} in {file} hold NaN or infinity; train the model again.")
    module.load_state_dict(tensors)


def _digest(text: str, weights: Mapping[str, torch.Tensor]) -> str:
    digest = hashlib.sha256(text.encode())
    update_with_weights(digest, weights)
    return digest.hexdigest()


def _library_version() -> str:
    try:
        return version("egregium")
    except PackageNotFoundError:
        return "unknown"
