"""What is compared: a method takes ends `(P, d)` and returns curves as a function of t in [0, 1]."""

from collections.abc import Callable
from dataclasses import dataclass
from importlib.util import find_spec

import torch
from torch import Tensor, nn

from egregium.geodesics import connect
from egregium.geodesics.geodesic import Geodesic
from egregium.geodesics.problem import Problem
from egregium.geodesics.solvers import LBFGS, Adam, GaussNewton, Georce, Solver, Spline
from egregium.geodesics.solvers.descent import Backtracking
from egregium.geodesics.solvers.georce import sweep
from egregium.numerics.splines import resampled
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
    """A name and a way to join ends `(P, d)` under a decoder; one that takes hours is run once, its arithmetic not counted."""

    name: str
    join: Callable[[nn.Module, Tensor, Tensor], Answer]
    hours: bool = False


def ours(name: str, solver: Solver | None = None, rtol: float = 1e-3, straight: bool = False) -> Method:
    """`connect` with a solver (None: the default), from its own starts or from the straight line alone."""

    def join(decoder: nn.Module, z0: Tensor, z1: Tensor) -> Answer:
        space, starts = Pullback(decoder, dim=z0.shape[-1]), torch.stack([z0, z1], 1) if straight else None
        return said(connect(space, z0, z1, solver=solver, rtol=rtol, starts=starts, on_fail="mark"))

    return Method(name, join)


def said(g: Geodesic) -> Answer:
    """Curves that `connect` found, with the statuses that it gave them."""
    found = names(g.status)
    counts = ", ".join(f"{found.count(one.name)} {one.name}" for one in Status if one.name in found)
    return Answer(g, f"{counts}; {g.steps.float().mean():.0f} steps, {g.segments.float().mean():.0f} segments")


def through(vertices: Tensor, remark: str) -> Answer:
    """Curves in straight pieces through latent nodes `(P, T + 1, d)`."""
    even = torch.linspace(0, 1, vertices.shape[1], dtype=vertices.dtype, device=vertices.device).expand(len(vertices), -1)
    return Answer(lambda t: resampled(vertices, even, len(t) - 1), remark)


def georce_as_published(segments: int = 100, tolerance: float = 1e-4, most: int = 1000) -> Method:
    """Georce with the stop of its paper, the gradient's norm at 1e-4, on 100 segments from the straight line.

    That stop is absolute: on a decoder of pixels it can hold at the start. The output is therefore scaled, for all pairs alike,
    so that the norm at the start is 1 on average. A pair whose line search fails is finished as well.
    """

    def join(decoder: nn.Module, z0: Tensor, z1: Tensor) -> Answer:
        with torch.no_grad():
            space = Pullback(decoder, dim=z0.shape[-1])
            z0, z1 = space.prepare(z0, z1)
            problem = Problem.between(space.economical(), z0, z1)
            vertices = problem.straight(segments)
            now = problem.evaluate(vertices)
            unit = now.gradient.flatten(1).norm(dim=-1).mean()
            active, steps = torch.ones_like(now.energy, dtype=torch.bool), 0
            while active.any() and steps < most:
                rows, steps = active.nonzero().flatten(), steps + 1
                part, here = problem[rows], now[rows]
                metrics = torch.cat([space.metric(part.z0)[:, None], space.metric(vertices[rows])], 1)
                direction = sweep(here.gradient, torch.linalg.inv_ex(metrics)[0])
                slope = (here.gradient * direction).sum((-2, -1)).double()
                moved, after, went = Backtracking(0.5, 0.0).along(part, vertices[rows], here, direction, slope)
                vertices, now = vertices.index_copy(0, rows, moved), now.updated(rows, after)
                active[rows] = went & (after.gradient.flatten(1).norm(dim=-1) > tolerance * unit)
        return through(problem.nodes(vertices), f"{steps} steps at most, {segments} segments")

    return Method("Georce, as published", join)


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


DEFAULT = ours("egregium")
LOOSE = [ours("egregium, rtol 1e-2", rtol=1e-2), ours("egregium, rtol 3e-2", rtol=3e-2)]
OTHERS = [ours("LBFGS", LBFGS()), ours("Georce", Georce()), georce_as_published(), ours("Adam", Adam())]


def published(batch: int) -> Method:
    """The spline as published: from the straight line, `batch` pairs (10 or 20) optimised and stopped together."""
    one = ours(f"Spline, as published, batches of {batch}", Spline(stop="batch"), straight=True)

    def join(decoder: nn.Module, z0: Tensor, z1: Tensor) -> Answer:
        answers = [one.join(decoder, *ends) for ends in zip(z0.split(batch), z1.split(batch), strict=True)]
        remarks = dict.fromkeys(answer.remark for answer in answers)
        return Answer(lambda t: torch.cat([answer.curves(t) for answer in answers]), " | ".join(remarks))

    return Method(one.name, join, hours=True)


def reference() -> Method:
    """Tight curves in double precision, only to know what is best."""

    def join(decoder: nn.Module, z0: Tensor, z1: Tensor) -> Answer:
        return ours("reference", GaussNewton(), rtol=1e-5).join(decoder, z0.double(), z1.double())

    return Method("reference (float64, rtol 1e-5)", join)
