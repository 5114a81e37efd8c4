"""Files that are either whole or absent: JSON, tables and tensors, written atomically and read with suspicion.

Every write goes to a temporary name in the same folder, is forced to the disk, and is renamed over its target; the
folder is forced to the disk last. A reader, or a power cut, finds the old file or the new one, never a part of one.
Equal content gives equal bytes, so that checksums can be compared between runs.
"""

import errno
import hashlib
import io
import json
import math
import os
import secrets
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import pandas
import pyarrow
import torch
from safetensors import SafetensorError
from safetensors.torch import load, save
from torch import Tensor

from egregium.errors import OptionError, StorageError

TEMPORARY = ".tmp-"
"""Prefix of every name that is not yet final; what carries it after a crash is rubbish."""

_REASONS = {
    errno.ENOSPC: "the disk is full; free some space and run the same command again",
    errno.EDQUOT: "your disk quota is used up; free some space and run the same command again",
    errno.EACCES: "permission is denied; choose a place that you may use, or change its permissions",
    errno.EPERM: "the operation is not permitted; choose a place that you may use, or change its permissions",
    errno.EROFS: "the file system is read-only; choose a place that can be written",
    errno.ENOENT: "there is no such file or folder; check the path",
    errno.ENOTDIR: "a part of the path is a file and not a folder; check the path",
    errno.EISDIR: "it is a folder and not a file; check the path",
    errno.ENAMETOOLONG: "the name is too long for the file system; choose a shorter one",
    errno.EIO: "the disk reports an input/output error; check the disk, then run the same command again",
}


def storage_error(doing: str, path: Path | str, error: OSError) -> StorageError:
    """An `OSError` as a sentence: what was attempted, where, why it failed, what to do."""
    reason = _REASONS.get(error.errno or 0) or f"{error.strerror or error}; check the path and the disk"
    return StorageError(f"cannot {doing} {path}: {reason}")


def temporary_name() -> str:
    """A fresh name that the clean-up after a crash recognises."""
    return TEMPORARY + secrets.token_hex(8)


def plain(obj: Any, where: str = "the object") -> Any:
    """A copy of `obj` made of what JSON holds exactly: dict with str keys, list, str, bool, int, finite float, None.

    Raises:
        OptionError: something else stands in it; the message says where.

    >>> plain({"hidden": (256, 256), "lr": 1e-3})
    {'hidden': [256, 256], 'lr': 0.001}
    """
    if obj is None or isinstance(obj, bool):
        return obj
    if isinstance(obj, str):
        return str(obj)
    if isinstance(obj, int):
        return int(obj)
    if isinstance(obj, float):
        if not math.isfinite(obj):
            raise OptionError(f"{where} is {float(obj)}, which JSON cannot hold: use None where there is no number")
        return float(obj)
    if isinstance(obj, Mapping):
        for key in obj:
            if not isinstance(key, str):
                raise OptionError(f"{where} has the key {key!r} of type {type(key).__name__}: JSON keys are strings")
        return {str(key): plain(value, f"{where}[{key!r}]") for key, value in obj.items()}
    if isinstance(obj, list | tuple):
        return [plain(value, f"{where}[{index}]") for index, value in enumerate(obj)]
    raise OptionError(
        f"{where} is a {type(obj).__name__}, which JSON cannot hold: "
        "use str, int, float, bool, None, and lists and dicts of them (.item() and .tolist() make them)"
    )


def digest(obj: Any) -> str:
    """SHA-256, in hexadecimal, of a JSON-like object; the order of keys and the process do not matter.

    Raises:
        OptionError: the object is not JSON-like.

    >>> digest({"a": 1, "b": [2.0]}) == digest({"b": (2.0,), "a": 1})
    True
    """
    canonical = json.dumps(plain(obj), sort_keys=True, separators=(",", ":"), allow_nan=False)
    return hashlib.sha256(canonical.encode()).hexdigest()


