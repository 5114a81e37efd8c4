"""Ordinary differential equations of many rows at once, each with steps of its own.

Dormand and Prince's method of order 8 with error estimates of orders 5 and 3 (Hairer, Norsett, Wanner 1993, Solving ordinary
differential equations I, section II.10); its coefficients are those of `scipy.integrate.DOP853`.
"""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from scipy.integrate import DOP853
from torch import Tensor

from egregium.status import Status

Field = Callable[[Tensor], Tensor]
Size = Callable[[Tensor, Tensor], Tensor]

SAFETY = 0.9
SHRINK, GROW = 0.2, 8.0
ORDER = 8
SHORTEST = 1e-8  # of the whole interval: where shorter steps fail too, there is nothing to be evaluated


@dataclass(frozen=True)
class Flow:
    """States `(N, K + 1, m)` at uniform times in [0, 1], NaN from where a row failed; its `steps` and `status` `(N,)`."""

    states: Tensor
    steps: Tensor
    status: Tensor


def integrate(field: Field, start: Tensor, size: Size, *, rtol: float, segments: int = 1, max_steps: int = 1000) -> Flow:
    """Solve `y' = field(y)` from `start` `(N, m)` over [0, 1], every row with its own steps.

    Rows do not influence each other. A step is accepted where the error it makes is at most `rtol` in size: `size(y, errors)`
    `(k, n)` says how large `errors` `(k, n, m)` are, relative to what matters in the states y `(n, m)`. Rows end CONVERGED,
    MAX_STEPS, or NONFINITE where the field is not finite however short the step. Cost: 12 evaluations of the field a step.
    """
    n = len(start)
    states = start.new_full((n, segments + 1, start.shape[1]), torch.nan)
    states[:, 0] = start
    status = torch.full((n,), int(Status.NONFINITE), dtype=torch.int8, device=start.device)
    steps = torch.zeros(n, dtype=torch.int32, device=start.device)
    slope = field(start)
    rows = torch.isfinite(slope).all(-1).nonzero().flatten()
    y, slope = start[rows], slope[rows]
    h = torch.full_like(y[:, 0], 0.05).clamp_max(1 / segments)
    passed, part = torch.zeros_like(rows), torch.zeros_like(h)  # whole segments behind, and time within the present one
    while len(rows):
        left = (1 / segments - part).clamp_min(0)
        last = h >= left * (1 - 1e-12)
        step = torch.where(last, left, h)
        new, new_slope, error = _step(field, y, slope, step, size)
        steps[rows] += 1
        good = (error <= rtol) & torch.isfinite(new_slope).all(-1)
        growth = (SAFETY * (rtol / error.nan_to_num(torch.inf)) ** (1 / ORDER)).nan_to_num(GROW).clamp(SHRINK, GROW)
        h = torch.where(
            good, torch.where(last, torch.maximum(h, step * growth), step * growth), step * growth.clamp_max(SAFETY)
        )
        y, slope = torch.where(good[:, None], new, y), torch.where(good[:, None], new_slope, slope)
        arrived = good & last
        passed = passed + arrived
        part = torch.where(arrived, 0.0, torch.where(good, part + step, part))
        states[rows[arrived], passed[arrived]] = y[arrived]
        done, lost = passed == segments, h < SHORTEST
        spent = steps[rows] >= max_steps
        status[rows[spent & ~lost]] = int(Status.MAX_STEPS)
        status[rows[done]] = int(Status.CONVERGED)
        keep = ~(done | lost | spent)
        rows, y, slope, h, passed, part = rows[keep], y[keep], slope[keep], h[keep], passed[keep], part[keep]
    return Flow(states, steps, status)


def _step(field: Field, y: Tensor, slope: Tensor, h: Tensor, size: Size) -> tuple[Tensor, Tensor, Tensor]:
    """State and slope after a step h `(n,)`, and the size of its error."""
    a, b, e3, e5 = (
        torch.as_tensor(table, dtype=y.dtype, device=y.device) for table in (DOP853.A, DOP853.B, DOP853.E3, DOP853.E5)
    )
    stages, wide = [slope], h[:, None]
    for row in range(1, len(b)):
        stages.append(field(y + wide * torch.einsum("s,snm->nm", a[row, :row], torch.stack(stages))))
    new = y + wide * torch.einsum("s,snm->nm", b, torch.stack(stages))
    stages.append(field(new))
    slopes = torch.stack(stages)
    fifth, third = size(y, wide * torch.einsum("ks,snm->knm", torch.stack([e5, e3]), slopes))
    return new, stages[-1], fifth**2 / (fifth**2 + 0.01 * third**2).sqrt().clamp_min(torch.finfo(y.dtype).tiny)
