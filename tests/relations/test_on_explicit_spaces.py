"""Every verb on spaces that know their geometry, against closed forms, and on products with a learned factor, by factor."""

import math
import warnings
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.distributions import Independent, Normal

from egregium.errors import OptionError
from egregium.geodesics import connect
from egregium.protocols import Composite
from egregium.relations import (
    angle,
    ball_volume,
    chord,
    conjugate_time,
    curvature,
    distance,
    exp,
    flatness,
    jacobi_field,
    log,
    log_density,
    log_volume,
    mean,
    medoids,
    neighbors,
    pairwise,
    principal_directions,
    straight_length,
    transport,
    variance,
    volume,
    wasserstein,
)  # fmt: skip
from egregium.spaces import ConstantCurvature, Euclidean, Hyperbolic, Product, Pullback, Scaled, Sphere, Torus
from egregium.status import Status
from egregium.testing.surfaces import Paraboloid

SPACES: list[Any] = [
    Sphere(2), Sphere(3, 0.5), Hyperbolic(2), Hyperbolic(3, -2.0), Torus(2, (1.0, 0.5)), ConstantCurvature(2, 0.3),
    Scaled(Sphere(2), 2.0), Product(Sphere(2), Hyperbolic(2)), Product(Product(Sphere(1), Torus(1)), Euclidean(1)),
]  # fmt: skip
LEARNED = Pullback(Paraboloid().decode, dim=2)
MIXED = Product(LEARNED, Sphere(2))


def cloud(space: Any, count: int, reach: float = 0.7, seed: int = 0) -> Tensor:
    """Points at most `reach` from one."""
    generator = torch.Generator().manual_seed(seed)
    centre = space.random(1, generator=generator, dtype=torch.float64).expand(count, -1)
    v = (space.frame(centre) @ torch.randn(count, space.dim, 1, generator=generator, dtype=torch.float64))[..., 0]
    return space.exp(centre, v * (reach / space.norm(centre, v).max()))


def mixed(count: int) -> Tensor:
    codes = 0.4 * torch.randn(count, 2, generator=torch.Generator().manual_seed(3), dtype=torch.float64)
    return torch.cat([codes, cloud(Sphere(2), count)], -1)


@pytest.mark.parametrize("space", SPACES, ids=repr)
def test_geodesics_are_closed_forms(space: Any) -> None:
    z0, z1 = cloud(space, 8).chunk(2)
    g = connect(space, z0, z1)
    assert g.ok.all() and g.length.equal(space.dist(z0, z1)) and g.lower.equal(g.upper)
    t = torch.tensor([0.0, 0.3, 1.0], dtype=torch.float64)
    assert (g(t)[:, 1] - space.geodesic(z0, z1, 0.3)).abs().max() < 1e-14
    assert (space.dist(z0, g(0.3)) / g.length - 0.3).abs().max() < 1e-13
    assert (transport(space, g, log(space, z0, z1)) - g.final_velocity).abs().max() < 1e-13
    assert (exp(space, z0, log(space, z0, z1)) - z1).abs().max() < 1e-13
    halves = angle(space, g(0.5), z0, z1)
    assert (halves - torch.pi).abs().max() < 1e-6


@pytest.mark.parametrize("space", SPACES, ids=repr)
def test_transport_along_nodes_is_that_along_their_curve(space: Any) -> None:
    z0, z1 = cloud(space, 4).chunk(2)
    g, v = connect(space, z0, z1), space.log(z0, z1.flip(0))
    nodes = g(torch.linspace(0, 1, 17, dtype=torch.float64))
    assert (transport(space, nodes, v) - transport(space, g, v)).abs().max() < 1e-12


@pytest.mark.parametrize("space", SPACES, ids=repr)
def test_jacobi_fields_are_derivatives_of_the_exponential(space: Any) -> None:
    z, there = cloud(space, 6).chunk(2)
    v, w = space.log(z, there), space.log(z, there.flip(0))
    field, slope = jacobi_field(space, z, v, torch.zeros_like(w), w)
    step = 1e-5
    difference = (space.exp(z, v + step * w) - space.exp(z, v - step * w)) / (2 * step)
    assert (field - difference).abs().max() < 1e-8
    end = space.exp(z, v)
    along = [jacobi_field(space, z, t * v, torch.zeros_like(w), t * w)[0] for t in (1 - step, 1 + step)]
    carried = [space.transport(space.exp(z, t * v), end, y) for t, y in zip((1 - step, 1 + step), along, strict=True)]
    assert (slope - (carried[1] - carried[0]) / (2 * step)).abs().max() < 1e-7


