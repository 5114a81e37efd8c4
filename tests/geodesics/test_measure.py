"""What is read off curves: polygons, Richardson's limit, momenta, and a rectification that bounds distances from above."""

import math

import pytest
import torch
from torch import Tensor

from egregium.geodesics.measure import Rectified, end_momenta, extrapolate, polygon, rectify
from egregium.geodesics.problem import Problem
from egregium.spaces import Pullback
from egregium.testing.surfaces import Cylinder, StereographicSphere
from egregium.testing.twins import random_decoder


def arc(segments: int, dtype: torch.dtype = torch.float64) -> Tensor:
    """A quarter of the unit circle, `(1, T + 1, 2)`."""
    t = torch.linspace(0, math.pi / 2, segments + 1, dtype=torch.float64)
    return torch.stack([t.cos(), t.sin()], -1)[None].to(dtype)


def test_polygon() -> None:
    assert polygon(arc(1)).item() == pytest.approx(2**0.5)
    assert polygon(arc(1000)).item() == pytest.approx(math.pi / 2, rel=1e-6)
    assert polygon(arc(8, torch.float32)).dtype == torch.float64


@pytest.mark.parametrize(("levels", "digits"), [(2, 1e-6), (3, 1e-7), (4, 1e-12)])
def test_richardson_takes_two_orders_a_level(levels: int, digits: float) -> None:
    lengths = [polygon(arc(8 << k)) for k in range(levels)]
    limit, moved = extrapolate(lengths)
    error = abs(limit.item() - math.pi / 2)
    assert error < digits and error <= moved.item()


def test_one_level_is_no_limit() -> None:
    limit, moved = extrapolate([torch.tensor([1.0, 2.0])])
    assert limit.tolist() == [1.0, 2.0] and torch.isinf(moved).all()


def test_levels_too_coarse_for_the_series_do_not_spoil_the_limit() -> None:
    lengths = [torch.tensor([0.3], dtype=torch.float64), *(polygon(arc(8 << k)) for k in range(3))]
    assert abs(extrapolate(lengths)[0].item() - math.pi / 2) < 1e-7


def momenta(segments: int) -> Tensor:
    """Both ends of the arc, projected on its tangents there."""
    start, end = end_momenta(arc(segments))
    return torch.stack([start[:, 1], -end[:, 0]], -1)


def test_vectors_are_extrapolated_together() -> None:
    """Momenta at the ends have the length for norm, to two orders a level."""
    for levels, digits in ((1, 2e-2), (2, 1e-4), (3, 1e-6), (4, 1e-9)):
        limit, moved = extrapolate([momenta(8 << k) for k in range(levels)])
        torch.testing.assert_close(limit[0], torch.full((2,), math.pi / 2, dtype=torch.float64), rtol=0, atol=digits)
        assert moved.shape == (1,)


def test_rows_do_not_influence_each_other() -> None:
    lengths = [torch.cat([polygon(arc(8 << k)), torch.tensor([torch.nan]).double()]) for k in range(3)]
    assert extrapolate(lengths)[0][0] == extrapolate([level[:1] for level in lengths])[0][0]


def test_momenta_are_derivatives_of_the_energy() -> None:
    """`dE / dz0 = -2 J^T p`: what makes their error a series in even powers."""
    decoder = random_decoder(2, 10, seed=0)
    z = torch.randn(1, 9, 2, generator=torch.Generator().manual_seed(0), dtype=torch.float64).requires_grad_()
    x = decoder(z[0])[None]
    (slope,) = torch.autograd.grad(8 * (x.diff(dim=1) ** 2).sum(), z)
    start, end = end_momenta(x.detach())
    block = Pullback(decoder, dim=2).jacobian(z[0, [0, -1]].detach())
    torch.testing.assert_close(slope[0, 0], -2 * block[0].mT @ start[0])
    torch.testing.assert_close(slope[0, -1], 2 * block[1].mT @ end[0])


def rectified(problem: Problem, vertices: Tensor) -> Rectified:
    return rectify(problem, vertices, problem.evaluate(vertices).x)


def test_rectification_of_straight_lines_on_the_cylinder() -> None:
    z0, z1 = Cylinder().sample(8, torch.Generator().manual_seed(0)).chunk(2)
    problem = Problem.between(Pullback(Cylinder().decode, dim=2), z0, z1)
    found = rectified(problem, problem.straight(8))
    torch.testing.assert_close(found.length, Cylinder().distance(z0, z1), rtol=1e-11, atol=0)  # O(1 / T^6) at T = 8
    assert (found.error < 1e-6).all()


def spline_length(problem: Problem, vertices: Tensor, pieces: int = 64) -> Tensor:
    """Length of the cubic spline through the vertices, by a polygon so fine that only its series' first term is left."""
    from scipy.interpolate import CubicSpline

    nodes = problem.nodes(vertices)
    t = torch.linspace(0, 1, nodes.shape[1], dtype=torch.float64).numpy()
    levels = []
    for count in (pieces, 2 * pieces, 4 * pieces):
        fine = torch.linspace(0, 1, (nodes.shape[1] - 1) * count + 1, dtype=torch.float64).numpy()
        z = torch.from_numpy(CubicSpline(t, nodes.numpy(), axis=1, bc_type="not-a-knot")(fine))
        x = problem.immerse(z.flatten(0, 1)).reshape(len(z), len(fine), -1)
        levels.append(polygon(x))
    return extrapolate(levels)[0]


@pytest.mark.parametrize("segments", [16, 32])
def test_rectification_bounds_the_length_of_the_curve(segments: int) -> None:
    """`length + error` is an upper bound of the length of an admissible curve, hence of the distance."""
    decoder = random_decoder(2, 10, seed=0)
    for space, points in (
        (Pullback(decoder, dim=2), torch.randn(40, 2, generator=torch.Generator().manual_seed(0), dtype=torch.float64)),
        (Pullback(StereographicSphere().decode, dim=2), StereographicSphere().sample(40, torch.Generator().manual_seed(0))),
    ):
        problem = Problem.between(space, *points.chunk(2))
        wave = (torch.arange(1, segments, dtype=torch.float64) * (2 * math.pi / segments)).sin()
        vertices = problem.straight(segments) + 0.1 * wave[:, None] * (problem.z1 - problem.z0)[:, None].flip(-1)
        found = rectified(problem, vertices)
        truth = spline_length(problem, vertices)
        assert (truth <= found.upper * (1 + 1e-9)).all()
        assert ((found.length - truth).abs() <= found.error + 1e-9 * truth).all()


def test_a_leap_has_no_length() -> None:
    """Chords cannot tell a jump of the decoder from a steep rise; that no refinement resolves it, they can."""
    z0, z1 = -torch.ones(1, 2).double(), torch.ones(1, 2).double()
    jump = Pullback(lambda z: torch.cat([z, (z[:, :1] > 0.1).to(z)], -1), dim=2)
    problem = Problem.between(jump, z0, z1)
    found = rectified(problem, problem.straight(64))
    assert found.error.item() > 0.9


def test_the_curve_runs_by_arc_length() -> None:
    z0, z1 = StereographicSphere().sample(6, torch.Generator().manual_seed(0)).chunk(2)
    problem = Problem.between(Pullback(StereographicSphere().decode, dim=2), z0, z1)
    curve = rectified(problem, problem.straight(64)).curve
    t = torch.linspace(0, 1, 101, dtype=torch.float64).expand(3, -1)
    chords = problem.immerse(curve.at(t)[0].flatten(0, 1)).reshape(3, 101, -1).diff(dim=1).norm(dim=-1)
    assert (chords.amax(1) / chords.amin(1) < 1.001).all()
