"""Decoders that live on explicit spaces: their geometry is that of the decoded surface, in coordinates of the base."""

import pytest
import torch
from geographiclib.geodesic import Geodesic as Geodesy
from torch import Tensor

from egregium.errors import OptionError, TensorError
from egregium.geodesics import connect
from egregium.relations import conjugate_time, curvature, exp, jacobi_field, log, log_volume, mean, transport
from egregium.spaces import Euclidean, Hyperbolic, Product, Pullback, Sphere, Torus
from egregium.testing.geometry import curvature_breaches, geodesic_breaches
from egregium.testing.laws import require, space_breaches

KNOWN = Sphere(2, 0.25)
ROUND = Pullback(lambda x: 2 * x, base=Sphere(2))  # the same, decoded
Z = Sphere(2).random(12, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
Z0, Z1 = Z.chunk(2)


def test_a_decoded_sphere_is_the_sphere() -> None:
    g, v = connect(ROUND, Z0, Z1, rtol=1e-8), KNOWN.log(Z0, Z1)
    assert (g.length / KNOWN.dist(Z0, Z1) - 1).abs().max() < 1e-9
    assert (g.nodes.norm(dim=-1) - 1).abs().max() < 1e-15  # curves stay on the base
    assert (log(ROUND, Z0, Z1, rtol=1e-8) - v).abs().max() < 1e-7
    assert (exp(ROUND, Z0, v, rtol=1e-8) - Z1).abs().max() < 1e-8
    u = KNOWN.tangent(Z0, v.flip(0))
    assert (transport(ROUND, g, u) - KNOWN.transport(Z0, Z1, u)).abs().max() < 1e-5
    fields = [jacobi_field(space, Z0, v, u, v)[0] for space in (ROUND, KNOWN)]
    assert (fields[0] - fields[1]).abs().max() < 1e-5
    times = conjugate_time(KNOWN, Z0[:3], 4 * v[:3])
    assert times.isfinite().any()
    torch.testing.assert_close(conjugate_time(ROUND, Z0[:3], 4 * v[:3]), times, rtol=1e-5, atol=0)


def test_curvature_and_volume_are_those_of_the_sphere() -> None:
    torch.testing.assert_close(curvature.riemann(ROUND, Z0), KNOWN.riemann(Z0), rtol=0, atol=1e-12)
    torch.testing.assert_close(curvature.scalar(ROUND, Z0), KNOWN.scalar(Z0), rtol=1e-12, atol=0)
    torch.testing.assert_close(log_volume(ROUND, Z0), KNOWN.log_volume(Z0), rtol=0, atol=1e-14)
    assert ROUND.frame(Z0).shape == (6, 3, 2) and (ROUND.dim, ROUND.width) == (2, 3)


def test_laws() -> None:
    near = KNOWN.exp(Z[:1].expand(5, -1), 0.5 * KNOWN.log(Z[:1].expand(5, -1), Z[1:6]))
    geodesics = geodesic_breaches(ROUND, near, tolerance=1e-6, equation=2e-3, rtol=1e-8)
    require(space_breaches(ROUND, Z0), curvature_breaches(ROUND, Z0), geodesics)


def test_means_of_a_decoded_sphere() -> None:
    some = KNOWN.exp(Z[:1].expand(5, -1), 0.3 * KNOWN.log(Z[:1].expand(5, -1), Z[1:6]))
    assert (mean(ROUND, some, rtol=1e-6).point - mean(KNOWN, some, rtol=1e-9).point).abs().max() < 1e-5


def test_an_ellipsoid_over_the_sphere_agrees_with_geodesy() -> None:
    axes = torch.tensor([1.0, 1.0, 0.96], dtype=torch.float64)
    g = connect(Pullback(lambda x: axes * x, base=Sphere(2)), Z0, Z1, rtol=1e-8)
    parametric = torch.atan2(Z[:, 2], Z[:, :2].norm(dim=-1))
    latitude = torch.rad2deg(torch.atan(parametric.tan() / 0.96))
    places = torch.stack([latitude, torch.rad2deg(torch.atan2(Z[:, 1], Z[:, 0]))], -1)
    oracle = Geodesy(1.0, 0.04)
    truth = [oracle.Inverse(*a.tolist(), *b.tolist())["s12"] for a, b in zip(*places.chunk(2), strict=True)]
    torch.testing.assert_close(g.length, torch.tensor(truth, dtype=torch.float64), rtol=1e-7, atol=0)


def donut(x: Tensor) -> Tensor:
    """A torus of revolution of radii 2 and 1, from cosines and sines of both angles."""
    (first, second), (third, fourth) = x[:, :2].unbind(-1), x[:, 2:].unbind(-1)
    return torch.stack([(2 + second) * first, (2 + second) * third, fourth], -1)


def test_geodesics_go_the_shorter_way_round_a_torus() -> None:
    space = Pullback(donut, base=Torus(2))
    z0 = torch.tensor([[0.1, torch.pi], [6.2, 0.0]], dtype=torch.float64)
    z1 = torch.tensor([[6.2, torch.pi], [6.2, 6.2]], dtype=torch.float64)
    g = connect(space, z0, z1, rtol=1e-6)
    short = 0.1 + 2 * torch.pi - 6.2  # along the inner equator, of radius 1
    assert abs(float(g.length[0]) - short) < 1e-7 and abs(float(g.length[1]) - (2 * torch.pi - 6.2)) < 1e-7
    assert (g.second_best > g.length).all()
    turns = (g(1.0) - z1) / (2 * torch.pi)
    assert (turns - turns.round()).abs().max() < 1e-12
    again = connect(space, z0, z1, starts=g, rtol=1e-6)  # a start says which way round
    torch.testing.assert_close(again.length, g.length, rtol=1e-6, atol=0)
    long = connect(space, z0[:1], z1[:1], starts=torch.stack([z0[:1], z1[:1]], 1))
    assert long.length[0] > 3


def test_bases_of_every_kind() -> None:
    generator = torch.Generator().manual_seed(1)
    net = torch.nn.Sequential(torch.nn.Linear(6, 16), torch.nn.SiLU(), torch.nn.Linear(16, 20)).double()
    for parameter in net.parameters():
        torch.nn.init.normal_(parameter, generator=generator)
    base = Product(Sphere(2), Hyperbolic(1), Torus(1))
    space = Pullback(net, base=base)
    z = base.random(6, generator=generator, dtype=torch.float64)
    g = connect(space, z[:3], z[3:], on_fail="mark")
    assert g.ok.all() and (g.lower <= g.length).all() and (g.length <= g.upper).all()
    assert space.decode(z).shape == (6, 20) and "base=Product(Sphere" in repr(space)
    assert base.dist(base.project(g(0.5)), g(0.5)).abs().max() < 1e-12
    flat, same = Pullback(net, base=Euclidean(6)), Pullback(net, dim=6)  # the usual latent space, by name
    y = 0.2 * torch.randn(4, 6, generator=generator, dtype=torch.float64)
    torch.testing.assert_close(connect(flat, y[:2], y[2:]).length, connect(same, y[:2], y[2:]).length)


def test_ways_round_many_circles_are_few() -> None:
    base = Product(Product(Torus(1), Torus(2)), Torus(2))
    z0, z1 = base.random(8, generator=torch.Generator().manual_seed(0), dtype=torch.float64).chunk(2)
    ways = base.turns(z0, z1)
    assert len(ways) == 11 and (ways[0] - z0).abs().max() <= torch.pi
    turned = ((torch.stack(ways) - ways[0]) / (2 * torch.pi)).round()
    assert (base.dist(torch.cat(ways), z1.repeat(len(ways), 1)) < 1e-12).all() and turned[1:].abs().sum(-1).min() == 1
    assert len(Product(Torus(2), Torus(1)).turns(z0[:, :3], z1[:, :3])) == 8


def test_refusals() -> None:
    with pytest.raises(TensorError, match="unit vectors"):
        connect(ROUND, 2 * Z0, Z1)
    with pytest.raises(OptionError, match="explicit space"):
        Pullback(lambda x: x, base=ROUND)  # type: ignore[arg-type]
    with pytest.raises(OptionError, match="contradicts"):
        Pullback(lambda x: x, dim=3, base=Sphere(2))
