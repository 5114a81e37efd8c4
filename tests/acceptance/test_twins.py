"""Acceptance 3: the theorem on exact twins, where every number that is identifiable must be the same in all of them."""

from collections.abc import Sequence
from dataclasses import dataclass

import pytest
import torch
from tests.acceptance.twins import CASES, SAME_CURVE, Twins
from torch import Tensor

from egregium.geodesics import connect, solvers
from egregium.relations import log_density
from egregium.relations.angle import between
from egregium.status import Status


@dataclass(frozen=True)
class Comparison:
    """What the parametrisations said of the same pairs; CV and angles only of pairs that share their minimum in all of them.

    Of each triple (z, z1, z2) two geodesics leave z, so that there are twice as many pairs as angles.
    """

    cv: Tensor
    angle: Tensor
    euclidean: Tensor
    unshared: int
    pairs: int
    failed: int

    @staticmethod
    def joined(parts: "Sequence[Comparison]") -> "Comparison":
        cv, angle, euclidean = (torch.cat([getattr(part, name) for part in parts]) for name in ("cv", "angle", "euclidean"))
        unshared, pairs, failed = (sum(getattr(part, name) for part in parts) for name in ("unshared", "pairs", "failed"))
        return Comparison(cv, angle, euclidean, unshared, pairs, failed)

    def __str__(self) -> str:
        return (
            f"{self.pairs} pairs, CV of distance max {self.cv.max():.1e} median {self.cv.median():.1e}, angles differ by at "
            f"most {self.angle.max():.1e} rad, minimum not shared {self.unshared / self.pairs:.1%} "
            f"(of these not CONVERGED somewhere {self.failed}), Euclidean CV {self.euclidean.mean():.2f}"
        )


def coefficient_of_variation(x: Tensor) -> Tensor:
    return x.std(0) / x.mean(0)


def compare(twins: Twins, triples: int, rtol: float, dtype: torch.dtype, solver: solvers.Solver | None = None) -> Comparison:
    """Distances and angles of the same random triples in every parametrisation; a peer solver's are taken as they come."""
    corner, first, second = twins.points(3, triples)
    start, end = torch.cat([corner, corner]), torch.cat([first, second])
    t = torch.linspace(0, 1, 33)
    lengths, angles, images, status, euclidean = [], [], [], [], []
    for space, a in zip(twins.spaces, twins.maps, strict=True):
        z0, z1 = a(start).to(dtype), a(end).to(dtype)
        g = connect(space, z0, z1, rtol=rtol, on_fail="mark", solver=solver)
        lengths.append(g.length.double())
        angles.append(between(space, z0[:triples], g[:triples], g[triples:]).double())
        images.append(space.ambient(g(t)).double())
        status.append(g.status)
        euclidean.append((z1 - z0).norm(dim=-1).double())
    length, image = torch.stack(lengths), torch.stack(images)
    ok = (torch.stack(status) == Status.CONVERGED).all(0)
    # Which minimum was found is judged by the curves in data space, not by the lengths that are compared.
    apart = (image - image[:1]).norm(dim=-1).amax((0, 2)) / length[0]
    shared = ok & (apart < SAME_CURVE) if solver is None else torch.ones_like(ok)
    both = shared[:triples] & shared[triples:]
    spread = torch.stack(angles)[:, both]
    return Comparison(
        coefficient_of_variation(length)[shared], (spread - spread[:1]).abs().amax(0),
        coefficient_of_variation(torch.stack(euclidean)), int((~shared).sum()), 2 * triples, int((~ok).sum()),
    )  # fmt: skip


def density_difference(twins: Twins, n: int) -> float:
    """Largest difference of `log p(z) - log volume(z)`, in nats, between parametrisations at the same points."""
    z = twins.points(n)
    said = [log_density(s, a(z), p) for s, a, p in zip(twins.spaces, twins.maps, twins.priors, strict=True)]
    return max((one - said[0]).abs().max().item() for one in said[1:])


LINES = {torch.float64: (1e-9, 1e-9, 1e-7), torch.float32: (1e-5, 1e-4, 1e-3)}
"""For each dtype: rtol, and the lines for CV and for angles."""


def require(found: Comparison, dtype: torch.dtype) -> None:
    _, cv, angle = LINES[dtype]
    assert found.cv.max() <= cv
    assert found.angle.max() <= angle
    assert found.euclidean.mean() > 0.1


@pytest.mark.parametrize("dtype", LINES, ids=str)
def test_twins_agree(dtype: torch.dtype) -> None:
    found = compare(Twins.drawn(2, 10, 0, 1, dtype), 3, LINES[dtype][0], dtype)
    require(found, dtype)
    assert found.unshared == 0


@pytest.mark.parametrize(("d", "ambient"), CASES)
def test_densities_of_twins_agree(d: int, ambient: int) -> None:
    assert density_difference(Twins.drawn(d, ambient, 0, 2, torch.float64), 20) <= 1e-8


def test_strangers_do_not_agree() -> None:
    """The comparison can fail: another decoder is no twin."""
    twins = Twins.drawn(2, 10, 0, 1, torch.float64)
    stranger = Twins.drawn(2, 10, 1, 0, torch.float64)
    mixed = Twins([twins.spaces[0], stranger.spaces[0]], [lambda z: z] * 2, twins.priors[:1] * 2, 2, 0)
    assert compare(mixed, 3, 1e-6, torch.float64).unshared == 6
    assert density_difference(mixed, 20) > 0.1


@pytest.mark.slow
@pytest.mark.parametrize("dtype", LINES, ids=str)
def test_acceptance_3(dtype: torch.dtype) -> None:
    """20 decoders, 5 diffeomorphisms each, 20 pairs each."""
    parts = []
    for d, ambient in CASES:
        here = [compare(Twins.drawn(d, ambient, seed, 5, dtype), 10, LINES[dtype][0], dtype) for seed in range(5)]
        print(f"\nacceptance 3, {dtype}, d = {d}, D = {ambient}: {Comparison.joined(here)}", flush=True)
        parts += here
    found = Comparison.joined(parts)
    print(f"acceptance 3, {dtype}, all 20 decoders: {found}")
    require(found, dtype)
    assert found.unshared <= 0.02 * found.pairs


@pytest.mark.slow
def test_acceptance_3_density() -> None:
    worst = max(density_difference(Twins.drawn(d, D, seed, 5, torch.float64), 100) for d, D in CASES for seed in range(5))
    print(f"\nacceptance 3, density, 20 decoders x 5 twins x 100 points: largest difference {worst:.1e} nats")
    assert worst <= 1e-8


@pytest.mark.slow
def test_the_published_solver_beside_it() -> None:
    """The line plus cubic spline with Adam at its published settings: what its own noise makes of exact twins."""
    twins = Twins.drawn(2, 10, 0, 2, torch.float32)
    published = compare(twins, 3, 1e-3, torch.float32, solvers.Spline())
    ours = compare(twins, 3, LINES[torch.float32][0], torch.float32)
    print(f"\nacceptance 3, Spline: {published}\nacceptance 3, GaussNewton on the same: {ours}")
    assert ours.cv.max() < published.cv.max()
