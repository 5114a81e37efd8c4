"""How smooth a network is, judged by what it does."""

import pytest
import torch
from torch import Tensor, nn

from egregium.numerics.smoothness import Smoothness, smoothness
from egregium.testing.twins import random_decoder


class Mixed(nn.Module):
    """Smooth in all of its units but two."""

    def forward(self, x: Tensor) -> Tensor:
        return torch.where(torch.arange(x.shape[-1]) < 2, torch.relu(x), nn.functional.silu(x))


def network(first: type[nn.Module], last: type[nn.Module]) -> nn.Module:
    with torch.random.fork_rng():
        torch.manual_seed(1)
        return nn.Sequential(nn.Linear(2, 64), first(), nn.Linear(64, 64), last(), nn.Linear(64, 50)).requires_grad_(False)


CASES = [
    (Smoothness.KINKED, network(kind, other))
    for kind, other in [
        (nn.ReLU, nn.ReLU), (nn.LeakyReLU, nn.LeakyReLU), (nn.ReLU, nn.SiLU), (nn.SiLU, nn.ReLU), (nn.SiLU, Mixed),
        (nn.Hardtanh, nn.Hardtanh), (nn.Hardswish, nn.Hardswish),
    ]
]  # fmt: skip
CASES += [(Smoothness.ONCE, network(kind, kind)) for kind in (nn.ELU, nn.CELU)]
CASES += [(Smoothness.SMOOTH, network(kind, kind)) for kind in (nn.SiLU, nn.Tanh, nn.GELU, nn.Softplus, nn.Mish)]
CASES += [(Smoothness.SMOOTH, random_decoder(2, 10, 0)), (Smoothness.SMOOTH, nn.Linear(2, 5).requires_grad_(False))]


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
@pytest.mark.parametrize(("expected", "f"), CASES, ids=[f"{k} {case[0].name}" for k, case in enumerate(CASES)])
def test_networks_by_their_activation(expected: Smoothness, f: nn.Module, dtype: torch.dtype) -> None:
    start, end = torch.randn(2, 16, 2, generator=torch.Generator().manual_seed(0)).to(dtype)
    assert smoothness(f.to(dtype), start, end) is expected
