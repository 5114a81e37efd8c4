"""Points are found again from their distances, in every explicit space."""

from typing import Any

import pytest
import torch
from torch import Tensor

from egregium.errors import NotConvergedError, OptionError, ShapeError, TensorError
from egregium.relations import embed
from egregium.spaces import Euclidean, Hyperbolic, Product, Pullback, Scaled, Sphere, Torus


def table(space: Any, z: Tensor) -> Tensor:
    n = len(z)
    return space.dist(z[:, None].expand(-1, n, -1), z.expand(n, n, -1))


def noisy(d: Tensor, size: float, seed: int = 0) -> Tensor:
    factors = (size * torch.randn(d.shape, generator=torch.Generator().manual_seed(seed), dtype=d.dtype)).triu(1).exp()
    return d * factors * factors.T


def drawn(space: Any, n: int = 25) -> Tensor:
    return space.random(n, generator=torch.Generator().manual_seed(0), dtype=torch.float64)


@pytest.mark.parametrize(
    "space",
    [Euclidean(2), Sphere(1), Sphere(2, 0.5), Hyperbolic(2, -2.0), Torus(2, (1.0, 0.6)), Product(Sphere(1), Euclidean(1))],
    ids=repr,
)  # fmt: skip
def test_points_are_found_again(space: Any) -> None:
    z = drawn(space)
    found = embed(3 * table(space, z), space, rtol=1e-3)
    assert found.ok and float(found.distortion) < 1e-3 and float(found.stress) < 1e-3
    torch.testing.assert_close(found.distances, table(found.space, found.points))
    if isinstance(found.space, Scaled):  # three times as large
        assert abs(float(found.space.s) - 3) < 0.01


def test_noise_is_left_as_distortion() -> None:
    space = Sphere(2)
    found = embed(noisy(table(space, drawn(space)), 0.03), space)
    assert found.ok and 0.01 < float(found.distortion) < 0.03 and float(found.worst) < 0.15
    assert abs(float(found.space.s) - 1) < 0.02  # type: ignore[attr-defined]
    again = embed(noisy(table(space, drawn(space)), 0.03), space)
    assert again.points.equal(found.points)  # by a seed


def test_unknown_distances_are_predicted() -> None:
    d = table(Hyperbolic(2), drawn(Hyperbolic(2)))
    held = (torch.rand(d.shape, generator=torch.Generator().manual_seed(1)) < 0.2).triu(1)
    held = held | held.T
    found = embed(d.masked_fill(held, torch.nan), Hyperbolic(2), rtol=1e-3)
    assert ((found.distances / d - 1).abs()[held]).mean() < 0.01


@pytest.mark.parametrize("space", [Torus(2), Product(Sphere(1), Hyperbolic(2))], ids=repr)
def test_factors_that_wrap_are_found_apart(space: Any) -> None:
    for seed in range(2):
        z = space.random(40, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
        d = noisy(table(space, z), 0.03, seed)
        held = (torch.rand(d.shape, generator=torch.Generator().manual_seed(seed)) < 0.2).triu(1)
        held = held | held.T
        found = embed(d.masked_fill(held, torch.nan), space, rtol=1e-3)
        assert (found.distances / d - 1).abs()[held].mean() < 0.04  # noise alone is 0.024


def test_a_tree_is_unfolded_in_the_hyperbolic_plane() -> None:
    edges = torch.full((31, 31), torch.nan, dtype=torch.float64)
    child = torch.arange(1, 31)
    edges[child, (child - 1) // 2] = edges[(child - 1) // 2, child] = 1.0
    known = edges.nan_to_num(torch.inf).fill_diagonal_(0)
    for k in range(31):
        known = torch.minimum(known, known[:, k : k + 1] + known[k : k + 1])
    found = embed(known, Hyperbolic(2), rtol=1e-3)
    assert float(found.distortion) < 0.02 < 0.1 < float(embed(known, Euclidean(3), rtol=1e-3).distortion)


def test_the_size_may_be_given() -> None:
    d = table(Sphere(2), drawn(Sphere(2)))
    assert float(embed(d, Sphere(2), scale=False).distortion) < 1e-5
    assert float(embed(d, Sphere(2, 4.0), scale=False).distortion) > 0.05  # a sphere of half the size


def test_the_wrong_space_is_told_by_its_distortion() -> None:
    d = table(Sphere(2), drawn(Sphere(2)))
    assert float(embed(d, Sphere(2)).distortion) < 0.02 < float(embed(d, Euclidean(2)).distortion)


def test_single_precision_and_cut_short() -> None:
    d = table(Sphere(2), drawn(Sphere(2))).float()
    with pytest.raises(NotConvergedError, match="not at rest") as raised:
        embed(d, Torus(2), max_steps=1, starts=1)
    assert raised.value.result.points.dtype == torch.float32  # type: ignore[attr-defined]
    assert not embed(d, Torus(2), max_steps=1, starts=1, on_fail="mark").ok


def test_refusals() -> None:
    d = table(Euclidean(2), drawn(Euclidean(2), 5))
    with pytest.raises(ShapeError, match="N >= 3"):
        embed(d[:2, :2], Euclidean(2))
    with pytest.raises(TensorError, match="float tensor"):
        embed(d.int(), Euclidean(2))
    with pytest.raises(TensorError, match="symmetric"):
        embed(d.triu(), Euclidean(2))
    with pytest.raises(TensorError, match="positive"):
        embed(torch.zeros(4, 4), Euclidean(2))
    with pytest.raises(TensorError, match="at least one known"):
        embed(torch.full((4, 4), torch.nan), Euclidean(2))
    with pytest.raises(OptionError, match="explicit spaces"):
        embed(d, Pullback(lambda z: z, dim=2))  # type: ignore[arg-type]
    with pytest.raises(OptionError, match="starts"):
        embed(d, Euclidean(2), starts=0)
    with pytest.raises(OptionError, match="p=2"):
        embed(d, Product(Sphere(2), Euclidean(1), p=1))
