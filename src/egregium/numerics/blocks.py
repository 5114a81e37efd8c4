"""Block diagonal tensors."""

from collections.abc import Sequence

import torch
from torch import Tensor


def block_diagonal(parts: Sequence[Tensor], batch: int = 1) -> Tensor:
    """Tensors with blocks along the diagonal, zero elsewhere; blocks share `batch` leading axes and have equally many others.

    >>> block_diagonal([torch.ones(1, 1, 2), torch.ones(1, 1, 1)])[0].tolist()
    [[1.0, 1.0, 0.0], [0.0, 0.0, 1.0]]
    """
    first = parts[0]
    ends = torch.tensor([part.shape[batch:] for part in parts]).cumsum(0).tolist()
    whole = first.new_zeros(*first.shape[:batch], *ends[-1])
    for part, end in zip(parts, ends, strict=True):
        place = tuple(slice(stop - size, stop) for stop, size in zip(end, part.shape[batch:], strict=True))
        whole[(..., *place)] = part
    return whole
