"""Which of many squares of the plane, dyadic and of different size, holds a point: looked up on a grid of the least of them."""

from dataclasses import dataclass

import torch
from torch import Tensor

SIDE = 1024  # cells of the grid along an axis, at most


@dataclass(frozen=True)
class Atlas:
    """The `numbers` of squares on a grid of cells of one `size`, the cell `origin` `(2,)` first; 0 where there is none."""

    size: float
    origin: Tensor
    numbers: Tensor

    @staticmethod
    def of(numbers: Tensor, corners: Tensor, sizes: Tensor) -> "Atlas":
        """Of squares with `numbers` `(k,)`, `corners` `(k, 2)` and `sizes` `(k,)` that do not overlap.

        Those that lie more than half of SIDE cells of the least size from most others are left out.
        """
        if not len(numbers):
            return Atlas(1.0, numbers.new_zeros(2), numbers.new_zeros(1, 1))
        size = float(sizes.min())
        first, wide = (corners / size).long(), (sizes / size).long()
        origin = (first.median(0).values - SIDE // 2).maximum(first.amin(0))
        kept = ((first >= origin) & (first + wide[:, None] <= origin + SIDE)).all(-1).nonzero().flatten()
        first, wide = first[kept] - origin + 1, wide[kept]
        last = (first + wide[:, None]).amax(0).tolist() if len(kept) else [0, 0]
        table = numbers.new_zeros(last[0] + 1, last[1] + 1)  # with a border that holds nothing
        for cells in wide.unique().tolist():
            some = (wide == cells).nonzero().flatten()
            x, y = (first[some, axis, None] + torch.arange(cells, device=wide.device) for axis in range(2))
            table[x[:, :, None], y[:, None, :]] = numbers[kept[some], None, None]
        return Atlas(size, origin - 1, table)

    def squares(self, z: Tensor) -> Tensor:
        """Numbers `(N,)` of the squares that hold points z `(N, 2)`, 0 where there are none."""
        cell = torch.floor(z / self.size).long() - self.origin
        last = torch.tensor(self.numbers.shape, device=z.device) - 1
        x, y = cell.clamp_min(0).minimum(last).unbind(-1)
        return self.numbers.flatten().index_select(0, x * self.numbers.shape[1] + y)
