"""Gromov-Wasserstein alignments: twins without a point in common, closed forms, and bounds that prove a minimum."""

import sys
from itertools import permutations

import numpy as np
import ot
import pytest
import torch
from tests.acceptance.bad_input import wavy
from torch import Tensor

from egregium.errors import MissingExtraError, NotConvergedError, OptionError, ShapeError, TensorError
from egregium.relations import gromov_wasserstein
from egregium.spaces import Euclidean, Pullback
from egregium.status import Status
from egregium.testing.twins import Diffeomorphism, random_decoder, twin

PLANE = Euclidean(2)
EXACT = 1e-12  # closed forms in float64


def normal(n: int, d: int = 2, seed: int = 0) -> Tensor:
    return torch.randn(n, d, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


A, B = normal(6), normal(5, seed=1)
ORDER = torch.tensor([3, 0, 5, 1, 4, 2])


def root_mean_square(z: Tensor) -> Tensor:
    """Of the distances between points, those of points from themselves included."""
    return torch.cdist(z, z).square().mean().sqrt()


def test_twins_are_matched_point_by_point() -> None:
    """Two trainings of one decoder, their points shuffled: the alignment finds the shuffle, and proves that none is better."""
    f, a = random_decoder(2, 10, 0), Diffeomorphism(2, seed=1)
    z = normal(6)
    found = gromov_wasserstein(Pullback(f, dim=2), z, Pullback(twin(f, a), dim=2), a.forward(z)[ORDER], rtol=1e-4)
    print(f"\n{found}, mean distance inside {float(found.distances_a.mean()):.3g}")
    assert torch.equal(ORDER[found.match], torch.arange(6))
    torch.testing.assert_close(
        found.plan.sort().values[:, -1], torch.full((6,), 1 / 6, dtype=torch.float64), rtol=EXACT, atol=0
    )
    # Distances are good to rtol, so that what is left of the alignment is that share of them.
    assert found.distance < 1e-4 * found.distances_a.mean() < 0.1 * found.second_best
    torch.testing.assert_close(found.lower, found.distance)


def test_strangers_are_far() -> None:
    """The negative control: points of another decoder, and the latent coordinates of a twin, whose distances mean nothing."""
    f, a = random_decoder(2, 10, 0), Diffeomorphism(2, seed=1)
    z, here = normal(6), Pullback(f, dim=2)
    stranger = gromov_wasserstein(here, z, Pullback(random_decoder(2, 10, 1), dim=2), z[ORDER])
    coordinates = gromov_wasserstein(here, z, PLANE, a.forward(z)[ORDER])
    print(f"\nstranger {stranger}\ncoordinates {coordinates}")
    for found in (stranger, coordinates):
        assert found.lower > 0.1 * found.distances_a.mean()


def test_rigid_motions_into_another_dimension() -> None:
    rotation = torch.linalg.qr(normal(3, 3)).Q[:2]
    found = gromov_wasserstein(PLANE, A, Euclidean(3), A[ORDER] @ rotation + 5)
    assert found.distance < 1e-9 and torch.equal(ORDER[found.match], torch.arange(6))


def test_magnified_clouds_differ_by_what_they_are_magnified() -> None:
    """`| |d_b| - |d_a| |` in the norm of the weights is a lower bound, and attained."""
    found = gromov_wasserstein(PLANE, A, PLANE, 3 * A[ORDER])
    torch.testing.assert_close(found.distance, 2 * root_mean_square(A), rtol=EXACT, atol=0)


def test_against_one_point_all_distances_count() -> None:
    found = gromov_wasserstein(PLANE, A, PLANE, B[:1])
    torch.testing.assert_close(found.distance, root_mean_square(A), rtol=EXACT, atol=0)
    torch.testing.assert_close(found.lower, found.distance, rtol=EXACT, atol=0)
    assert gromov_wasserstein(PLANE, A[:1], PLANE, B[:1]).distance == 0


def test_no_permutation_is_better() -> None:
    a, b = normal(6, seed=2), normal(6, seed=3)
    found = gromov_wasserstein(PLANE, a, PLANE, b)
    da, db = torch.cdist(a, a), torch.cdist(b, b)
    least = min((da - db[list(p)][:, list(p)]).square().mean().sqrt() for p in permutations(range(6)))
    assert found.lower <= found.distance <= least * (1 + EXACT)
    assert found.second_best > found.distance and found.starts == 103


def test_bounds_are_those_of_laws_of_distances() -> None:
    """Memoli's third lower bound with unequal weights, by POT's solver on the line."""
    wa, wb = np.array([1.0, 2.0, 0.0, 1.0, 3.0, 1.0]) / 8, np.array([2.0, 1.0, 1.0, 1.0, 5.0]) / 10
    da, db = torch.cdist(A, A).numpy(), torch.cdist(B, B).numpy()
    cost = np.array([[ot.wasserstein_1d(x, y, wa, wb, p=2) for y in db] for x in da])
    found = gromov_wasserstein(PLANE, A, PLANE, B, weights_a=torch.from_numpy(wa), weights_b=torch.from_numpy(wb))
    assert found.lower.item() == pytest.approx(np.sqrt(ot.emd2(wa, wb, cost)), rel=1e-7)  # cdist squares
    assert 0 < found.lower < found.distance
    torch.testing.assert_close(found.plan.sum(1), torch.from_numpy(wa), rtol=0, atol=EXACT)
    plan = found.plan.numpy()
    mismatch = (da[:, None, :, None] - db[None, :, None, :]) ** 2
    assert found.distance.item() == pytest.approx(np.einsum("ij,kl,ijkl->", plan, plan, mismatch) ** 0.5, rel=1e-7)


def test_symmetric_clouds_have_several_best_plans() -> None:
    square = torch.tensor([[0.0, 0.0], [1.0, 0.0], [0.0, 1.0], [1.0, 1.0]]).double()
    found = gromov_wasserstein(PLANE, square, PLANE, square, random_starts=20)
    assert found.distance < 1e-9 and found.second_best < 1e-9


def test_starts_are_repeatable_and_only_help() -> None:
    a, b = normal(10, seed=4), normal(10, seed=5)
    few = gromov_wasserstein(PLANE, a, PLANE, b, random_starts=0)
    many = gromov_wasserstein(PLANE, a, PLANE, b, random_starts=20)
    assert many.distance <= few.distance and few.starts == 3
    assert torch.equal(many.plan, gromov_wasserstein(PLANE, a, PLANE, b, random_starts=20).plan)


def test_failed_geodesics_are_told() -> None:
    space, z = Pullback(wavy), torch.tensor([[0.0, 0.0], [4.0, 4.0], [0.01, 0.01]]).double()
    with pytest.raises(NotConvergedError, match="4 of 9 geodesics in A failed, 0 of 25 in B") as caught:
        gromov_wasserstein(space, z, PLANE, B, max_steps=2)
    kept = caught.value.result
    assert kept.status == Status.MAX_STEPS and kept.distances_a.isnan().sum() == 4  # type: ignore[attr-defined]
    assert not gromov_wasserstein(space, z, PLANE, B, max_steps=2, on_fail="mark").ok
    without = torch.tensor([1.0, 0.0, 1.0])
    assert gromov_wasserstein(space, z, PLANE, B, weights_a=without, max_steps=2).ok


def test_descent_cut_short_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys.modules["egregium.relations.gromov_wasserstein"], "STEPS", 1)
    assert gromov_wasserstein(PLANE, normal(20), PLANE, normal(20, seed=1), on_fail="mark").status == Status.MAX_STEPS


