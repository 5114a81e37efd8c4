"""Bases of planes in any inner product."""

import pytest
import torch
from torch import Tensor

from egregium.numerics.planes import plane

DRAWN = torch.randn(2, 5, 3, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
METRIC = torch.tensor([[2.0, 0.3, 0.0], [0.3, 1.0, -0.2], [0.0, -0.2, 5.0]], dtype=torch.float64)


def inner(a: Tensor, b: Tensor) -> Tensor:
    return torch.einsum("...i,ij,...j->...", a, METRIC.to(a), b)


@pytest.mark.parametrize("tilt", [1.0, 1e-4, 1e-10])
def test_the_basis_is_orthonormal_and_of_the_plane(tilt: float) -> None:
    u, v = DRAWN[0], DRAWN[0] + tilt * DRAWN[1]
    first, second, parallel = plane(u, v, inner)
    gram = torch.stack([inner(first, first), inner(first, second), inner(second, second)])
    torch.testing.assert_close(gram, torch.tensor([1.0, 0.0, 1.0]).double()[:, None].expand(3, 5), rtol=1e-14, atol=1e-14)
    inside = inner(v, first)[:, None] * first + inner(v, second)[:, None] * second
    torch.testing.assert_close(inside, v, rtol=1e-14, atol=1e-14)
    assert (inner(u, first) > 0).all() and (inner(v, second) > 0).all() and not parallel.any()


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_parallel_and_zero_vectors_span_none(dtype: torch.dtype) -> None:
    u = DRAWN[0].to(dtype)
    assert plane(u, -3 * u, inner)[2].all() and plane(u, 0 * u, inner)[2].all()
    assert plane(0 * u, u, inner)[1].isnan().all()
