"""What a batch of points must be before any geometry is computed on it."""

import torch
from torch import Tensor

from egregium.errors import ShapeError, TensorError

WORKING_DTYPES = (torch.float32, torch.float64)


def require_points(*points: Tensor, width: int | None, names: str = "z") -> None:
    """Check that all `points` are finite float tensors `(*batch, width)` of one shape, dtype and device.

    Raises: `TensorError` for other dtypes or layouts, NaN, infinity, an empty batch; `ShapeError` for other or unequal shapes.
    """
    for z in points:
        if not isinstance(z, Tensor):
            raise TensorError(f"{names} must be torch tensors; got {type(z).__name__}: wrap it with torch.as_tensor.")
        if z.dtype not in WORKING_DTYPES:
            raise TensorError(f"{names} must be float32 or float64; got {z.dtype}: convert with .float() or .double().")
        if z.layout != torch.strided or z.is_meta:
            kind = "one without data (on the meta device)" if z.is_meta else f"layout {z.layout}"
            raise TensorError(f"{names} must be ordinary dense tensors; got {kind}.")
        if z.ndim == 0:
            raise ShapeError(f"{names} must have shape (*batch, d); got a scalar.")
        if width is not None and z.shape[-1] != width:
            raise ShapeError(f"{names} must have shape (*batch, {width}) on this space; got {tuple(z.shape)}.")
        if z.numel() == 0:
            raise TensorError(f"{names} must hold at least one point; got the empty shape {tuple(z.shape)}.")
        if not torch.isfinite(z).all():
            raise TensorError(f"{names} must be finite; got NaN or infinity in {_bad_rows(z)}.")
    if len({tuple(z.shape) for z in points}) > 1:
        shapes = " and ".join(str(tuple(z.shape)) for z in points)
        raise ShapeError(f"{names} must have equal shapes, because nothing is broadcast; got {shapes}: expand them yourself.")
    if len(kinds := {(z.dtype, z.device) for z in points}) > 1:
        found = " and ".join(sorted(f"{dtype} on {device}" for dtype, device in kinds))
        raise TensorError(f"{names} must have one dtype and be on one device; got {found}: convert with .to().")


def _bad_rows(z: Tensor) -> str:
    bad = (~torch.isfinite(z)).reshape(-1, z.shape[-1]).any(-1).nonzero().flatten().tolist()
    return f"{len(bad)} rows, first row {bad[0]}"


def flat(z: Tensor) -> Tensor:
    """`(*batch, d)` as `(N, d)`."""
    return z.reshape(-1, z.shape[-1])
