"""Every law of the conformance kit holds on good spaces and can be broken by a bad one."""

from collections.abc import Callable
from dataclasses import dataclass

import pytest
import torch
from torch import Tensor

from egregium.protocols import Measured
from egregium.relations import Chord, GeodesicDistance, LogVolume
from egregium.spaces import Euclidean, Pullback
from egregium.status import Status
from egregium.testing.laws import Breach, closed_form_breaches, distance_breaches, relation_breaches, require, space_breaches
from egregium.testing.twins import random_decoder

Z = torch.randn(6, 2, generator=torch.Generator().manual_seed(1), dtype=torch.float64)


@pytest.mark.parametrize(
    "space",
    [
        Euclidean(2),
        Pullback(random_decoder(2, 8, 0), dim=2),
        Pullback([random_decoder(2, 8, 0), random_decoder(2, 8, 1)], dim=2),
        Pullback([random_decoder(2, 8, 0), random_decoder(2, 8, 1)], dim=2, uncertainty=0.3),
    ],
    ids=["Euclidean", "one decoder", "expected metric", "uncertainty"],
)
def test_good_spaces_keep_all_laws(space: Euclidean | Pullback) -> None:
    require(space_breaches(space, Z))


def test_flat_space_keeps_the_laws_of_closed_forms() -> None:
    require(closed_form_breaches(Euclidean(2), Z), distance_breaches(Euclidean(2), Euclidean(2).dist, Z))


@pytest.mark.parametrize("relation", [Chord(), LogVolume(), GeodesicDistance()], ids=lambda relation: relation.name)
def test_good_relations_keep_all_laws(relation: Chord | LogVolume | GeodesicDistance) -> None:
    space = Pullback(random_decoder(2, 8, 0), dim=2)
    require(relation_breaches(relation, space, *[Z, Z.roll(1, 0)][: relation.arity]))


def bad(**methods: Callable[..., Tensor]) -> Euclidean:
    """The plane with some methods replaced."""
    return type("Bad", (Euclidean,), methods)(2)


FLAT = Euclidean(2)

BROKEN_SPACES = {
    "the metric is symmetric": bad(metric=lambda self, z: FLAT.metric(z) + torch.tensor([[0.0, 1e-3], [-1e-3, 0.0]])),
    "the frame is orthonormal": bad(frame=lambda self, z: FLAT.frame(z) * 1.01),
    "the metric is positive": bad(metric=lambda self, z: -FLAT.metric(z)),
    "inner(z, u, v) contracts": bad(inner=lambda self, z, u, v: (u * v).sum(-1) * 1.01),
    "norm(z, u)^2 is inner": bad(norm=lambda self, z, v: v.norm(dim=-1) * 1.01),
    "metric(z) has shape": bad(metric=lambda self, z: FLAT.metric(z)[..., 0]),
    "frame(z) has shape": bad(frame=lambda self, z: FLAT.frame(z)[..., :1]),
    "inner(z, u, v) has shape": bad(inner=lambda self, z, u, v: (u * v).sum(-1, keepdim=True)),
    "norm(z, v) has shape": bad(norm=lambda self, z, v: v.norm(dim=-1, keepdim=True)),
    "the metric is that of the immersion": bad(
        immerse=lambda self, z: 2 * z,
        metric=lambda self, z: FLAT.metric(z),
        inner=lambda self, z, u, v: (u * v).sum(-1),
        norm=lambda self, z, v: v.norm(dim=-1),
        frame=lambda self, z: FLAT.frame(z),
    ),
    "a point's metric does not depend on its batch": bad(metric=lambda self, z: FLAT.metric(z) * (1 + 1e-9 * z.numel())),
    "metric of one point has shape": bad(metric=lambda self, z: FLAT.metric(z.reshape(-1, 2))),
    "metric of a nested batch has shape": bad(metric=lambda self, z: FLAT.metric(z if z.ndim < 3 else z.flatten(0, 1))),
    "nested batches are read row by row": bad(
        metric=lambda self, z: (
            FLAT.metric(z) * (1 + z[..., :1, None] ** 2)
            if z.ndim < 3
            else (FLAT.metric(z) * (1 + z[..., :1, None] ** 2)).flip(0)
        )
    ),
    "arguments are not changed": bad(metric=lambda self, z: FLAT.metric(z.mul_(2))),
}


