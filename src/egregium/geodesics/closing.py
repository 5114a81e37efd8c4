"""Initial velocities refined until the geodesics that they send out arrive: Newton's method on the exponential map."""

from dataclasses import dataclass

import torch
from torch import Tensor

from egregium.geodesics.shooting import MAX_STEPS, Shot, Spread, shoot, spread
from egregium.numerics.derivatives import Map, jacobian, jvp

ROUNDS = 16
ROUGH = 1e-4
FINER = 0.05  # of the tolerance asked for: that of one step of a shot


@dataclass(frozen=True)
class Closed:
    """Initial velocities `(P, d)`, by how much of the length their geodesics `miss` the goal `(P,)`, which are `ok`, and how
    many steps of Newton's method were tried `(P,)`."""

    velocity: Tensor
    miss: Tensor
    ok: Tensor
    steps: Tensor


def close(
    immerse: Map, z0: Tensor, z1: Tensor, velocity: Tensor, rtol: float, *, rounds: int = ROUNDS, max_steps: int = MAX_STEPS
) -> Closed:
    """Refine `velocity` `(P, d)` at `z0` until the decoded end of its geodesic misses `z1` by at most `rtol` of its length.

    Newton's method, with the differential of the exponential map from Jacobi fields, to ROUGH only: each step then gains three
    digits. Steps that lead further away are halved. Velocities outside its basin, near conjugate points say, are not ok and
    stay at their best. Equal points need none. `max_steps` are those of one shot. Cost: a shot, and a rough `spread` and a
    shot a step; velocities good to 1e-3 take one or two.
    """
    steps = torch.zeros(len(z0), dtype=torch.int32, device=z0.device)
    if not len(z0):
        none = velocity[:, 0]
        return Closed(velocity, none, none > 0, steps)
    length, goal = torch.linalg.vector_norm(jvp(immerse, z0, velocity)[1], dim=-1), immerse(z1)
    best, step = velocity.clone(), torch.zeros_like(velocity)
    first, short = _short(immerse, z0, goal, shoot(immerse, z0, velocity, FINER * rtol, max_steps=max_steps))
    miss = torch.where(length > 0, first / length, torch.where(first > 0, torch.inf, first))
    rows = fresh = (miss > rtol).nonzero().flatten()
    for _ in range(rounds):
        if len(fresh):
            fields = spread(immerse, z0[fresh], best[fresh], max(FINER * rtol, ROUGH))
            step[fresh] = _correction(immerse, fields, short[fresh])
        rows = rows[torch.isfinite(step[rows]).all(-1)]
        if not len(rows):
            break
        shot = shoot(immerse, z0[rows], best[rows] + step[rows], FINER * rtol, max_steps=max_steps)
        distance, missing = _short(immerse, z0[rows], goal[rows], shot)
        steps[rows] += 1
        now = distance / length[rows]
        nearer = now < miss[rows]
        fresh, further = rows[nearer], rows[~nearer]
        best[fresh] += step[fresh]
        miss[fresh], short[fresh] = now[nearer], missing[nearer]
        step[further] *= 0.5
        fresh = fresh[miss[fresh] > rtol]
        rows = rows[miss[rows] > rtol]
    return Closed(best, miss, miss <= rtol, steps)


def _short(immerse: Map, z0: Tensor, goal: Tensor, shot: Shot) -> tuple[Tensor, Tensor]:
    """By how much, and by which ambient vector, shots end short of the goal `(P, A)`; infinitely where they do not arrive."""
    arrived = torch.isfinite(shot.end).all(-1)
    short = goal - immerse(torch.where(arrived[:, None], shot.end, z0))
    return torch.linalg.vector_norm(short, dim=-1).masked_fill(~arrived, torch.inf), short


def _correction(immerse: Map, shot: Spread, short: Tensor) -> Tensor:
    """The change of initial velocities that makes up, to first order, for what the ends are `short` by in ambient space."""
    d = shot.end.shape[-1]
    wanted = (jacobian(immerse, shot.end) @ shot.frames[:, -1]).mT @ short[..., None]
    differential = shot.fields[:, -1, :, d:]
    solved, info = torch.linalg.solve_ex(differential, wanted)
    step = (shot.frames[:, 0] @ solved)[..., 0]
    return torch.where((info == 0)[:, None], step, torch.nan)
