"""The geometry that points came from is named again, under noise."""

from typing import Any

import pytest
import torch
from torch import Tensor

from egregium.errors import OptionError, ShapeError, TensorError
from egregium.relations import signature
from egregium.relations.signature import _chosen
from egregium.spaces import Euclidean, Hyperbolic, Pullback, Sphere, Torus


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


def test_a_torus_is_told_from_a_sphere_and_from_more_dimensions() -> None:
    found = signature(table(Torus(2), 40), [Sphere(2), Torus(2), Euclidean(3), Sphere(3)], folds=3)
    assert found.space == Torus(2) and float(found.held_out[0].mean()) < 0.04  # noise alone is 0.024
    assert bool((found.gap[1:] > 2 * found.error[1:]).all())


def test_a_gain_has_to_exceed_its_standard_error() -> None:
    fold, scatter = torch.arange(50) % 5, torch.linspace(-1, 1, 50).double()
    flat, scatter = torch.full((50,), 0.03).double(), scatter - scatter.reshape(10, 5).mean(0).repeat(10)
    assert _chosen((Euclidean(2), Sphere(2)), torch.stack([flat, flat - 1e-3]), fold).space == Sphere(2)
    found = _chosen((Euclidean(2), Sphere(2)), torch.stack([flat, flat - 1e-3 + 0.02 * scatter]), fold)
    assert found.space == Euclidean(2) and float(found.held_out.std(1).amax()) < 1e-9  # though it is ahead in every fold
    means = torch.tensor([1.0, 2.0, 3.0, 4.0, 5.0]).double()
    found = _chosen((Euclidean(2), Sphere(2)), torch.stack([flat, flat + means[fold]]), fold)
    torch.testing.assert_close(found.error[1], means.std() * (1 / 5 + 1 / 4) ** 0.5)  # of folds that share three in four


def test_refusals() -> None:
    d = table(Euclidean(2), 8)
    with pytest.raises(OptionError, match="two folds"):
        signature(d, folds=1)
    with pytest.raises(OptionError, match="explicit spaces"):
        signature(d, [Pullback(lambda z: z, dim=2)])  # type: ignore[list-item]
    with pytest.raises(ShapeError, match="9 points"):
        signature(d)
    path = d.masked_fill((torch.arange(8) - torch.arange(8)[:, None]).abs() > 1, torch.nan)
    with pytest.raises(TensorError, match="at least one known"):  # an end's only neighbour is held out
        signature(path, folds=3)
