"""Perceptrons with a linear map beside them: one, or n at once of which network i does not see number i.

The linear map and the first layer are one product: small networks take as long as they have operations.
"""

from collections.abc import Sequence
from itertools import pairwise

import torch
import torch.nn.functional as F
from torch import Tensor, nn

LAST = 0.1  # by which the last layer of a perceptron starts smaller than the others


class Bent(nn.Module):
    """A linear map and a perceptron beside it, whose last layer starts small: `(N, inputs) -> (N, outputs)`."""

    def __init__(self, inputs: int, hidden: Sequence[int], outputs: int, generator: torch.Generator) -> None:
        super().__init__()
        widths = [inputs, *hidden]
        straight, offset = _uniform(inputs, (inputs, outputs), generator), _uniform(inputs, (outputs,), generator)
        weights = [_uniform(a, (a, b), generator) for a, b in pairwise(widths)]
        biases = [_uniform(a, (b,), generator) for a, b in pairwise(widths)]
        last = LAST * _uniform(hidden[-1], (hidden[-1], outputs), generator)
        self.weights = _parameters([torch.cat([straight, weights[0]], -1), *weights[1:], last])
        self.biases = _parameters([torch.cat([offset, biases[0]]), *biases[1:]])
        self.layers = list(self.weights), list(self.biases)

    @property
    def straight(self) -> tuple[Tensor, Tensor]:
        """Matrix `(inputs, outputs)` and offset `(outputs,)` of the linear map."""
        outputs = self.weights[-1].shape[-1]
        return self.weights[0][:, :outputs], self.biases[0][:outputs]

    def forward(self, x: Tensor) -> Tensor:
        return _bent(x, *self.layers)


class MaskedNetworks(nn.Module):
    """n perceptrons, each with a linear map beside it, of n numbers of which network i does not see number i.

    Linear maps and last layers start at zero, so that all outputs do.
    """

    others: Tensor

    def __init__(self, n: int, hidden: Sequence[int], outputs: int, generator: torch.Generator) -> None:
        super().__init__()
        weights = [_uniform(a, (n, a, b), generator) for a, b in pairwise([n, *hidden])]
        first = torch.cat([torch.zeros(n, n, outputs), weights[0]], -1)
        self.weights = _parameters([first, *weights[1:], torch.zeros(n, hidden[-1], outputs)])
        self.biases = _parameters([torch.zeros(n, 1, outputs + hidden[0]), *(torch.zeros(n, 1, width) for width in hidden[1:])])
        self.layers = list(self.weights), list(self.biases)
        self.register_buffer("others", (1 - torch.eye(n))[:, None])

    def forward(self, e: Tensor, which: slice | None = None) -> Tensor:
        """`(k, N, n) -> (k, N, outputs)`, network by network; k = n, or as many as `which` picks."""
        weights, biases = ([picked(one, which) for one in of] for of in self.layers)
        return _bent(e * picked(self.others, which), weights, biases)


def picked(of: Tensor, which: slice | None) -> Tensor:
    """Some of the variables, or all; a slice of all would cost a copy of the gradient."""
    return of if which is None else of[which]


def _bent(x: Tensor, weights: Sequence[Tensor], biases: Sequence[Tensor]) -> Tensor:
    """One network of `(N, inputs)`, or k of `(k, N, inputs)`; the last layer has no offset of its own."""
    product = torch.addmm if x.ndim == 2 else torch.baddbmm
    outputs, first = weights[-1].shape[-1], product(biases[0], x, weights[0])
    straight, h = first.split_with_sizes([outputs, first.shape[-1] - outputs], -1)
    for weight, bias in zip(weights[1:-1], biases[1:], strict=True):
        h = product(bias, F.silu(h), weight)
    return product(straight, F.silu(h), weights[-1])


def _uniform(inputs: int, shape: tuple[int, ...], generator: torch.Generator) -> Tensor:
    return (2 * torch.rand(shape, generator=generator) - 1) / inputs**0.5


def _parameters(of: Sequence[Tensor]) -> nn.ParameterList:
    return nn.ParameterList([nn.Parameter(one) for one in of])
