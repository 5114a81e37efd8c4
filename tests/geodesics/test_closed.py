"""Spaces that know their own geodesics: the result object is filled from their closed forms."""

import torch

from egregium.geodesics.closed import closed_form
from egregium.spaces import Euclidean

Z0, Z1 = torch.randn(2, 2, 3, 2, generator=torch.Generator().manual_seed(0), dtype=torch.float64)


def test_every_number_is_exact() -> None:
    g = closed_form(Euclidean(2), Z0, Z1)
    torch.testing.assert_close(g.length, (Z1 - Z0).norm(dim=-1), rtol=1e-15, atol=0)  # up to the order of summation
    assert torch.equal(g.energy, g.length**2)
    assert torch.equal(g.lower, g.length) and torch.equal(g.upper, g.length)
    assert g.ok.all() and (g.segments == 1).all() and (g.steps == 0).all() and g.second_best.isnan().all()


def test_the_curve_is_the_segment() -> None:
    g = closed_form(Euclidean(2), Z0, Z1)
    t = torch.linspace(0, 1, 7, dtype=torch.float64)
    torch.testing.assert_close(g(t), torch.lerp(Z0[..., None, :], Z1[..., None, :], t[:, None]))
    torch.testing.assert_close(g.velocity(t), (Z1 - Z0)[..., None, :].expand(2, 3, 7, 2))


def test_lengths_keep_their_gradient_and_bounds_do_not() -> None:
    z0 = Z0.clone().requires_grad_()
    g = closed_form(Euclidean(2), z0, Z1)
    g.length.sum().backward()
    assert z0.grad is not None
    torch.testing.assert_close(z0.grad, -(Z1 - Z0) / g.length.detach()[..., None])
    assert not g.lower.requires_grad and not g(0.5).requires_grad
