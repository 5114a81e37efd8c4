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

from egregium.numerics.derivatives import (
    Map,
    jacobian,
    jacobian_and_acceleration,
    jacobian_and_bends,
    jacobian_and_hessian,
    orthonormal_frame,
)
from egregium.numerics.ode import integrate

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
class Carried(Shot):
    """With `frames` `(P, K + 1, d, d)` carried in parallel, orthonormal vectors in columns."""

    frames: Tensor


@dataclass(frozen=True)
class Spread(Carried):
    """With Jacobi fields in the frames.

    `fields` and `slopes` `(P, K + 1, d, 2 d)` are coefficients of the fields, one a column, and of their covariant
    derivatives: the first d start as the vectors of the frame and at rest, the others at zero with these as derivatives.
    """

    fields: Tensor
    slopes: Tensor


def shoot(immerse: Map, z: Tensor, v: Tensor, rtol: float, *, segments: int = 1, max_steps: int = MAX_STEPS) -> Shot:
    """Geodesics from points z with velocities v, both `(P, d)` and prepared, for times 0 to 1.

    `rtol` bounds what one step errs by, relative to the length. Cost: `12 (7 + 2 d)` decoder calls a step, some 20 steps
    for a relative error of 1e-6 on folded decoders.
    """
    equation = _Geodesics(immerse, z.shape[-1])
    flow = integrate(
        equation.slope, torch.cat([z, v], -1), equation.size, rtol=_reachable(rtol, z), segments=segments, max_steps=max_steps
    )
    nodes, velocities = equation.parts(flow.states)
    return Shot(nodes, velocities, flow.steps, flow.status)


def carry(immerse: Map, z: Tensor, v: Tensor, rtol: float) -> Carried:
    """As `shoot`, with parallel frames. Cost: `12 (7 + 4 d)` decoder calls a step."""
    equation = _Carrying(immerse, z.shape[-1])
    start = torch.cat([z, v, equation.frame(z).flatten(1)], -1)
    flow = integrate(equation.slope, start, equation.size, rtol=_reachable(rtol, z))
    nodes, velocities, frames = equation.parts(flow.states)
    return Carried(nodes, velocities, flow.steps, flow.status, frames)


def spread(immerse: Map, z: Tensor, v: Tensor, rtol: float, *, segments: int = 1) -> Spread:
    """As `shoot`, with parallel frames and Jacobi fields. Cost: `12 (12 + 8 d)` decoder calls a step."""
    p, d = z.shape
    equation = _Spreading(immerse, d)
    one = torch.eye(d, dtype=z.dtype, device=z.device).expand(p, d, d)
    resting = torch.cat([one, torch.zeros_like(one)], -1)
    moving = torch.cat([torch.zeros_like(one), one], -1)
    start = torch.cat([z, v, equation.frame(z).flatten(1), resting.flatten(1), moving.flatten(1)], -1)
    flow = integrate(equation.slope, start, equation.size, rtol=_reachable(rtol, z), segments=segments)
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
        z, v = _Geodesics.parts(self, state)
        block = jacobian(self.immerse, z)
        speed = torch.linalg.vector_norm((block @ v[..., None])[..., 0], dim=-1)
        wrong = (torch.einsum("nad,knd->kna", block, e) for e in _Geodesics.parts(self, errors))
        shift, turn = (torch.linalg.vector_norm(e, dim=-1) for e in wrong)
        return torch.where(speed > 0, torch.hypot(shift, turn) / speed, 0.0)


