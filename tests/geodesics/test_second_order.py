"""The quadratic model: what it says of the curve it was made at, and of the finer one that it is carried to."""

import torch
from torch import Tensor

from egregium.geodesics.problem import Problem
from egregium.geodesics.second_order import SecondOrder
from egregium.geodesics.solvers import GaussNewton, Termination
from egregium.numerics.splines import doubled
from egregium.spaces import Pullback
from egregium.testing.twins import random_decoder


def drawn(d: int = 2, pairs: int = 4) -> Problem:
    z0, z1 = torch.randn(2, pairs, d, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    return Problem.between(Pullback(random_decoder(d, 8, 0), dim=d), z0, z1)


def model_at(problem: Problem, vertices: Tensor) -> SecondOrder:
    return problem.second_order(vertices, problem.evaluate(vertices).x)


def test_a_prolonged_model_of_a_linear_decoder_is_the_finer_model() -> None:
    """Constant Jacobians are interpolated exactly."""
    weight = torch.randn(2, 6, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    z0, z1 = torch.randn(2, 3, 2, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    problem = Problem.between(Pullback(lambda z: z @ weight, dim=2), z0, z1)
    for segments in (2, 4, 8):
        coarse, fine = (model_at(problem, problem.straight(n)) for n in (segments, 2 * segments))
        torch.testing.assert_close(coarse.prolonged().hessian.dense(), fine.hessian.dense(), rtol=1e-12, atol=1e-12)


def test_a_prolonged_model_approaches_the_finer_one() -> None:
    problem, errors = drawn(), []
    for segments in (16, 32):
        near = model_at(problem, problem.straight(2 * segments)).hessian.dense()
        carried = model_at(problem, problem.straight(segments)).prolonged().hessian.dense()
        inner = slice(2, -2)  # at the ends the Jacobian is continued, not interpolated
        errors.append(((carried - near)[:, inner, inner].norm() / near[:, inner, inner].norm()).item())
    assert errors[0] < 0.05 and errors[1] < 0.5 * errors[0]


def test_a_prolonged_metric_is_positive() -> None:
    problem = drawn(3)
    carried = model_at(problem, problem.straight(4)).prolonged()
    assert torch.linalg.eigvalsh(carried.metric.dense()).min() > 0


def test_with_less_of_its_curvature_a_model_that_is_not_convex_is() -> None:
    """Over a hill the straight line is a saddle."""

    def hill(z: Tensor) -> Tensor:
        return torch.cat([z, 2 * (-2 * (z**2).sum(-1, keepdim=True)).exp()], -1)

    z0, z1 = torch.tensor([[-1.5, 0.0], [2.0, 2.0]]).double(), torch.tensor([[1.5, 0.0], [2.5, 2.0]]).double()
    problem = Problem.between(Pullback(hill, dim=2), z0, z1)
    vertices = problem.straight(32)
    whole = model_at(problem, vertices)
    convex = whole.convex(torch.zeros_like(vertices))
    assert whole.share.tolist() == [1, 1] and convex.share[0] < 1 and convex.share[1] == 1
    assert convex.exceeds(0.0).tolist() == [False, True]
    assert torch.linalg.eigvalsh(convex.hessian.dense()).min() > 0


def test_a_solve_from_a_prolonged_model_ends_where_a_fresh_one_does() -> None:
    problem, solver, tight = drawn(), GaussNewton(), Termination(1e-10, 200)
    coarse = solver.minimise(problem, problem.straight(8), Termination(1e-3, 200))
    assert coarse.model is not None
    finer = doubled(problem.nodes(coarse.vertices))[:, 1:-1]
    warm, cold = solver.minimise(problem, finer, tight, coarse.model.prolonged()), solver.minimise(problem, finer, tight)
    assert (warm.status == 0).all()
    torch.testing.assert_close(warm.vertices, cold.vertices, rtol=0, atol=1e-8)
