"""Pairs of observations as networks take them: checked, standardised, side by side."""

import torch
from torch import Tensor

from egregium.causal.learning.standardisation import Standardisation
from egregium.errors import OptionError, ShapeError, TensorError
from egregium.numerics.derivatives import row_chunks


def require_observations(x: Tensor, x_after: Tensor, n: int, components: int | None) -> None:
    """Raises: `TensorError`, `ShapeError`, `OptionError` for what are no pairs to find n variables in."""
    for name, one in {"x": x, "x_after": x_after}.items():
        if not isinstance(one, Tensor) or not one.is_floating_point() or one.ndim < 2:
            given = f"{one.dtype} of shape {tuple(one.shape)}" if isinstance(one, Tensor) else type(one).__name__
            raise TensorError(f"pairs are two tensors of real observations (N, *shape); {name} is {given}.")
    if x.shape != x_after.shape:
        raise ShapeError(f"pairs are of equal shapes; got {tuple(x.shape)} before and {tuple(x_after.shape)} after.")
    for name, one in {"x": x, "x_after": x_after}.items():
        if not bool(torch.isfinite(one).all()):
            raise TensorError(f"{name} holds NaN or infinity: remove or fill these observations first.")
    if len(x) and bool((x == x[:1]).all()):
        raise TensorError("all observations before are equal: there is nothing to learn from.")
    if len(x) < 2 * n + 2:
        raise TensorError(f"{len(x)} pairs are too few for {n} variables; expected at least {2 * n + 2}: give more.")
    width = x[0].numel()
    if n > min(width, components or width) or (components or 1) > width:
        raise OptionError(
            f"got n={n} and components={components} for observations of {width} numbers; expected "
            "n <= components <= numbers of an observation."
        )
    if len(x) < (components or 1):
        raise TensorError(f"{len(x)} pairs are too few for {components} principal components; expected at least as many.")


@torch.no_grad()
def standardised(x: Tensor, x_after: Tensor, components: int | None) -> tuple[Standardisation, Tensor]:
    """The standardisation that observations before ask for, and pairs `(N, 2 width)` after it."""
    front = Standardisation(tuple(x.shape[1:]), components)
    front.fit(x)
    rows = row_chunks(len(x), x[0].numel())
    return front, torch.cat([torch.cat([front(x[some]), front(x_after[some])], -1) for some in rows])
