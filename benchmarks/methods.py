"""What is compared: a method takes ends `(P, d)` and returns curves as a function of t in [0, 1]."""

from collections.abc import Callable
from dataclasses import dataclass
from importlib.util import find_spec

import torch
from torch import Tensor, nn

from egregium.geodesics import connect
from egregium.geodesics.solvers import LBFGS, Adam, GaussNewton, Georce, Solver, Spline
from egregium.spaces import Pullback
from egregium.status import Status, names

Curves = Callable[[Tensor], Tensor]


@dataclass(frozen=True)
class Answer:
    """Curves, `(K,) -> (P, K, d)`, and what the method says about itself."""

    curves: Curves
    remark: str


@dataclass(frozen=True)
class Method:
    """A name and a way to join ends `(P, d)` under a decoder."""

    name: str
    join: Callable[[nn.Module, Tensor, Tensor], Answer]


def ours(name: str, solver: Solver, rtol: float = 1e-3, straight: bool = False) -> Method:
    """`connect` with a solver, from its own starts or from the straight line alone."""

    def join(decoder: nn.Module, z0: Tensor, z1: Tensor) -> Answer:
        space, starts = Pullback(decoder, dim=z0.shape[-1]), torch.stack([z0, z1], 1) if straight else None
        g = connect(space, z0, z1, solver=solver, rtol=rtol, starts=starts, on_fail="mark")
        found = names(g.status)
        counts = ", ".join(f"{found.count(one.name)} {one.name}" for one in Status if one.name in found)
        return Answer(g, f"{counts}; {g.steps.float().mean():.0f} steps, {g.segments.float().mean():.0f} segments")

    return Method(name, join)


def stochman_default() -> Method:
    """stochman's `connecting_geodesic` with its defaults: a cubic spline, energy at 20 points, at most 150 steps of Adam."""
    from stochman.curves import CubicSpline
    from stochman.manifold import EmbeddedManifold

    class Decoded(EmbeddedManifold):
        def __init__(self, decoder: nn.Module) -> None:
            super().__init__()
            self.decoder = decoder

        def embed(self, points: Tensor, jacobian: bool = False) -> Tensor:
            return self.decoder(points.flatten(0, -2)).unflatten(0, points.shape[:-1])

    def join(decoder: nn.Module, z0: Tensor, z1: Tensor) -> Answer:
        curve, success = Decoded(decoder).connecting_geodesic(z0, z1)
        assert isinstance(curve, CubicSpline)
        curve.requires_grad_(False)
        return Answer(lambda t: curve(t).reshape(len(z0), len(t), -1), f"its own verdict: {'' if success else 'not '}converged")

    return Method("stochman 0.3.0", join)


def has_stochman() -> bool:
    """Whether the peer is installed."""
    return find_spec("stochman") is not None


DEFAULT = ours("GaussNewton (default)", GaussNewton())
OTHERS = [ours("LBFGS", LBFGS()), ours("Georce", Georce()), ours("Adam", Adam())]
PUBLISHED = ours("Spline, published settings", Spline(stop="batch"), straight=True)


def reference() -> Method:
    """Tight curves in double precision, only to know what is best."""

    def join(decoder: nn.Module, z0: Tensor, z1: Tensor) -> Answer:
        return ours("reference", GaussNewton(), rtol=1e-5).join(decoder, z0.double(), z1.double())

    return Method("reference (float64, rtol 1e-5)", join)


def lengths(decoder: nn.Module, curves: Curves, dtype: torch.dtype, segments: int = 1000) -> Tensor:
    """The one evaluator: chord sums `(P,)` of decoded points at uniform t, by a float64 copy of the decoder."""
    z = curves(torch.linspace(0, 1, segments + 1, dtype=dtype)).double()
    with torch.no_grad():
        rows = [decoder(one).diff(dim=0).norm(dim=-1).sum() for one in z]
    return torch.stack(rows)
