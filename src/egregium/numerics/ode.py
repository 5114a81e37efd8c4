"""Ordinary differential equations of many rows at once, each with steps of its own.

Dormand and Prince's method of order 8 with error estimates of orders 5 and 3 (Hairer, Norsett, Wanner 1993, Solving ordinary
differential equations I, section II.10); its coefficients are those of `scipy.integrate.DOP853`.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from scipy.integrate import DOP853
from torch import Tensor

from egregium.status import Status

Field = Callable[[Tensor], Tensor]
Size = Callable[[Tensor, Tensor], Tensor]

SAFETY = 0.9
SHRINK, GROW = 0.2, 8.0
ORDER = 8
HIGHEST = (4 / 7) ** 4 * (3 / 7) ** 3  # the most that x^4 (1 - x)^3 is, by which the interpolation's highest term counts
LAST = 12  # of the slopes of a step: the one where it ends
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
    MAX_STEPS, or NONFINITE where the field is not finite however short the step. States inside a step are interpolated, and
    steps then so short that this errs by at most `rtol` too. Cost: 12 evaluations of the field a step, 15 with `segments`.
    """
    n = len(start)
    states = start.new_full((n, segments + 1, start.shape[1]), torch.nan)
    states[:, 0] = start
    status = torch.full((n,), int(Status.NONFINITE), dtype=torch.int8, device=start.device)
    steps = torch.zeros(n, dtype=torch.int32, device=start.device)
    slope = field(start)
    rows = torch.isfinite(slope).all(-1).nonzero().flatten()
    y, slope = start[rows], slope[rows]
    h, t = torch.full_like(y[:, 0], 0.05), torch.zeros_like(y[:, 0])
    passed = torch.zeros_like(rows)  # uniform times whose states are known
    while len(rows):
        left = (1 - t).clamp_min(0)
        last = h >= left * (1 - 1e-12)
        step = torch.where(last, left, h)
        new, slopes, error = _step(field, y, slope, step, size, inner=segments > 1)
        steps[rows] += 1
        good = (error <= rtol) & torch.isfinite(slopes[-1]).all(-1) & torch.isfinite(slopes[LAST]).all(-1)
        growth = (SAFETY * (rtol / error.nan_to_num(torch.inf)) ** (1 / ORDER)).nan_to_num(GROW).clamp(SHRINK, GROW)
        h = step * torch.where(good, growth, growth.clamp_max(SAFETY))
        done, ahead = good & last, torch.where(last, 1.0, t + step)
        reached = torch.where(good, (ahead * segments).long().clamp_max(segments - 1), passed)
        which, node = _counted(passed, reached)
        share = (node.to(t) / segments - t[which]) / step[which]
        states[rows[which], node] = _inside(y[which], new[which], slopes[:, which], step[which, None], share[:, None])
        states[rows[done], -1] = new[done]
        y, slope = torch.where(good[:, None], new, y), torch.where(good[:, None], slopes[LAST], slope)
        passed, t = reached, torch.where(good, ahead, t)
        lost = h < SHORTEST
        spent = steps[rows] >= max_steps
        status[rows[spent & ~lost]] = int(Status.MAX_STEPS)
        status[rows[done]] = int(Status.CONVERGED)
        keep = ~(done | lost | spent)
        rows, y, slope, h, passed, t = rows[keep], y[keep], slope[keep], h[keep], passed[keep], t[keep]
    return Flow(states, steps, status)


def _step(field: Field, y: Tensor, slope: Tensor, h: Tensor, size: Size, inner: bool) -> tuple[Tensor, Tensor, Tensor]:
    """State after a step h `(n,)`, the slopes on the way and, LAST, there, `(13, n, m)`, and the size of its error.

    With three more slopes for the interpolation of `inner` states, whose error counts too: its highest term, generously.
    """
    a, b, more, e3, e5, d = _tables(y, DOP853.A, DOP853.B, DOP853.A_EXTRA, DOP853.E3, DOP853.E5, DOP853.D)
    stages, wide = [slope], h[:, None]
    for row in range(1, len(b)):
        stages.append(field(y + wide * torch.einsum("s,snm->nm", a[row, :row], torch.stack(stages))))
    new = y + wide * torch.einsum("s,snm->nm", b, torch.stack(stages))
    slopes = torch.stack([*stages, field(new)])
    errors = torch.einsum("ks,snm->knm", torch.stack([e5, e3]), slopes)
    for row in more if inner else ():
        further = field(y + wide * torch.einsum("s,snm->nm", row[: len(slopes)], slopes))
        slopes = torch.cat([slopes, further[None]])
    if inner:
        errors = torch.cat([errors, HIGHEST * torch.einsum("s,snm->nm", d[-1], slopes)[None]])
    fifth, third, *interpolated = size(y, wide * errors)
    error = fifth**2 / (fifth**2 + 0.01 * third**2).sqrt().clamp_min(torch.finfo(y.dtype).tiny)
    return new, slopes, torch.stack([error, *interpolated]).amax(0)


def _inside(y: Tensor, new: Tensor, slopes: Tensor, h: Tensor, share: Tensor) -> Tensor:
    """States at a share of steps from y to new, by the interpolation of order 7 (Hairer, Norsett, Wanner 1993, II.6)."""
    if not len(y):
        return y
    (d,) = _tables(y, DOP853.D)
    moved, first, final = new - y, h * slopes[0], h * slopes[LAST]
    terms = [moved, first - moved, 2 * moved - first - final, *(h * torch.einsum("ks,snm->knm", d, slopes))]
    state = torch.zeros_like(y)
    for index, term in reversed(list(enumerate(terms))):
        state = (state + term) * (share if index % 2 == 0 else 1 - share)
    return y + state


def _counted(low: Tensor, high: Tensor) -> tuple[Tensor, Tensor]:
    """All whole numbers above `low` and up to `high` `(n,)`, each with its row."""
    many = high - low
    which = torch.arange(len(low), device=low.device).repeat_interleave(many)
    return which, high[which] - (many.cumsum(0)[which] - 1 - torch.arange(len(which), device=low.device))


def _tables(like: Tensor, *tables: np.ndarray) -> list[Tensor]:
    return [torch.as_tensor(table, dtype=like.dtype, device=like.device) for table in tables]
