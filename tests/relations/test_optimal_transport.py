"""Wasserstein distances against sorting, assignment and translation, their laws, and what failed geodesics do to them."""

import sys

import pytest
import scipy.optimize
import scipy.stats
import torch
from tests.acceptance.bad_input import wavy
from torch import Tensor

from egregium.errors import MissingExtraError, NotConvergedError, OptionError, ShapeError, TensorError
from egregium.relations import wasserstein
from egregium.spaces import Euclidean, Pullback
from egregium.status import Status
from egregium.testing.surfaces import Cylinder, StereographicSphere
from egregium.testing.twins import Diffeomorphism, random_decoder, twin

SPHERE = StereographicSphere()
PLANE = Euclidean(2)
EXACT = 1e-12  # closed forms and a linear program in float64


def normal(n: int, d: int = 2, seed: int = 0) -> Tensor:
    return torch.randn(n, d, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


A, B = normal(6), normal(5, seed=1) + 1


def assigned(distances: Tensor, p: float) -> float:
    """The Wasserstein distance of as many points as points, by the Hungarian method."""
    cost = distances**p
    rows, columns = scipy.optimize.linear_sum_assignment(cost.numpy())
    return float(cost[rows, columns].mean()) ** (1 / p)


@pytest.mark.parametrize("p", [1, 1.5, 2, 7])
def test_on_a_line_points_are_carried_in_order(p: float) -> None:
    a, b = normal(20, 1), 2 * normal(20, 1, seed=1)
    found = wasserstein(Euclidean(1), a, b, p)
    expected = ((a.flatten().sort().values - b.flatten().sort().values).abs() ** p).mean() ** (1 / p)
    torch.testing.assert_close(found.distance, expected, rtol=EXACT, atol=0)
    torch.testing.assert_close(found.cost, expected**p, rtol=EXACT * p, atol=0)
    assert found.lower <= expected <= found.upper and found.upper - found.lower < EXACT * found.upper


def test_on_a_curve_that_is_a_line_inside() -> None:
    helix = Pullback(lambda z: torch.cat([z.cos(), z.sin(), z], -1), dim=1)
    a, b = normal(4, 1), normal(4, 1, seed=1)
    found = wasserstein(helix, a, b, rtol=1e-8)
    expected = 2**0.5 * wasserstein(Euclidean(1), a, b).distance
    torch.testing.assert_close(found.distance, expected, rtol=1e-8, atol=0)
    assert found.lower < expected < found.upper


def test_weights_are_those_of_scipy() -> None:
    a, b, wa, wb = normal(7, 1), normal(9, 1, seed=1), torch.rand(7).double(), torch.arange(9).double()
    found = wasserstein(Euclidean(1), a, b, 1, weights_a=wa, weights_b=wb)
    expected = scipy.stats.wasserstein_distance(a.flatten(), b.flatten(), wa, wb)
    assert found.distance.item() == pytest.approx(expected, rel=1e-10)  # scipy sums differently
    torch.testing.assert_close(found.plan.sum(1), wa / wa.sum(), rtol=0, atol=EXACT)
    torch.testing.assert_close(found.plan.sum(0), wb / wb.sum(), rtol=0, atol=EXACT)
    assert not found.plan[:, 0].any()


@pytest.mark.parametrize("p", [1, 2, 3])
def test_clouds_in_flat_space_are_assigned(p: int) -> None:
    a, b = normal(30, 3), 0.5 * normal(30, 3, seed=1) + 1
    found = wasserstein(Euclidean(3), a, b, p)
    assert found.distance.item() == pytest.approx(assigned(torch.cdist(a, b), p), rel=EXACT)


def test_clouds_on_the_sphere_are_assigned() -> None:
    a, b = SPHERE.sample(12, torch.Generator().manual_seed(0)).split(6)
    found = wasserstein(Pullback(SPHERE.decode, dim=2), a, b, rtol=1e-8)
    distances = SPHERE.distance(a[:, None].expand(6, 6, 2), b.expand(6, 6, 2))
    torch.testing.assert_close(found.distances, distances, rtol=1e-7, atol=0)
    expected = assigned(distances, 2)
    assert found.distance.item() == pytest.approx(expected, rel=1e-7)
    assert found.lower < expected < found.upper and found.upper < (1 + 1e-6) * expected


def test_translation_costs_its_length() -> None:
    shift = torch.tensor([0.6, -0.8], dtype=torch.float64)
    assert wasserstein(PLANE, A, A + 3 * shift).distance.item() == pytest.approx(3, rel=EXACT)
    turned = wasserstein(Pullback(Cylinder().decode, dim=2), 0.2 * A, 0.2 * A + shift, rtol=1e-7)
    assert turned.distance.item() == pytest.approx(1, rel=1e-7)


def twins_agree(d: int, ambient: int, seed: int, rtol: float) -> float:
    """By how much the distances of three points to three differ between a decoder and its twin, relatively."""
    f, a = random_decoder(d, ambient, seed), Diffeomorphism(d, seed=seed + 1)
    z, y = normal(3, d, seed), normal(3, d, seed + 1)
    here = wasserstein(Pullback(f, dim=d), z, y, rtol=rtol)
    there = wasserstein(Pullback(twin(f, a), dim=d), a.forward(z), a.forward(y), rtol=rtol)
    torch.testing.assert_close(there.lower, here.lower, rtol=1e-9, atol=0)  # decoded chords are exact
    torch.testing.assert_close(there.plan, here.plan, rtol=0, atol=EXACT)  # the same corner of one polytope
    assert here.lower < here.distance <= here.upper
    (here_at, mass), (there_at, same) = here.displace(0.5), there.displace(0.5)
    assert torch.equal(mass, same)
    torch.testing.assert_close(twin(f, a)(there_at), f(here_at), rtol=0, atol=0.01 * float(here.distance))  # interpolated
    return abs(float(there.distance / here.distance) - 1)


def test_invariance_under_reparametrisation() -> None:
    assert twins_agree(2, 10, 0, 1e-4) < 1e-4


@pytest.mark.slow
@pytest.mark.parametrize(("d", "ambient"), [(2, 10), (2, 784), (5, 10), (5, 784)])
def test_twins_agree_to_a_millionth(d: int, ambient: int) -> None:
    differ = [twins_agree(d, ambient, seed, 1e-9) for seed in range(5)]
    print(f"\nWasserstein of twins, d = {d}, D = {ambient}, 5 decoders: relative differences up to {max(differ):.1e}")
    assert max(differ) < 1e-6


def test_one_cloud_is_joined_once_and_is_0_from_itself() -> None:
    calls: list[int] = []
    f = random_decoder(3, 9, 0)
    space = Pullback(lambda z: (calls.append(len(z)), f(z))[1], dim=3)
    z = torch.randn(4, 3, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    weights = torch.tensor([1.0, 0.0, 2.0, 1.0])
    half = wasserstein(space, z, z, weights_a=weights)
    once, twice = sum(calls), (calls.clear(), wasserstein(space, z, z.clone(), weights_a=weights), sum(calls))[1:]
    assert once < 0.75 * twice[1]
    for name in ("distance", "lower", "upper", "plan", "distances"):
        torch.testing.assert_close(getattr(half, name), getattr(twice[0], name), rtol=EXACT, atol=EXACT)
    torch.testing.assert_close(half.displace(0.3)[0], twice[0].displace(0.3)[0], rtol=0, atol=1e-9)
    assert wasserstein(space, z, z).distance == 0 and wasserstein(space, z, z).ok


def test_displacement_runs_along_geodesics() -> None:
    """McCann: the cloud at t is `t W` from the first, on a surface where distances are known."""
    a, b = SPHERE.sample(9, torch.Generator().manual_seed(1)).split([5, 4])
    space = Pullback(SPHERE.decode, dim=2)
    found = wasserstein(space, a, b, rtol=1e-6)
    assert found.masses.sum().item() == pytest.approx(1, rel=EXACT) and len(found.pairs) <= 8
    z, masses = found.displace(0.25)
    first = SPHERE.distance(a[:, None].expand(-1, len(z), 2), z.expand(5, -1, 2))
    plan = scipy.optimize.linprog(
        (first**2).flatten().numpy(),
        A_eq=torch.cat([torch.kron(torch.eye(5), torch.ones(len(z))), torch.kron(torch.ones(5), torch.eye(len(z)))]).numpy(),
        b_eq=torch.cat([torch.full((5,), 0.2, dtype=torch.float64), masses]).numpy(),
    )
    # Curves are interpolated between their nodes, in length as in place.
    assert plan.fun**0.5 == pytest.approx(0.25 * found.distance.item(), rel=1e-4)
    for t, ends in ((0, a[found.pairs[:, 0]]), (1, b[found.pairs[:, 1]])):
        torch.testing.assert_close(found.displace(t)[0], ends, rtol=0, atol=EXACT)


def test_gradients_are_those_of_the_distance() -> None:
    space = Pullback(SPHERE.decode, dim=2)
    a, b = SPHERE.sample(6, torch.Generator().manual_seed(2)).split(3)
    for p in (1, 2):
        leaf = a.clone().requires_grad_()
        wasserstein(space, leaf, b, p, rtol=1e-8).distance.backward()
        step = 1e-5 * normal(3, seed=3)
        change = [wasserstein(space, a + sign * step, b, p, rtol=1e-8).distance for sign in (1, -1)]
        assert leaf.grad is not None
        expected = (change[0] - change[1]) / 2
        torch.testing.assert_close((leaf.grad * step).sum(), expected, rtol=1e-3, atol=0)  # lengths to 1e-8, over steps of 1e-5


@pytest.mark.parametrize("p", [1, 2])
def test_gradients_at_equal_clouds_are_0(p: int) -> None:
    leaf = A.clone().requires_grad_()
    wasserstein(PLANE, leaf, A, p).distance.backward()
    assert leaf.grad is not None and not leaf.grad.any()
    assert not wasserstein(PLANE, leaf, B, entropy=0.1).distance.requires_grad


@pytest.mark.parametrize("entropy", [0.3, 1.0])
def test_entropic_plans_are_what_they_minimise(entropy: float) -> None:
    wa = torch.tensor([1.0, 2.0, 0.0, 1.0, 1.0, 3.0]).double()
    exact = wasserstein(PLANE, A, B, weights_a=wa)
    found = wasserstein(PLANE, A, B, weights_a=wa, entropy=entropy)
    share = wa / wa.sum()
    torch.testing.assert_close(found.plan.sum(1), share, rtol=0, atol=EXACT)
    torch.testing.assert_close(found.plan.sum(0), torch.full((5,), 0.2, dtype=torch.float64), rtol=0, atol=EXACT)
    assert exact.distance < found.distance <= found.upper and found.lower <= exact.distance and found.ok
    cost = found.distances**2
    potential = (cost / (entropy * (share @ cost).mean()) + found.plan.log())[wa > 0]
    mixed = potential - potential.mean(0) - potential.mean(1, keepdim=True) + potential.mean()
    assert mixed.abs().max() < 1e-6  # stationary: a sum of a function of i and one of j; marginals are met to 1e-9


def test_entropic_plans_do_not_depend_on_the_unit() -> None:
    unit = 2.0**20  # scaling by a power of two rounds nothing
    here, there = wasserstein(PLANE, A, B, entropy=0.1), wasserstein(PLANE, unit * A, unit * B, entropy=0.1)
    torch.testing.assert_close(here.plan, there.plan, rtol=1e-12, atol=0)
    torch.testing.assert_close(there.distance, unit * here.distance, rtol=1e-12, atol=0)


def test_entropic_plans_of_points_that_coincide_and_of_too_little_entropy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("egregium.relations.couplings.ROUNDS", 100)
    same = torch.ones(3, 2).double()
    assert wasserstein(PLANE, same, same[:2], entropy=0.1).distance == 0
    with pytest.raises(NotConvergedError, match="the transport did not converge") as caught:
        wasserstein(PLANE, A, B, entropy=1e-5)
    kept = caught.value.result
    assert kept.status == Status.MAX_STEPS and kept.lower <= kept.distance <= kept.upper  # type: ignore[attr-defined]
    least = wasserstein(PLANE, A, B, entropy=1e-320, on_fail="mark")
    torch.testing.assert_close(least.plan.sum(1), torch.full((6,), 1 / 6, dtype=torch.float64), rtol=0, atol=EXACT)
    assert least.status == Status.MAX_STEPS


def test_failed_geodesics_that_no_plan_can_use_do_no_harm() -> None:
    """Two pairs of neighbours, far from each other on waves that two steps do not solve."""
    a = torch.tensor([[0.0, 0.0], [4.0, 4.0]]).double()
    b = a.flip(0) + 0.01
    found = wasserstein(Pullback(wavy), a, b, max_steps=2)
    assert found.ok and found.distances.isnan().tolist() == [[True, False], [False, True]]
    assert found.distance.item() == pytest.approx(wasserstein(Pullback(wavy), a, b).distance.item(), rel=1e-6)
    assert "2 of 4 geodesics failed: CONVERGED" in repr(found)


def test_failed_geodesics_that_the_plan_uses_are_told() -> None:
    a, b = torch.zeros(1, 2).double(), torch.full((1, 2), 4.0).double()
    with pytest.raises(NotConvergedError, match="1 of 1 geodesics failed"):
        wasserstein(Pullback(wavy), a, b, max_steps=1)
    marked = wasserstein(Pullback(wavy), a, b, max_steps=1, on_fail="mark")
    assert not marked.ok and marked.distances.isnan().all() and "CONVERGED" not in repr(marked)


def test_lengths_that_overflow_are_no_distances() -> None:
    found = wasserstein(PLANE, 1e200 * A, 1e200 * B, on_fail="mark")
    assert found.status == Status.NONFINITE and found.distances.isnan().all()


def test_a_linear_program_cut_short_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("egregium.relations.couplings.PIVOTS", 1)
    assert wasserstein(PLANE, normal(40), normal(40, seed=1), on_fail="mark").status == Status.MAX_STEPS


def test_single_points_single_precision_and_one_line() -> None:
    found = wasserstein(PLANE, torch.zeros(1, 2), torch.tensor([[3.0, 4.0]]), 3)
    assert found.distance == 5 and found.cost == pytest.approx(125) and found.plan.tolist() == [[1.0]]
    assert found.distance.dtype == found.plan.dtype == torch.float32
    assert "\n" not in repr(found) and repr(found).startswith("Transport(1 to 1 points, p = 3, distance 5 in [5, 5]")


def test_without_pot_nothing_is_measured(monkeypatch: pytest.MonkeyPatch) -> None:
    def never(z: Tensor) -> Tensor:
        raise AssertionError("measured")

    monkeypatch.setitem(sys.modules, "ot", None)
    with pytest.raises(MissingExtraError, match=r"pip install egregium\[ot\]"):
        wasserstein(Pullback(never), A, B)


@pytest.mark.parametrize(
    ("call", "error", "words"),
    [
        (lambda: wasserstein(wavy, A, B), OptionError, "measured in a space"),  # type: ignore[arg-type]
        (lambda: wasserstein(PLANE, A[None], B), ShapeError, r"A must have shape \(N, d\)"),
        (lambda: wasserstein(PLANE, A, B[0]), ShapeError, r"B must have shape \(N, d\)"),
        (lambda: wasserstein(PLANE, A, normal(5, 3)), ShapeError, r"B must have shape \(\*batch, 2\)"),
        (lambda: wasserstein(PLANE, A, B[:0]), TensorError, "B must hold at least one point"),
        (lambda: wasserstein(PLANE, A, B.float()), TensorError, "A and B must have one dtype"),
        (lambda: wasserstein(PLANE, A, B * torch.nan), TensorError, "B must be finite"),
        (lambda: wasserstein(PLANE, A, B.tolist()), TensorError, "B must be a torch tensor"),  # type: ignore[arg-type]
        (lambda: wasserstein(PLANE, A, B, 0.5), OptionError, ">= 1; got 0.5"),
        (lambda: wasserstein(PLANE, A, B, torch.inf), OptionError, ">= 1; got inf"),
        (lambda: wasserstein(PLANE, A, B, torch.nan), OptionError, ">= 1; got nan"),
        (lambda: wasserstein(PLANE, A, B, "2"), OptionError, ">= 1; got '2'"),  # type: ignore[arg-type]
        (lambda: wasserstein(PLANE, A, B, entropy=0), OptionError, "positive number of mean costs"),
        (lambda: wasserstein(PLANE, A, B, entropy=-0.1), OptionError, "positive number of mean costs"),
        (lambda: wasserstein(PLANE, A, B, entropy=torch.nan), OptionError, "positive number of mean costs"),
        (lambda: wasserstein(PLANE, A, B, weights_a=torch.ones(5)), ShapeError, r"weights_a must have shape \(6,\)"),
        (lambda: wasserstein(PLANE, A, B, weights_b=torch.zeros(5)), OptionError, "weights_b must be finite"),
        (lambda: wasserstein(PLANE, A, B, weights_b=-torch.ones(5)), OptionError, "not negative"),
        (lambda: wasserstein(PLANE, A, B, weights_b=torch.full((5,), torch.nan)), OptionError, "not negative"),
        (lambda: wasserstein(PLANE, A, B, weights_b=torch.full((5,), torch.inf)), OptionError, "must be finite"),
        (lambda: wasserstein(PLANE, A, B, weights_b=[1.0] * 5), TensorError, "weights_b must be a torch tensor"),  # type: ignore[arg-type]
        (lambda: wasserstein(PLANE, A, B, on_fail="ignore"), OptionError, "on_fail"),
        (lambda: wasserstein(PLANE, A, B).displace(1.5), OptionError, r"\[0, 1\]; got 1.5"),
    ],
)
def test_refusals(call, error: type[Exception], words: str) -> None:
    with pytest.raises(error, match=words):
        call()
