"""The descent that places points: its steps are Gauss-Newton's, rows do not see one another, and it goes far enough."""

from typing import Any

import pytest
import torch
from torch import Tensor

from egregium.relations.embedding import _Problem
from egregium.relations.placement import Places, descended, relocated, rows
from egregium.spaces import Euclidean, Hyperbolic, Product, Sphere, Torus

SPACES = [Sphere(2), Hyperbolic(2, -2.0), Torus(2, (1.0, 0.5)), Product(Sphere(1), Hyperbolic(2), Euclidean(1))]


def table(space: Any, n: int = 8, seed: int = 0) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    z = space.random(n, generator=generator, dtype=torch.float64)
    d = space.dist(z[:, None].expand(-1, n, -1), z.expand(n, n, -1))
    factors = (0.03 * torch.randn(n, n, generator=generator, dtype=torch.float64)).triu(1).exp()
    return d * factors * factors.T


def begun(space: Any, tables: Tensor, number: int = 3) -> tuple[Any, Places]:
    problem = _Problem.of(tables, space, scale=True)
    return problem.tables, problem.starts(number, torch.Generator().manual_seed(0))


@pytest.mark.parametrize("space", SPACES, ids=repr)
def test_the_step_is_that_of_gauss_and_newton(space: Any) -> None:
    known = table(space).masked_fill(torch.zeros(8, 8).bool().index_put((torch.tensor([1, 2]), torch.tensor([2, 1])),
                                                                        torch.tensor(True)), torch.nan)  # fmt: skip
    tables, places = begun(space, known[None], 1)
    of, points, scales = tables.factors, places.points, places.scales

    def residuals(x: Tensor) -> Tensor:
        way, stretch = x.split([8 * space.dim, len(of.each)])
        moved = points + (space.frame(points) @ way.reshape(1, 8, -1, 1))[..., 0]
        found = of.distances(moved[:, of.first], moved[:, of.second], scales + of.free * stretch).norm(dim=-1)
        return (tables.weights.sqrt() * (found / tables.lengths - 1))[0]

    none = torch.zeros(8 * space.dim + len(of.each), dtype=torch.float64)
    jacobian = torch.autograd.functional.jacobian(residuals, none)
    matrix, gradient = tables.normal_equations(points, scales)
    torch.testing.assert_close(matrix[0], jacobian.T @ jacobian)  # type: ignore[operator]
    torch.testing.assert_close(gradient[0], jacobian.T @ residuals(none))  # type: ignore[operator]


@pytest.mark.parametrize("space", SPACES, ids=repr)
def test_rows_do_not_see_one_another(space: Any) -> None:
    both = torch.stack([table(space), table(space, seed=1)])
    tables, places = begun(space, both)
    together = descended(tables, places, 20, 1e-3)
    assert bool((together.loss <= places.loss).all())
    for k in range(len(places.table)):
        alone = descended(tables, rows(places, torch.tensor([k])), 20, 1e-3)
        assert int(alone.steps) == int(together.steps[k]) and bool(alone.rests) == bool(together.rests[k])
        torch.testing.assert_close(alone.loss[0], together.loss[k], rtol=1e-6, atol=1e-12)  # roundings of sums in other orders
    kept = together.best(2)
    assert kept.table.tolist() == [0, 1, 0, 1]
    for k in range(2):
        least = together.loss[together.table == k].sort().values[:2]
        torch.testing.assert_close(kept.loss[kept.table == k], least)


def test_scales_stay_within_bounds() -> None:
    star = 2 - 2 * torch.eye(12, dtype=torch.float64)  # of a tree, which curvature without bound fits ever better
    star[0], star[:, 0] = 1.0, 1.0
    star[0, 0] = 0.0
    tables, places = begun(Hyperbolic(2), star[None])
    found = descended(tables, places, 200, 1e-6)
    assert bool(torch.isfinite(found.points).all()) and float(found.loss.amin().sqrt()) < 0.05
    assert 1 / 51 < float(found.scales.exp().amin() / tables.reach) <= 1


def test_points_that_are_stuck_are_put_elsewhere() -> None:
    space, generator = Torus(2), torch.Generator().manual_seed(0)
    z = space.random(20, generator=generator, dtype=torch.float64)
    d = space.dist(z[:, None].expand(-1, 20, -1), z.expand(20, 20, -1))
    tables, _ = begun(space, d[None], 1)
    true = -d[tables.factors.first, tables.factors.second].square().mean().sqrt().log().expand(1, 2)
    wrong = torch.cat([z[:1] + torch.pi, z[1:]])
    stuck = descended(tables, Places.at(tables, torch.tensor([0]), wrong[None], true), 200, 1e-3)
    moved = relocated(tables, stuck, generator)
    assert float(descended(tables, moved, 300, 1e-3).loss) < 1e-6 < 1e-3 < float(stuck.loss)
    still = Places.at(tables, torch.tensor([0]), z[None], true)  # nothing is better than right
    assert float(relocated(tables, still, generator).loss) == torch.inf
