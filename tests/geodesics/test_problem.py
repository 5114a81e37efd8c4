"""Energy, gradient, Gauss-Newton matrix and Hessian of the discrete problem against automatic differentiation."""

import pytest
import torch
from torch import Tensor

from egregium.geodesics.problem import Problem
from egregium.spaces import Pullback
from egregium.testing.twins import Diffeomorphism, random_decoder, twin


def drawn(d: int = 2, pairs: int = 3, seed: int = 0) -> Problem:
    generator = torch.Generator().manual_seed(seed)
    z0, z1 = torch.randn(2, pairs, d, generator=generator, dtype=torch.float64)
    return Problem.between(Pullback(random_decoder(d, 8, seed), dim=d), z0, z1)


def energy(problem: Problem, vertices: Tensor, row: int) -> Tensor:
    x = problem.immerse(torch.cat([problem.z0[row : row + 1], vertices, problem.z1[row : row + 1]]))
    return (len(x) - 1) * (x.diff(dim=0) ** 2).sum()


@pytest.mark.parametrize(("d", "segments"), [(1, 2), (2, 5), (3, 8)])
def test_energy_gradient_and_hessian(d: int, segments: int) -> None:
    problem = drawn(d)
    vertices = problem.straight(segments) + 0.1
    now = problem.evaluate(vertices)
    hessian = problem.second_order(vertices, now.x).hessian
    for row in range(len(problem)):
        flat = vertices[row].flatten()

        def e(v: Tensor, row: int = row) -> Tensor:
            return energy(problem, v.reshape(-1, d), row)

        torch.testing.assert_close(now.energy[row], e(flat), rtol=1e-12, atol=0)
        torch.testing.assert_close(now.gradient[row].flatten(), torch.func.grad(e)(flat), rtol=1e-9, atol=1e-9)
        torch.testing.assert_close(hessian.dense()[row], torch.func.hessian(e)(flat), rtol=1e-8, atol=1e-8)


def test_gauss_newton_is_the_hessian_without_curvature() -> None:
    """On a linear decoder the two are one; on any decoder the first is positive definite."""
    weight = torch.randn(2, 6, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    z0, z1 = torch.zeros(2, 2).double(), torch.ones(2, 2).double()
    problem = Problem.between(Pullback(lambda z: z @ weight, dim=2), z0, z1)
    vertices = problem.straight(6) + 0.3
    both = problem.second_order(vertices, problem.evaluate(vertices).x)
    torch.testing.assert_close(both.metric.dense(), both.hessian.dense(), rtol=1e-12, atol=1e-12)
    torch.testing.assert_close(problem.gauss_newton(vertices).dense(), both.metric.dense(), rtol=1e-12, atol=1e-12)
    curved = drawn()
    assert torch.linalg.eigvalsh(curved.gauss_newton(curved.straight(6)).dense()).min() > 0


def test_the_first_order_defect_is_invariant_and_vanishes_on_straight_lines_of_flat_spaces() -> None:
    decoder, a = random_decoder(2, 8, 0), Diffeomorphism(2, seed=1)
    z0, z1 = torch.randn(2, 4, 2, generator=torch.Generator().manual_seed(2), dtype=torch.float64)
    here = Problem.between(Pullback(decoder, dim=2), z0, z1)
    there = Problem.between(Pullback(twin(decoder, a), dim=2), a.forward(z0), a.forward(z1))
    vertices = here.straight(8) + 0.05
    sizes = here.metric_step(vertices)[0], there.metric_step(a.forward(vertices))[0]
    torch.testing.assert_close(sizes[0], sizes[1], rtol=1e-8, atol=0)
    flat = Problem.between(Pullback(lambda z: z.repeat(1, 2), dim=2), z0, z1)
    assert (flat.metric_step(flat.straight(8))[0] < 1e-12).all()


def test_chunks_and_rows_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    problem = drawn(pairs=5)
    vertices = problem.straight(4)
    x = problem.evaluate(vertices).x
    whole, rows = problem.second_order(vertices, x), torch.tensor([3, 0])
    part = problem[rows].second_order(vertices[rows], x[rows])
    torch.testing.assert_close(part.hessian.dense(), whole.hessian.dense()[rows], rtol=1e-12, atol=1e-12)
    monkeypatch.setattr(
        "egregium.geodesics.problem.row_chunks", lambda n, floats, *more: [slice(k, k + 2) for k in range(0, n, 2)]
    )
    torch.testing.assert_close(problem.second_order(vertices, x).hessian.dense(), whole.hessian.dense(), rtol=1e-12, atol=1e-12)
    torch.testing.assert_close(problem.gauss_newton(vertices).dense(), whole.metric.dense(), rtol=1e-12, atol=1e-12)
