"""Short geodesics: whatever is certified is as long as `connect` says, and what cannot be is left."""

import pytest
import torch
from torch import Tensor

from egregium.geodesics import connect
from egregium.geodesics.edges import FAR, near, short
from egregium.geodesics.options import Options
from egregium.geodesics.problem import Problem
from egregium.geodesics.solvers import LBFGS, Solver
from egregium.spaces import Pullback
from egregium.testing.surfaces import SOLVED, SolvedSurface
from egregium.testing.twins import Diffeomorphism, random_decoder, twin

SQUARE = torch.tensor([[0.0, 0.0]], dtype=torch.float64)


def options(rtol: float = 1e-3, dtype: torch.dtype = torch.float64, solver: Solver | None = None) -> Options:
    return Options.checked(solver, rtol, None, None, dtype)


def neighbouring(z: Tensor, step: float, seed: int = 0) -> Tensor:
    return z + step * torch.randn(z.shape, generator=torch.Generator().manual_seed(seed), dtype=z.dtype)


@pytest.mark.parametrize("rtol", [1e-3, 1e-5])
@pytest.mark.parametrize("surface", SOLVED, ids=lambda surface: type(surface).__name__)
def test_certified_lengths_against_closed_forms(surface: SolvedSurface, rtol: float) -> None:
    space = Pullback(surface.decode, dim=surface.dim)
    z = surface.sample(100, torch.Generator().manual_seed(0))
    other = torch.lerp(z, z.roll(1, 0), 0.05)
    found = short(Problem.between(space, z, other), options(rtol))
    exact = surface.distance(z, other)
    error = (found.length / exact - 1).abs()[found.certified]
    print(f"{type(surface).__name__}, rtol {rtol}: {int(found.certified.sum())} of 100, worst error {float(error.max()):.1e}")
    assert found.certified.sum() >= 90
    assert (error <= rtol).all()
    assert (found.upper >= exact * (1 - 1e-9))[found.certified].all()  # where the curve is exact, to rounding and quadrature


@pytest.mark.parametrize("d", [2, 8])
def test_certified_lengths_on_random_decoders(d: int) -> None:
    """Against `connect` at 1e-7; edges long enough that many need eight segments or are left."""
    decoder = random_decoder(d, 30, seed=d)
    space = Pullback(decoder, dim=d)
    z = torch.randn(60, d, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    other = neighbouring(z, 0.3)
    found = short(Problem.between(space, z, other), options())
    g = connect(space, z, other, rtol=1e-7, on_fail="mark")
    both = found.certified & g.ok
    error = (found.length / g.length - 1)[both].abs()
    print(f"d = {d}: {int(found.certified.sum())} of 60 certified, worst error {float(error.max()):.1e}")
    assert both.sum() >= 40
    assert (error <= 1e-3).all()


def test_lengths_do_not_depend_on_the_parametrisation() -> None:
    """To the tolerance, because the latent line that all begins with does."""
    decoder, a = random_decoder(2, 12, seed=3), Diffeomorphism(2, seed=3)
    z = torch.randn(50, 2, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    other = neighbouring(z, 0.1)
    here = short(Problem.between(Pullback(decoder, dim=2), z, other), options())
    there = short(Problem.between(Pullback(twin(decoder, a), dim=2), a.forward(z), a.forward(other)), options())
    both = here.certified & there.certified
    assert both.sum() >= 45
    torch.testing.assert_close(here.length[both], there.length[both], rtol=2e-3, atol=0)


def test_other_solvers_serve_as_well() -> None:
    space = Pullback(random_decoder(2, 12, seed=0), dim=2)
    z = torch.randn(20, 2, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    problem = Problem.between(space, z, neighbouring(z, 0.1))
    ours, theirs = short(problem, options()), short(problem, options(solver=LBFGS()))
    both = ours.certified & theirs.certified
    assert both.sum() >= 15
    torch.testing.assert_close(ours.length[both], theirs.length[both], rtol=1e-3, atol=0)


def test_the_line_over_a_hill_is_a_saddle_and_not_certified_as_a_geodesic() -> None:
    """Over the top by symmetry: a critical curve, far from its chord and longer than the ways around."""
    hill = Pullback(lambda z: torch.cat([z, 2 * torch.exp(-4 * (z**2).sum(-1, keepdim=True))], -1), dim=2)
    ends = torch.tensor([[1.0, 0.0]], dtype=torch.float64)
    problem = Problem.between(hill, -ends, ends)
    found = short(problem, options())
    around = connect(hill, -ends, ends).length
    assert not found.certified.any() or abs(float(found.length / around) - 1) < 1e-3


def test_curves_far_from_their_chord_are_left_alone() -> None:
    """Half a turn of a cylinder is pi / 2 times its chord, more than FAR."""
    roll = Pullback(lambda z: torch.stack([z[:, 0].cos(), z[:, 0].sin(), z[:, 1]], -1), dim=2)
    problem = Problem.between(roll, SQUARE, torch.tensor([[3.1, 0.0]], dtype=torch.float64))
    found = short(problem, options())
    assert not found.certified.any()
    assert float(found.upper) > FAR * float(problem.chord)


def test_single_precision_leaves_what_it_cannot_tell_and_derivatives_can() -> None:
    """Decoded points whose difference has lost its digits: derivatives keep them, to a few 1e-7."""
    decoder = random_decoder(2, 12, seed=0)
    single, double = Pullback(lambda z: 30 + decoder.float()(z), dim=2), Pullback(random_decoder(2, 12, seed=0), dim=2)
    z = torch.randn(20, 2, generator=torch.Generator().manual_seed(0))
    other = z + 2e-4 * torch.randn(20, 2, generator=torch.Generator().manual_seed(1))
    problem = Problem.between(single, z, other)
    exact = connect(double, z.double(), other.double(), rtol=1e-6).length
    assert not short(problem, options(dtype=torch.float32)).certified.any()
    found = near(problem, 1e-3)
    assert found.certified.all()
    torch.testing.assert_close(found.length, exact, rtol=1e-5, atol=0)


def test_near_means_flat_between() -> None:
    """On the unit circle an arc of angle t is `t^2 / 24` longer than its chord: 1e-3 of it at t = 0.155."""
    circle = Pullback(lambda z: torch.stack([z[:, 0].cos(), z[:, 0].sin()], -1), dim=1)
    arcs = torch.tensor([[0.05], [0.15], [0.16], [1.0]], dtype=torch.float64)
    found = near(Problem.between(circle, torch.zeros(4, 1).double(), arcs), 1e-3)
    assert found.certified.tolist() == [True, True, False, False]
    torch.testing.assert_close(found.length, arcs[:, 0])