@pytest.mark.parametrize("law", BROKEN_SPACES)
def test_laws_of_spaces_can_fail(law: str) -> None:
    assert breaks(space_breaches(BROKEN_SPACES[law], Z.clone()), law)


BROKEN_FORMS = {
    "log inverts exp": bad(exp=lambda self, z, v: z + 2 * v),
    "exp inverts log": bad(log=lambda self, a, b: 2 * (b - a)),
    "the distance is the length of the logarithm": bad(dist=lambda self, a, b: 2 * (b - a).norm(dim=-1)),
    "exp of zero stays": bad(exp=lambda self, z, v: z + v + 1e-3),
    "transport keeps inner products": bad(transport=lambda self, a, b, v: 2 * v),
    "a geodesic carries its own direction": bad(transport=lambda self, a, b, v: v.flip(-1)),
}


@pytest.mark.parametrize("law", BROKEN_FORMS)
def test_laws_of_closed_forms_can_fail(law: str) -> None:
    assert breaks(closed_form_breaches(BROKEN_FORMS[law], Z), law)


def test_closed_forms_are_asked_for_where_there_are_some() -> None:
    with pytest.raises(TypeError, match="space_breaches"):
        closed_form_breaches(Pullback(random_decoder(2, 8, 0)), Z)


def plane(a: Tensor, b: Tensor) -> Tensor:
    return (b - a).norm(dim=-1)


BROKEN_DISTANCES: dict[str, Callable[[Tensor, Tensor], Tensor]] = {
    "distance(z0, z1) has shape": lambda a, b: plane(a, b)[:, None],
    "different points have positive distance": lambda a, b: plane(a, b) * 0,
    "a point has no distance from itself": lambda a, b: plane(a, b) + 1e-9,
    "distance is symmetric": lambda a, b: plane(a, b) * (1 + 1e-3 * (a[:, 0] > b[:, 0])),
    "the triangle inequality holds": lambda a, b: plane(a, b) ** 2,
    "distance grows at the rate of the metric": lambda a, b: plane(a, b).sqrt(),
}


@pytest.mark.parametrize("law", BROKEN_DISTANCES)
def test_laws_of_distances_can_fail(law: str) -> None:
    assert breaks(distance_breaches(FLAT, BROKEN_DISTANCES[law], Z), law)


@dataclass(frozen=True)
class Norm:
    """A relation of one point, its distance from the origin, spoiled by `change`."""

    change: Callable[[Measured], Measured] = lambda found: found
    name: str = "norm"
    arity: int = 1
    scale: str = "ratio"
    invariant_under: str = "rotations"

    def __call__(self, space: object, *points: Tensor) -> Measured:
        value = points[0].norm(dim=-1)
        return self.change(Measured(value, value, value, torch.zeros(len(value), dtype=torch.int8)))


BROKEN_RELATIONS = {
    "arity is 1, 2 or 3": Norm(arity=4),
    "scale is ratio": Norm(scale="metres"),
    "value has shape": Norm(lambda found: found._replace(value=found.value[:, None])),
    "values that are CONVERGED are finite": Norm(lambda found: found._replace(value=found.value * torch.nan)),
    "lower <= value": Norm(lambda found: found._replace(lower=found.value + 1e-12)),
    "value <= upper": Norm(lambda found: found._replace(upper=found.value - 1e-12)),
    "ratio scales are not negative": Norm(lambda found: Measured(-found.value, -found.value, -found.value, found.status)),
    "a row does not depend on its batch": Norm(
        lambda found: Measured(*(part + len(part) for part in found[:3]), status=found.status)
    ),
}


@pytest.mark.parametrize("law", BROKEN_RELATIONS)
def test_laws_of_relations_can_fail(law: str) -> None:
    assert breaks(relation_breaches(BROKEN_RELATIONS[law], FLAT, Z), law)  # type: ignore[arg-type]


def test_rows_that_failed_are_not_judged() -> None:
    failed = Norm(lambda found: found._replace(value=found.value * torch.nan, status=found.status + int(Status.NONFINITE)))
    require(relation_breaches(failed, FLAT, Z))  # type: ignore[arg-type]


def test_require_says_what_is_broken() -> None:
    require([], [])
    with pytest.raises(AssertionError, match="the sky is green: off by 2, allowed are 1"):
        require([], [Breach("the sky is green", 2.0, 1.0)])


def breaks(found: list[Breach], law: str) -> bool:
    return any(breach.law.startswith(law) for breach in found)
