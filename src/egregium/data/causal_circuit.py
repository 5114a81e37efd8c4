"""CausalCircuit: pictures of a robot arm that touches lamps, before and after an intervention; .npz files, read unpickled.

Published by Qualcomm (developer.qualcomm.com/software/ai-datasets/causalcircuit) as `train-0.npz` to `train-9.npz`, `val.npz`
and `test.npz`. Each holds for N pairs of n causal variables:

- `imgs` `(N, 2)`: before and after, each the bytes of an encoded image (JPEG), in an array of byte strings of one width; an
  array of bytes `(N, 2, H, W, 3)` is read as well;
- `original_latents` and `epsilon` `(N, 2, n)`: causal variables and noise, before and after;
- `intervention_labels` `(N,)`: 0 for none, i for the i-th variable; `intervention_masks` `(N, n)`: which variables.
"""

import math
import re
import zipfile
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO

import numpy as np
import torch
from torch import Tensor

from egregium.data import images
from egregium.data.images import check_size
from egregium.errors import DataError, OptionError

PARTS = ("train", "val", "test")
KEYS = ("imgs", "original_latents", "epsilon", "intervention_labels", "intervention_masks")
LARGEST = 64 * 2**30
_DAMAGE = (OSError, EOFError, ValueError, KeyError, NotImplementedError, RuntimeError, zlib.error, zipfile.BadZipFile)


@dataclass(frozen=True, eq=False, repr=False)
class ImagePairs:
    """N pairs of pictures before and after an intervention, with what caused them.

    Args:
        before, after: pictures in [0, 1], float32 `(N, 3, H, W)`.
        latents_before, latents_after: causal variables, float32 `(N, n)`.
        noise_before, noise_after: noise, float32 `(N, n)`, as the file's `epsilon` has it.
        targets: what was intervened on, int64 `(N,)`: 0 for nothing, i for the i-th variable, 1 to n.
        masks: the same by variable, bool `(N, n)`.
        origin: what was read, in words.
    """

    before: Tensor
    after: Tensor
    latents_before: Tensor
    latents_after: Tensor
    noise_before: Tensor
    noise_after: Tensor
    targets: Tensor
    masks: Tensor
    origin: str = ""

    def __len__(self) -> int:
        return len(self.before)

    def __repr__(self) -> str:
        n, shape = self.masks.shape[1], tuple(self.before.shape[1:])
        return f"ImagePairs({len(self)} pairs of pictures {shape}, {n} causal variables, {self.origin})"


def causal_circuit(path: str | Path, *, part: str = "train", size: int | None = None, limit: int | None = None) -> ImagePairs:
    """Read a file of CausalCircuit, or all files of a part from the folder that holds them.

    Args:
        path: an `.npz` file, or a folder with `train-0.npz`, ..., `val.npz`, `test.npz`.
        part: "train", "val" or "test": which files of a folder; a file is read whatever its name.
        size: scales each picture to `size` x `size`; they have 512 x 512, of which a pair takes 6 MiB as tensors.
        limit: the first so many pairs only; no more than these are unpacked.

    Raises:
        DataError: nothing there, or a file is damaged, cut short, lacks an array, has arrays that do not fit together, or
            holds pickled objects, which are never read.
        OptionError: an option is out of range.

    References:
        Brehmer, de Haan, Lippe, Cohen 2022, arXiv 2203.16437.
    """
    check_size(size)
    if part not in PARTS or (limit is not None and limit < 1):
        raise OptionError(f"causal_circuit expects part to be one of {PARTS} and limit at least 1; got {part!r} and {limit}.")
    place = Path(path).expanduser()
    found: list[dict[str, np.ndarray]] = []
    for file in _files(place, part):
        rest = None if limit is None else limit - sum(len(one["imgs"]) for one in found)
        if rest == 0:
            break
        found.append(_read(file, size, rest))
        _check_alike(found[0], found[-1], file)
    return _pairs(found, f"CausalCircuit, {place.name if place.is_file() else f'{part} of {place.name}'}")


