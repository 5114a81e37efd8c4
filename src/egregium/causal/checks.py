"""What samples of causal variables must be before they are compared or fitted."""

import torch
from torch import Tensor

from egregium.errors import ShapeError, TensorError
from egregium.spaces.points import require_points


def require_samples(*samples: Tensor, names: tuple[str, ...], rows: int = 1, varied: bool = False) -> None:
    """Check that `samples` are finite float tensors `(N, n)` of one shape, dtype and device, with N >= `rows`.

    Raises: `ShapeError` unless all are `(N, n)`, equal; `TensorError` for other dtypes, NaN, too few rows and, if `varied`,
    columns that are constant.
    """
    require_points(*samples, width=None, names=names)
    if samples[0].ndim != 2:
        raise ShapeError(f"{' and '.join(names)} must have shape (N, n); got {tuple(samples[0].shape)}.")
    if len(samples[0]) < rows:
        raise TensorError(f"{' and '.join(names)} must have at least {rows} rows; got {len(samples[0])}: give more samples.")
    if varied:
        for name, z in zip(names, samples, strict=True):
            constant = (z == z[0]).all(0).nonzero()[:, 0].tolist()
            if constant:
                raise TensorError(f"{name} must vary in every column; got constant ones at {constant}: leave them out.")


def require_targets(*targets: Tensor, names: tuple[str, ...], n: int | None = None) -> None:
    """Check that targets are integer tensors `(N,)` of one shape, in 0 .. n if n is given (0: none).

    Raises: `TensorError`, `ShapeError`.
    """
    for name, one in zip(names, targets, strict=True):
        if not isinstance(one, Tensor) or one.is_floating_point() or one.is_complex() or one.dtype == torch.bool:
            given = one.dtype if isinstance(one, Tensor) else type(one).__name__
            raise TensorError(f"{name} must be an integer tensor of targets, 0 for none, i + 1 for variable i; got {given}.")
        if one.ndim != 1 or one.shape != targets[0].shape or not len(one):
            shapes = " and ".join(str(tuple(each.shape)) for each in targets)
            raise ShapeError(f"{' and '.join(names)} must have one shape (N,), N >= 1; got {shapes}.")
        if n is not None and not bool(((one >= 0) & (one <= n)).all()):
            raise TensorError(f"{name} must lie in 0 .. {n}; got {int(one.min())} .. {int(one.max())}.")


def require_pairs(z: Tensor, z_after: Tensor, targets: Tensor, least: int) -> None:
    """Check causal variables `(N, n)`, n >= 2, before and after interventions on `targets` `(N,)`, each that of `least` pairs.

    Raises: `ShapeError`, `TensorError`.
    """
    require_samples(z, z_after, names=("z", "z_after"), varied=True)
    number, n = z.shape
    if n < 2:
        raise ShapeError("a graph is learned of two variables or more; z and z_after have one column.")
    require_targets(targets, names=("targets",), n=n)
    if len(targets) != number:
        raise ShapeError(f"targets must have shape ({number},), one a pair; got {tuple(targets.shape)}.")
    pairs = targets.long().bincount(minlength=n + 1)[1:]
    if int(pairs.min()) < least:
        raise TensorError(
            f"each of {n} variables must be the target of at least {least} pairs; variable {int(pairs.argmin())} is that of "
            f"{int(pairs.min())}: give more pairs, or leave the variable out."
        )
