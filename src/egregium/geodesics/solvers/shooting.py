"""Shooting: geodesics followed from one end by their equation, turned until they arrive at the other."""

from dataclasses import dataclass

import torch
from torch import Tensor

from egregium.geodesics.closing import FINER, close
from egregium.geodesics.curve import Curve
from egregium.geodesics.problem import Problem
from egregium.geodesics.second_order import SecondOrder
from egregium.geodesics.shooting import shoot
from egregium.geodesics.solvers.base import Solution, Termination
from egregium.numerics.derivatives import jvp
from egregium.numerics.rounding import reachable
from egregium.status import Status

ROUGH = 1e-3
EACH = 3  # steps of Newton's method towards one goal
BOUND = 50  # steps of the integrator for one shot
LEAST = 1 / 64
KNOTS = 64  # of the cubics through the geodesic
STRAYING = 0.5  # of a velocity: what differs by more from what was foreseen is another geodesic


@dataclass(frozen=True)
class Shooting:
    """Newton's method on the exponential map, the goal moved along the curve it is given; batched over pairs.

    A second way to connect, which finds curves without the discrete energy: to check results by, or to continue the curves of
    other solvers. What it gives are nodes of the geodesic itself, at equal distances, not the least energy of so many segments.
    Each pair tries the end itself first, and where that fails comes nearer by halves, quarters, .. of the curve's parameter.
    Pairs whose next goal is not reached within a 64th, as behind conjugate points, are STALLED where they began.

    Cost: `12 (7 + 2 d)` decoder calls a step of the integrator for each of one or two shots a step, and one rough integration
    with Jacobi fields: 40 times as much as the default on a sphere, hundreds of times on folded decoders, where goals are
    often missed. The number of segments hardly matters.

    Args:
        segments: numbers of segments, coarse to fine; None: chosen from the tolerance.
        max_steps: of Newton's method, at each number of segments; two more may be made.

    References: Keller 1968, Numerical methods for two-point boundary-value problems; continuation: Allgower and Georg 1990.
    """

    segments: tuple[int, ...] | None = None
    max_steps: int = 100

    def minimise(
        self, problem: Problem, vertices: Tensor, termination: Termination, model: SecondOrder | None = None
    ) -> Solution:
        rtol, segments = reachable(termination.tolerance, vertices.dtype), vertices.shape[1] + 1
        start = problem.evaluate(vertices)
        status = torch.full((len(problem),), int(Status.NONFINITE), dtype=torch.int8, device=vertices.device)
        steps = torch.zeros_like(status, dtype=torch.int32)
        rows = (torch.isfinite(start.energy) & (start.energy > 0)).nonzero().flatten()
        part, moved = problem[rows], vertices.clone()
        velocity, ok, steps[rows] = _continued(part, part.nodes(vertices[rows]), rtol, termination.max_steps)
        nodes, even = _followed(part[ok], velocity[ok], rtol, segments)
        arrived = rows[ok][even]
        moved[arrived] = nodes[even]
        status[rows] = torch.where(steps[rows] < termination.max_steps, int(Status.STALLED), int(Status.MAX_STEPS)).to(status)
        status[arrived] = int(Status.CONVERGED)
        now = problem.evaluate(moved)
        return Solution(moved, now.x, now.energy, steps, status)


def _continued(problem: Problem, nodes: Tensor, rtol: float, max_steps: int) -> tuple[Tensor, Tensor, Tensor]:
    """Velocities `(P, d)` that reach the ends, whether they do, and steps; the goals lie on the curves `(P, T + 1, d)`."""
    velocity, ok = torch.zeros_like(problem.z0), torch.zeros(len(problem), dtype=torch.bool, device=nodes.device)
    steps = torch.zeros(len(problem), dtype=torch.int32, device=nodes.device)
    behind, stride = torch.zeros_like(problem.z0[:, 0]), torch.ones_like(problem.z0[:, 0])
    rows = torch.arange(len(problem), device=nodes.device)
    length = problem.evaluate(nodes[:, 1:-1]).energy.sqrt().to(nodes)
    outward = nodes[:, 1] - nodes[:, 0]
    outward = outward * (length / _size(problem, outward))[:, None]
    while len(rows):
        ahead = (behind[rows] + stride[rows]).clamp_max(1)
        longer = velocity[rows] * (ahead / behind[rows].clamp_min(LEAST))[:, None]
        guess = torch.where((behind[rows] > 0)[:, None], longer, outward[rows] * ahead[:, None])
        for last in (False, True):
            some = ((ahead == 1) == last).nonzero().flatten()
            at = rows[some]
            goal = _along(nodes[at], ahead[some])
            found = close(
                problem.immerse, problem.z0[at], goal, guess[some], rtol if last else max(ROUGH, rtol),
                rounds=min(EACH, max_steps), max_steps=BOUND,
            )  # fmt: skip
            change = _size(problem[at], found.velocity - guess[some])
            reached = found.ok & (change <= STRAYING * _size(problem[at], guess[some]))
            steps[at] += found.steps.clamp_min(1)
            stride[at] = torch.where(reached, 2.0, 0.5) * (ahead[some] - behind[at])
            velocity[at[reached]], behind[at[reached]] = found.velocity[reached], ahead[some[reached]]
            ok[at[reached]] |= last
        rows = rows[~ok[rows] & (stride[rows] >= LEAST) & (steps[rows] < max_steps)]
    return velocity, ok, steps


def _size(problem: Problem, v: Tensor) -> Tensor:
    """Metric norms `(P,)` of tangent vectors at z0."""
    return torch.linalg.vector_norm(jvp(problem.immerse, problem.z0, v)[1], dim=-1) if len(v) else v[:, 0]


def _along(nodes: Tensor, t: Tensor) -> Tensor:
    """Points `(P, d)` of polygons `(P, T + 1, d)` at parameters t `(P,)`."""
    place = t * (nodes.shape[1] - 1)
    before = place.floor().long().clamp_max(nodes.shape[1] - 2)
    rows = torch.arange(len(nodes), device=nodes.device)
    return torch.lerp(nodes[rows, before], nodes[rows, before + 1], (place - before)[:, None])


def _followed(problem: Problem, velocity: Tensor, rtol: float, segments: int) -> tuple[Tensor, Tensor]:
    """Inner nodes `(P, T - 1, d)` of the geodesics, what they still miss by shared out along them; whether their speed is even.

    It is not where they cross a kink, at which geodesics are refracted: the equation does not know it.
    """
    if not len(problem):
        return problem.straight(segments), torch.zeros(0, dtype=torch.bool, device=velocity.device)
    knots, rows = min(segments, KNOTS), len(problem)
    shot = shoot(problem.immerse, problem.z0, velocity, FINER * rtol, segments=knots)
    sound = torch.isfinite(shot.end).all(-1)
    z, v = (torch.where(sound[:, None, None], part, 0).flatten(0, 1) for part in (shot.nodes, shot.velocities))
    speed = torch.linalg.vector_norm(jvp(problem.immerse, z, v)[1], dim=-1).unflatten(0, (rows, knots + 1))
    even = sound & ((speed / speed[:, :1] - 1).abs().amax(-1) <= 2 * rtol)
    t, at = (torch.linspace(0, 1, n + 1, dtype=velocity.dtype, device=velocity.device) for n in (segments, knots))
    nodes = Curve(at.expand(rows, -1), shot.nodes, shot.velocities).at(t.expand(rows, -1))[0]
    return (nodes + t[:, None] * (problem.z1 - shot.end)[:, None])[:, 1:-1], even
