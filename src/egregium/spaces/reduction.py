"""Exact reduction of decoders that end in a linear layer: distances of `W h + b` are those of `R h`, where `W = Q R`."""

import torch
from torch import Tensor, nn

RESHAPES = (nn.Flatten, nn.Unflatten, nn.Identity)
BLOCKS = 5


def reduced(decoder: object) -> nn.Module | None:
    """A module with the last linear layer replaced by its R factor, or None where the decoder does not end in a wide one.

    Only `nn.Sequential` (also nested) is looked into: nothing else tells the order in which it applies its parts. Classes
    derived from these, and parts with hooks, may compute something else, so they are left alone. The layers before the last
    are the decoder's own, unchanged.
    """
    layers = _layers(decoder)
    while layers and type(layers[-1]) in RESHAPES and not _hooked(layers[-1]):
        layers.pop()
    if not layers or type(layers[-1]) is not nn.Linear or _hooked(layers[-1]):
        return None
    weight: Tensor = layers.pop().weight  # type: ignore[assignment]
    if weight.shape[0] <= weight.shape[1]:
        return None
    with torch.no_grad():
        factor = torch.linalg.qr(weight.double(), mode="r").R.to(weight)
    return nn.Sequential(*layers, _Factor(factor))


def _layers(module: object) -> list[nn.Module]:
    if type(module) is nn.Sequential and not _hooked(module):
        return [layer for part in module for layer in _layers(part)]
    return [module] if isinstance(module, nn.Module) else []


def _hooked(module: nn.Module) -> bool:
    return bool(module._forward_hooks or module._forward_pre_hooks)


class _Factor(nn.Module):
    """`h -> R h`, R upper triangular and without a bias; in blocks of rows, which leave out most of its zeros."""

    def __init__(self, factor: Tensor) -> None:
        super().__init__()
        size = -(-len(factor) // BLOCKS)
        self.starts = range(0, len(factor), size)
        for start in self.starts:
            self.register_buffer(f"rows{start}", factor[start : start + size, start:].contiguous())

    def forward(self, h: Tensor) -> Tensor:
        return torch.cat([h[:, start:] @ self.get_buffer(f"rows{start}").mT for start in self.starts], -1)
