r"""Geodesics from a point and a velocity, with all that is carried along them: frames in parallel, and Jacobi fields.

Everything follows from the decoder's first two derivatives, `J = Q R` and `f''`:

- geodesics, `z'' = -J^+ f''(z', z')`;
- parallel frames E, `E' = -J^+ f''(z', E)`;
- Jacobi fields in them, `y'' = -K y`, by the Gauss equation
  `K_ij = <II(e_i, e_j), II(z', z')> - <II(e_i, z'), II(e_j, z')>`, II the part of `f''` normal to the tangent space.

`J^+` comes from the QR, never from `J^T J`. Errors are judged by the lengths that the metric gives them, so that steps do not
depend on the latent coordinates. References: do Carmo 1992, Riemannian Geometry, chapters 3 and 5.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from egregium.numerics.derivatives import Map, jacobian, jacobian_and_acceleration, jacobian_and_bends, jacobian_and_hessian
from egregium.numerics.ode import integrate
from egregium.protocols import ImmersedSpace

MAX_STEPS = 1000


@dataclass(frozen=True)
class Shot:
    """P geodesics at uniform times: `nodes`, `velocities` `(P, K + 1, d)`, NaN beyond a failure; `steps`, `status` `(P,)`."""

    nodes: Tensor
    velocities: Tensor
    steps: Tensor
    status: Tensor

    @property
    def end(self) -> Tensor:
        """Where they arrive, `(P, d)`."""
        return self.nodes[:, -1]


@dataclass(frozen=True)
class Spread(Shot):
    """With frames `(P, K + 1, d, d)` carried in parallel, orthonormal vectors in columns, and Jacobi fields in them.

    `fields` and `slopes` `(P, K + 1, d, 2 d)` are coefficients of the fields, one a column, and of their covariant
    derivatives: the first d start as the vectors of the frame and at rest, the others at zero with these as derivatives.
    """

    frames: Tensor
    fields: Tensor
    slopes: Tensor


def shoot(space: ImmersedSpace, z: Tensor, v: Tensor, rtol: float, *, segments: int = 1, max_steps: int = MAX_STEPS) -> Shot:
    """Geodesics from points z with velocities v, both `(P, d)` and prepared, for times 0 to 1.

    `rtol` bounds what one step errs by, relative to the length. Cost: `12 (7 + 2 d)` decoder calls a step, some 20 steps
    for a relative error of 1e-6 on folded decoders.
    """
    equation = _Geodesics(space.immerse, z.shape[-1])
    flow = integrate(
        equation.slope, torch.cat([z, v], -1), equation.size, rtol=_reachable(rtol, z), segments=segments, max_steps=max_steps
    )
    nodes, velocities = equation.parts(flow.states)
    return Shot(nodes, velocities, flow.steps, flow.status)


def spread(space: ImmersedSpace, z: Tensor, v: Tensor, rtol: float, *, segments: int = 1, max_steps: int = MAX_STEPS) -> Spread:
    """As `shoot`, with parallel frames and Jacobi fields. Cost: `12 (12 + 8 d)` decoder calls a step."""
    p, d = z.shape
    r = torch.linalg.qr(jacobian(space.immerse, z), mode="r").R
    one = torch.eye(d, dtype=z.dtype, device=z.device).expand(p, d, d)
    frame = torch.linalg.solve_triangular(r, one, upper=True)
    resting = torch.cat([one, torch.zeros_like(one)], -1)
    moving = torch.cat([torch.zeros_like(one), one], -1)
    equation = _Spreading(space.immerse, d)
    start = torch.cat([z, v, frame.flatten(1), resting.flatten(1), moving.flatten(1)], -1)
    flow = integrate(equation.slope, start, equation.size, rtol=_reachable(rtol, z), segments=segments, max_steps=max_steps)
    nodes, velocities, frames, fields, slopes = equation.parts(flow.states)
    return Spread(nodes, velocities, flow.steps, flow.status, frames, fields, slopes)


@dataclass(frozen=True)
class _Geodesics:
    """The geodesic equation for states `(z, z')`."""

    immerse: Map
    d: int

    def parts(self, states: Tensor) -> tuple[Tensor, ...]:
        return states[..., : self.d], states[..., self.d : 2 * self.d]

    def slope(self, state: Tensor) -> Tensor:
        """Derivative of the state; NaN where the decoder is not finite."""
        sound = torch.isfinite(state).all(-1)
        z, v = self.parts(torch.where(sound[:, None], state, 0))
        block, bend = jacobian_and_acceleration(self.immerse, z, v)
        sound &= torch.isfinite(block).all((-1, -2)) & torch.isfinite(bend).all(-1)
        q, r = torch.linalg.qr(_regular(block, sound))
        force = torch.linalg.solve_triangular(r, q.mT @ bend[..., None], upper=True)[..., 0]
        return torch.where(sound[:, None], torch.cat([v, -force], -1), torch.nan)

    def size(self, state: Tensor, errors: Tensor) -> Tensor:
        """Metric size of errors in position and velocity, relative to the speed, which is the length that time 1 covers."""
        block = jacobian(self.immerse, self.parts(state)[0])
        speed = torch.linalg.vector_norm((block @ self.parts(state)[1][..., None])[..., 0], dim=-1)
        shift, turn = (torch.linalg.vector_norm(torch.einsum("nad,knd->kna", block, e), dim=-1) for e in self.parts(errors))
        return torch.where(speed > 0, torch.hypot(shift, turn) / speed, 0.0)


@dataclass(frozen=True)
class _Spreading(_Geodesics):
    """The geodesic equation with parallel frames and Jacobi fields: states `(z, z', E, y, y')`."""

    def parts(self, states: Tensor) -> tuple[Tensor, ...]:
        d = self.d
        z, v, frame, fields, slopes = states.split([d, d, d * d, 2 * d * d, 2 * d * d], -1)
        shaped = frame.unflatten(-1, (d, d)), fields.unflatten(-1, (d, 2 * d)), slopes.unflatten(-1, (d, 2 * d))
        return z, v, *shaped

    def slope(self, state: Tensor) -> Tensor:
        sound = torch.isfinite(state).all(-1)
        z, v, frame, fields, slopes = self.parts(torch.where(sound[:, None], state, 0))
        block, bends = jacobian_and_bends(self.immerse, z, v)
        sound &= torch.isfinite(block).all((-1, -2)) & torch.isfinite(bends).all((-1, -2))
        q, r = torch.linalg.qr(_regular(block, sound))
        along = torch.cat([v[..., None], frame], -1)
        force = torch.linalg.solve_triangular(r, q.mT @ bends @ along, upper=True)
        normal = bends - q @ (q.mT @ bends)
        hessian = jacobian_and_hessian(self.immerse, z, (normal @ v[..., None])[..., 0])[1]
        mixed = normal @ frame
        operator = frame.mT @ hessian @ frame - mixed.mT @ mixed
        parts = v, -force[..., 0], -force[..., 1:].flatten(1), slopes.flatten(1), -(operator @ fields).flatten(1)
        return torch.where(sound[:, None], torch.cat(parts, -1), torch.nan)

    def size(self, state: Tensor, errors: Tensor) -> Tensor:
        """The largest of the errors in geodesic, frame and fields, where the frame has size 1 and fields are relative."""
        base = _Geodesics(self.immerse, self.d).size(state[:, : 2 * self.d], errors[..., : 2 * self.d])
        block = jacobian(self.immerse, self.parts(state)[0])
        _, _, frame, fields, slopes = self.parts(errors)
        turned = torch.linalg.vector_norm(torch.einsum("nad,knde->knae", block, frame), dim=(-2, -1))
        scale = 1 + torch.linalg.vector_norm(state[:, -4 * self.d**2 :], dim=-1)
        wrong = torch.linalg.vector_norm(torch.cat([fields, slopes], -2), dim=(-2, -1)) / scale
        return torch.maximum(base, torch.maximum(turned, wrong))


def _reachable(rtol: float, z: Tensor) -> float:
    """Smaller errors than rounding makes would never be met."""
    return max(rtol, 4 * torch.finfo(z.dtype).eps)


def _regular(block: Tensor, sound: Tensor) -> Tensor:
    """Jacobians with those of rows that are not sound replaced by the identity, so that they can be factored."""
    return torch.where(sound[:, None, None], block, torch.eye(*block.shape[1:], dtype=block.dtype, device=block.device))
