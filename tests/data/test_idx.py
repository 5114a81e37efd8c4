"""IDX: what is written is read, and nothing damaged is read as something else."""

import gzip
import hashlib
import struct
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst

from egregium.data import idx
from egregium.errors import DataError

CODES = {"u1": 8, "i1": 9, "i2": 11, "i4": 12, "f4": 13, "f8": 14}
same_folder = settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=60)
SMALL = np.arange(24, dtype=np.uint8).reshape(4, 3, 2)


def encode(array: np.ndarray) -> bytes:
    """An IDX writer of its own, from the format's description."""
    head = bytes([0, 0, CODES[array.dtype.str[1:]], array.ndim]) + struct.pack(f">{array.ndim}I", *array.shape)
    return head + array.astype(array.dtype.newbyteorder(">")).tobytes()


def write(folder: Path, content: bytes) -> Path:
    path = folder / "file"
    path.write_bytes(content)
    return path


arrays = st.sampled_from(sorted(CODES)).flatmap(
    lambda code: npst.arrays(np.dtype(code), npst.array_shapes(min_dims=1, max_dims=4, min_side=0, max_side=5))
)


@same_folder
@given(array=arrays, zipped=st.booleans())
def test_round_trip(tmp_path: Path, array: np.ndarray, zipped: bool) -> None:
    content = encode(array)
    found = idx.read(write(tmp_path, gzip.compress(content, 1) if zipped else content))
    np.testing.assert_array_equal(found.array, array)
    assert found.array.dtype == array.dtype
    assert found.array.dtype.isnative
    assert found.sha256 == hashlib.sha256(content).hexdigest()


@pytest.mark.parametrize("zipped", [False, True])
def test_truncated_anywhere(tmp_path: Path, zipped: bool) -> None:
    content = gzip.compress(encode(SMALL)) if zipped else encode(SMALL)
    for length in range(len(content)):
        with pytest.raises(DataError):
            idx.read(write(tmp_path, content[:length]))


@same_folder
@given(data=st.data())
def test_a_damaged_gzip_is_never_another_array(tmp_path: Path, data: st.DataObject) -> None:
    content = bytearray(gzip.compress(encode(SMALL)))
    place = data.draw(st.integers(0, len(content) - 1))
    content[place] ^= data.draw(st.integers(1, 255))
    try:
        found = idx.read(write(tmp_path, bytes(content)))
    except DataError:
        return
    np.testing.assert_array_equal(found.array, SMALL)  # bytes of the gzip header that mean nothing


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "begins with nothing"),
        (b"\x89PNG\r\n", "not an IDX file"),
        (b"\0\0\x07\x01\0\0\0\0", "not an IDX file"),
        (b"\0\0\x08\0", "not an IDX file"),
        (b"\0\0\x08\xff" + bytes(4 * 255), "not an IDX file"),
        (encode(SMALL) + b"\0", "goes on after"),
        (gzip.compress(encode(SMALL) + b"\0", mtime=0), "goes on after"),
        (gzip.compress(encode(SMALL), mtime=0) + b"rubbish", "damaged"),
        (b"\0\0\x0e\x04" + b"\xff" * 16, "accepted"),
        (b"\0\0\x08\x02\x7f\xff\xff\xff\0\0\0\x02" + bytes(9), "truncated"),
    ],
)
def test_not_an_idx_file(tmp_path: Path, content: bytes, message: str) -> None:
    with pytest.raises(DataError, match=message):
        idx.read(write(tmp_path, content))


def test_no_more_is_uncompressed_than_announced(tmp_path: Path) -> None:
    bomb = gzip.compress(encode(SMALL) + bytes(2**26), 1)
    with pytest.raises(DataError, match="goes on after"):
        idx.read(write(tmp_path, bomb))


@pytest.mark.parametrize("kind", ["missing", "folder"])
def test_unreadable(tmp_path: Path, kind: str) -> None:
    with pytest.raises(DataError, match="cannot be read"):
        idx.read(tmp_path if kind == "folder" else tmp_path / "absent")


def save_folder(folder: Path, **arrays: np.ndarray) -> Path:
    for role, array in arrays.items():
        (folder / idx.ROLES[role]).write_bytes(encode(array))
    return folder


IMAGES, LABELS = np.full((5, 2, 3), 255, np.uint8), np.arange(5, dtype=np.uint8)


def test_a_folder_of_idx_files(tmp_path: Path) -> None:
    parts = idx.read_folder(save_folder(tmp_path, train_images=IMAGES, train_labels=LABELS))
    assert parts.train.shape == (5, 1, 2, 3) and parts.train.dtype == np.float32 and parts.train.max() == 1
    assert parts.train_labels is not None and parts.train_labels.tolist() == [0, 1, 2, 3, 4]
    assert parts.test is None and parts.test_labels is None


def test_both_spellings_are_found(tmp_path: Path) -> None:
    (tmp_path / "train-images.idx3-ubyte").write_bytes(encode(IMAGES))
    assert len(idx.read_folder(tmp_path).train) == 5


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ({"train_labels": LABELS}, "does not hold"),
        ({"train_images": IMAGES, "train_labels": LABELS[:4]}, "5 images but 4 labels"),
        ({"train_images": IMAGES, "train_labels": IMAGES}, "expected uint8 with 1 dimension"),
        ({"train_images": IMAGES.astype(np.float32)}, "float32"),
        ({"train_images": IMAGES[:0]}, "none of them 0"),
        ({"train_images": IMAGES, "test_images": IMAGES[:, :1]}, "differ in size"),
    ],
)
def test_files_that_do_not_belong_together(tmp_path: Path, arrays: dict[str, np.ndarray], message: str) -> None:
    with pytest.raises(DataError, match=message):
        idx.read_folder(save_folder(tmp_path, **arrays))