@dataclass(frozen=True)
class _Carrying(_Geodesics):
    """The geodesic equation with parallel frames: states `(z, z', E)`."""

    def parts(self, states: Tensor) -> tuple[Tensor, ...]:
        z, v, frame = states.split([self.d, self.d, self.d**2], -1)
        return z, v, frame.unflatten(-1, (self.d, self.d))

    def frame(self, z: Tensor) -> Tensor:
        """The frames `(P, d, d)` to start with."""
        r = torch.linalg.qr(jacobian(self.immerse, z), mode="r").R
        return orthonormal_frame(r)

    def slope(self, state: Tensor) -> Tensor:
        sound = torch.isfinite(state).all(-1)
        z, v, frame = self.parts(torch.where(sound[:, None], state, 0))
        force, _, regular = self.forces(z, v, frame)
        parts = v, -force[..., 0], -force[..., 1:].flatten(1)
        return torch.where((sound & regular)[:, None], torch.cat(parts, -1), torch.nan)

    def forces(self, z: Tensor, v: Tensor, frame: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """`J^+ f''(z', .)` of `z'` and the frame `(P, d, 1 + d)`, the part of `f''(z', .)` normal to the tangent space
        `(P, A, d)`, and where they are finite `(P,)`."""
        block, bends = jacobian_and_bends(self.immerse, z, v)
        sound = torch.isfinite(block).all((-1, -2)) & torch.isfinite(bends).all((-1, -2))
        q, r = torch.linalg.qr(_regular(block, sound))
        along = torch.cat([v[..., None], frame], -1)
        return torch.linalg.solve_triangular(r, q.mT @ bends @ along, upper=True), bends - q @ (q.mT @ bends), sound

    def size(self, state: Tensor, errors: Tensor) -> Tensor:
        """The larger of the errors in geodesic and frame, where the frame has size 1."""
        d = self.d
        base = super().size(state, errors)
        block = jacobian(self.immerse, state[:, :d])
        turned = torch.einsum("nad,knde->knae", block, errors[..., 2 * d : 2 * d + d**2].unflatten(-1, (d, d)))
        return torch.maximum(base, torch.linalg.vector_norm(turned, dim=(-2, -1)))


@dataclass(frozen=True)
class _Spreading(_Carrying):
    """The geodesic equation with parallel frames and Jacobi fields: states `(z, z', E, y, y')`."""

    def parts(self, states: Tensor) -> tuple[Tensor, ...]:
        d = self.d
        carried, fields, slopes = states.split([2 * d + d**2, 2 * d**2, 2 * d**2], -1)
        return *super().parts(carried), fields.unflatten(-1, (d, 2 * d)), slopes.unflatten(-1, (d, 2 * d))

    def slope(self, state: Tensor) -> Tensor:
        sound = torch.isfinite(state).all(-1)
        z, v, frame, fields, slopes = self.parts(torch.where(sound[:, None], state, 0))
        force, normal, regular = self.forces(z, v, frame)
        hessian = jacobian_and_hessian(self.immerse, z, (normal @ v[..., None])[..., 0])[1]
        mixed = normal @ frame
        operator = frame.mT @ hessian @ frame - mixed.mT @ mixed
        parts = v, -force[..., 0], -force[..., 1:].flatten(1), slopes.flatten(1), -(operator @ fields).flatten(1)
        return torch.where((sound & regular)[:, None], torch.cat(parts, -1), torch.nan)

    def size(self, state: Tensor, errors: Tensor) -> Tensor:
        """The largest of the errors in geodesic, frame and fields, where fields are relative."""
        _, _, _, fields, slopes = self.parts(errors)
        scale = 1 + torch.linalg.vector_norm(state[:, -4 * self.d**2 :], dim=-1)
        wrong = torch.linalg.vector_norm(torch.cat([fields, slopes], -2), dim=(-2, -1)) / scale
        return torch.maximum(super().size(state, errors), wrong)


def _reachable(rtol: float, z: Tensor) -> float:
    """Smaller errors than rounding makes would never be met."""
    return max(rtol, 4 * torch.finfo(z.dtype).eps)


def _regular(block: Tensor, sound: Tensor) -> Tensor:
    """Jacobians with those of rows that are not sound replaced by the identity, so that they can be factored."""
    return torch.where(sound[:, None, None], block, torch.eye(*block.shape[1:], dtype=block.dtype, device=block.device))
