"""Curvature against closed forms, its symmetries, its invariance, and decoders that have none."""

import warnings

import pytest
import torch
from torch import Tensor, nn

from egregium.errors import DecoderError
from egregium.relations import curvature
from egregium.spaces import Euclidean, Pullback
from egregium.testing.surfaces import Cylinder, Paraboloid, StereographicSphere
from egregium.testing.twins import Diffeomorphism, random_decoder, twin

Z = torch.randn(30, 2, generator=torch.Generator().manual_seed(0), dtype=torch.float64)


def torus(z: Tensor) -> Tensor:
    """Of radii 2 and 1, by angles (around the axis, around the tube)."""
    ring = 2 + z[:, 1].cos()
    return torch.stack([ring * z[:, 0].cos(), ring * z[:, 0].sin(), z[:, 1].sin()], -1)


def pseudosphere(z: Tensor) -> Tensor:
    """Of curvature -1, by arc length along the tractrix and the angle."""
    s = 0.5 + z[:, 0].exp()
    radius = (-s).exp()
    height = torch.acosh(1 / radius) - (1 - radius**2).sqrt()
    return torch.stack([radius * z[:, 1].cos(), radius * z[:, 1].sin(), height], -1)


GAUSS = {
    "sphere of radius 2": (StereographicSphere(radius=2.0).decode, lambda z: torch.full_like(z[:, 0], 0.25)),
    "torus": (torus, lambda z: z[:, 1].cos() / (2 + z[:, 1].cos())),
    "pseudosphere": (pseudosphere, lambda z: -torch.ones_like(z[:, 0])),
    "cylinder": (Cylinder().decode, lambda z: torch.zeros_like(z[:, 0])),
    "paraboloid": (Paraboloid(steepness=0.7).decode, lambda z: 4 * 0.49 / (1 + 4 * 0.49 * (z**2).sum(-1)) ** 2),
}


@pytest.fixture(params=GAUSS)
def surface(request: pytest.FixtureRequest):
    decode, expected = GAUSS[request.param]
    space = Pullback(decode, dim=2)
    form = curvature.second_fundamental_form(space, Z)
    inverse = torch.linalg.inv(space.metric(Z))
    size = torch.einsum("naij,nakl,nik,njl->n", form, form, inverse, inverse)
    return space, expected(Z), size.clamp_min(1e-3)


