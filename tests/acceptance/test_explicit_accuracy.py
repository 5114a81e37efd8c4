"""Issue 4, acceptance 1: explicit spaces against 200 digits, for inputs as they are stored."""

import math
from dataclasses import dataclass
from itertools import product
from typing import Any

import pytest
import torch
from tests.acceptance import high_precision as truth
from torch import Tensor

from egregium.spaces import ConstantCurvature, Euclidean, Explicit, Hyperbolic, Product, Scaled, Sphere, Torus

CURVATURES = (-2.0, -0.3, 0.0, 0.7, 3.0)
DIMENSIONS = (1, 2, 5, 50)
DISTANCES = (1e-6, 1e-3, 0.1, 1.0, 3.0, 10.0, 30.0)
FAR = (0.0, 1e-6, 1.0, 10.0, 30.0)  # of base points from the origin
LINES = {torch.float64: 1e-13, torch.float32: 5e-7}


@dataclass(frozen=True)
class Case:
    """A space with its distance in many digits; points are `reach` from the origin at most, distances less than `most`."""

    space: Explicit
    exact: truth.Distance
    reach: float = math.inf
    most: float = math.inf

    def __repr__(self) -> str:
        return repr(self.space)


def _space_forms(n: int) -> list[Case]:
    cases = [Case(Euclidean(n), truth.euclidean), Case(Torus(n, 1.5), truth.torus([1.5] * n), most=1.5 * math.pi)]
    for kappa in CURVATURES:
        if kappa > 0:
            cut = math.pi / kappa**0.5
            cases.append(Case(Sphere(n, kappa), truth.sphere(kappa), most=cut - 1e-6))
            cases.append(Case(ConstantCurvature(n, kappa), truth.normal_coordinates(kappa), cut / 2, cut / 2))
        else:
            kind = Hyperbolic(n, kappa) if kappa < 0 else ConstantCurvature(n, 0.0)
            cases.append(Case(kind, truth.normal_coordinates(kappa)))
        learned = ConstantCurvature(n, torch.tensor(kappa, dtype=torch.float64))
        cut = math.pi / kappa**0.5 / 2 if kappa > 0 else math.inf
        cases.append(Case(learned, truth.normal_coordinates(kappa), cut, cut))
    return cases


def _products() -> list[Case]:
    two = truth.product([(truth.sphere(0.7), 3), (truth.normal_coordinates(-2.0), 2), (truth.torus([1.0]), 1)])
    nested = truth.product([(two, 6), (lambda x, y: 2 * truth.normal_coordinates(-0.3)(x, y), 5)])
    space = Product(Sphere(2, 0.7), Hyperbolic(2, -2.0), Torus(1))
    return [Case(space, two, most=3.0), Case(Product(space, Scaled(Hyperbolic(5, -0.3), 2.0)), nested, most=3.0)]


def _marked(cases: list[Case], quick: tuple[int, ...]) -> list[Any]:
    """Cases of other dimensions than the quick ones are for `make test-slow`."""
    return [case if case.space.dim in quick or isinstance(case.space, Product) else pytest.param(case, marks=pytest.mark.slow)
            for case in cases]  # fmt: skip


CASES = _marked([case for n in DIMENSIONS for case in _space_forms(n)] + _products(), quick=(2, 50))


def ends(case: Case, dtype: torch.dtype, seed: int = 0) -> tuple[Tensor, Tensor]:
    """Pairs of points as stored.

    Base points lie anywhere, and on the first axis, where far points may be very near each other across it.
    """
    generator = torch.Generator().manual_seed(seed)
    space, rows = case.space, []
    placed = isinstance(space, (Sphere, Product))  # where random points are far enough
    far = [0.0] if placed else [r for r in (*FAR, 0.9 * case.reach) if r < min(case.reach, 100)]
    for radius, aim, axis in product(far, [*(d for d in DISTANCES if d < case.most), min(case.most, 30.0)], (False, True)):
        z = space.random(1, generator=generator, dtype=torch.float64)
        if axis:
            z = torch.zeros_like(z).index_fill(1, torch.tensor([0]), 1.0)
        z = z if placed else radius * z / z.norm()
        v = (space.frame(z) @ torch.randn(1, space.dim, 1, generator=generator, dtype=torch.float64))[..., 0]
        rows.append(torch.cat([z, space.exp(z, aim * v / space.norm(z, v)[:, None])]).to(dtype))
    z0, z1 = torch.stack(rows, 1).unbind()
    return z0, z1


