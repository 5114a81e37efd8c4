"""What is accepted as points, and that every refusal says what was wrong."""

import pytest
import torch

from egregium.errors import ShapeError, TensorError
from egregium.spaces import Euclidean
from egregium.spaces.points import flat, require_points


@pytest.mark.parametrize("shape", [(3,), (1, 3), (5, 3), (2, 4, 3)])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_points_of_every_batch_shape_are_accepted(shape: tuple[int, ...], dtype: torch.dtype) -> None:
    z = torch.zeros(shape, dtype=dtype)
    require_points(z, z, width=3)
    require_points(z, z, width=None)
    assert flat(z).shape == (z.numel() // 3, 3)


@pytest.mark.parametrize(
    ("points", "error", "words"),
    [
        ([torch.zeros(2, 4)], ShapeError, r"\(\*batch, 3\) on this space; got \(2, 4\)"),
        ([torch.tensor(1.0)], ShapeError, "got a scalar"),
        (
            [torch.zeros(2, 3), torch.zeros(3)],
            ShapeError,
            r"z0 and z1 must have equal shapes, because nothing is broadcast; got \(2, 3\) and \(3,\)",
        ),
        ([torch.zeros(2, 3), torch.zeros(2, 4)], ShapeError, r"z1 must have shape \(\*batch, 3\)"),
        ([torch.zeros(0, 3)], TensorError, "at least one point"),
        ([torch.zeros(2, 3).half()], TensorError, r"float16: convert with \.float\(\)"),
        ([torch.zeros(2, 3).bool()], TensorError, "bool"),
        ([[0.0, 1.0, 2.0]], TensorError, r"got list: wrap it with torch\.as_tensor"),
        ([torch.tensor([[0.0, 1.0, 2.0], [0.0, torch.inf, 0.0]])], TensorError, "1 rows, first row 1"),
        ([torch.zeros(3), torch.zeros(3).double()], TensorError, "one dtype"),
        ([torch.zeros(3, device="meta")], TensorError, "meta device"),
        ([torch.zeros(2, 3).to_sparse()], TensorError, "dense"),
    ],
)
def test_refusals(points: list, error: type[Exception], words: str) -> None:
    with pytest.raises(error, match=words):
        require_points(*points, width=3)


def test_the_name_of_the_argument_is_said() -> None:
    with pytest.raises(TensorError, match="support points must be finite"):
        require_points(torch.full((3,), torch.nan), width=3, names="support points")
    with pytest.raises(ShapeError, match="z and v must have equal shapes"):
        Euclidean(3).norm(torch.zeros(2, 3), torch.zeros(3))
