"""Every solver finds the same curves, says honestly how far it got, and treats each pair as if it were alone."""

from collections.abc import Callable
from dataclasses import replace
from typing import cast

import pytest
import torch
from torch import Tensor

from egregium.errors import OptionError
from egregium.geodesics import connect
from egregium.geodesics.measure import polygon
from egregium.geodesics.problem import Problem
from egregium.geodesics.solvers import LBFGS, Adam, GaussNewton, Georce, Shooting, Solution, Solver, Spline, Termination
from egregium.geodesics.solvers.georce import sweep
from egregium.geodesics.solvers.spline import spline_basis
from egregium.numerics.tridiagonal import BlockTridiagonal
from egregium.protocols import ImmersedSpace
from egregium.spaces import Pullback
from egregium.status import Status
from egregium.testing.twins import Diffeomorphism, random_decoder, twin

SEGMENTS = 12
PAIRS = 5
VERTEX_SOLVERS = [GaussNewton(), GaussNewton(newton=False), Georce(), LBFGS(), Adam(max_steps=1000)]
SPLINE = Spline(decrease=1e-6, lr=0.02, max_steps=600)
SOLVERS = [*VERTEX_SOLVERS, SPLINE, Shooting()]
Immersion = Callable[[Tensor], Tensor]


def sphere(z: Tensor) -> Tensor:
    square = (z**2).sum(-1, keepdim=True)
    return torch.cat([2 * z, square - 1], -1) / (1 + square)


def paraboloid(z: Tensor) -> Tensor:
    return torch.cat([z, 0.5 * (z**2).sum(-1, keepdim=True)], -1)


def tanh_net(z: Tensor) -> Tensor:
    generator = torch.Generator().manual_seed(3)
    first = torch.randn(2, 20, generator=generator, dtype=torch.float64).to(z)
    second = torch.randn(20, 30, generator=generator, dtype=torch.float64).to(z) / 20**0.5
    return torch.tanh(z @ first) @ second


IMMERSIONS = [sphere, paraboloid, tanh_net]


def named(solver: Solver) -> str:
    newton = "" if getattr(solver, "newton", True) else "(newton=False)"
    return type(solver).__name__ + newton


def space_of(immersion: Immersion) -> ImmersedSpace:
    return cast(ImmersedSpace, Pullback(immersion, dim=2))  # `dim` is None only before it is known


def problem_on(immersion: Immersion, pairs: int = PAIRS, scale: float = 1.0) -> Problem:
    generator = torch.Generator().manual_seed(0)
    z0, z1 = 0.6 * torch.randn(2, pairs, 2, generator=generator, dtype=torch.float64)
    return Problem.between(space_of(lambda z: scale * immersion(z)), z0, z1)


def solved(
    solver: Solver, problem: Problem, tolerance: float, segments: int = SEGMENTS, max_steps: int | None = None
) -> Solution:
    segments = solver.segments[0] if solver.segments else segments
    return solver.minimise(problem, problem.straight(segments), Termination(tolerance, max_steps or solver.max_steps))


def defect(problem: Problem, solution: Solution) -> Tensor:
    return problem.metric_step(solution.vertices)[0]


@pytest.mark.parametrize("immersion", IMMERSIONS, ids=lambda f: f.__name__)
@pytest.mark.parametrize("solver", VERTEX_SOLVERS, ids=named)
def test_free_vertices_have_one_answer(solver: Solver, immersion: Immersion) -> None:
    problem = problem_on(immersion)
    reference = solved(GaussNewton(), problem, 1e-9)
    tolerance = 1e-3 if isinstance(solver, Adam) else 1e-5
    solution = solved(solver, problem, tolerance)
    assert (solution.status == Status.CONVERGED).all()
    assert (defect(problem, solution) <= tolerance).all()
    # energy and length err by the square of the step that is left, which slow contraction makes up to 30 times the last one
    bound = (30 * tolerance) ** 2
    assert torch.allclose(solution.energy, reference.energy, rtol=bound)
    assert torch.allclose(polygon(solution.x), polygon(reference.x), rtol=bound)


@pytest.mark.parametrize("immersion", IMMERSIONS, ids=lambda f: f.__name__)
def test_splines_come_near_but_not_to_a_critical_curve(immersion: Immersion) -> None:
    problem = problem_on(immersion)
    reference = connect_lengths(problem, GaussNewton())
    solution = solved(SPLINE, problem, 1e-7)
    length = polygon(solution.x)
    assert ((length / reference - 1).abs() < 2e-3).all()  # eleven coefficients and a first-order method
    assert (solution.status[defect(problem, solution) > 1e-7] != Status.CONVERGED).all()


def connect_lengths(problem: Problem, solver: Solver) -> Tensor:
    space = space_of(problem.immerse)
    return connect(space, problem.z0, problem.z1, rtol=1e-6, solver=solver).length


