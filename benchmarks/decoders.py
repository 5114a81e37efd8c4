"""The decoder that benchmarks measure: a perceptron of about half a million weights, trained once and kept in runs/."""

import os
import sys
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn

from egregium.data.dataset import Dataset, load
from egregium.errors import DataError
from egregium.models.checkpoint import load as load_checkpoint
from egregium.models.checkpoint import save
from egregium.models.optimisation import train
from egregium.models.vae import VAE
from egregium.runs.files import digest

ROOT = Path(__file__).resolve().parent.parent
CACHE = ROOT / "runs" / "benchmarks"


@dataclass(frozen=True)
class Trained:
    """A trained decoder `(N, d) -> (N, D)` in float32 and the test images' latent points `(N, d)`."""

    decoder: nn.Module
    latents: Tensor
    data: str

    @property
    def weights(self) -> int:
        """Number of the decoder's weights."""
        return sum(parameter.numel() for parameter in self.decoder.parameters())

    def pairs(self, count: int, seed: int = 0) -> tuple[Tensor, Tensor]:
        """Ends `(count, d)` of `count` pairs of different test points."""
        order = torch.randperm(len(self.latents), generator=torch.Generator().manual_seed(seed))
        return self.latents[order[:count]], self.latents[order[count : 2 * count]]


def images(data_dir: str | None) -> Dataset:
    """MNIST from `data_dir`, `$EGREGIUM_DATA` or `shared/data` beside the checkout; else digits, enlarged to 28 x 28."""
    beside = ROOT.parent / "shared" / "data"
    place = data_dir or os.environ.get("EGREGIUM_DATA") or (str(beside) if beside.is_dir() else None)
    if place is None:
        print("No local MNIST (--data-dir): taking scikit-learn's digits, enlarged to 28 x 28.", file=sys.stderr)
        return load("digits", size=28)
    try:
        return load("mnist", data_dir=place)
    except DataError as error:
        sys.exit(f"benchmarks: {error}")


def trained(latent: int, data: Dataset, sigma: float, epochs: int = 20) -> Trained:
    """A variational autoencoder of `latent` dimensions, trained on first use (a minute or two).

    `sigma` is the standard deviation of its Gaussian likelihood: the smaller, the more the decoder folds.
    """
    spec = VAE(latent=latent, decoders=1, hidden=(400, 400), sigma=sigma, epochs=epochs)
    name = digest({"spec": spec.to_json(), "data": data.checksum})[:16]
    file = CACHE / f"vae-{latent}-{name}.safetensors"
    if not file.is_file():
        print(f"Training a decoder with d = {latent} on {data.name} ...", file=sys.stderr, flush=True)
        module, history = train(spec, data.train, seed=0)
        CACHE.mkdir(parents=True, exist_ok=True)
        save(file, module, spec, data.shape, 0, history)
    module = load_checkpoint(file).module
    decoder = nn.Sequential(next(iter(module.decoders)), nn.Flatten()).eval()
    with torch.no_grad():
        latents = module.mean(data.test)
    return Trained(decoder, latents, data.name)