def _files(place: Path, part: str) -> list[Path]:
    if not place.is_dir():
        return [place]
    found = [file for file in place.glob("*.npz") if re.fullmatch(rf"{part}(-\d+)?", file.stem)]
    if not found:
        held = ", ".join(sorted(file.name for file in place.iterdir())[:8]) or "nothing"
        raise DataError(f"{place} holds no {part}.npz or {part}-0.npz, {part}-1.npz, ... of CausalCircuit; it holds {held}.")
    return sorted(found, key=lambda file: [int(digits) for digits in re.findall(r"-(\d+)$", file.stem)])


def _read(file: Path, size: int | None, limit: int | None) -> dict[str, np.ndarray]:
    """The arrays of a file by their published names, checked, with pictures as float32 `(N, 2, 3, H, W)`."""
    try:
        with zipfile.ZipFile(file) as archive:
            arrays = {key: _member(archive, key, limit, file) for key in KEYS}
        _check(arrays, file)
        return arrays | {"imgs": _pictures(arrays["imgs"], size, file)}
    except DataError:
        raise
    except FileNotFoundError as error:
        raise DataError(f"There is no file {file}.") from error
    except MemoryError as error:
        raise DataError(f"{file} does not fit into this machine's memory; pass limit= or size=.") from error
    except _DAMAGE as error:
        reason = (str(error).strip().splitlines() or [type(error).__name__])[0].rstrip(".")
        raise DataError(f"{file} is not a sound .npz file: {reason}. Download it again.") from error


def _member(archive: zipfile.ZipFile, key: str, limit: int | None, file: Path) -> np.ndarray:
    """The first rows of one array; what follows them is not unpacked."""
    if f"{key}.npy" not in archive.namelist():
        held = ", ".join(name.removesuffix(".npy") for name in archive.namelist()) or "(none)"
        raise DataError(f"{file} holds the arrays {held}; a file of CausalCircuit has {', '.join(KEYS)}.")
    with archive.open(f"{key}.npy") as stream:
        shape, kind = _header(stream, f"{key} in {file}")
        rows = shape[0] if limit is None else min(limit, shape[0])
        wanted = rows * math.prod(shape[1:]) * kind.itemsize
        if wanted > LARGEST:
            raise DataError(f"{key} in {file} announces {wanted} bytes; at most {LARGEST} are accepted: pass limit=.")
        content = stream.read(wanted)
    if len(content) < wanted:
        raise DataError(f"{key} in {file} is cut short: {len(content)} of {wanted} bytes. Download it again.")
    return np.frombuffer(content, kind).reshape(rows, *shape[1:])


def _header(stream: IO[bytes], name: str) -> tuple[tuple[int, ...], np.dtype]:
    """Shape and kind of an array of plain values whose rows follow one another."""
    version = np.lib.format.read_magic(stream)  # pyright: ignore[reportArgumentType]
    readers = {(1, 0): np.lib.format.read_array_header_1_0, (2, 0): np.lib.format.read_array_header_2_0}
    if version not in readers:
        raise ValueError(f"arrays of version {version} are not known")
    shape, by_columns, kind = readers[version](stream)  # pyright: ignore[reportArgumentType]
    if kind.hasobject:
        raise DataError(
            f"{name} is an array of Python objects, which only pickle reads, and pickle runs what a file says. Trust it? Then "
            f"convert it once: load it with NumPy, make the array one of plain numbers or of byte strings "
            f"(numpy.array(objects.tolist())), and save all arrays by numpy.savez."
        )
    if by_columns or not shape or min(shape) < 0:
        raise DataError(f"{name} has shape {shape}{' by columns' if by_columns else ''}; expected rows, one after another.")
    return shape, kind


