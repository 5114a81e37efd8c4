"""Cubic interpolation of curves that are sampled at uniform parameters."""

from functools import lru_cache

import torch
import torch.nn.functional as F
from torch import Tensor


@lru_cache(maxsize=64)
def _slope_matrix(segments: int) -> Tensor:
    """Matrix `(T + 1, T + 1)` from values at `i / T` to the slopes of the C^2 not-a-knot cubic through them."""
    n = segments + 1
    if segments < 3:
        return torch.linalg.solve(_vandermonde(segments), _vandermonde_derivative(segments), left=False)
    left, right = torch.zeros(n, n, dtype=torch.float64), torch.zeros(n, n, dtype=torch.float64)
    for i in range(1, n - 1):
        left[i, i - 1 : i + 2] = torch.tensor([1.0, 4.0, 1.0])
        right[i, i - 1], right[i, i + 1] = -3.0, 3.0
    left[0, :2], right[0, :3] = torch.tensor([2.0, 4.0]), torch.tensor([-5.0, 4.0, 1.0])
    left[-1, -2:], right[-1, -3:] = torch.tensor([4.0, 2.0]), torch.tensor([-1.0, -4.0, 5.0])
    return torch.linalg.solve(left, right) * segments


def _vandermonde(segments: int) -> Tensor:
    t = torch.linspace(0, 1, segments + 1, dtype=torch.float64)
    return torch.stack([t**k for k in range(segments + 1)], 1)


def _vandermonde_derivative(segments: int) -> Tensor:
    t = torch.linspace(0, 1, segments + 1, dtype=torch.float64)
    return torch.stack([k * t ** max(k - 1, 0) for k in range(segments + 1)], 1)


def slopes(values: Tensor) -> Tensor:
    """Derivatives at the samples of the cubic spline through `values` `(P, T + 1, d)` at `t = i / T`; same shape."""
    matrix = _slope_matrix(values.shape[1] - 1)
    return matrix.to(values) @ values


def between(values: Tensor, u: float) -> tuple[Tensor, Tensor]:
    """Values and derivatives of that spline at the fraction `u` of every segment, each `(P, T, d)`."""
    segments = values.shape[1] - 1
    slope, rise = slopes(values) / segments, values[:, 1:] - values[:, :-1]
    left, right = slope[:, :-1], slope[:, 1:]
    bend = left - right  # Hermite form, written about the chord so that short segments keep their digits
    skew = left + right - 2 * rise
    value = values[:, :-1] + u * rise + u * (1 - u) * (0.5 * bend + (0.5 - u) * skew)
    derivative = rise + (0.5 - u) * bend + (0.5 - 3 * u * (1 - u)) * skew
    return value, derivative * segments


def midpoints(values: Tensor) -> tuple[Tensor, Tensor]:
    """Values and derivatives of that spline halfway between its samples, each `(P, T, d)`."""
    return between(values, 0.5)


def doubled(values: Tensor) -> Tensor:
    """The same curves with a sample of the spline inserted in every segment, `(P, 2 T + 1, d)`."""
    middle, _ = midpoints(values)
    pairs = torch.stack([values[:, :-1], middle], 2).flatten(1, 2)
    return torch.cat([pairs, values[:, -1:]], 1)


def shares(pieces: Tensor) -> Tensor:
    """Parameters `(P, n + 1)` from 0 to 1 in proportion to lengths of `pieces` `(P, n)`; uniform where one is not positive."""
    sound = ((pieces > 0) & torch.isfinite(pieces)).all(-1, keepdim=True)
    reached = F.pad(torch.where(sound, pieces, 1).cumsum(-1), (1, 0))
    return reached / reached[:, -1:]


def resampled(values: Tensor, parameters: Tensor, segments: int) -> Tensor:
    """Piecewise linear resampling to `segments` uniform pieces of curves at increasing `parameters` `(P, n)` in [0, 1]."""
    t = torch.linspace(0, 1, segments + 1, dtype=values.dtype, device=values.device).expand(len(values), -1).contiguous()
    right = torch.searchsorted(parameters.contiguous(), t).clamp(1, values.shape[1] - 1)
    t0, t1 = parameters.gather(1, right - 1), parameters.gather(1, right)
    weight = ((t - t0) / (t1 - t0).clamp_min(torch.finfo(t.dtype).tiny)).clamp(0, 1)[..., None]
    index = right[..., None].expand(-1, -1, values.shape[-1])
    return (1 - weight) * values.gather(1, index - 1) + weight * values.gather(1, index)
