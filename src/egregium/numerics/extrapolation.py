"""Limits of symmetric schemes, whose error is a series in even powers of the step."""

from collections.abc import Callable

import torch
from torch import Tensor


def limit(scheme: Callable[[int], Tensor], coarse: int, rtol: float, most: int) -> tuple[Tensor, Tensor]:
    """Richardson's limit `(N, ...)` of `scheme(coarse), scheme(2 coarse), ...` and its error `(N,)`, relative to its norm.

    Levels are added until the error of all rows is at most `rtol`, or a level would have more than `most` segments.
    """
    row, error = [scheme(coarse)], None
    segments = coarse
    while 2 * segments <= most:
        segments *= 2
        new = [scheme(segments)]
        for k, before in enumerate(row):
            new.append(new[-1] + (new[-1] - before) / (4 ** (k + 1) - 1))
        change, size = (new[-1] - new[-2]).flatten(1).norm(dim=1), new[-1].flatten(1).norm(dim=1)
        error, row = change / size.clamp_min(torch.finfo(size.dtype).tiny), new
        if bool((error <= rtol).all()):
            break
    if error is None:
        error = torch.full_like(row[-1].flatten(1)[:, 0], torch.inf)
    return row[-1], error