def test_results_are_detached_and_print_in_a_line() -> None:
    found = gromov_wasserstein(PLANE, A.float().requires_grad_(), Euclidean(3), normal(4, 3))
    assert found.distance.dtype == found.plan.dtype == torch.float32 and not found.distance.requires_grad
    assert "\n" not in repr(found) and repr(found).startswith("Alignment(6 with 4 points, distance ")


def test_without_pot_nothing_is_measured(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "ot", None)
    with pytest.raises(MissingExtraError, match=r"pip install egregium\[ot\]"):
        gromov_wasserstein(PLANE, A, PLANE, B)


@pytest.mark.parametrize(
    ("call", "error", "words"),
    [
        (lambda: gromov_wasserstein(PLANE, A[None], PLANE, B), ShapeError, r"A must have shape \(N, d\)"),
        (lambda: gromov_wasserstein(PLANE, A, Euclidean(3), B), ShapeError, r"B must have shape \(\*batch, 3\)"),
        (lambda: gromov_wasserstein(PLANE, A[:0], PLANE, B), TensorError, "A must hold at least one point"),
        (lambda: gromov_wasserstein(PLANE, A, PLANE, B / 0), TensorError, "B must be finite"),
        (lambda: gromov_wasserstein(PLANE, A, PLANE, B, weights_a=torch.ones(5)), ShapeError, r"weights_a must .*\(6,\)"),
        (lambda: gromov_wasserstein(PLANE, A, PLANE, B, weights_b=torch.zeros(5)), OptionError, "weights_b must be finite"),
        (lambda: gromov_wasserstein(PLANE, A, PLANE, B, random_starts=-1), OptionError, "0 or more; got -1"),
        (lambda: gromov_wasserstein(PLANE, A, PLANE, B, random_starts=1.5), OptionError, "got 1.5"),  # type: ignore[arg-type]
        (lambda: gromov_wasserstein(PLANE, A, PLANE, B, support=None), OptionError, "support_a and support_b"),
        (lambda: gromov_wasserstein(PLANE, A, PLANE, B, on_fail="ignore"), OptionError, "on_fail"),
    ],
)
def test_refusals(call, error: type[Exception], words: str) -> None:
    with pytest.raises(error, match=words):
        call()