@pytest.mark.parametrize("solver", [Georce(), LBFGS(), Adam(), Shooting()], ids=named)
def test_connect_takes_any_solver(solver: Solver) -> None:
    space, problem = space_of(sphere), problem_on(sphere, 3)
    truth = 2 * torch.asin(0.5 * problem.chord)  # great circles
    found = connect(space, problem.z0, problem.z1, solver=solver, rtol=1e-3)
    assert torch.allclose(found.length, truth, rtol=1e-3)


@pytest.mark.parametrize("immersion", [sphere, paraboloid], ids=lambda f: f.__name__)
def test_shooting_confirms_what_the_energy_says(immersion: Immersion) -> None:
    problem = problem_on(immersion, 3)
    found = connect(space_of(immersion), problem.z0, problem.z1, rtol=1e-5, solver=Shooting())
    assert torch.allclose(found.length, connect_lengths(problem, GaussNewton()), rtol=1e-5)


def test_goals_that_are_missed_are_approached_by_halves() -> None:
    """From one side of a folded decoder to the other, alone and in a batch."""
    z0, z1 = torch.randn(2, 6, 2, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    problem = Problem.between(cast(ImmersedSpace, Pullback(random_decoder(2, 10, 1), dim=2)), z0, z1)[:2]
    found = solved(Shooting(), problem, 1e-2)
    assert (found.status == Status.CONVERGED).all() and found.steps.max() > 3
    alone = solved(Shooting(), problem[:1], 1e-2)
    assert alone.steps[0] == found.steps[0]
    torch.testing.assert_close(alone.vertices[0], found.vertices[0], rtol=1e-9, atol=1e-9)


def test_shots_that_a_kink_leads_astray_are_told() -> None:
    """The geodesic is refracted at the fold of the roof, which the equation does not know."""

    def roof(z: Tensor) -> Tensor:
        return torch.cat([z, 2 * z[:, :1].relu()], -1)

    problem = Problem.between(space_of(roof), *torch.tensor([[[-1.0, 0.0]], [[1.0, 1.5]]], dtype=torch.float64))
    solution = solved(Shooting(), problem, 1e-6)
    assert solution.status.tolist() == [Status.STALLED]
    assert torch.equal(solution.vertices, problem.straight(SEGMENTS))


def test_connect_reports_a_spline_as_what_it_is() -> None:
    space, problem = space_of(sphere), problem_on(sphere, 2)
    found = connect(space, problem.z0, problem.z1, solver=replace(SPLINE, max_steps=200), on_fail="mark")
    assert not found.ok.any()
    assert (found.length >= found.lower * (1 - 1e-12)).all()
    assert (found.segments == 256).all()


@pytest.mark.parametrize("solver", SOLVERS, ids=named)
def test_a_pair_does_not_feel_its_batch_mates(solver: Solver) -> None:
    problem = problem_on(tanh_net)
    steps = min(solver.max_steps, 60)
    together = solved(solver, problem, 1e-6, max_steps=steps)
    for row in (0, PAIRS - 1):
        alone = solved(solver, problem[torch.tensor([row])], 1e-6, max_steps=steps)
        assert torch.allclose(alone.vertices[0], together.vertices[row], rtol=0, atol=1e-9)  # rounding of matrix products
        assert alone.steps[0] == together.steps[row]
        assert alone.status[0] == together.status[row]


@pytest.mark.parametrize("solver", SOLVERS, ids=named)
def test_one_step_is_not_called_converged(solver: Solver) -> None:
    problem = problem_on(paraboloid)
    solution = solved(solver, problem, 1e-8, max_steps=1)
    assert (solution.status == Status.MAX_STEPS).all()
    assert (solution.steps == 1).all()
    assert (defect(problem, solution) > 1e-8).all()
    assert torch.allclose(problem.evaluate(solution.vertices).energy, solution.energy)


@pytest.mark.parametrize("solver", SOLVERS, ids=named)
def test_a_flat_space_is_done_at_once_and_said_so(solver: Solver) -> None:
    problem = problem_on(lambda z: torch.cat([2 * z, z], -1))
    solution = solved(solver, problem, 1e-6, max_steps=60)
    assert (solution.status == Status.CONVERGED).all()
    assert torch.allclose(polygon(solution.x), problem.chord)


@pytest.mark.parametrize("solver", SOLVERS, ids=named)
def test_a_start_is_taken_up(solver: Solver) -> None:
    problem = problem_on(sphere, 2)
    straight = problem.straight(solver.segments[0] if solver.segments else SEGMENTS)
    t = torch.linspace(0, 1, straight.shape[1] + 2, dtype=straight.dtype)[1:-1, None]
    start = straight + 0.05 * torch.sin(torch.pi * t)
    before = problem.evaluate(start).energy
    after = solver.minimise(problem, start, Termination(1e-5, 1)).energy
    assert (after <= before * (1 + 1e-4)).all()


def broken_off_the_line(z: Tensor) -> Tensor:
    """A paraboloid, but for NaN within a disc that a straight line from (-1, 0) to (1, 0) crosses."""
    hole = ((z**2).sum(-1, keepdim=True) < 0.04).expand(-1, 3)
    return torch.where(hole, torch.nan, paraboloid(z))


@pytest.mark.parametrize("solver", SOLVERS, ids=named)
def test_nan_on_the_curve_is_reported_for_that_pair_alone(solver: Solver) -> None:
    z0 = torch.tensor([[-1.0, 0.0], [1.0, 1.0], [0.5, 1.0]], dtype=torch.float64)
    z1 = torch.tensor([[1.0, 0.0], [-1.0, 1.0], [0.9, 0.3]], dtype=torch.float64)
    problem = Problem.between(space_of(broken_off_the_line), z0, z1)
    solution = solved(solver, problem, 1e-4, max_steps=30)
    assert solution.status[0] == Status.NONFINITE
    assert (solution.status[1:] != Status.NONFINITE).all()
    assert torch.isfinite(solution.energy[1:]).all()


@pytest.mark.parametrize("solver", [GaussNewton(), Georce(), LBFGS(), Adam(max_steps=100)], ids=named)
@pytest.mark.parametrize("scale", [1e-6, 1e6])
def test_units_of_the_decoder_do_not_matter(solver: Solver, scale: float) -> None:
    usual = solved(solver, problem_on(tanh_net), 1e-5)
    scaled = solved(solver, problem_on(tanh_net, scale=scale), 1e-5)
    assert scaled.steps.tolist() == usual.steps.tolist()
    assert torch.allclose(polygon(scaled.x), scale * polygon(usual.x), rtol=1e-9)


@pytest.mark.parametrize("solver", [Georce(), LBFGS()], ids=named)
def test_float32_ends_at_its_noise_floor(solver: Solver) -> None:
    exact = problem_on(tanh_net)
    problem = Problem.between(space_of(tanh_net), exact.z0.float(), exact.z1.float())
    solution = solved(solver, problem, 1e-8, max_steps=200)
    reference = solved(GaussNewton(), exact, 1e-8)
    assert torch.allclose(solution.energy, reference.energy, rtol=2e-6)  # a few roundings of float32
    assert (solution.steps < 200).all()


def test_steps_that_no_longer_shrink_for_rounding_end_the_iteration() -> None:
    """Where coordinates are badly conditioned, steps in single precision hover at the noise and never come below it."""
    a = Diffeomorphism(5, seed=0)
    space = Pullback(twin(random_decoder(5, 10, 0).float(), a), dim=5)
    z0, z1 = torch.randn(2, 20, 5, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    problem = Problem.between(space, a.forward(z0).float(), a.forward(z1).float())
    found = GaussNewton().minimise(problem, problem.straight(64), Termination(tolerance=1e-9, max_steps=200))
    assert (found.status == Status.CONVERGED).all()
    assert found.steps.max() < 100


def test_the_sweep_solves_the_frozen_problem() -> None:
    generator = torch.Generator().manual_seed(1)
    factor = torch.randn(3, 6, 4, 2, generator=generator, dtype=torch.float64)
    metric, gradient = factor.mT @ factor, torch.randn(3, 5, 2, generator=generator, dtype=torch.float64)
    model = BlockTridiagonal(12 * (metric[:, :-1] + metric[:, 1:]), -12 * metric[:, 1:-1])
    expected, definite = model.solve(-gradient)
    assert definite.all()
    assert torch.allclose(sweep(gradient, torch.linalg.inv(metric)), expected)


def test_a_spline_has_eleven_smooth_coefficients_that_vanish_at_the_ends() -> None:
    basis = spline_basis(10, 1000)
    assert basis.shape == (999, 11)
    assert torch.linalg.matrix_rank(basis) == 11
    whole = torch.nn.functional.pad(basis, (0, 0, 1, 1))
    third = 1000**3 * whole.diff(n=3, dim=0)
    # third derivatives of C^2 cubics are bounded, with jumps at knots; a jump of the second derivative would grow with n
    assert third.abs().max() < 1e4
    assert torch.allclose(third[10:90], third[10:90].mean(0).expand(80, -1), atol=1e-3)  # cubic within a piece


def test_the_published_stop_sums_over_the_batch() -> None:
    problem = problem_on(tanh_net)
    options = replace(SPLINE, decrease=0.05, max_steps=300)
    apart, together = solved(options, problem, 1e-6), solved(replace(options, stop="batch"), problem, 1e-6)
    assert len(set(together.steps.tolist())) == 1
    assert len(set(apart.steps.tolist())) > 1
    assert together.energy.sum() <= apart.energy.sum()


def test_options_of_the_spline_are_checked() -> None:
    with pytest.raises(OptionError, match="stop"):
        Spline(stop="sum")  # type: ignore[arg-type]
    with pytest.raises(OptionError, match="pieces"):
        Spline(pieces=0)
