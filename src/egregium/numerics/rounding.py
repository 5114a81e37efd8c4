"""What rounding leaves within reach."""

import torch


def least_tolerance(dtype: torch.dtype) -> float:
    """The least relative tolerance that computations in `dtype` are asked for.

    >>> round(least_tolerance(torch.float64) * 1e14, 2)
    1.11
    """
    return 50 * torch.finfo(dtype).eps


def reachable(rtol: float, dtype: torch.dtype) -> float:
    """`rtol`, or the least one that can be met."""
    return max(rtol, least_tolerance(dtype))
