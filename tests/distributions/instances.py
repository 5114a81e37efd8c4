"""One of each density, over spaces, dimensions, curvatures and batch shapes: what the laws are tested on."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from egregium.distributions import PowerSpherical, RiemannianNormal, Uniform, VonMises, VonMisesFisher, WrappedNormal
from egregium.spaces import ConstantCurvature, Euclidean, Explicit, Hyperbolic, Product, Scaled, Sphere, Torus


@dataclass(frozen=True)
class Instance:
    """A density as a function of its parameters, float64."""

    name: str
    space: Explicit
    make: Callable[..., Any]
    parameters: dict[str, Tensor]

    def __call__(self, **changed: Tensor) -> Any:
        return self.make(self.space, **{**self.parameters, **changed})

    def __repr__(self) -> str:
        return self.name


def points(space: Explicit, *batch: int, seed: int = 0) -> Tensor:
    return space.random(*batch, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def _of(kind: Callable[..., Any], space: Explicit, name: str, number: Any, *batch: int, loc: Tensor | None = None) -> Instance:
    loc = points(space, *batch) if loc is None else loc
    value = torch.as_tensor(number, dtype=torch.float64)
    width = f"{kind.__name__} {space} {name} {list(value.shape) if value.ndim else number}"  # type: ignore[attr-defined]
    return Instance(f"{width} batch {tuple(loc.shape[:-1])}", space, kind, {"loc": loc, name: value})


def _antipole(n: int) -> Tensor:
    return torch.eye(n + 1, dtype=torch.float64)[0].neg()


MIXED = Product(Sphere(2, 0.5), Hyperbolic(2, -0.7), Torus(1, 0.8), Euclidean(1))
AXIAL = [
    _of(kind, space, "concentration", number, *batch, loc=loc)
    for kind in (VonMisesFisher, PowerSpherical)
    for space, number, batch, loc in (
        (Sphere(1), 1.5, (), None),
        (Sphere(2, 0.25), 2.0, (3,), None),
        (Sphere(2), 4.0, (), _antipole(2)),
        (Sphere(4, 2.0), [5.0, 0.5], (2,), None),
        (Sphere(9), 6.0, (), None),
        (Sphere(3), 0.0, (), None),
    )
]
WRAPPED = [
    _of(WrappedNormal, space, "scale", number, *batch, loc=loc)
    for space, number, batch, loc in (
        (Euclidean(3), [0.5, 1.0, 2.0], (2,), None),
        (Hyperbolic(2, -0.5), 0.8, (), None),
        (Product(Scaled(Hyperbolic(3), 2.0), Torus(1)), 0.8, (), None),
        (Hyperbolic(3), [0.3, 0.6, 1.0], (), torch.zeros(3, dtype=torch.float64)),
        (ConstantCurvature(2, torch.tensor(0.3, dtype=torch.float64)), [1.0, 2.0], (), 0.3 * torch.ones(2).double()),
        (Torus(2, [1.0, 0.5]), [0.4, 1.5], (3,), None),
        (Sphere(1), 2.0, (), None),
        (Sphere(2, 0.5), [0.7, 1.9], (), None),
        (Sphere(3), 1.2, (2,), None),
        (Scaled(Sphere(2), 1.5), 0.9, (), None),
        (MIXED, [0.6, 0.9, 0.5, 0.8, 1.0, 0.7], (2,), None),
    )
]
OTHERS = [
    _of(VonMises, Torus(2, [1.0, 2.0]), "concentration", [0.7, 5.0], 2),
    _of(VonMises, Torus(1), "concentration", 0.0),
    _of(RiemannianNormal, Hyperbolic(1), "scale", 0.7),
    _of(RiemannianNormal, Hyperbolic(2), "scale", 1.0, loc=torch.zeros(2, dtype=torch.float64)),
    _of(RiemannianNormal, Hyperbolic(3, -2.0), "scale", [0.4, 0.9], 2),
    Instance("Uniform", Product(Sphere(2, 0.5), Torus(1, 2.0)), Uniform, {}),
]
ALL = AXIAL + WRAPPED + OTHERS
