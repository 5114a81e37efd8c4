"""Normal scores of causal variables: what elementwise increasing maps leave, and functions of them to test dependence."""

import torch
from torch import Tensor


def normal_scores(z: Tensor, among: Tensor | None = None) -> Tensor:
    r""":math:`\Phi^{-1}` of ranks `(N, n)` of z, column by column among the rows of `among` `(M, n)`, by default of z itself.

    Increasing maps of a column, applied to both, change nothing; decreasing ones the sign. Equal numbers have equal scores, and
    those beyond all rows of `among` the scores of its ends. Normal variables are scaled only, so that linear mechanisms with
    normal noise stay linear.

    >>> normal_scores(torch.tensor([[1.0], [5.0], [2.0]])).flatten().round(decimals=3).tolist()
    [-0.674, 0.674, 0.0]
    """
    ordered = (z if among is None else among).T.contiguous().sort(-1).values
    columns = z.T.contiguous()
    below, upto = (torch.searchsorted(ordered, columns, right=right) for right in (False, True))
    number = ordered.shape[-1]
    place = ((below + upto + 1).double() / 2).clamp(1, number)
    return torch.special.ndtri(place / (number + 1)).T.contiguous()


def hermite(x: Tensor, degree: int) -> Tensor:
    """The Hermite polynomials of degrees 1 .. `degree`, `(*batch, degree)`, orthonormal for N(0, 1)."""
    found = [torch.ones_like(x), x]
    for k in range(1, degree):
        found.append((x * found[k] - k**0.5 * found[k - 1]) / (k + 1) ** 0.5)
    return torch.stack(found[1 : degree + 1], -1)
