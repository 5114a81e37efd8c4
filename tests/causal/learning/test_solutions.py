"""Solution functions: diffeomorphisms of their own noise, with parameters that do not see it."""

from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from egregium.causal.learning.explicit import Explicit
from egregium.causal.learning.perceptrons import MaskedNetworks
from egregium.causal.learning.solutions import Affine, Identity, Solution, Spline
from egregium.numerics.derivatives import jacobian

N, HIDDEN, ROWS = 3, (8, 8), 20

KINDS: dict[str, Callable[[torch.Generator], Solution]] = {
    "identity": lambda generator: Identity(N),
    "affine": lambda generator: Affine(N, HIDDEN, generator),
    "spline": lambda generator: Spline(N, HIDDEN, generator, 6),
    "explicit": lambda generator: Explicit(N, HIDDEN, generator, 1.0),
}


def shaken(module: torch.nn.Module, scale: float = 0.5) -> None:
    """All weights drawn anew: the last layers begin at zero, where much is trivially true."""
    generator = torch.Generator().manual_seed(3)
    for parameter in module.parameters():
        parameter.data = scale * torch.randn(parameter.shape, generator=generator, dtype=parameter.dtype)


@pytest.fixture(params=KINDS.values(), ids=list(KINDS))
def solution(request: pytest.FixtureRequest) -> Solution:
    found = request.param(torch.Generator().manual_seed(0)).double()
    shaken(found)
    return found.requires_grad_(False)


@pytest.fixture
def e() -> Tensor:
    return 1.5 * torch.randn(N, ROWS, N, generator=torch.Generator().manual_seed(1), dtype=torch.float64)


def own(e: Tensor) -> Tensor:
    return e.diagonal(dim1=0, dim2=2).T


@pytest.mark.parametrize(("dtype", "atol"), [(torch.float64, 1e-11), (torch.float32, 1e-5)])
def test_invert_inverts(solution: Solution, e: Tensor, dtype: torch.dtype, atol: float) -> None:
    """Rounding errors are multiplied by slopes, of random splines up to some thousand."""
    solution, e = solution.to(dtype), e.to(dtype)
    value, slope = solution(e, own(e))
    back = (solution.invert(value, e) - own(e)).abs()
    assert bool((back < atol * (1 + (value.abs() + 1) * (-slope).exp())).all())
    noise = solution.invert(own(e), e)
    value, slope = solution(e, noise)
    assert bool(((value - own(e)).abs() < atol * (1 + (noise.abs() + 1) * slope.exp())).all())


def test_the_derivative_is_that_of_autograd(solution: Solution, e: Tensor) -> None:
    free = own(e).clone().requires_grad_()
    value, slope = solution(e, free)
    (found,) = torch.autograd.grad(value.sum(), free) if value.requires_grad else (torch.ones_like(free),)
    assert bool((found > 0).all())
    torch.testing.assert_close(slope, found.log())


def test_what_others_do_not_see(solution: Solution, e: Tensor) -> None:
    """Noise i in `e` is of no account to function i, which takes its own beside it."""
    moved = e + torch.eye(N, dtype=e.dtype)[:, None]
    for here, there in zip(solution(e, own(e)), solution(moved, own(e)), strict=True):
        assert torch.equal(here, there)


def test_one_variable_as_all(solution: Solution, e: Tensor) -> None:
    z = solution.solve(e[0])
    for i in range(N):
        value, _ = solution.value(i, e[0])
        torch.testing.assert_close(value, z[:, i])
        torch.testing.assert_close(solution.noise(i, value, e[0]), e[0][:, i])
        if i:
            picked = solution(e[i:], own(e)[i:], slice(i, N))
            torch.testing.assert_close(picked[0], solution(e, own(e))[0][i:])
    assert solution.solve(e[0, :0]).shape == (0, N)


def test_networks_do_not_see_their_own_number(e: Tensor) -> None:
    networks = MaskedNetworks(N, HIDDEN, 2, torch.Generator().manual_seed(0)).double()
    assert not networks(e).any()
    shaken(networks)
    J = jacobian(lambda one: networks(one.expand(N, *one.shape))[..., 0].T, e[0])  # (N, network, input)
    assert not J.diagonal(dim1=1, dim2=2).any()
    assert bool((J + torch.eye(N)).ne(0).all())


def test_the_test_of_what_is_seen_can_fail(e: Tensor) -> None:
    networks = MaskedNetworks(N, HIDDEN, 2, torch.Generator().manual_seed(0)).double()
    shaken(networks)
    networks.others.fill_(1)
    J = jacobian(lambda one: networks(one.expand(N, *one.shape))[..., 0].T, e[0])
    assert J.diagonal(dim1=1, dim2=2).any()
