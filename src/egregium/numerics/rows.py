"""Batches whose parts have one row a problem each: rows chosen, replaced and joined in all parts at once."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any, Self

import torch
from torch import Tensor


class Rows:
    """Base of dataclasses whose fields are tensors `(P, ...)` or `Rows` themselves; any other field belongs to all rows alike.

    >>> from dataclasses import dataclass
    >>> @dataclass(frozen=True)
    ... class Points(Rows):
    ...     z: Tensor
    >>> points = Points(torch.tensor([1, 2, 3]))
    >>> points[points.z > 1].z.tolist(), points.updated(torch.tensor([0]), Points(torch.tensor([7]))).z.tolist()
    ([2, 3], [7, 2, 3])
    """

    def __getitem__(self, rows: Tensor | slice) -> Self:
        """These rows: places, a mask or a slice. All of them are the batch itself."""
        if isinstance(rows, Tensor) and rows.dtype == torch.bool:
            if bool(rows.all()):
                return self
            rows = rows.nonzero().flatten()
        return _with(self, {name: _taken(value, rows) for name, value in _parts(self)})

    def updated(self, rows: Tensor, other: Self) -> Self:
        """With the rows at these places `(k,)` replaced by the k rows of `other`; parts that either lacks are dropped."""
        mine, theirs = self.alike([self, other])
        return _with(mine, {name: _updated(value, rows, getattr(theirs, name)) for name, value in _parts(mine)})

    @classmethod
    def stack(cls, parts: Sequence[Self]) -> Self:
        """Batches one after the other."""
        if len(parts) == 1:
            return parts[0]
        first, *others = cls.alike(parts)
        return _with(first, {name: _stacked([value, *(getattr(o, name) for o in others)]) for name, value in _parts(first)})

    @classmethod
    def alike(cls, parts: Sequence[Self]) -> Sequence[Self]:
        """The same batches, whose rows fit into each other; where rows may differ in shape, classes see to it here."""
        return parts

    @classmethod
    def joined(cls, parts: Sequence[Self], order: Tensor) -> Self:
        """The batch whose rows `order` are those of the parts, one after the other."""
        return cls.stack(parts)[order.argsort()]

    def where(self, choose: Tensor, other: Self) -> Self:
        """This batch in the rows where `choose` `(P,)`, the other elsewhere; parts that either lacks are dropped.

        In all rows it is the batch itself.
        """
        if bool(choose.all()):
            return self
        return _with(self, {name: _chosen(choose, value, getattr(other, name)) for name, value in _parts(self)})


def _parts(batch: Rows) -> Iterator[tuple[str, Any]]:
    return ((name, value) for name, value in vars(batch).items() if isinstance(value, (Tensor, Rows)))


def _with(batch: Any, parts: dict[str, Any]) -> Any:
    return replace(batch, **parts)


def _updated(mine: Tensor | Rows, rows: Tensor, theirs: Any) -> Tensor | Rows | None:
    if theirs is None:
        return None
    return mine.index_copy(0, rows, theirs) if isinstance(mine, Tensor) else mine.updated(rows, theirs)


def _taken(value: Tensor | Rows, rows: Tensor | slice) -> Tensor | Rows:
    if isinstance(value, Tensor) and isinstance(rows, Tensor):
        return value.index_select(0, rows)  # faster than by brackets
    return value[rows]


def _chosen(choose: Tensor, mine: Tensor | Rows, theirs: Any) -> Tensor | Rows | None:
    if isinstance(mine, Rows):
        return None if theirs is None else mine.where(choose, theirs)
    return torch.where(choose.reshape(-1, *[1] * (mine.ndim - 1)), mine, theirs)


def _stacked(parts: list[Any]) -> Any:
    return torch.cat(parts) if isinstance(parts[0], Tensor) else parts[0].stack(parts)
