"""The estimate of a curve's metric, and products with its second variation, against the matrices that they stand for."""

import torch
from torch import Tensor

from egregium.geodesics.path_metric import DAMPING, PathMetric, estimated
from egregium.geodesics.problem import Problem
from egregium.geodesics.products import Products
from egregium.geodesics.solvers.georce import sweep
from egregium.spaces import Pullback
from egregium.testing.twins import random_decoder


def drawn(d: int = 3, pairs: int = 2, seed: int = 0) -> Problem:
    generator = torch.Generator().manual_seed(seed)
    z0, z1 = torch.randn(2, pairs, d, generator=generator, dtype=torch.float64)
    return Problem.between(Pullback(random_decoder(d, 8, seed), dim=d), z0, z1)


def linear(d: int = 3) -> Problem:
    weight = torch.randn(d, 7, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    return Problem.between(Pullback(lambda z: z @ weight, dim=d), torch.zeros(2, d).double(), torch.ones(2, d).double())


def test_products_are_those_of_the_matrices() -> None:
    problem = drawn()
    vertices = problem.straight(6) + 0.1
    v = torch.randn(vertices.shape, generator=torch.Generator().manual_seed(2), dtype=torch.float64)
    now = problem.evaluate(vertices)
    model, near = problem.second_order(vertices, now.x), problem.path_metric(vertices)
    product = Products.at(problem.immerse, vertices).metric(v)
    torch.testing.assert_close(product, model.metric.matvec(v), rtol=1e-9, atol=1e-9)
    short = problem.secant(vertices, now, near, torch.full_like(now.energy, 1e-6))(v)
    error = (short - model.hessian.matvec(v)).abs().max()
    assert error < 1e-4 * short.abs().max()  # of displacements of 1e-6, on a folded decoder


def test_the_inverse_is_that_of_the_damped_metric_where_the_metric_is_constant() -> None:
    problem = linear()
    vertices = problem.straight(7)
    gradient = torch.randn(vertices.shape, generator=torch.Generator().manual_seed(3), dtype=torch.float64)
    metric = Pullback(problem.immerse, dim=3).metric(problem.z0)[:, None].expand(-1, 7, -1, -1)
    damped = metric + torch.diag_embed(DAMPING * metric.diagonal(dim1=-2, dim2=-1))
    torch.testing.assert_close(problem.path_metric(vertices).inverse(gradient), -sweep(gradient, torch.linalg.inv(damped)))


def test_metrics_by_differences_are_near_the_metric() -> None:
    problem = drawn()
    exact = Pullback(random_decoder(3, 8, 0), dim=3).metric(problem.z0)
    close = estimated(problem.immerse, problem.z0, (problem.z1 - problem.z0).abs().amax(-1))
    assert ((close - exact).norm(dim=(-2, -1)) < 0.05 * exact.norm(dim=(-2, -1))).all()  # steps of a hundredth


def test_the_metric_is_not_that_of_the_batch() -> None:
    problem = drawn(pairs=3)
    vertices, row = problem.straight(6), torch.tensor([1])
    together, alone = problem.path_metric(vertices), problem[row].path_metric(vertices[row])
    torch.testing.assert_close(together[row].factors, alone.factors, rtol=1e-12, atol=1e-12)
    noise = [one.noise(some, torch.Generator().manual_seed(0)) for one, some in ((together, vertices), (alone, vertices[row]))]
    torch.testing.assert_close(noise[0][row], noise[1], rtol=1e-10, atol=1e-10)


def test_squares_are_those_of_the_damped_metric() -> None:
    problem = linear()
    vertices = problem.straight(5)
    v = torch.randn(vertices.shape, generator=torch.Generator().manual_seed(4), dtype=torch.float64)
    near = problem.path_metric(vertices)
    torch.testing.assert_close(near.square(near.inverse(v)), (v * near.inverse(v)).sum((-2, -1)))


def test_noise_has_the_metric_as_its_covariance() -> None:
    problem = linear(2)
    vertices, count = problem.straight(4), 4000
    near, generator = problem.path_metric(vertices)[torch.zeros(1, dtype=torch.long)], torch.Generator().manual_seed(0)
    draws = torch.stack([near.noise(vertices[:1], generator).flatten() for _ in range(count)])
    covariance: Tensor = draws.mT @ draws / count
    forces = torch.eye(draws.shape[1], dtype=draws.dtype).reshape(-1, *vertices.shape[1:])
    inverse = near[torch.zeros(len(forces), dtype=torch.long)].inverse(forces).flatten(1)
    product = covariance @ inverse
    # 1 / sqrt(count) times the square root of the dimension
    assert (product - torch.eye(len(product))).norm() < 0.1 * len(product) ** 0.5


def test_equal_ends_have_an_estimate_too() -> None:
    nodes = torch.zeros(1, 5, 2, dtype=torch.float64)
    ends = torch.eye(2, dtype=torch.float64).expand(1, 2, -1, -1)
    near = PathMetric.along(lambda z: z, nodes, ends)  # equal ends: no extent to take differences over
    assert torch.isfinite(near.inverses).all()
