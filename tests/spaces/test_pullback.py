"""The pullback metric: laws, closed forms, ensembles, and how it changes under a change of coordinates."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from egregium.errors import DecoderError, OptionError, ShapeError
from egregium.spaces import Euclidean, Pullback
from egregium.spaces.charts import Gaussian
from egregium.testing.laws import require, space_breaches
from egregium.testing.surfaces import SOLVED, Paraboloid, SolvedSurface
from egregium.testing.twins import Diffeomorphism, random_decoder, twin

Z = torch.randn(7, 2, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
MEMBERS = [random_decoder(2, 6, seed) for seed in range(4)]


def jacobians(z: Tensor) -> Tensor:
    """`(S, N, D, d)`."""
    return torch.stack([Pullback(member).jacobian(z) for member in MEMBERS])


@pytest.mark.parametrize("surface", SOLVED, ids=repr)
def test_laws(surface: SolvedSurface) -> None:
    z = surface.sample(6, torch.Generator().manual_seed(0))
    require(space_breaches(Pullback(surface.decode, dim=surface.dim), z))


def test_metric_of_the_paraboloid() -> None:
    x, y = Z.unbind(-1)
    expected = torch.stack([torch.stack([1 + 4 * x**2, 4 * x * y], -1), torch.stack([4 * x * y, 1 + 4 * y**2], -1)], -1)
    torch.testing.assert_close(Pullback(Paraboloid().decode).metric(Z), expected, rtol=1e-13, atol=1e-13)


def test_metric_of_one_decoder_is_its_gram_matrix() -> None:
    block = jacobians(Z)[0]
    torch.testing.assert_close(Pullback(MEMBERS[0]).metric(Z), block.mT @ block)
    torch.testing.assert_close(Pullback([MEMBERS[0]]).metric(Z), block.mT @ block)


def test_expected_metric_is_the_mean_of_the_members() -> None:
    block = jacobians(Z)
    torch.testing.assert_close(Pullback(MEMBERS).metric(Z), (block.mT @ block).mean(0))
    torch.testing.assert_close(Pullback(MEMBERS, uncertainty=1.0).metric(Z), (block.mT @ block).mean(0))


@given(st.floats(0, 50))
def test_uncertainty_weighs_the_covariance_of_jacobians(weight: float) -> None:
    """`J_mu^T J_mu + lam sum_k Cov(J_k)`, the covariance over members with denominator S."""
    block = jacobians(Z)
    mean = block.mean(0)
    spread = block - mean
    expected = mean.mT @ mean + weight * (spread.mT @ spread).mean(0)
    torch.testing.assert_close(Pullback(MEMBERS, uncertainty=weight).metric(Z), expected, rtol=1e-10, atol=1e-10)


def test_the_metric_is_smooth_in_the_uncertainty() -> None:
    """0 and 1 take shorter ways through the code; they must be the limits of their neighbours."""
    for at in (0.0, 1.0):
        near = Pullback(MEMBERS, uncertainty=abs(at - 1e-9)).metric(Z)
        torch.testing.assert_close(Pullback(MEMBERS, uncertainty=at).metric(Z), near, rtol=1e-7, atol=1e-7)


def test_decoding_is_the_mean_of_the_members() -> None:
    torch.testing.assert_close(Pullback(MEMBERS).decode(Z), torch.stack([m(Z) for m in MEMBERS]).mean(0))
    assert Pullback(MEMBERS).ambient(Z).shape == (7, 24)
    assert Pullback(MEMBERS, uncertainty=0.0).ambient(Z).shape == (7, 6)


@given(st.integers(0, 100), st.sampled_from([2, 5]))
def test_the_metric_transforms_as_a_tensor(seed: int, d: int) -> None:
    """`G_a(z) = J_A^T G_b(A z) J_A`: Theorem 1, pointwise."""
    decoder, a = random_decoder(d, 12, seed % 3), Diffeomorphism(d, seed=seed)
    z = torch.randn(4, d, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    block = torch.stack([torch.func.jacrev(a.forward)(row) for row in z])
    there = Pullback(twin(decoder, a)).metric(a.forward(z))
    here = Pullback(decoder).metric(z)
    torch.testing.assert_close(block.mT @ there @ block, here, rtol=1e-8, atol=1e-8)


@pytest.mark.parametrize("scale", [1e-6, 1e6])
def test_scaling_the_decoder_scales_the_metric(scale: float) -> None:
    found = Pullback(lambda z: scale * MEMBERS[0](z)).metric(Z)
    torch.testing.assert_close(found, scale**2 * Pullback(MEMBERS[0]).metric(Z), rtol=1e-12, atol=0)
    charted = Pullback(MEMBERS[0], chart=Gaussian(1 / scale)).metric(Z)
    torch.testing.assert_close(charted, found, rtol=1e-12, atol=0)


@pytest.mark.parametrize("batch", [(), (1,), (2, 3)])
def test_shapes(batch: tuple[int, ...]) -> None:
    space = Pullback(MEMBERS)
    z = Z[0].expand(*batch, 2).clone()
    assert space.metric(z).shape == (*batch, 2, 2) and space.frame(z).shape == (*batch, 2, 2)
    assert space.jacobian(z).shape == (*batch, 24, 2) and space.ambient(z).shape == (*batch, 24)
    assert space.inner(z, z, z).shape == batch and space.norm(z, z).shape == batch
    assert space.decode(z).shape == (*batch, 6) and space.embed(z).shape == z.shape


def test_many_points_are_worked_in_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    whole = Pullback(MEMBERS[0]).metric(Z)
    monkeypatch.setattr(
        "egregium.spaces.immersed.row_chunks", lambda rows, floats: [slice(k, k + 2) for k in range(0, rows, 2)]
    )
    torch.testing.assert_close(Pullback(MEMBERS[0]).metric(Z), whole, rtol=1e-13, atol=1e-13)


def test_dimension() -> None:
    space = Pullback(MEMBERS[0])
    with pytest.raises(OptionError, match="pass dim="):
        _ = space.width
    space.metric(Z)
    assert (space.dim, space.width) == (2, 2)
    with pytest.raises(ShapeError, match=r"\(\*batch, 2\)"):
        space.metric(torch.zeros(3, dtype=torch.float64))
    assert Pullback(MEMBERS[0], base=Euclidean(2)).width == 2


@pytest.mark.parametrize(
    ("build", "error", "words"),
    [
        (lambda: Pullback([]), DecoderError, "at least one"),
        (lambda: Pullback(3), DecoderError, "callable"),  # type: ignore[arg-type]
        (lambda: Pullback(MEMBERS[0], dim=0), OptionError, "at least 1"),
        (lambda: Pullback(MEMBERS[0], dim=3, base=Euclidean(2)), OptionError, "contradicts"),
        (lambda: Pullback(MEMBERS[0], base="plane"), OptionError, "takes an explicit space"),  # type: ignore[arg-type]
        (
            lambda: Pullback(MEMBERS[0], uncertainty=1.0),
            OptionError,
            "for a list of two or more decoders; got .*, with 1 decoder",
        ),
        (lambda: Pullback(MEMBERS, uncertainty=-0.1), OptionError, ">= 0"),
        (lambda: Pullback([MEMBERS[0], random_decoder(2, 9, 0)], dim=2), ShapeError, r"\[6, 9\]"),
    ],
)
def test_refusals(build, error: type[Exception], words: str) -> None:
    with pytest.raises(error, match=words):
        build()
