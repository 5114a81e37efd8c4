"""Smooth networks: perceptrons and convolutional nets whose second derivatives exist everywhere.

Geodesics need a decoder with two continuous derivatives, so only such activations are offered, and images grow by
nearest-neighbour resizing followed by a 3x3 convolution, which is linear and leaves no checkerboard.
"""

import math
from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import Protocol, cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from egregium.errors import ModelError

# Softplus of torch turns linear past a threshold, a jump of exp(-threshold); 40 puts it below float64 rounding.
ACTIVATIONS: dict[str, Callable[[], nn.Module]] = {
    "silu": nn.SiLU,
    "softplus": lambda: nn.Softplus(threshold=40.0),
    "gelu": nn.GELU,
    "tanh": nn.Tanh,
}


class Resize(nn.Module):
    """Nearest-neighbour resizing of images to `size = (height, width)`; linear."""

    def __init__(self, size: tuple[int, int]) -> None:
        super().__init__()
        self.size = size

    def forward(self, x: Tensor) -> Tensor:
        return F.interpolate(x, size=self.size, mode="nearest")

    def extra_repr(self) -> str:
        return f"size={self.size}"


class AsImage(nn.Module):
    """Vectors `(N, C H W)` to images `(N, C, H, W)`, channels last in memory: half the time of a small convolution on a CPU."""

    def __init__(self, shape: tuple[int, int, int]) -> None:
        super().__init__()
        self.shape = shape

    def forward(self, x: Tensor) -> Tensor:
        return x.reshape(-1, *self.shape).contiguous(memory_format=torch.channels_last)

    def extra_repr(self) -> str:
        return f"shape={self.shape}"


def linear(inputs: int, outputs: int, generator: torch.Generator) -> nn.Linear:
    """A float32 linear layer drawn uniformly in `+-1/sqrt(inputs)` from `generator`; the global generator is not touched."""
    layer = cast(nn.Linear, nn.utils.skip_init(nn.Linear, inputs, outputs, dtype=torch.float32))
    _draw(layer, inputs, generator)
    return layer


def convolution(inputs: int, outputs: int, generator: torch.Generator, *, stride: int = 1) -> nn.Conv2d:
    """A float32 3x3 convolution, padded by one, drawn uniformly in `+-1/sqrt(9 inputs)` from `generator`."""
    layer = cast(nn.Conv2d, nn.utils.skip_init(nn.Conv2d, inputs, outputs, 3, stride=stride, padding=1, dtype=torch.float32))
    _draw(layer, 9 * inputs, generator)
    return layer


def _draw(layer: nn.Module, fan_in: int, generator: torch.Generator) -> None:
    bound = fan_in**-0.5
    for parameter in layer.parameters():
        nn.init.uniform_(parameter, -bound, bound, generator=generator)


def perceptron(widths: Sequence[int], activation: str, generator: torch.Generator) -> list[nn.Module]:
    """Linear layers `widths[0] -> widths[1] -> ...` with an activation between any two of them, none at the end."""
    layers: list[nn.Module] = []
    for inputs, outputs in pairwise(widths):
        layers += [linear(inputs, outputs, generator), ACTIVATIONS[activation]()]
    return layers[:-1]


