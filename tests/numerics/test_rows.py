"""Rows of nested batches."""

from dataclasses import dataclass

import torch
from torch import Tensor

from egregium.numerics.rows import Rows


@dataclass(frozen=True)
class Inner(Rows):
    matrix: Tensor


@dataclass(frozen=True)
class Outer(Rows):
    name: str
    value: Tensor
    inner: Inner | None


def batch(*values: float, inner: bool = True) -> Outer:
    value = torch.tensor(values)
    return Outer("mine", value, Inner(value[:, None, None].expand(-1, 2, 3).clone()) if inner else None)


def told(found: Outer) -> list[float]:
    if found.inner is not None:
        torch.testing.assert_close(found.inner.matrix, found.value[:, None, None].expand(-1, 2, 3))
    assert found.name == "mine"
    return found.value.tolist()


def test_rows_are_chosen_by_places_masks_and_slices() -> None:
    whole = batch(1, 2, 3)
    assert told(whole[torch.tensor([2, 0])]) == [3, 1]
    assert told(whole[torch.tensor([False, True, True])]) == [2, 3]
    assert told(whole[1:]) == [2, 3]
    assert told(whole[torch.zeros(3, dtype=torch.bool)]) == []
    assert whole[torch.ones(3, dtype=torch.bool)] is whole


def test_rows_are_replaced_chosen_and_joined_in_every_part() -> None:
    whole = batch(1, 2, 3)
    assert told(whole.updated(torch.tensor([2, 0]), batch(7, 8))) == [8, 2, 7]
    assert told(whole.where(torch.tensor([True, False, True]), batch(7, 8, 9))) == [1, 8, 3]
    assert told(Outer.stack([whole, batch(4)])) == [1, 2, 3, 4]
    assert told(Outer.joined([batch(2, 0), batch(1)], torch.tensor([2, 0, 1]))) == [0, 1, 2]
    assert told(whole) == [1, 2, 3]


def test_parts_that_either_lacks_are_dropped() -> None:
    whole, bare = batch(1, 2), batch(7, 8, inner=False)
    every = torch.tensor([True, False])
    for found in (whole.updated(torch.tensor([1]), bare[:1]), bare.updated(torch.tensor([1]), whole[:1])):
        assert found.inner is None
    assert whole.where(every, bare).inner is None and bare.where(every, whole).inner is None
    assert bare[:1].inner is None
