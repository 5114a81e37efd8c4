"""Cheap and careful rules: each row by the one that is right there."""

import pytest
import torch
from torch import Tensor

from egregium.numerics.refined import refined
from egregium.spaces import ConstantCurvature, Explicit, Hyperbolic, Sphere

SPACES = [Sphere(1), Sphere(2), Sphere(20), Hyperbolic(1), Hyperbolic(2, -0.3), Hyperbolic(20), ConstantCurvature(2, 0.7)]


def doubled(x: Tensor) -> tuple[Tensor, Tensor]:
    return 2 * x, x[:, :1] < 2


def refused(x: Tensor) -> Tensor:
    raise AssertionError(f"{len(x)} rows were taken with care")


def test_each_row_by_its_rule() -> None:
    x = torch.tensor([[1.0], [2.0], [0.0], [3.0]])
    assert refined(doubled, lambda x: -x, x).tolist() == [[2.0], [-2.0], [0.0], [-3.0]]
    assert refined(doubled, refused, x[::2]).tolist() == [[2.0], [0.0]]


def test_where_derivatives_are_asked_for_all_is_careful() -> None:
    x = torch.tensor([[1.0], [2.0]], requires_grad=True)
    assert refined(doubled, lambda x: -x, x).tolist() == [[-1.0], [-2.0]]
    with pytest.raises(AssertionError, match="2 rows"):
        refined(doubled, refused, x)


@pytest.mark.parametrize("space", SPACES, ids=repr)
def test_both_rules_agree(space: Explicit) -> None:
    generator = torch.Generator().manual_seed(0)
    z0, z1 = (0.5 * space.random(4000, generator=generator, dtype=torch.float64) for _ in range(2))
    z0, z1 = (space.project(z) for z in (z0, z1))
    quick = space.dist(z0, z1), space.log(z0, z1), space.exp(z0, z1 - z0)
    careful = [rule.detach() for rule in _with_gradients(space, z0, z1)]
    torch.testing.assert_close(quick[0], careful[0], rtol=2e-14, atol=0)  # 32 roundings, a few times
    for found, expected in zip(quick[1:], careful[1:], strict=True):
        assert ((found - expected).norm(dim=-1) <= 5e-14 * expected.norm(dim=-1)).all()


def _with_gradients(space: Explicit, z0: Tensor, z1: Tensor) -> list[Tensor]:
    z0 = z0.clone().requires_grad_()
    return [space.dist(z0, z1), space.log(z0, z1), space.exp(z0, z1 - z0)]
