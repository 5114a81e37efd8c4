"""Exact twins: diffeomorphisms invert, know their volume, and are not affine; decoders are drawn by their seed alone."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from egregium.protocols import LatentDensity
from egregium.testing.twins import Diffeomorphism, StandardNormalImage, random_decoder, twin

Z = {d: torch.randn(8, d, generator=torch.Generator().manual_seed(d), dtype=torch.float64) for d in (1, 2, 3, 5)}


@given(st.sampled_from([1, 2, 3, 5]), st.integers(0, 10_000))
def test_inverse_and_volume(d: int, seed: int) -> None:
    a = Diffeomorphism(d, seed)
    torch.testing.assert_close(a.inverse(a.forward(Z[d])), Z[d], rtol=0, atol=1e-10)
    block = torch.stack([torch.func.jacrev(a.forward)(row) for row in Z[d]])
    torch.testing.assert_close(a.log_det(Z[d]), torch.linalg.slogdet(block).logabsdet, rtol=0, atol=1e-10)


def test_maps_are_nonlinear_and_distinct() -> None:
    a, b = Diffeomorphism(2, 0), Diffeomorphism(2, 1)
    z0, z1 = Z[2].chunk(2)
    middle = a.forward((z0 + z1) / 2) - (a.forward(z0) + a.forward(z1)) / 2
    assert middle.norm(dim=-1).max() > 0.1
    assert not torch.allclose(a.forward(Z[2]), b.forward(Z[2]))
    linear = Diffeomorphism(2, 0, strength=0.0)
    torch.testing.assert_close(linear.forward((z0 + z1) / 2), (linear.forward(z0) + linear.forward(z1)) / 2)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_dtype_is_kept_and_twins_have_one_image(dtype: torch.dtype) -> None:
    a, decoder = Diffeomorphism(3, 4), random_decoder(3, 7, 0).to(dtype)
    z = Z[3].to(dtype)
    moved = a.forward(z)
    assert moved.dtype == dtype
    torch.testing.assert_close(twin(decoder, a)(moved), decoder(z), rtol=0, atol=1e-4 if dtype == torch.float32 else 1e-12)


def test_decoders_depend_on_their_seed_alone() -> None:
    torch.manual_seed(1)
    before = torch.get_rng_state()
    first, again, other = (random_decoder(2, 6, seed) for seed in (0, 0, 1))
    assert torch.equal(first(Z[2]), again(Z[2])) and not torch.equal(first(Z[2]), other(Z[2]))
    assert torch.equal(torch.get_rng_state(), before)
    assert not any(weight.requires_grad for weight in first.parameters())


def test_the_prior_of_a_twin() -> None:
    """Its log-density integrates to one, and its samples have it."""
    a = Diffeomorphism(1, 3)
    prior = StandardNormalImage(a)
    assert isinstance(prior, LatentDensity)
    z = torch.linspace(-9, 9, 4001, dtype=torch.float64)[:, None]
    y = a.forward(z)
    mass = torch.trapezoid(prior.log_prob(y).exp(), y[:, 0]).abs()
    assert mass.item() == pytest.approx(1.0, abs=1e-4)
    assert prior.sample(torch.Size([4, 2])).shape == (4, 2, 1)
