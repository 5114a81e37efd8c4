"""The power spherical density against the paper's formulas."""

import math

import torch

from egregium.distributions import PowerSpherical
from egregium.spaces import Sphere


def test_the_density_as_published() -> None:
    d, kappa = 5, torch.tensor(3.5, dtype=torch.float64)
    space, loc = Sphere(d - 1), torch.eye(d, dtype=torch.float64)[2]
    x = space.random(9, dtype=torch.float64)
    beta, alpha = torch.tensor(0.5 * (d - 1), dtype=torch.float64), 0.5 * (d - 1) + kappa
    normaliser = -((alpha + beta) * math.log(2) + beta * math.log(math.pi) + torch.lgamma(alpha) - torch.lgamma(alpha + beta))
    expected = normaliser + kappa * torch.log1p(x @ loc)
    p = PowerSpherical(space, loc, kappa)
    torch.testing.assert_close(p.log_prob(x), expected, rtol=1e-13, atol=1e-13)
    entropy = -normaliser - kappa * (math.log(2) + torch.digamma(alpha) - torch.digamma(alpha + beta))
    torch.testing.assert_close(p.entropy(), entropy, rtol=1e-13, atol=1e-13)


def test_the_antipode_has_no_density() -> None:
    loc = torch.eye(3, dtype=torch.float64)[0]
    assert PowerSpherical(Sphere(2), loc, 2.0).log_prob(-loc).item() == -math.inf


def test_the_variance_along_the_axis() -> None:
    """That of a beta law, four times."""
    torch.manual_seed(0)
    a, b = 1.5 + 4.0, 1.5
    loc = torch.eye(4, dtype=torch.float64)[1]
    found = (PowerSpherical(Sphere(3), loc, 4.0).sample((100_000,)) @ loc).var()
    assert abs(found - 4 * a * b / ((a + b) ** 2 * (a + b + 1))) < 2e-3  # 5 standard errors
