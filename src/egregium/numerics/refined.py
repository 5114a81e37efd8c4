"""Rules that are cheap where nothing cancels and careful where something does."""

from collections.abc import Callable

from torch import Tensor
from torch.autograd.forward_ad import unpack_dual


def refined(quick: Callable[..., tuple[Tensor, Tensor]], careful: Callable[..., Tensor], *rows: Tensor) -> Tensor:
    """`quick` of the rows `(N, n)`, which says in a mask `(N, 1)` where it is right, and elsewhere `careful` of them.

    Where derivatives are asked for all is careful.
    """
    if any(map(tracked, rows)):
        return careful(*rows)
    value, right = quick(*rows)
    if bool(right.all()):
        return value
    doubtful = (~right[:, 0]).nonzero()[:, 0]
    return value.index_copy_(0, doubtful, careful(*(one[doubtful] for one in rows)))


def tracked(x: Tensor) -> bool:
    """Whether derivatives through x are asked for, backwards or forwards."""
    return x.requires_grad or unpack_dual(x).tangent is not None
