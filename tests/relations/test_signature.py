"""The geometry that points came from is named again, under noise."""

from typing import Any

import pytest
import torch
from torch import Tensor

from egregium.errors import OptionError, ShapeError
from egregium.relations import signature
from egregium.spaces import Euclidean, Hyperbolic, Pullback, Sphere


def table(space: Any, n: int = 20, noise: float = 0.03) -> Tensor:
    generator = torch.Generator().manual_seed(1)
    z = space.random(n, generator=generator, dtype=torch.float64)
    d = space.dist(z[:, None].expand(-1, n, -1), z.expand(n, n, -1))
    factors = (noise * torch.randn(n, n, generator=generator, dtype=torch.float64)).triu(1).exp()
    return d * factors * factors.T


@pytest.mark.parametrize("space", [Euclidean(1), Sphere(1), Euclidean(2), Sphere(2)], ids=repr)
def test_the_geometry_is_named(space: Any) -> None:
    candidates = [Euclidean(1), Sphere(1)] if space.dim == 1 else [Euclidean(2), Sphere(2)]
    found = signature(table(space), candidates, folds=3, starts=4)
    assert found.space == space and found.candidates[int(found.gap.argmin())] is found.candidates[0]
    assert found.held_out.shape == (2, 3)
    assert float(found.held_out[0].median()) < 0.06  # one pair of near points may be off by much
    assert repr(space) in repr(found).splitlines()[0]


def test_the_simplest_of_equals_is_chosen() -> None:
    found = signature(table(Euclidean(2), noise=0.1), [Hyperbolic(2), Euclidean(3), Euclidean(2)], folds=3, starts=2)
    assert found.space == Euclidean(2)


def test_refusals() -> None:
    d = table(Euclidean(2), 8)
    with pytest.raises(OptionError, match="two folds"):
        signature(d, folds=1)
    with pytest.raises(OptionError, match="explicit spaces"):
        signature(d, [Pullback(lambda z: z, dim=2)])  # type: ignore[list-item]
    with pytest.raises(ShapeError, match="9 points"):
        signature(d)
