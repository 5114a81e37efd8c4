"""Observations are centred and of one scale; distances keep their ratios, and the inverse is one."""

import pytest
import torch

from egregium.causal.learning.standardisation import Standardisation

X = 5 + torch.randn(300, 6, generator=torch.Generator().manual_seed(0)) * torch.tensor([3.0, 2, 1, 0.1, 0.01, 0])


@pytest.mark.parametrize("components", [None, 6, 3])
def test_centre_scale_and_distances(components: int | None) -> None:
    front = Standardisation((2, 3), components)
    front.fit(X.reshape(300, 2, 3))
    u = front(X.reshape(300, 2, 3))
    assert u.shape == (300, components or 6)
    assert float(u.mean(0).abs().max()) < 1e-5
    assert float(u.std(0).square().mean()) == pytest.approx(1, rel=1e-5)
    back = front.inverse(u)
    assert back.shape == (300, 2, 3)
    left_out = 0.1 if components == 3 else 1e-5  # of standard deviations 0.1 and 0.01
    assert float((back.flatten(1) - X).std()) < left_out
    ratio = torch.pdist(u) / torch.pdist(back.flatten(1))
    torch.testing.assert_close(ratio, ratio[:1].expand_as(ratio), atol=0, rtol=1e-3)


def test_components_come_in_order_and_fewer_rows_than_numbers_do() -> None:
    front = Standardisation((6,), 3)
    front.fit(X[:5])
    spread = front(X[:5]).std(0)
    assert spread.tolist() == sorted(spread.tolist(), reverse=True)
    torch.testing.assert_close(front.basis.T @ front.basis, torch.eye(3), atol=1e-5, rtol=0)


def test_what_does_not_vary_is_left() -> None:
    front = Standardisation((2,), None)
    front.fit(torch.ones(5, 2))
    assert front(torch.ones(5, 2)).eq(0).all() and front.inverse(torch.zeros(1, 2)).eq(1).all()


def test_wide_observations_keep_the_directions_in_which_they_vary() -> None:
    generator = torch.Generator().manual_seed(0)
    directions = torch.linalg.qr(torch.randn(3000, 3, generator=generator)).Q
    x = torch.randn(50, 3, generator=generator) * torch.tensor([5.0, 3.0, 2.0]) @ directions.T + 1
    front = Standardisation((3000,), 3)
    front.fit(x)
    torch.testing.assert_close(front.inverse(front(x)), x, atol=1e-4, rtol=0)
    assert (front.basis.T @ directions).det().abs() > 0.999
