"""Conjugate gradients for many symmetric systems at once, each with its own stop, that are known by products alone."""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

Linear = Callable[[Tensor], Tensor]


@dataclass(frozen=True)
class Conjugate:
    """What conjugate gradients found of P systems `M x = b`; x `(P, n, d)`, numbers `(P,)`.

    `found` is `<b, x>`, which grows to `<b, M^-1 b>`, and `left` the inverse's estimate of what it lacks. `bent` are the rows
    where a direction of no positive curvature was met; there x was left as it stood.
    """

    x: Tensor
    found: Tensor
    left: Tensor
    bent: Tensor


def conjugate_gradients(
    product: Linear, inverse: Linear, b: Tensor, share: float, most: int, against: Tensor | None = None
) -> Conjugate:
    """Solve `M x = b` `(P, n, d)` until `<r, N r>` of the residual r is at most `share` of `<b, N b>`, N the `inverse`.

    `product` and `inverse` take and give `(P, n, d)`, row by row; N is positive, and the nearer to `M^-1` the better. Rows that
    are finished are 0 in what `product` is asked for.

    Args:
        share: what may be left of each row.
        most: products at most.
        against: numbers `(P,)`, where all that is asked is whether `<b, M^-1 b>` exceeds them: rows stop when it does, or
            when `<r, N r>` is at most `share` of them.

    References: Hestenes and Stiefel 1952; negative curvature: Dembo and Steihaug 1983 (Math. Program. 26).

    >>> stiff = torch.tensor([1.0, 2.0, 4.0], dtype=torch.float64)
    >>> b = torch.ones(1, 1, 3, dtype=torch.float64)
    >>> conjugate_gradients(lambda v: stiff * v, lambda r: r, b, 1e-20, 9).x.flatten().tolist()
    [1.0, 0.5, 0.25]
    """
    x, residual = torch.zeros_like(b), b
    near = inverse(b)
    left = start = _dot(residual, near)
    bent, active = torch.zeros_like(start, dtype=torch.bool), start > 0
    direction = torch.where(_column(active), near, 0.0)
    found, enough = torch.zeros_like(start), share * (start if against is None else against)
    for _ in range(most):
        if not active.any():
            break
        image = product(direction)
        curvature = _dot(direction, image)
        bent = bent | (active & ~(curvature > 0))
        active = active & ~bent
        weight = torch.where(active, left / curvature, 0.0)
        x, found = x + _column(weight) * direction, found + weight * left
        residual = residual - _column(weight) * image
        near = inverse(residual)
        after = torch.where(active, _dot(residual, near), left)
        ratio, left = after / left, after
        active = active & (left > enough)
        if against is not None:
            active = active & (found <= against)
        direction = torch.where(_column(active), near + _column(ratio) * direction, 0.0)
    return Conjugate(x, _dot(b, x), left, bent)


def _dot(a: Tensor, b: Tensor) -> Tensor:
    return (a * b).sum((-2, -1))


def _column(weight: Tensor) -> Tensor:
    return weight[:, None, None]