def test_conjugate_points_of_spheres_and_their_products() -> None:
    z, v = torch.tensor([1.0, 0.0, 0.0]).double(), torch.tensor([0.0, 4.0, 0.0]).double()
    assert abs(float(conjugate_time(Sphere(2, 0.3), z, v)) - torch.pi / 4) < 1e-6
    assert conjugate_time(Hyperbolic(2), z[:2], v[:2]).isinf() and conjugate_time(Torus(2), z[:2], v[:2]).isinf()
    both = Product(Sphere(2), Sphere(2))  # the factor that moves faster meets its conjugate point first
    assert abs(float(conjugate_time(both, torch.cat([z, z]), torch.cat([v, 2 * v]))) - torch.pi / 8) < 1e-6


@pytest.mark.parametrize(
    ("space", "radius", "truth"),
    [
        (Sphere(2), 1.0, 2 * math.pi * (1 - math.cos(1.0))),
        (Sphere(3), 1.0, math.pi * (2 - math.sin(2.0))),
        (Hyperbolic(2), 1.0, 2 * math.pi * (math.cosh(1.0) - 1)),
        (Hyperbolic(3, -4.0), 0.5, math.pi * (math.sinh(2.0) - 2) / 8),
        (Torus(2), 1.0, math.pi),
        (Product(Euclidean(1), Torus(1, 3.0)), 1.0, math.pi),
        (Sphere(1), 1.0, 2.0),
    ],
    ids=repr,
)
def test_balls(space: Any, radius: float, truth: float) -> None:
    z = space.random(2, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    torch.testing.assert_close(ball_volume(space, z, radius), torch.full((2,), truth).double(), rtol=1e-6, atol=0)


def test_balls_beyond_the_injectivity_radius_are_saddles() -> None:
    z = torch.zeros(1, 2, dtype=torch.float64)
    assert ball_volume(Torus(2), z, 3.5, on_fail="mark").isnan().all()


@pytest.mark.parametrize("space", SPACES, ids=repr)
def test_means_have_no_gradient(space: Any) -> None:
    z = cloud(space, 9)
    found = mean(space, z, rtol=1e-9)
    velocities = space.log(found.point.expand_as(z), z)
    assert found.ok and space.norm(found.point, velocities.mean(0)) <= 1e-8 * float(found.variance) ** 0.5
    torch.testing.assert_close(found.variance, space.dist(found.point.expand_as(z), z).square().mean())
    torch.testing.assert_close(variance(space, z, rtol=1e-9), found.variance)
    parts = principal_directions(space, z, space.dim, rtol=1e-9)
    gram = torch.stack([space.inner(found.point.expand_as(parts.directions), parts.directions, e.expand_as(parts.directions))
                        for e in parts.directions])  # fmt: skip
    assert (gram - torch.eye(space.dim)).abs().max() < 1e-6
    torch.testing.assert_close(parts.variances.sum(), found.variance, rtol=1e-3, atol=0)


def test_two_opposite_points_have_many_means() -> None:
    z = torch.tensor([[1.0, 0.0, 0.0], [-1.0, 1e-3, 0.0]], dtype=torch.float64)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        assert not mean(Sphere(2), torch.cat([z, z.roll(1, 1), z.roll(2, 1)])).unique


SUMS = [
    Product(Sphere(2), Hyperbolic(2), p=1), Product(LEARNED, Sphere(2), p=1),
    Product(Product(Euclidean(2), Sphere(1), p=1), Sphere(1)),
    Product(Product(LEARNED, Euclidean(1), p=1), Torus(2)),
]  # fmt: skip
NEEDING_AN_INNER_PRODUCT: dict[str, Callable[..., object]] = {
    "angle": lambda space, z, v: angle(space, z[:1], z[1:2], z[2:3]),
    "log_volume": lambda space, z, v: log_volume(space, z),
    "log_density": lambda space, z, v: log_density(space, z, Independent(Normal(torch.zeros_like(z), 1.0), 1)),
    "volume": lambda space, z, v: volume(space, torch.zeros_like(z[0]), torch.ones_like(z[0])),
    "ball_volume": lambda space, z, v: ball_volume(space, z, 0.1),
    "riemann": lambda space, z, v: curvature.riemann(space, z),
    "ricci": lambda space, z, v: curvature.ricci(space, z),
    "scalar": lambda space, z, v: curvature.scalar(space, z),
    "sectional": lambda space, z, v: curvature.sectional(space, z, v, v.flip(0)),
    "magnitude": lambda space, z, v: curvature.magnitude(space, z),
    "flatness": lambda space, z, v: flatness(space, z),
    "jacobi_field": lambda space, z, v: jacobi_field(space, z, v, v, v),
    "conjugate_time": lambda space, z, v: conjugate_time(space, z, v),
    "mean": lambda space, z, v: mean(space, z),
    "variance": lambda space, z, v: variance(space, z),
    "principal_directions": lambda space, z, v: principal_directions(space, z),
}


def points_on(space: Any) -> Tensor:
    """Four points of a product, also where factors are learned."""
    if isinstance(space, Composite):
        return torch.cat([points_on(factor) for factor in space.factors], -1)
    return mixed(4)[:, :2] if space is LEARNED else cloud(space, 4)


@pytest.mark.parametrize("space", SUMS, ids=repr)
@pytest.mark.parametrize("verb", NEEDING_AN_INNER_PRODUCT)
def test_sums_of_distances_refuse_what_needs_an_inner_product(space: Any, verb: str) -> None:
    words = "no inner product" + ("|volume" if "volume" in verb else "")  # these refuse learned factors and spheres anyhow
    z = points_on(space)
    with pytest.raises(OptionError, match=words):
        NEEDING_AN_INNER_PRODUCT[verb](space, z, 0.1 * z.flip(0))


@pytest.mark.parametrize("space", SUMS[:2], ids=repr)
def test_sums_of_distances_have_what_goes_by_factor(space: Any) -> None:
    z = points_on(space)
    there = z.roll(1, 0)
    v = log(space, z, there, rtol=1e-7)
    g, parts = connect(space, z, there), list(zip(space.factors, space.split(z), space.split(there), strict=True))
    torch.testing.assert_close(distance(space, z, there), sum(distance(*part) for part in parts))
    torch.testing.assert_close(exp(space, z, v, rtol=1e-7), there, rtol=0, atol=1e-5)
    carried = [transport(factor, connect(factor, a, b), w) for (factor, a, b), w in zip(parts, space.split(v), strict=True)]
    torch.testing.assert_close(transport(space, g, v), torch.cat(carried, -1))
    assert pairwise(space, z).isfinite().all() and medoids(space, z, 2).ok


@pytest.mark.parametrize("space", SPACES, ids=repr)
def test_graphs_clusters_and_transports(space: Any) -> None:
    z = cloud(space, 12)
    all_pairs = space.dist(z[:, None].expand(-1, 12, -1).reshape(144, -1), z.repeat(12, 1)).reshape(12, 12)
    torch.testing.assert_close(pairwise(space, z), all_pairs, rtol=1e-12, atol=1e-12)
    graph = neighbors(space, z, k=3)
    near = all_pairs.fill_diagonal_(torch.inf).topk(3, largest=False).indices
    expected = {(min(i, j), max(i, j)) for i, row in enumerate(near.tolist()) for j in row}
    assert {tuple(edge) for edge in graph.edges.tolist()} == expected
    assert graph.lengths.equal(space.dist(z[graph.edges[:, 0]], z[graph.edges[:, 1]]))
    assert medoids(space, z, 2).ok and float(wasserstein(space, z[:6], z[6:]).distance) > 0
    assert (flatness(space, z).curvature < 1e-12).all() == bool((curvature.magnitude(space, z) < 1e-12).all())


def test_what_has_no_decoder_says_so() -> None:
    z = cloud(Hyperbolic(2), 4)
    for verb in (chord, straight_length):
        with pytest.raises(OptionError, match="decoder"):
            verb(Hyperbolic(2), z[:2], z[2:])
    with pytest.raises(OptionError, match="boxes"):
        volume(Sphere(2), torch.tensor([1.0, 0.0, 0.0]), torch.tensor([1.1, 0.1, 0.1]))
    torch.testing.assert_close(
        volume(Hyperbolic(2), -torch.ones(2).double(), torch.ones(2).double()).value, AREA, rtol=1e-4, atol=0
    )


_X = torch.linspace(-1, 1, 401, dtype=torch.float64)
_R = torch.hypot(*torch.meshgrid(_X, _X, indexing="ij")).clamp_min(1e-12)
AREA = torch.trapezoid(torch.trapezoid(_R.sinh() / _R, _X), _X)


def test_a_product_with_a_learned_factor_goes_by_factor() -> None:
    z = mixed(8)
    z0, z1 = z.chunk(2)
    (a, x), (b, y) = MIXED.split(z0), MIXED.split(z1)
    g, first, second = connect(MIXED, z0, z1), connect(LEARNED, a, b), Sphere(2).dist(x, y)
    torch.testing.assert_close(g.length, torch.hypot(first.length, second), rtol=1e-12, atol=0)
    assert g.ok.all() and (g.lower <= g.length).all() and (g.length <= g.upper).all()
    torch.testing.assert_close(distance(MIXED, z0, z1), g.length, rtol=1e-12, atol=0)
    v = log(MIXED, z0, z1, rtol=1e-7)
    torch.testing.assert_close(v, torch.cat([log(LEARNED, a, b, rtol=1e-7), Sphere(2).log(x, y)], -1))
    assert (exp(MIXED, z0, v, rtol=1e-7) - z1).abs().max() < 1e-5
    carried = transport(MIXED, g, v)
    torch.testing.assert_close(MIXED.norm(z1, carried), MIXED.norm(z0, v), rtol=1e-5, atol=0)
    torch.testing.assert_close(log_volume(MIXED, z0), log_volume(LEARNED, a) + log_volume(Sphere(2), x))
    torch.testing.assert_close(curvature.scalar(MIXED, z0), curvature.scalar(LEARNED, a) + 2)
    along, across = torch.zeros_like(v), torch.zeros_like(v)
    along[:, :2], across[:, :2] = v[:, :2], v[:, :2].flip(-1) * torch.tensor([1.0, -1.0])
    bent = curvature.sectional(LEARNED, a, along[:, :2], across[:, :2])
    torch.testing.assert_close(curvature.sectional(MIXED, z0, along, across), bent)
    fields = jacobi_field(MIXED, z0, v, v, v)[0]
    torch.testing.assert_close(MIXED.split(fields)[1], jacobi_field(Sphere(2), x, *[MIXED.split(v)[1]] * 3)[0])
    some, far = z0[2:], 6 * v[2:]
    times = [conjugate_time(*part) for part in zip(MIXED.factors, MIXED.split(some), MIXED.split(far), strict=True)]
    assert (times[0] < 1).any() and (times[1] < 1).any()
    torch.testing.assert_close(conjugate_time(MIXED, some, far), torch.minimum(*times))
    torch.testing.assert_close(mean(MIXED, z0).variance, mean(LEARNED, a).variance + mean(Sphere(2), x).variance)
    assert principal_directions(MIXED, z0, 2).ok
    with pytest.raises(OptionError, match="factors of a product"):
        neighbors(MIXED, z, 2)
    with pytest.raises(OptionError, match="support"):
        connect(MIXED, z0, z1, support=neighbors(Sphere(2), x, 1))


def test_gradients_and_marks_pass_through_products() -> None:
    z0, z1 = mixed(4).chunk(2)
    z0.requires_grad_()
    distance(MIXED, z0, z1).sum().backward()
    slope = -connect(MIXED, z0.detach(), z1).initial_velocity
    unit = slope / MIXED.norm(z0.detach(), slope)[:, None]
    assert z0.grad is not None
    torch.testing.assert_close(z0.grad[:, 2:], unit[:, 2:], rtol=1e-3, atol=1e-4)
    far = torch.full_like(z1, 40.0)
    far[:, 2:] = z1[:, 2:]
    found = connect(MIXED, z0.detach(), far, max_steps=1, on_fail="mark")
    assert (found.status != Status.CONVERGED).any()
    assert distance(MIXED, z0.detach(), far, max_steps=1, on_fail="mark").isnan().any()