def test_surfaces_have_their_gaussian_curvature(surface) -> None:
    space, expected, size = surface
    u, v = torch.randn(2, *Z.shape, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    metric = space.metric(Z)
    error = {
        "scalar": curvature.scalar(space, Z) / 2 - expected,
        "sectional": curvature.sectional(space, Z, u, v) - expected,
        "ricci": (curvature.ricci(space, Z) - expected[:, None, None] * metric).norm(dim=(1, 2)) / metric.norm(dim=(1, 2)),
        "riemann": curvature.riemann(space, Z)[:, 0, 1, 0, 1] / torch.linalg.det(metric) - expected,
    }
    for name, wrong in error.items():
        assert (wrong.abs() / size).max() < 1e-9, name


def test_magnitude_is_that_of_the_gaussian_curvature(surface) -> None:
    space, expected, size = surface
    assert ((curvature.magnitude(Pullback(space.decoder), Z) - expected.abs()).abs() / size).max() < 1e-9  # dim unsaid


def test_mean_curvature_of_a_sphere_points_inward() -> None:
    sphere = StereographicSphere(radius=2.0)
    found = curvature.mean_curvature(Pullback(sphere.decode, dim=2), Z)
    torch.testing.assert_close(found, -sphere.decode(Z) / 4, rtol=1e-9, atol=1e-12)


def test_symmetries_and_the_first_bianchi_identity() -> None:
    space = Pullback(random_decoder(4, 12, 0), dim=4)
    r = curvature.riemann(space, torch.randn(10, 4, generator=torch.Generator().manual_seed(0), dtype=torch.float64))
    size = r.abs().max()
    for law, wrong in {
        "first pair": r + r.transpose(1, 2),
        "second pair": r + r.transpose(3, 4),
        "exchange": r - r.permute(0, 3, 4, 1, 2),
        "Bianchi": r + r.permute(0, 1, 3, 4, 2) + r.permute(0, 1, 4, 2, 3),
    }.items():
        assert wrong.abs().max() < 1e-12 * size, law


@pytest.mark.parametrize(("d", "ambient"), [(2, 10), (4, 12)])
def test_invariance_under_reparametrisation(d: int, ambient: int) -> None:
    f, a = random_decoder(d, ambient, 0), Diffeomorphism(d, seed=3)
    here, there = Pullback(f, dim=d), Pullback(twin(f, a), dim=d)
    z = torch.randn(20, d, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    jacobian = torch.func.vmap(torch.func.jacrev(lambda p: a.forward(p[None])[0]))(z)
    u, v = torch.randn(2, 20, d, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    y, push = a.forward(z), lambda w: (jacobian @ w[..., None])[..., 0]
    size = curvature.scalar(here, z).abs().max()
    torch.testing.assert_close(curvature.scalar(there, y), curvature.scalar(here, z), rtol=0, atol=1e-10 * float(size))
    torch.testing.assert_close(
        curvature.sectional(there, y, push(u), push(v)), curvature.sectional(here, z, u, v), rtol=0, atol=1e-10 * float(size)
    )
    pulled = torch.einsum("nkl,nki,nlj->nij", curvature.ricci(there, y), jacobian, jacobian)
    torch.testing.assert_close(pulled, curvature.ricci(here, z), rtol=1e-9, atol=1e-10 * float(size))
    pulled = torch.einsum("nabcd,nai,nbj,nck,ndl->nijkl", curvature.riemann(there, y), *[jacobian] * 4)
    torch.testing.assert_close(pulled, curvature.riemann(here, z), rtol=1e-9, atol=1e-10 * float(size))


def test_ricci_is_the_trace_of_riemann() -> None:
    space = Pullback(random_decoder(3, 9, 1), dim=3)
    z = torch.randn(5, 3, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    traced = torch.einsum("nijkl,nik->njl", curvature.riemann(space, z), torch.linalg.inv(space.metric(z)))
    torch.testing.assert_close(curvature.ricci(space, z), traced, rtol=1e-9, atol=1e-10)


def test_ensembles_are_one_stacked_decoder() -> None:
    members = [random_decoder(2, 9, seed) for seed in range(3)]
    stacked = Pullback(lambda z: torch.cat([f(z) for f in members], -1) / 3**0.5, dim=2)
    found, expected = (curvature.scalar(space, Z) for space in (Pullback(members, dim=2), stacked))
    torch.testing.assert_close(found, expected, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("batch", [(), (3,), (2, 3)])
def test_shapes(batch: tuple[int, ...]) -> None:
    z = torch.zeros(*batch, 2).double()
    space = Pullback(StereographicSphere().decode, dim=2)
    assert curvature.riemann(space, z).shape == (*batch, 2, 2, 2, 2)
    assert curvature.ricci(space, z).shape == (*batch, 2, 2)
    assert curvature.scalar(space, z).shape == batch
    assert curvature.sectional(space, z, z + 1, z + torch.tensor([1.0, 2.0])).shape == batch
    assert curvature.second_fundamental_form(space, z).shape == (*batch, 3, 2, 2)
    assert curvature.mean_curvature(space, z).shape == (*batch, 3)


def test_flat_space_is_flat_and_a_line_has_no_curvature() -> None:
    assert curvature.scalar(Euclidean(3), torch.zeros(3)).item() == 0
    circle = Pullback(lambda z: torch.cat([z.cos(), z.sin()], -1), dim=1)
    assert curvature.scalar(circle, torch.zeros(4, 1)).tolist() == [0.0] * 4


def test_parallel_directions_span_no_plane() -> None:
    space = Pullback(StereographicSphere().decode, dim=2)
    assert curvature.sectional(space, Z, torch.ones_like(Z), 2 * torch.ones_like(Z)).isnan().all()


def network(activation: type[nn.Module], dtype: torch.dtype) -> nn.Module:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return nn.Sequential(nn.Linear(2, 32), nn.SiLU(), nn.Linear(32, 32), activation(), nn.Linear(32, 9)).to(dtype)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("activation", [nn.ReLU, nn.LeakyReLU, nn.Hardtanh])
def test_kinks_are_refused_unless_forced(activation: type[nn.Module], dtype: torch.dtype) -> None:
    space = Pullback(network(activation, dtype), dim=2)
    with pytest.raises(DecoderError, match=r"kinks .* force=True"):
        curvature.scalar(space, Z)
    assert curvature.scalar(space, Z, force=True).isfinite().all()


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_jumps_of_the_second_derivative_are_warned_of(dtype: torch.dtype) -> None:
    with pytest.warns(UserWarning, match="second derivative jumps"):
        curvature.scalar(Pullback(network(nn.ELU, dtype), dim=2), Z)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("activation", [nn.SiLU, nn.Tanh, nn.Softplus, nn.GELU])
def test_smooth_decoders_are_taken_as_they_are(activation: type[nn.Module], dtype: torch.dtype) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        curvature.scalar(Pullback(network(activation, dtype), dim=2), Z)
