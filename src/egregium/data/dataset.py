"""One call from a name or a path to tensors: `load`."""

import hashlib
from dataclasses import dataclass, replace
from difflib import get_close_matches
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from egregium.data import archives, arrays, catalog, idx, images
from egregium.data.selection import Parts, Selection
from egregium.errors import DataError, OptionError


@dataclass(frozen=True, eq=False, repr=False)
class Dataset:
    """Examples for training and testing: float32 `(N, *shape)`, labels int64 `(N,)` or None.

    `checksum` is the SHA-256 of all numbers, shapes and labels: equal checksums mean equal tensors, wherever they came from.
    `classes[label]` is a label's name (empty where labels have no names), `origin` says in words what was read, and
    `note` what of it looks like an oversight, if anything does.
    """

    name: str
    train: Tensor
    test: Tensor
    train_labels: Tensor | None
    test_labels: Tensor | None
    checksum: str
    classes: tuple[str, ...] = ()
    origin: str = ""
    note: str = ""

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of one example; `(C, H, W)` for images."""
        return tuple(self.train.shape[1:])

    def __repr__(self) -> str:
        counts = f"{len(self.train)} train + {len(self.test)} test"
        return f"Dataset({self.name!r}, {counts} of shape {self.shape}, {self.origin}, checksum {self.checksum[:12]})"


def load(
    name_or_path: str | Path,
    *,
    data_dir: str | Path | None = None,
    size: int | None = None,
    standardize: bool = False,
    test_fraction: float = 0.2,
    seed: int = 0,
    limit: int | None = None,
) -> Dataset:
    """Read a data set by name, or the user's own arrays or images by path.

    A name is `digits`, `mnist` or `fashion-mnist` (write `./mnist` for a folder of that name). Files of a named set come
    from `data_dir`, else from `$EGREGIUM_DATA`, else from a cache that is filled over the network. A path leads to a
    `.npy`, `.npz`, `.csv` or `.parquet` file (see `egregium.data.arrays`), to a folder, tar or zip of images (see
    `egregium.data.images`), or to a folder with IDX files in the layout of MNIST.

    Images have values in [0, 1] and shape `(C, H, W)`; other arrays are taken as they are, unless `standardize` gives each
    of their numbers mean 0 and standard deviation 1 over the training part. `size` cuts images to their
    central square and scales it to `size` x `size`. Sources without a test part are divided at random, `test_fraction` of
    the rows for testing, the same for the same `seed`. `limit` keeps at most so many rows of each part, chosen at random.

    Raises:
        DataError: nothing of that name or path, or it is damaged, of another format, unsafe, or holds NaN or infinity.
        OptionError: an option is outside its range, or `size` is given for a source that is not images.
        StorageError: a download cannot be stored.

    >>> data = load("digits")
    >>> data.shape, len(data.train), len(data.test)
    ((1, 8, 8), 1438, 359)
    """
    images.check_size(size)
    selection = Selection(test_fraction, seed, limit)
    if str(name_or_path) in catalog.names():
        name = str(name_or_path)
        if standardize:
            raise OptionError(
                f"standardize applies to arrays and tables (--standardize); the images of {name} are scaled to [0, 1]."
            )
        return _dataset(name, _scaled(selection.apply(catalog.read(name, data_dir=data_dir)), size))
    path = Path(name_or_path).expanduser()
    kind = path.name.lower()
    if kind.endswith(arrays.SUFFIXES) and path.is_file():
        if size is not None:
            raise OptionError(
                f"size applies to images (--size), but {path} is an array file, whose numbers are taken as they are."
            )
        parts = selection.apply(arrays.read(path))
        return _dataset(path.stem, arrays.standardized(parts) if standardize else parts)
    if standardize:
        raise OptionError(
            f"standardize applies to arrays and tables (--standardize), but {path} is none; images are in [0, 1]."
        )
    if path.is_dir() and idx.find(path, idx.ROLES["train_images"]):
        return _dataset(path.name, _scaled(selection.apply(idx.read_folder(path)), size))
    if path.is_dir() or (kind.endswith(archives.SUFFIXES) and path.is_file()):
        return _dataset(_stem(path), images.read(path, size=size, selection=selection))
    raise DataError(_unknown(path))


def _dataset(name: str, parts: Parts) -> Dataset:
    assert parts.test is not None  # every way here divides
    train, test = torch.from_numpy(parts.train), torch.from_numpy(parts.test)
    labels = [None if part is None else torch.from_numpy(part) for part in (parts.train_labels, parts.test_labels)]
    checksum = _checksum(parts.train, parts.test, parts.train_labels, parts.test_labels)
    return Dataset(name, train, test, labels[0], labels[1], checksum, parts.classes, parts.origin, parts.note)


def _checksum(*parts: np.ndarray | None) -> str:
    digest = hashlib.sha256()
    for part in parts:
        digest.update(b"none" if part is None else f"{part.dtype.str}{part.shape}".encode())
        if part is not None:
            digest.update(np.ascontiguousarray(part).data)
    return digest.hexdigest()


def _scaled(parts: Parts, size: int | None) -> Parts:
    if size is None:
        return parts
    assert parts.test is not None
    return replace(parts, train=images.resize(parts.train, size), test=images.resize(parts.test, size))


def _stem(path: Path) -> str:
    name = path.resolve().name if path.is_dir() else path.name
    ends = [] if path.is_dir() else [end for end in archives.SUFFIXES if name.lower().endswith(end)]
    return name[: len(name) - len(max(ends, key=len, default=""))] or name


def _unknown(path: Path) -> str:
    files = ", ".join((*arrays.SUFFIXES, *archives.SUFFIXES))
    known = f"a name ({', '.join(catalog.names())}), a file ({files}), or a folder of images or of IDX files"
    if path.exists():
        return f"{path} is of a kind that cannot be read. Expected {known}."
    close = get_close_matches(str(path).lower().replace("_", "-"), catalog.names(), n=1, cutoff=0.7)
    hint = f" Did you mean {close[0]}?" if close else ""
    return f"There is no data set or file {str(path)!r}.{hint} Expected {known}."