def image_sizes(shape: Sequence[int], levels: int) -> list[tuple[int, int]]:
    """Heights and widths of an image `(C, H, W)` halved (upwards) `levels` times, the full size first.

    >>> image_sizes((1, 28, 28), 3)
    [(28, 28), (14, 14), (7, 7), (4, 4)]
    """
    sizes = [(shape[1], shape[2])]
    for _ in range(levels):
        height, width = sizes[-1]
        sizes.append(((height + 1) // 2, (width + 1) // 2))
    return sizes


def mlp_encoder(
    shape: Sequence[int], hidden: Sequence[int], outputs: int, activation: str, generator: torch.Generator
) -> nn.Sequential:
    """`(N, *shape) -> (N, outputs)` through the widths `hidden` in reverse order."""
    return nn.Sequential(nn.Flatten(), *perceptron([math.prod(shape), *reversed(hidden), outputs], activation, generator))


def mlp_decoder(
    latent: int, hidden: Sequence[int], shape: Sequence[int], activation: str, generator: torch.Generator
) -> nn.Sequential:
    """`(N, latent) -> (N, *shape)` through the widths `hidden`."""
    return nn.Sequential(*perceptron([latent, *hidden, math.prod(shape)], activation, generator), nn.Unflatten(1, tuple(shape)))


def conv_encoder(
    shape: Sequence[int],
    channels: Sequence[int],
    hidden: Sequence[int],
    outputs: int,
    activation: str,
    generator: torch.Generator,
) -> nn.Sequential:
    """`(N, C, H, W) -> (N, outputs)`: 3x3 convolutions of stride 2 to `channels`, then a perceptron with `hidden` reversed."""
    layers: list[nn.Module] = [AsImage((shape[0], shape[1], shape[2]))]
    for inputs, out in pairwise([shape[0], *channels]):
        layers += [convolution(inputs, out, generator, stride=2), ACTIVATIONS[activation]()]
    height, width = image_sizes(shape, len(channels))[-1]
    head = perceptron([channels[-1] * height * width, *reversed(hidden), outputs], activation, generator)
    return nn.Sequential(*layers, nn.Flatten(), *head)


def conv_decoder(
    latent: int,
    hidden: Sequence[int],
    channels: Sequence[int],
    shape: Sequence[int],
    activation: str,
    generator: torch.Generator,
) -> nn.Sequential:
    """`(N, latent) -> (N, C, H, W)`: a perceptron with `hidden`, then resizing and convolutions through `channels` reversed."""
    *targets, (height, width) = image_sizes(shape, len(channels))
    layers = perceptron([latent, *hidden, channels[-1] * height * width], activation, generator)
    layers.append(AsImage((channels[-1], height, width)))
    for (inputs, outputs), size in zip(pairwise([*reversed(channels), shape[0]]), reversed(targets), strict=True):
        layers += [ACTIVATIONS[activation](), Resize(size), convolution(inputs, outputs, generator)]
    return nn.Sequential(*layers)


class Ensemble(Protocol):
    """S decoders evaluated together while they are trained: `(S, N, d) -> (S, N, *shape)`, member s on row s."""

    def __call__(self, z: Tensor) -> Tensor: ...
    def parameters(self) -> "Sequence[nn.Parameter]": ...
    def write_back(self) -> None: ...


class SeparateDecoders:
    """An ensemble that calls its decoders one after the other."""

    def __init__(self, decoders: nn.ModuleList) -> None:
        self.decoders = decoders

    def __call__(self, z: Tensor) -> Tensor:
        return torch.stack([decoder(rows) for decoder, rows in zip(self.decoders, z, strict=True)])

    def parameters(self) -> list[nn.Parameter]:
        return list(self.decoders.parameters())

    def write_back(self) -> None:
        """Nothing to do: the decoders themselves were trained."""


class StackedPerceptrons:
    """Perceptrons of one architecture (`mlp_decoder`) as one batched product per layer, on copies of their weights.

    Several times faster than one after the other, since a small matrix product costs mostly its call. `write_back` copies the
    trained weights into the decoders.
    """

    def __init__(self, decoders: nn.ModuleList) -> None:
        members = [[layer for layer in decoder.modules() if isinstance(layer, nn.Linear)] for decoder in decoders]
        first = cast(nn.Sequential, decoders[0])
        self.layers = list(zip(*members, strict=True))
        self.activation = first[1]
        self.shape = cast(tuple[int, ...], first[-1].unflattened_size)
        # (S, inputs, outputs): this order multiplies and differentiates without a transposed copy
        self.weights = [nn.Parameter(torch.stack([member.weight.detach().T for member in layer])) for layer in self.layers]
        self.biases = [nn.Parameter(torch.stack([member.bias.detach()[None] for member in layer])) for layer in self.layers]

    def __call__(self, z: Tensor) -> Tensor:
        for k, (weight, bias) in enumerate(zip(self.weights, self.biases, strict=True)):
            z = torch.baddbmm(bias, z if k == 0 else self.activation(z), weight)  # (S, N, width)
        return z.unflatten(-1, self.shape)

    def parameters(self) -> list[nn.Parameter]:
        return [*self.weights, *self.biases]

    @torch.no_grad()
    def write_back(self) -> None:
        for layer, weight, bias in zip(self.layers, self.weights, self.biases, strict=True):
            for s, member in enumerate(layer):
                member.weight.copy_(weight[s].T)
                member.bias.copy_(bias[s, 0])


@torch.no_grad()
def multiply_adds(decoder: nn.Module, latent: int, shape: Sequence[int]) -> int:
    """Multiplications (each with its addition) that one call of `decoder` spends on one point, counted over its layers.

    Linear layers and convolutions are counted, activations are not. `decoder` maps `(1, latent)` to `(1, *shape)`.

    Raises:
        ModelError: the decoder's output has another shape.

    >>> multiply_adds(nn.Linear(2, 5), 2, (5,))
    10
    """
    total = 0

    def count(layer: nn.Module, _: tuple, output: Tensor) -> None:
        nonlocal total
        per_output = layer.weight[0].numel() if isinstance(layer, nn.Linear | nn.Conv2d) else 0
        total += output.numel() * per_output

    layers = [layer for layer in decoder.modules() if isinstance(layer, nn.Linear | nn.Conv2d)]
    handles = [layer.register_forward_hook(count) for layer in layers]
    parameter = next(decoder.parameters(), torch.zeros(()))
    try:
        output = decoder(torch.zeros(1, latent, dtype=parameter.dtype, device=parameter.device))
    finally:
        for handle in handles:
            handle.remove()
    if tuple(output.shape[1:]) != tuple(shape):
        raise ModelError(
            f"the decoder maps a point to shape {tuple(output.shape[1:])}; expected {tuple(shape)}, the shape it was built for."
        )
    return total
