r"""Projection onto the image of a decoder: `argmin_z |phi f(z) - phi x|`."""

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from egregium.errors import OptionError, ShapeError, TensorError
from egregium.numerics.derivatives import jacobian, row_chunks
from egregium.protocols import ImmersedSpace
from egregium.spaces.points import flat
from egregium.status import Status, counts, span


@dataclass(frozen=True, repr=False)
class Projection:
    """Latent points `z` `(*batch, d)`, ambient `residual` `(*batch)` that is left, and `status` `(*batch)`."""

    z: Tensor
    residual: Tensor
    status: Tensor

    @property
    def ok(self) -> Tensor:
        """Where CONVERGED, `(*batch)`."""
        return self.status == Status.CONVERGED

    def __repr__(self) -> str:
        return f"Projection({self.status.numel()} points, residual {span(self.residual)}: {counts(self.status)})"


def project(space: ImmersedSpace, target: Tensor, start: Tensor, *, rtol: float = 1e-4, max_steps: int = 100) -> Projection:
    """Nearest points of the immersed space to ambient points, by Levenberg-Marquardt from given starts.

    A local minimum; its image and residual are invariant under reparametrisation once the start's image is. CONVERGED when
    the metric step is at most `rtol` times the residual, or below rounding.

    Args:
        target: ambient points, in the A coordinates `(*batch, A)` that the decoder gives, as the chart has them, or in any
            shape of A entries, such as images `(*batch, C, H, W)`.
        start: latent points `(*batch, d)`, e.g. encoder means.

    Cost: 2 d + 1 decoder calls a step.
    """
    if not 0 < rtol < 1 or max_steps < 1:
        raise OptionError(f"project needs 0 < rtol < 1 and max_steps >= 1; got {rtol}, {max_steps}.")
    (start,) = space.prepare(start)
    if not isinstance(target, Tensor):
        raise TensorError(f"project needs targets as a tensor; got {type(target).__name__}.")
    batch = start.shape[:-1]
    if target.shape[: len(batch)] != batch:
        raise ShapeError(f"project needs one target a start; got {tuple(target.shape)} and {tuple(start.shape)}.")
    base = getattr(space, "base", None)
    with torch.no_grad():
        across = 0 if base is None else base.width - base.dim  # what points of a base have there is nothing
        width = space.immerse(flat(start)[:1]).shape[-1] - across
        if (given := target.shape[len(batch) :].numel()) != width:
            raise ShapeError(
                f"project needs targets in the {width} ambient coordinates of the space, flattened or not; got "
                f"{tuple(target.shape)}, {given} numbers a point for starts {tuple(start.shape)}."
            )
        goals = F.pad(target.reshape(-1, width).to(start), (0, across))
        parts = [
            _levenberg_marquardt(space, goals[rows], flat(start)[rows], rtol, max_steps)
            for rows in row_chunks(len(goals), goals.shape[-1] * (start.shape[-1] + 2))
        ]
    z, residual, status = (torch.cat(values) for values in zip(*parts, strict=True))
    if base is not None:
        z = base.project(z)
        with torch.no_grad():
            residual = (space.immerse(z) - goals).norm(dim=-1).where(residual.isfinite(), residual)
    return Projection(z.reshape(start.shape), residual.reshape(batch), status.reshape(batch))


def _levenberg_marquardt(
    space: ImmersedSpace, goal: Tensor, z: Tensor, rtol: float, max_steps: int
) -> tuple[Tensor, Tensor, Tensor]:
    z = z.clone()
    miss = space.immerse(z) - goal
    damping = torch.full_like(z[:, 0], 1e-3)
    status = torch.full((len(z),), Status.MAX_STEPS, dtype=torch.int8, device=z.device)
    rows = torch.arange(len(z), device=z.device)
    floor = 4 * torch.finfo(z.dtype).eps * goal.norm(dim=-1)
    block = jacobian(space.immerse, z)
    for _ in range(max_steps):
        gram, gradient = block.mT @ block, (block.mT @ miss[rows, :, None])[..., 0]
        tilted = gram + torch.diag_embed(damping[rows, None] * gram.diagonal(dim1=-2, dim2=-1))
        factor, info = torch.linalg.cholesky_ex(tilted)
        delta = torch.where((info == 0)[:, None], -torch.cholesky_solve(gradient[..., None], factor)[..., 0], 0.0)
        trial = z[rows] + delta
        fresh = space.immerse(trial) - goal[rows]
        # Near the minimum the residual changes by less than its rounding, which must not stop the last steps.
        better = (info == 0) & (fresh.norm(dim=-1) <= miss[rows].norm(dim=-1) + floor[rows])
        step = (block @ delta[..., None])[..., 0].norm(dim=-1) * (1 + damping[rows])
        done = better & (step <= rtol * miss[rows].norm(dim=-1) + floor[rows])
        z[rows[better]], miss[rows[better]] = trial[better], fresh[better]
        damping[rows] = torch.where(better, 0.2 * damping[rows], (10 * damping[rows]).clamp_min(1e-6))
        stuck = damping[rows] > 1e8
        status[rows[done]], status[rows[stuck & ~done]] = int(Status.CONVERGED), int(Status.STALLED)
        keep = ~(done | stuck)
        rows, better, block = rows[keep], better[keep], block[keep]
        if not len(rows):
            break
        if better.any():
            block = block.index_copy(0, better.nonzero().flatten(), jacobian(space.immerse, z[rows[better]]))
    residual = miss.norm(dim=-1)
    status[~torch.isfinite(residual)] = int(Status.NONFINITE)
    return z, residual, status