def checksum(path: Path | str) -> str:
    """SHA-256 of a file's content, in hexadecimal.

    Raises:
        StorageError: the file cannot be read.
    """
    try:
        with open(path, "rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise storage_error("read", path, error) from error


def sync(path: Path | str) -> None:
    """Forces a file, or the names in a folder, to the disk.

    Raises:
        StorageError: the disk refuses.
    """
    try:
        descriptor = os.open(path, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
    except OSError as error:
        # some network file systems cannot sync a folder and need not
        if error.errno not in (errno.EINVAL, errno.ENOTSUP) or not os.path.isdir(path):
            raise storage_error("save", path, error) from error


def make_folder(path: Path | str) -> Path:
    """Makes a folder and its parents where they are missing, and forces the new names to the disk.

    Raises:
        StorageError: a folder cannot be made.
    """
    path = Path(path)
    missing = [folder for folder in (path, *path.parents) if not os.path.isdir(folder)]
    for folder in reversed(missing):
        try:
            folder.mkdir(exist_ok=True)
        except FileExistsError as error:
            raise StorageError(f"cannot make the folder {folder}: a file of that name is in the way") from error
        except OSError as error:
            raise storage_error("make the folder", folder, error) from error
        sync(folder.parent)
    return path


def entries(folder: Path) -> list[Path]:
    """What lies in a folder, in the order of names.

    Raises:
        StorageError: the folder cannot be read.
    """
    try:
        return sorted(folder.iterdir())
    except OSError as error:
        raise storage_error("read", folder, error) from error


def rename(source: Path, target: Path) -> None:
    """Moves a file or folder to its final name in one step, and forces the names to the disk.

    Raises:
        StorageError: the file system refuses.
    """
    try:
        os.replace(source, target)
    except OSError as error:
        raise storage_error("save", target, error) from error
    sync(target.parent)


def write_bytes(path: Path | str, data: bytes) -> None:
    """Writes a file atomically; its folder must exist.

    Raises:
        StorageError: the disk is full, read-only or forbidden; no part of the file is left, an older one stays.
    """
    path = Path(path)
    temporary = path.with_name(temporary_name())
    try:
        _write_synced(temporary, data)
        rename(temporary, path)
    except StorageError:
        raise
    except OSError as error:
        raise storage_error("write", path, error) from error
    finally:
        with suppress(OSError):
            temporary.unlink(missing_ok=True)


def _write_synced(path: Path, data: bytes) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o666)
    try:
        rest = memoryview(data)
        while rest:
            rest = rest[os.write(descriptor, rest) :]
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def read_bytes(path: Path | str) -> bytes:
    """The content of a file.

    Raises:
        StorageError: the file is missing or cannot be read.
    """
    try:
        return Path(path).read_bytes()
    except OSError as error:
        raise storage_error("read", path, error) from error


def write_json(path: Path | str, obj: Any) -> None:
    """Writes a JSON-like object atomically, keys in the order given.

    Raises:
        OptionError: the object is not JSON-like (NaN and infinity included).
        StorageError: the file cannot be written.
    """
    text = json.dumps(plain(obj), indent=2, allow_nan=False)
    write_bytes(path, text.encode() + b"\n")


def read_json(path: Path | str) -> Any:
    """The object in a JSON file.

    Raises:
        StorageError: the file is missing or is not JSON.
    """
    try:
        return json.loads(read_bytes(path))
    except (ValueError, RecursionError) as error:
        raise StorageError(f"{path} is damaged: it is not JSON ({error}); restore it or make it again") from error


def write_table(path: Path | str, frame: pandas.DataFrame) -> None:
    """Writes a table as Parquet, atomically, with a checksum on every page; `frame.attrs` must be JSON-like.

    Raises:
        OptionError: the table or its `attrs` cannot be stored.
        StorageError: the file cannot be written.
    """
    plain(frame.attrs, "frame.attrs")
    buffer = io.BytesIO()
    try:
        frame.to_parquet(buffer, engine="pyarrow", write_page_checksum=True)
    except (pyarrow.ArrowException, ValueError, TypeError) as error:
        raise OptionError(f"the table for {path} cannot be stored as Parquet: {error}") from error
    write_bytes(path, buffer.getvalue())


def read_table(path: Path | str) -> pandas.DataFrame:
    """The table in a Parquet file, with its `attrs`.

    Raises:
        StorageError: the file is missing, damaged or not Parquet.
    """
    data = read_bytes(path)
    try:
        return pandas.read_parquet(io.BytesIO(data), engine="pyarrow", page_checksum_verification=True, use_threads=False)
    except (pyarrow.ArrowException, OSError, ValueError, KeyError) as error:
        raise StorageError(f"{path} is damaged: it is not a Parquet table ({error}); restore it or make it again") from error


def write_tensors(path: Path | str, tensors: Mapping[str, Tensor], meta: Mapping[str, str] | None = None) -> None:
    """Writes named tensors and string metadata as safetensors, atomically.

    Raises:
        OptionError: a tensor is not dense, or the metadata are not strings.
        StorageError: the file cannot be written.
    """
    meta = dict(meta or {})
    for key, value in meta.items():
        if not isinstance(key, str) or not isinstance(value, str):
            raise OptionError(f"metadata {key!r}: {value!r} is not a pair of strings: encode the value, for example as JSON")
    for name, tensor in tensors.items():
        if not isinstance(tensor, Tensor) or tensor.layout != torch.strided:
            raise OptionError(f"{name!r} for {path} is not a dense tensor but {type(tensor).__name__}: convert it first")
    dense = {name: tensor.detach().cpu().clone(memory_format=torch.contiguous_format) for name, tensor in tensors.items()}
    write_bytes(path, _with_sorted_header(save(dense, metadata=meta)))


def _with_sorted_header(data: bytes) -> bytes:
    # safetensors writes the metadata in hash order, which differs from process to process
    size = int.from_bytes(data[:8], "little")
    header = json.loads(data[8 : 8 + size])
    header = {key: header[key] if key != "__metadata__" else dict(sorted(header[key].items())) for key in sorted(header)}
    text = json.dumps(header, separators=(",", ":"), ensure_ascii=False).encode()
    text += b" " * (-len(text) % 8)
    return len(text).to_bytes(8, "little") + text + data[8 + size :]


def read_tensors(path: Path | str) -> tuple[dict[str, Tensor], dict[str, str]]:
    """The tensors (on the CPU) and the metadata in a safetensors file.

    Raises:
        StorageError: the file is missing, damaged or not safetensors.
    """
    data = read_bytes(path)
    try:
        tensors = load(data)
        size = int.from_bytes(data[:8], "little")
        meta = json.loads(data[8 : 8 + size]).get("__metadata__", {})
    except (SafetensorError, ValueError, KeyError, RuntimeError) as error:
        raise StorageError(f"{path} is damaged: it is not safetensors ({error}); restore it or make it again") from error
    return tensors, meta
