"""The decoders that benchmarks measure: trained once and kept in runs/, or drawn at random where there are no data."""

import os
import sys
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from egregium.data.dataset import Dataset, load
from egregium.errors import DataError
from egregium.models.checkpoint import load as load_checkpoint
from egregium.models.checkpoint import save
from egregium.models.nets import conv_decoder, mlp_decoder
from egregium.models.optimisation import train
from egregium.models.vae import VAE
from egregium.runs.files import digest

ROOT = Path(__file__).resolve().parent.parent
CACHE = ROOT / "runs" / "benchmarks"
SHAPES = {784: (1, 28, 28), 3072: (3, 32, 32), 12288: (3, 64, 64)}
GAIN = 2.0  # weights drawn as for training give surfaces that are nearly flat


@dataclass(frozen=True)
class Subject:
    """A decoder `(N, d) -> (N, D)` in float32, the latent points `(N, d)` that pairs are drawn from, and what it is."""

    decoder: nn.Module
    latents: Tensor
    label: str

    @property
    def weights(self) -> int:
        """Number of the decoder's weights."""
        return sum(parameter.numel() for parameter in self.decoder.parameters())

    @property
    def outputs(self) -> int:
        """Numbers D of a decoded point."""
        with torch.no_grad():
            return self.decoder(self.latents[:1]).shape[-1]

    def to(self, device: str) -> "Subject":
        """The same on a device."""
        return replace(self, decoder=self.decoder.to(device), latents=self.latents.to(device))

    def pairs(self, count: int, seed: int = 0) -> tuple[Tensor, Tensor]:
        """Ends `(count, d)` of `count` pairs of different points."""
        order = torch.randperm(len(self.latents), generator=torch.Generator().manual_seed(seed)).to(self.latents.device)
        return self.latents[order[:count]], self.latents[order[count : 2 * count]]


def place(data_dir: str | None) -> Path | None:
    """The folder of data: `data_dir`, `$EGREGIUM_DATA`, or `shared/data` beside the checkout, if there is one."""
    beside = ROOT.parent / "shared" / "data"
    given = data_dir or os.environ.get("EGREGIUM_DATA") or (str(beside) if beside.is_dir() else None)
    return None if given is None else Path(given)


def mnist(latent: int, sigma: float, data_dir: str | None, epochs: int = 20) -> Subject:
    """A perceptron of some half a million weights, trained on MNIST; else on digits enlarged to 28 x 28; else at random.

    `sigma` is the standard deviation of its Gaussian likelihood: the smaller, the more the decoder folds.
    """
    spec = VAE(latent=latent, decoders=1, hidden=(400, 400), sigma=sigma, epochs=epochs)
    folder = place(data_dir)
    if folder is not None or _cached("mnist", spec) is not None:
        return trained(spec, "mnist", lambda: load("mnist", data_dir=folder))
    print("No local MNIST (--data-dir): taking scikit-learn's digits, enlarged to 28 x 28.", file=sys.stderr)
    try:
        return trained(spec, "digits", lambda: load("digits", size=28))
    except (DataError, ImportError) as error:
        print(f"No digits either ({error}): taking a perceptron of random weights.", file=sys.stderr)
        return structured("mlp", latent, 784)


def cifar(latent: int, size: int, data_dir: str | None, images: int = 2000, epochs: int = 8) -> Subject:
    """A convolutional decoder of `3 size^2` outputs, trained on some CIFAR-10 images scaled to `size`; else at random."""
    channels = (16, 32, 64, 128)
    spec = VAE(
        latent=latent, decoders=1, hidden=(256,), convolutional=True, channels=channels, sigma=0.1, epochs=epochs, warmup=50
    )
    folder = place(data_dir)
    archive = None if folder is None else folder / "cifar10-jpeg.tar.gz"
    name = f"cifar10-{size}"
    if _cached(name, spec) is None and (archive is None or not archive.is_file()):
        print("No local cifar10-jpeg.tar.gz (--data-dir): taking a convolutional decoder of random weights.", file=sys.stderr)
        return structured("conv", latent, 3 * size**2)
    return trained(spec, name, lambda: load(str(archive), size=size, limit=images))


def structured(kind: str, latent: int, outputs: int, seed: int = 0) -> Subject:
    """A decoder of random weights, "mlp" or "conv", smooth and curved, with standard normal latent points."""
    generator = torch.Generator().manual_seed(seed)
    shape = SHAPES[outputs]
    if kind == "mlp":
        net = mlp_decoder(latent, (400, 400), shape, "silu", generator)
    else:
        net = conv_decoder(latent, (256,), (16, 32, 64), shape, "silu", generator)
    with torch.no_grad():
        for parameter in net.parameters():
            parameter.mul_(GAIN if parameter.ndim > 1 else 1)
    decoder = nn.Sequential(net, nn.Flatten()).eval().requires_grad_(False)
    return Subject(decoder, torch.randn(4000, latent, generator=generator), f"random {kind}")


def trained(spec: VAE, data: str, read: Callable[[], Dataset]) -> Subject:
    """The decoder of a variational autoencoder and the test images' latent points; trained on first use, then kept."""
    file = _cached(data, spec)
    if file is None:
        try:
            source = read()
        except DataError as error:
            sys.exit(f"benchmarks: {error}")
        print(f"Training a decoder with d = {spec.latent} on {data} ...", file=sys.stderr, flush=True)
        module, history = train(spec, source.train, seed=0)
        CACHE.mkdir(parents=True, exist_ok=True)
        file = CACHE / f"{_name(data, spec)}.safetensors"
        with torch.no_grad():
            save_file({"latents": module.mean(source.test).contiguous()}, _latents(file))
        save(file, module, spec, source.shape, 0, history)
    module = load_checkpoint(file).module
    decoder = nn.Sequential(next(iter(module.decoders)), nn.Flatten()).eval()
    return Subject(decoder, load_file(_latents(file))["latents"], data)


def _name(data: str, spec: VAE) -> str:
    return f"{data}-d{spec.latent}-{digest({'spec': spec.to_json()})[:12]}"


def _latents(file: Path) -> Path:
    return file.with_suffix(".latents")


def _cached(data: str, spec: VAE) -> Path | None:
    file = CACHE / f"{_name(data, spec)}.safetensors"
    return file if file.is_file() and _latents(file).is_file() else None
