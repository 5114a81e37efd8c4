"""The IDX format of MNIST and its relatives: a big-endian header with the shape, then the numbers; gzipped or plain.

The header is two zero bytes, a byte for the type, a byte for the number of dimensions, and each dimension in four bytes.
"""

import gzip
import hashlib
import math
import struct
import zlib
from pathlib import Path
from typing import BinaryIO, NamedTuple, cast

import numpy as np

from egregium.data.selection import Parts
from egregium.errors import DataError

TYPES = {0x08: "u1", 0x09: "i1", 0x0B: ">i2", 0x0C: ">i4", 0x0D: ">f4", 0x0E: ">f8"}
LARGEST = 16 * 2**30
MOST_DIMENSIONS = 32
ROLES = {
    "train_images": "train-images-idx3-ubyte",
    "train_labels": "train-labels-idx1-ubyte",
    "test_images": "t10k-images-idx3-ubyte",
    "test_labels": "t10k-labels-idx1-ubyte",
}
_CHUNK = 2**20


class Idx(NamedTuple):
    """The array of an IDX file, in native byte order, and the SHA-256 of the file's uncompressed content."""

    array: np.ndarray
    sha256: str


def read(path: Path) -> Idx:
    """Array of an IDX file, gzipped or plain (told apart by content, not by name).

    No more is uncompressed than the header announces, so that a small file cannot fill the memory.

    Raises:
        DataError: the file is missing, truncated, damaged, too long for its header, or not IDX.
    """
    try:
        with path.open("rb") as raw:
            zipped = raw.peek(2)[:2] == b"\x1f\x8b"
            with gzip.GzipFile(fileobj=raw) if zipped else raw as stream:
                return _parse(cast(BinaryIO, stream), path)
    except EOFError as error:
        raise DataError(f"{path} is truncated: its compressed data ends early. Fetch or copy it again.") from error
    except (zlib.error, gzip.BadGzipFile) as error:
        raise DataError(f"{path} is damaged: it does not uncompress ({error}). Fetch or copy it again.") from error
    except OSError as error:
        raise DataError(f"{path} cannot be read: {error.strerror or error}.") from error


def find(folder: Path, name: str) -> Path | None:
    """The file of that name in `folder`, gzipped or not, under the two spellings in use (`-idx3-`, `.idx3-`)."""
    spellings = (name, name.replace("-idx", ".idx"))
    candidates = [folder / (spelling + end) for spelling in spellings for end in (".gz", "")]
    return next((path for path in candidates if path.is_file()), None)


def read_folder(folder: Path) -> Parts:
    """Images `(N, 1, H, W)` in [0, 1] and labels of a folder that holds the four files of MNIST's layout.

    Test files and label files may be absent.

    Raises:
        DataError: a file cannot be read, is of another type or shape, or images and labels differ in number.
    """
    found = {role: path for role, name in ROLES.items() if (path := find(folder, name)) is not None}
    if "train_images" not in found:
        raise DataError(f"{folder} does not hold {ROLES['train_images']} or {ROLES['train_images']}.gz.")
    return assemble({role: read(path).array for role, path in found.items()}, str(folder), f"IDX files of {folder.name}")


def assemble(arrays: dict[str, np.ndarray], place: str, origin: str) -> Parts:
    """Parts from the arrays of the four roles; `place` names their folder in errors."""
    for role, array in arrays.items():
        dimensions = 3 if role.endswith("images") else 1
        if array.dtype != np.uint8 or array.ndim != dimensions or array.size == 0:
            raise DataError(
                f"{ROLES[role]} in {place} holds {array.dtype} numbers of shape {array.shape}; "
                f"expected uint8 with {dimensions} dimension{'s' * (dimensions > 1)}, none of them 0."
            )
    for part in ("train", "test"):
        images, labels = arrays.get(f"{part}_images"), arrays.get(f"{part}_labels")
        if labels is not None and images is not None and len(images) != len(labels):
            raise DataError(f"The {part} files in {place} hold {len(images)} images but {len(labels)} labels; they must agree.")
    train, test = arrays["train_images"], arrays.get("test_images")
    if test is not None and test.shape[1:] != train.shape[1:]:
        raise DataError(f"The images in {place} differ in size: {train.shape[1:]} in training, {test.shape[1:]} in testing.")
    return Parts(
        train=_pixels(train),
        test=None if test is None else _pixels(test),
        train_labels=_classes(arrays.get("train_labels")),
        test_labels=None if test is None else _classes(arrays.get("test_labels")),
        origin=origin,
    )


def _parse(stream: BinaryIO, path: Path) -> Idx:
    head = stream.read(4)
    if len(head) < 4 or head[:2] != b"\0\0" or head[2] not in TYPES or not 0 < head[3] <= MOST_DIMENSIONS:
        start = head.hex(" ") or "nothing"
        raise DataError(f"{path} is not an IDX file: it begins with {start}, expected 00 00, a type and a dimension count.")
    sizes = stream.read(4 * head[3])
    if len(sizes) < 4 * head[3]:
        raise DataError(f"{path} is truncated inside its header. Fetch or copy it again.")
    shape = struct.unpack(f">{head[3]}I", sizes)
    dtype = np.dtype(TYPES[head[2]])
    length = math.prod(shape) * dtype.itemsize
    if length > LARGEST:
        raise DataError(f"{path} announces {length} bytes (shape {shape}), more than the {LARGEST} accepted; it is damaged.")
    body = _read_exactly(stream, length, path)
    digest = hashlib.sha256(head + sizes)
    digest.update(body)
    array = np.frombuffer(body, dtype).reshape(shape).astype(dtype.newbyteorder("="), copy=False)
    return Idx(array, digest.hexdigest())


def _read_exactly(stream: BinaryIO, length: int, path: Path) -> bytearray:
    body = bytearray()
    while len(body) < length and (chunk := stream.read(min(_CHUNK, length - len(body)))):
        body += chunk
    if len(body) < length:
        raise DataError(f"{path} is truncated: it holds {len(body)} of {length} bytes of numbers. Fetch or copy it again.")
    if stream.read(1):  # reading on to the end is also what makes gzip compare its checksum
        raise DataError(f"{path} goes on after the {length} bytes that its header announces; it is not a sound IDX file.")
    return body


def _pixels(images: np.ndarray) -> np.ndarray:
    return np.divide(images[:, None], 255, dtype=np.float32)  # (N, 1, H, W)


def _classes(labels: np.ndarray | None) -> np.ndarray | None:
    return None if labels is None else labels.astype(np.int64)
