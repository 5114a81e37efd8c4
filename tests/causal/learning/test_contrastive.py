"""Comparisons of coordinates one by one, and a decoder that changes no encoding."""

import torch

from egregium.causal.learning import Contrastive
from egregium.causal.learning.contrastive import Comparisons


def test_each_function_sees_its_coordinate_alone() -> None:
    compare = Comparisons(3, 5, torch.Generator().manual_seed(0)).requires_grad_(False)
    a, b = torch.randn(2, 7, 3, generator=torch.Generator().manual_seed(1))
    moved = b + torch.tensor([0.0, 1, 0])
    assert ((compare(a, moved) != compare(a, b)).any(0)).tolist() == [False, True, False]
    h = torch.nn.functional.silu(torch.stack([a[:, 1], b[:, 1], (a - b)[:, 1] ** 2], -1) @ compare.inner[1])
    torch.testing.assert_close(compare(a, b)[:, 1], (h @ compare.outer[1])[:, 0])


def test_the_decoder_changes_no_encoding() -> None:
    model = Contrastive(2, hidden=(8,)).build(3, torch.Generator().manual_seed(0))
    for parameter in model.compare.parameters():
        parameter.requires_grad_(False).zero_()
    x, y = torch.randn(2, 16, 3, generator=torch.Generator().manual_seed(1))
    model.objective(x, y, None, 0.0, torch.Generator().manual_seed(2)).backward()
    assert all(parameter.grad is None or not parameter.grad.any() for parameter in model.encoder.parameters())
    assert all(parameter.grad is not None for parameter in model.decoder.parameters())
