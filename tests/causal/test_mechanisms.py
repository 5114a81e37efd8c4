"""The laws of mechanisms: inverse, derivative, gradients; over all kinds."""

import pytest
import torch
from torch import Tensor

from egregium.causal import AdditiveNoise, Linear, LocationScale, Mechanism, Monotone, MonotoneSpline
from egregium.errors import ModelError, OptionError


def _location(parents: Tensor) -> Tensor:
    return parents.sin().sum(-1)


def _spline(parents: Tensor) -> Tensor:
    return torch.sin(parents @ torch.linspace(-2, 2, 2 * 25).to(parents).reshape(2, 25) + torch.arange(25).to(parents))


MECHANISMS = {
    "linear": Linear((0.5, -2.0), scale=-1.5, bias=0.3),
    "additive noise": AdditiveNoise(_location),
    "location and scale": LocationScale(_location, lambda p: 0.5 * p[:, 0].cos()),
    "monotone spline": MonotoneSpline(_spline),
    "monotone": Monotone(lambda e, p: e + 0.9 * torch.sin(e) + p[:, 0] * p[:, 1]),
    "decreasing": Monotone(lambda e, p: -torch.sinh(e) + p[:, 0]),
}


@pytest.fixture(params=MECHANISMS.values(), ids=list(MECHANISMS))
def mechanism(request: pytest.FixtureRequest) -> Mechanism:
    return request.param


@pytest.fixture
def given() -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(0)
    noise, parents = torch.randn(200, generator=generator).double(), torch.randn(200, 2, generator=generator).double()
    return 2 * noise, parents


def test_inverse(mechanism: Mechanism, given: tuple[Tensor, Tensor]) -> None:
    noise, parents = given
    assert torch.allclose(mechanism.inverse(mechanism.forward(noise, parents), parents), noise, rtol=1e-10, atol=1e-10)


def test_derivative(mechanism: Mechanism, given: tuple[Tensor, Tensor]) -> None:
    noise, parents = given
    (slope,) = torch.autograd.grad(mechanism.forward(noise.requires_grad_(), parents).sum(), noise)
    assert torch.allclose(mechanism.log_derivative(noise.detach(), parents), slope.abs().log(), atol=1e-12)


def test_the_inverse_has_the_inverse_derivative(mechanism: Mechanism, given: tuple[Tensor, Tensor]) -> None:
    noise, parents = given
    value = mechanism.forward(noise, parents).requires_grad_()
    (slope,) = torch.autograd.grad(mechanism.inverse(value, parents).sum(), value)
    assert torch.allclose(slope.abs().log(), -mechanism.log_derivative(noise, parents), atol=1e-9)


def test_a_spline_of_zeros_is_the_identity() -> None:
    noise = torch.linspace(-8, 8, 50)
    found = MonotoneSpline(lambda p: p.new_zeros(len(p), 25)).forward(noise, torch.zeros(50, 0))
    assert torch.allclose(found, noise, atol=1e-5)


def test_what_cannot_be_inverted_is_refused() -> None:
    with pytest.raises(OptionError, match="not zero"):
        Linear(scale=0.0)
    with pytest.raises(OptionError, match="bins >= 1"):
        MonotoneSpline(_spline, bins=0)
    with pytest.raises(ModelError, match="25 numbers a row"):
        MonotoneSpline(lambda p: p).forward(torch.zeros(3), torch.zeros(3, 2))
    with pytest.raises(ModelError, match="strictly monotone"):
        Monotone(lambda e, p: torch.tanh(e)).inverse(torch.tensor([2.0]), torch.zeros(1, 0))