def _check(arrays: dict[str, np.ndarray], file: Path) -> None:
    """Refuse arrays that do not fit together."""
    z, labels = arrays["original_latents"], arrays["intervention_labels"]
    count, n = len(arrays["imgs"]), z.shape[-1]
    expected = {
        "original_latents": (count, 2, n),
        "epsilon": (count, 2, n),
        "intervention_labels": (count,),
        "intervention_masks": (count, n),
    }
    for key, shape in expected.items():
        if arrays[key].shape != shape or not count or not n:
            raise DataError(f"{key} in {file} has shape {arrays[key].shape} for {count} pairs of pictures; expected {shape}.")
        if arrays[key].dtype.kind not in "biuf" or not np.isfinite(arrays[key]).all():
            raise DataError(f"{key} in {file} holds {arrays[key].dtype} values, or NaN or infinity; expected finite numbers.")
    if (labels != np.floor(labels)).any() or labels.min() < 0 or labels.max() > n:
        raise DataError(f"intervention_labels in {file} are {labels.min()} to {labels.max()}; expected integers, 0 to {n}.")
    if not np.isin(arrays["intervention_masks"], (0, 1)).all():
        raise DataError(f"intervention_masks in {file} holds other values than 0 and 1, or true and false.")


def _pictures(stored: np.ndarray, size: int | None, file: Path) -> np.ndarray:
    """Float32 `(N, 2, 3, H, W)` in [0, 1]."""
    if stored.dtype == np.uint8 and stored.ndim == 5 and stored.shape[1] == 2 and stored.shape[4] == 3:
        flat = stored.transpose(0, 1, 4, 2, 3).reshape(-1, 3, *stored.shape[2:4]) / np.float32(255)
        scaled = flat if size is None else images.resize(flat, size)
        return scaled.reshape(-1, 2, *scaled.shape[1:])
    if stored.dtype.kind not in "SV" or stored.dtype.names or stored.shape[1:] != (2,):
        raise DataError(
            f"imgs in {file} is an array of {stored.dtype} of shape {stored.shape}; expected the bytes of encoded images, "
            f"(N, 2), or uint8 (N, 2, H, W, 3)."
        )
    pictures: np.ndarray | None = None
    for index, content in enumerate(stored.view(f"S{stored.dtype.itemsize}").reshape(-1)):
        name = f"picture {index // 2} {('before', 'after')[index % 2]} in {file}"
        picture = images.decode(bytes(content), name, size)
        if pictures is None:
            pictures = np.empty((stored.size, 3, *picture.shape[1:]), np.float32)
        if picture.shape[1:] != pictures.shape[2:]:
            raise DataError(f"{name} has {picture.shape[1:]} pixels, the pictures before {pictures.shape[2:]}; pass size=.")
        pictures[index] = picture / np.float32(255) if picture.dtype == np.uint8 else picture  # grey fills all channels
    assert pictures is not None
    return pictures.reshape(-1, 2, *pictures.shape[1:])


def _check_alike(first: dict[str, np.ndarray], other: dict[str, np.ndarray], file: Path) -> None:
    for key in ("imgs", "original_latents"):
        if first[key].shape[1:] != other[key].shape[1:]:
            raise DataError(
                f"{key} in {file} has rows of shape {other[key].shape[1:]}, those of the files before {first[key].shape[1:]}; "
                f"read them one by one."
            )


def _pairs(found: Sequence[dict[str, np.ndarray]], origin: str) -> ImagePairs:
    def joined(key: str, kind: type) -> Tensor:
        return torch.from_numpy(np.concatenate([one[key] for one in found]).astype(kind, copy=False))

    x, z, noise = (joined(key, np.float32) for key in ("imgs", "original_latents", "epsilon"))
    targets, masks = joined("intervention_labels", np.int64), joined("intervention_masks", np.bool_)
    return ImagePairs(x[:, 0], x[:, 1], z[:, 0], z[:, 1], noise[:, 0], noise[:, 1], targets, masks, origin)
