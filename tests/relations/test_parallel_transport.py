"""Parallel transport: inner products, tangents of geodesics, holonomy, invariance, curves of one's own."""

import pytest
import torch
from torch import Tensor

from egregium.errors import NotConvergedError, OptionError, ShapeError
from egregium.geodesics import connect
from egregium.relations import exp, log, transport
from egregium.spaces import Euclidean, Pullback
from egregium.testing.surfaces import Cylinder, SphericalCoordinates, StereographicSphere
from egregium.testing.twins import Diffeomorphism, random_decoder, twin

SPHERE = StereographicSphere()
SPACE = Pullback(SPHERE.decode, dim=2)


def normal(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def triangle(n: int) -> list[Tensor]:
    generator = torch.Generator().manual_seed(0)
    return [SPHERE.sample(n, generator) for _ in range(3)]


def solid_angle(x: Tensor, y: Tensor, z: Tensor) -> Tensor:
    """Of spherical triangles, by van Oosterom and Strackee 1983: the integral of curvature over them."""
    volume = (x * torch.linalg.cross(y, z)).sum(-1)
    return 2 * torch.atan2(volume, 1 + (x * y).sum(-1) + (y * z).sum(-1) + (z * x).sum(-1))


def test_holonomy_around_a_triangle_is_the_integral_of_curvature() -> None:
    a, b, c = triangle(5)
    v = w = normal(5, 2)
    sides = connect(SPACE, torch.stack([a, b, c]), torch.stack([b, c, a]), rtol=1e-9)
    for k in range(3):
        w = transport(SPACE, sides[k], w, rtol=1e-9)
    block = SPACE.jacobian(a)
    before, after = (block @ v[..., None])[..., 0], (block @ w[..., None])[..., 0]
    outward = SPHERE.decode(a)
    turned = torch.atan2((torch.linalg.cross(before, after) * outward).sum(-1), (before * after).sum(-1))
    area = solid_angle(*(SPHERE.decode(p) for p in (a, b, c)))
    difference = torch.remainder(turned - area + torch.pi, 2 * torch.pi) - torch.pi
    assert difference.abs().max() < 1e-6


@pytest.mark.parametrize(("d", "ambient"), [(2, 10), (3, 9)])
def test_inner_products_are_kept_and_tangents_stay_tangents(d: int, ambient: int) -> None:
    space = Pullback(random_decoder(d, ambient, 0), dim=d)
    z0, z1, u = normal(3, 3, d)
    g = connect(space, z0, z1, rtol=1e-6)
    v = log(space, z0, z1, rtol=1e-6)
    twice = torch.arange(3).repeat(2)
    tangent, carried = transport(space, g[twice], torch.cat([v, u]), rtol=1e-6).chunk(2)
    size = space.norm(z0, u) * g.length
    assert ((space.inner(z0, u, v) - space.inner(z1, carried, tangent)).abs() / size).max() < 1e-9
    assert (space.norm(z1, tangent - _final(space, z0, v)) / g.length).max() < 1e-5


def _final(space: Pullback, z: Tensor, v: Tensor) -> Tensor:
    """Velocity at time 1, by symmetric differences of the exponential."""
    h = 1e-4
    ahead, behind = exp(space, z.expand(2, -1, -1), torch.stack([(1 + h) * v, (1 - h) * v]), rtol=1e-9)
    return (ahead - behind) / (2 * h)


def test_it_is_linear_and_invertible() -> None:
    a, b, _ = triangle(4)
    there, back = connect(SPACE, a, b, rtol=1e-9), connect(SPACE, b, a, rtol=1e-9)
    u, v = normal(2, 4, 2)
    carried = transport(SPACE, there, 2 * u - v)
    torch.testing.assert_close(carried, 2 * transport(SPACE, there, u) - transport(SPACE, there, v), rtol=1e-9, atol=1e-9)
    torch.testing.assert_close(transport(SPACE, back, carried), 2 * u - v, rtol=0, atol=1e-4)


def test_latitude_circles_turn_vectors_by_the_area_they_enclose() -> None:
    """Along curves given by nodes: around a circle of colatitude theta a vector turns by 2 pi cos theta."""
    space, theta = Pullback(SphericalCoordinates().decode, dim=2), 1.0
    around = torch.linspace(0, 2 * torch.pi, 513, dtype=torch.float64)
    nodes = torch.stack([torch.full_like(around, theta), around], -1)
    carried = transport(space, nodes, torch.tensor([1.0, 0.0]).double(), rtol=1e-9)
    turned = torch.atan2(carried[1] * torch.sin(torch.tensor(theta)), carried[0])
    expected = -2 * torch.pi * torch.cos(torch.tensor(theta).double())
    assert abs(torch.remainder(turned - expected + torch.pi, 2 * torch.pi) - torch.pi) < 1e-8


def test_invariance_under_reparametrisation() -> None:
    f, a = random_decoder(3, 9, 0), Diffeomorphism(3, seed=2)
    here, there = Pullback(f, dim=3), Pullback(twin(f, a), dim=3)
    z0, z1, v = normal(3, 5, 3)
    t = torch.linspace(0, 1, 257, dtype=torch.float64)[None, :, None]
    nodes = torch.lerp(z0[:, None], z1[:, None], t)

    def push(z: Tensor, w: Tensor) -> Tensor:
        jacobian = torch.func.vmap(torch.func.jacrev(lambda p: a.forward(p[None])[0]))(z)
        return (jacobian @ w[..., None])[..., 0]

    expected = push(z1, transport(here, nodes, v, rtol=1e-6))
    torch.testing.assert_close(transport(there, a.forward(nodes), push(z0, v), rtol=1e-6), expected, rtol=1e-9, atol=1e-9)


def test_flat_surfaces_turn_nothing() -> None:
    z0, z1, v = normal(3, 3, 2)
    assert torch.equal(transport(Euclidean(2), connect(Euclidean(2), z0, z1), v), v)
    cylinder = Pullback(Cylinder().decode, dim=2)
    torch.testing.assert_close(transport(cylinder, connect(cylinder, z0, z1), v), v, rtol=0, atol=1e-6)


def test_curves_with_too_few_nodes_are_not_believed() -> None:
    space = Pullback(random_decoder(2, 10, 0), dim=2)
    z0, z1 = normal(2, 1, 1, 2)
    nodes = torch.lerp(z0, z1, torch.linspace(0, 1, 9, dtype=torch.float64)[None, :, None])
    with pytest.raises(NotConvergedError, match="1 of 1 transports"):
        transport(space, nodes, normal(1, 2), rtol=1e-9)
    assert transport(space, nodes, normal(1, 2), rtol=1e-9, on_fail="mark").isnan().all()


@pytest.mark.parametrize(
    ("call", "error", "words"),
    [
        (lambda g, v: transport(SPACE, g, v[:1]), ShapeError, "a vector a curve"),
        (lambda g, v: transport(SPACE, g, v, on_fail="ignore"), OptionError, "on_fail"),
        (lambda g, v: transport(SPACE, torch.zeros(2, 6, 2).double(), v), ShapeError, "multiple of 4"),
        (lambda g, v: transport(SPACE, torch.zeros(3, 5, 2).double(), v), ShapeError, r"\(2, n, 2\)"),
    ],
)
def test_refusals(call, error: type[Exception], words: str) -> None:
    a, b, _ = triangle(2)
    with pytest.raises(error, match=words):
        call(connect(SPACE, a, b), normal(2, 2))


def test_single_precision_goes_as_far_as_it_can() -> None:
    (a, b, _), v = triangle(3), normal(3, 2)
    exact = transport(SPACE, connect(SPACE, a, b, rtol=1e-8), v)
    found = transport(SPACE, connect(SPACE, a.float(), b.float()), v.float())
    torch.testing.assert_close(found, exact.float(), rtol=1e-3, atol=1e-3)