def relative_errors(case: Case, dtype: torch.dtype) -> Tensor:
    z0, z1 = ends(case, dtype)
    exact = [case.exact(truth.stored(a), truth.stored(b)) for a, b in zip(z0, z1, strict=True)]
    found = case.space.dist(z0, z1).double().tolist()
    return torch.tensor([float(abs(truth.mpf(d) - e) / e) if e > 0 else float(d) for d, e in zip(found, exact, strict=True)])


@pytest.mark.parametrize("dtype", LINES, ids=str)
@pytest.mark.parametrize("case", CASES, ids=repr)
def test_distances(case: Case, dtype: torch.dtype) -> None:
    errors = relative_errors(case, dtype)
    print(f"\nacceptance 1: {case!r:60} {dtype}: largest relative error {errors.max():.1e} of {len(errors)}")
    assert errors.max() <= LINES[dtype]


def off(found: Tensor, exact: list[list[Any]]) -> float:
    """Largest difference of coordinates, relative to the largest coordinate of each row: what storing them allows is eps / 2.

    Coordinates below 1e-80 are what is left of zero by 200 digits.
    """
    rows = zip(found.double().tolist(), exact, strict=True)
    sizes = [(max(abs(truth.mpf(a) - b) for a, b in zip(*row, strict=True)), max(1e-80, *map(abs, row[1]))) for row in rows]
    return max(float(error / size) for error, size in sizes)


MODELS = _marked(
    [
        *(
            Case(Sphere(n, kappa), truth.sphere(kappa), most=math.pi / kappa**0.5 - 1e-6)
            for n in (1, 2, 5)
            for kappa in (0.7, 3.0)
        ),
        *(Case(Hyperbolic(n, kappa), truth.normal_coordinates(kappa)) for n in (1, 2, 5) for kappa in (-2.0, -0.3)),
        *(Case(ConstantCurvature(n, 0.7), truth.normal_coordinates(0.7), 1.8, 1.8) for n in (2, 5)),
    ],
    quick=(2,),
)


@pytest.mark.parametrize("dtype", LINES, ids=str)
@pytest.mark.parametrize("case", MODELS, ids=repr)
def test_exp_log_and_transport(case: Case, dtype: torch.dtype) -> None:
    space, (z0, z1) = case.space, ends(case, dtype)
    model = truth.Model(float(space.curvature), normal=not isinstance(space, Sphere))  # type: ignore[attr-defined]
    generator = torch.Generator().manual_seed(1)
    v = (space.frame(z0) @ torch.randn(len(z0), space.dim, 1, generator=generator, dtype=torch.float64).to(dtype))[..., 0]
    distinct = (z0 != z1).any(-1)
    z0, z1, v = z0[distinct], z1[distinct], v[distinct]
    way = space.log(z0, z1)
    rows = [[truth.stored(part) for part in row] for row in zip(z0, z1, v, way, strict=True)]
    errors = {
        "log": off(way, [model.log(a, b) for a, b, _, _ in rows]),
        "exp": off(space.exp(z0, way), [model.exp(a, w) for a, _, _, w in rows]),
        "transport": off(space.transport(z0, z1, v), [model.transport(a, b, u) for a, b, u, _ in rows]),
    }
    print(f"\nacceptance 1: {case!r:40} {dtype}: {', '.join(f'{name} {error:.1e}' for name, error in errors.items())}")
    assert max(errors["log"], errors["exp"]) <= LINES[dtype]
    assert errors["transport"] <= 10 * LINES[dtype]  # a turn may leave little of a vector's coordinates


@pytest.mark.parametrize("dtype", LINES, ids=str)
@pytest.mark.parametrize("case", MODELS, ids=repr)
def test_gradients(case: Case, dtype: torch.dtype) -> None:
    z0, z1 = ends(case, dtype)
    distinct = (z0 != z1).any(-1)
    z0, z1 = z0[distinct].requires_grad_(), z1[distinct]
    (found,) = torch.autograd.grad(case.space.dist(z0, z1).sum(), z0)
    error = off(found, [truth.gradient(case.exact, truth.stored(a), truth.stored(b)) for a, b in zip(z0, z1, strict=True)])
    print(f"\nacceptance 1: {case!r:40} {dtype}: gradient {error:.1e}")
    assert error <= LINES[dtype]
