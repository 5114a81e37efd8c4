"""What a batch of points must be before any geometry is computed on it."""

from collections.abc import Sequence

import torch
from torch import Tensor

from egregium.errors import ShapeError, TensorError

WORKING_DTYPES = (torch.float32, torch.float64)
_ARGUMENTS = {1: ("z",), 2: ("z0", "z1"), 3: ("z", "z1", "z2")}  # as the verbs call their points


def require_points(*points: Tensor, width: int | None, names: str | Sequence[str] = ()) -> None:
    """Check that all `points` are finite float tensors `(*batch, width)` of one shape, dtype and device.

    `names` is what errors call them: one name for all, or one each; by default those of a verb's arguments.

    Raises: `TensorError` for other dtypes or layouts, NaN, infinity, an empty batch; `ShapeError` for other or unequal shapes.
    """
    each = [names] * len(points) if isinstance(names, str) else (names or _ARGUMENTS[len(points)])
    for name, z in zip(each, points, strict=True):
        if not isinstance(z, Tensor):
            raise TensorError(f"{name} must be a torch tensor; got {type(z).__name__}: wrap it with torch.as_tensor.")
        if z.dtype not in WORKING_DTYPES:
            raise TensorError(f"{name} must be float32 or float64; got {z.dtype}: convert with .float() or .double().")
        if z.layout != torch.strided or z.is_meta:
            kind = "one without data (on the meta device)" if z.is_meta else f"layout {z.layout}"
            raise TensorError(f"{name} must be an ordinary dense tensor; got {kind}.")
        if z.ndim == 0:
            raise ShapeError(f"{name} must have shape (*batch, d); got a scalar.")
        if width is not None and z.shape[-1] != width:
            raise ShapeError(f"{name} must have shape (*batch, {width}) on this space; got {tuple(z.shape)}.")
        if z.numel() == 0:
            raise TensorError(f"{name} must hold at least one point; got the empty shape {tuple(z.shape)}.")
        if not torch.isfinite(z.detach().sum()) and not torch.isfinite(z).all():  # a sum is finite only of finite numbers
            raise TensorError(f"{name} must be finite; got NaN or infinity in {_bad_rows(z)}.")
    if len({tuple(z.shape) for z in points}) > 1:
        shapes = " and ".join(str(tuple(z.shape)) for z in points)
        raise ShapeError(
            f"{_listed(each)} must have equal shapes, because nothing is broadcast; got {shapes}: expand them yourself."
        )
    if len(kinds := {(z.dtype, z.device) for z in points}) > 1:
        found = " and ".join(sorted(f"{dtype} on {device}" for dtype, device in kinds))
        raise TensorError(f"{_listed(each)} must have one dtype and be on one device; got {found}: convert with .to().")


def _listed(names: Sequence[str]) -> str:
    return " and ".join(dict.fromkeys(names))


def _bad_rows(z: Tensor) -> str:
    bad = (~torch.isfinite(z)).reshape(-1, z.shape[-1]).any(-1).nonzero().flatten().tolist()
    return f"{len(bad)} rows, first row {bad[0]}"


def flat(z: Tensor) -> Tensor:
    """`(*batch, d)` as `(N, d)`."""
    return z.reshape(-1, z.shape[-1])
