"""k-medoids against all choices, and the same points in every parametrisation."""

from itertools import combinations

import pytest
import torch
from tests.acceptance.bad_input import wavy
from torch import Tensor

from egregium.errors import NotConvergedError, OptionError, ShapeError, TensorError
from egregium.relations import medoids
from egregium.spaces import Euclidean, Pullback
from egregium.status import Status
from egregium.testing.surfaces import StereographicSphere
from egregium.testing.twins import Diffeomorphism, random_decoder, twin

PLANE = Euclidean(2)


def normal(n: int, seed: int = 0) -> Tensor:
    return torch.randn(n, 2, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


Z = normal(12)


def cost_of(distances: Tensor, chosen: list[int]) -> float:
    return float(distances[:, chosen].min(1).values.sum())


@pytest.mark.parametrize("k", [1, 2, 3, 4])
def test_no_exchange_and_hardly_any_choice_is_better(k: int) -> None:
    distances = torch.cdist(Z, Z)
    found = medoids(PLANE, Z, k)
    chosen = found.indices.tolist()
    assert chosen == sorted(set(chosen)) and len(chosen) == k
    assert found.cost.item() == pytest.approx(cost_of(distances, chosen), rel=1e-7)  # cdist squares
    for place in range(k):
        for point in set(range(12)) - set(chosen):
            assert cost_of(distances, [*chosen[:place], *chosen[place + 1 :], point]) >= found.cost - 1e-7
    least = min(cost_of(distances, list(choice)) for choice in combinations(range(12), k))
    assert least <= found.cost + 1e-7 and found.cost < 1.05 * least  # a local minimum, here within 5 % of the global one
    assert torch.equal(found.labels, distances[:, chosen].argmin(1))
    assert torch.equal(found.labels[found.indices], torch.arange(k))


def test_clusters_are_found_whatever_their_order() -> None:
    z = torch.cat([0.1 * normal(5), 0.1 * normal(4, 1) + 5, 0.1 * normal(3, 2) - 5])
    shuffled = torch.randperm(12, generator=torch.Generator().manual_seed(0))
    here, there = medoids(PLANE, z, 3), medoids(PLANE, z[shuffled], 3)
    assert here.labels.bincount().tolist() == [5, 4, 3]
    assert sorted(shuffled[there.indices].tolist()) == here.indices.tolist()
    torch.testing.assert_close(there.cost, here.cost)


def test_distances_are_those_of_the_sphere() -> None:
    sphere = StereographicSphere()
    z = sphere.sample(8, torch.Generator().manual_seed(0))
    found = medoids(Pullback(sphere.decode, dim=2), z, 2, rtol=1e-6)
    expected = sphere.distance(z[:, None].expand(8, 8, 2), z.expand(8, 8, 2))
    torch.testing.assert_close(found.distances, expected, rtol=1e-5, atol=0)
    assert torch.equal(found.distances, found.distances.mT)


def test_invariance_under_reparametrisation() -> None:
    f, a = random_decoder(2, 10, 0), Diffeomorphism(2, seed=1)
    here, there = medoids(Pullback(f, dim=2), Z[:7], 2), medoids(Pullback(twin(f, a), dim=2), a.forward(Z[:7]), 2)
    assert torch.equal(here.indices, there.indices) and torch.equal(here.labels, there.labels)
    torch.testing.assert_close(there.cost, here.cost, rtol=1e-3, atol=0)  # as lengths are


def test_ties_are_decided_by_place_and_not_by_rounding() -> None:
    square = torch.tensor([[0.0, 0.0], [1.0, 0.0], [0.0, 1.0], [1.0, 1.0]]).double()
    for noise in (0.0, 1e-14):
        assert medoids(PLANE, square + noise * normal(4), 2).indices.tolist() == [0, 1]


def test_as_many_as_points_one_point_and_equal_points() -> None:
    assert medoids(PLANE, Z, 12).cost == 0 and medoids(PLANE, Z, 12).swaps == 0
    assert medoids(PLANE, Z[:1], 1).labels.tolist() == [0]
    same = medoids(PLANE, torch.ones(4, 2), 2)
    assert same.cost == 0 and same.indices.tolist() == [0, 1]


def test_failed_geodesics_raise_or_mark() -> None:
    z = torch.tensor([[0.0, 0.0], [4.0, 4.0], [0.01, 0.01]]).double()
    with pytest.raises(NotConvergedError, match="4 of 9 geodesics between the points failed") as caught:
        medoids(Pullback(wavy), z, 2, max_steps=2)
    assert caught.value.result.status == Status.MAX_STEPS  # type: ignore[attr-defined]
    marked = medoids(Pullback(wavy), z, 2, max_steps=2, on_fail="mark")
    assert not marked.ok and marked.distances.isnan().sum() == 4


def test_results_are_detached_and_print_in_a_line() -> None:
    found = medoids(PLANE, Z.float().requires_grad_(), 2)
    assert found.cost.dtype == torch.float32 and not found.cost.requires_grad
    assert "\n" not in repr(found) and repr(found).startswith("Medoids(2 of 12 points, clusters of [")


@pytest.mark.parametrize(
    ("call", "error", "words"),
    [
        (lambda: medoids(PLANE, Z[None], 2), ShapeError, r"points must have shape \(N, d\)"),
        (lambda: medoids(PLANE, Z[0], 1), ShapeError, r"points must have shape \(N, d\)"),
        (lambda: medoids(PLANE, Z[:0], 1), TensorError, "points must hold at least one point"),
        (lambda: medoids(PLANE, Z, 0), OptionError, "k = 0 for 12 points"),
        (lambda: medoids(PLANE, Z, 13), OptionError, "k = 13 for 12 points"),
        (lambda: medoids(PLANE, Z, 2.0), OptionError, "k = 2.0 for 12 points"),  # type: ignore[arg-type]
        (lambda: medoids(PLANE, Z, 2, on_fail="ignore"), OptionError, "on_fail"),
    ],
)
def test_refusals(call, error: type[Exception], words: str) -> None:
    with pytest.raises(error, match=words):
        call()
