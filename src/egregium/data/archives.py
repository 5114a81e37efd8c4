"""Files of a folder, a tar or a zip behind one face; archives are read in place, never unpacked to disk.

An archive may come from anyone: paths that escape, links, devices, encrypted or absurdly large members are refused before
anything is read.
"""

import os
import stat
import struct
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from lzma import LZMAError
from pathlib import Path, PurePosixPath
from typing import TypeVar

from egregium.errors import DataError

SUFFIXES = (".tar", ".tar.gz", ".tgz", ".tar.bz2", ".tar.xz", ".zip")
LARGEST_MEMBER = 256 * 2**20
LARGEST_TOTAL = 64 * 2**30
_BLOCK = 512
_ZIP_END, _ZIP64 = 22, 0xFFFF
_Entry = TypeVar("_Entry")
_DAMAGE = (tarfile.TarError, zipfile.BadZipFile, zlib.error, LZMAError, EOFError, NotImplementedError, OSError)


@dataclass(frozen=True)
class Members:
    """The regular files of a source, by their path inside it, and how to read the ones wanted, in the order they lie in."""

    names: tuple[str, ...]
    read: Callable[[Iterable[str]], Iterator[tuple[str, bytes]]]


@contextmanager
def members(path: Path) -> Iterator[Members]:
    """Open a folder, tar or zip; hidden files and folders (`.x`, `__MACOSX`) are left out.

    Raises:
        DataError: the source is missing, damaged or truncated, or holds an unsafe member; also while reading.
    """
    opener = _folder if path.is_dir() else _zip if path.suffix.lower() == ".zip" else _tar
    try:
        with opener(path) as found:
            yield found
    except DataError:
        raise
    except FileNotFoundError as error:
        raise DataError(f"There is no file or folder {path}.") from error
    except _DAMAGE as error:
        reason = (str(error).splitlines() or [type(error).__name__])[0].rstrip(":.")
        raise DataError(f"{path} is damaged, truncated or not an archive: {reason}. Copy it again.") from error


@contextmanager
def _folder(path: Path) -> Iterator[Members]:
    def read(wanted: Iterable[str]) -> Iterator[tuple[str, bytes]]:
        for name in sorted(wanted):
            yield name, (path / name).read_bytes()

    yield Members(tuple(sorted(_walk(path))), read)


def _walk(root: Path) -> Iterator[str]:
    """Paths of the regular files under `root`; links are followed, since the folder is the user's own, but each folder once."""
    seen = set()
    for folder, inner, files in os.walk(root, followlinks=True, onerror=_raise):
        seen.add(os.path.realpath(folder))
        inner[:] = [name for name in inner if not _hidden(name) and os.path.realpath(os.path.join(folder, name)) not in seen]
        for name in files:
            full = Path(folder, name)
            if not _hidden(name) and full.is_file():
                yield full.relative_to(root).as_posix()


@contextmanager
def _tar(path: Path) -> Iterator[Members]:
    with tarfile.open(path, "r:*") as archive:
        entries = archive.getmembers()
        _check_end(archive, path)
        for entry in entries:
            if not (entry.isreg() or entry.isdir()):
                raise DataError(f"{path} holds {entry.name!r}, a link or device; expected files and folders only.")
        found = _regular(path, [(entry.name, entry.size, entry) for entry in entries if entry.isreg()])

        def read(wanted: Iterable[str]) -> Iterator[tuple[str, bytes]]:
            for name in sorted(wanted, key=lambda name: found[name].offset_data):
                stream = archive.extractfile(found[name])
                assert stream is not None  # regular members only
                yield name, stream.read()
            _read_to_end(archive)

        yield Members(tuple(sorted(found)), read)


def _check_end(archive: tarfile.TarFile, path: Path) -> None:
    """Raise where the list of members stops short: tarfile takes a damaged header or a missing end for the end."""
    stream = archive.fileobj
    assert stream is not None
    stream.seek(archive.offset)
    if stream.read(_BLOCK) != bytes(_BLOCK):
        count = len(archive.getmembers())
        raise DataError(f"{path} is truncated or damaged: after {count} members comes no end mark. Copy it again.")


def _read_to_end(archive: tarfile.TarFile) -> None:
    """Read what is left of the stream, which makes a compressor compare its checksum."""
    assert archive.fileobj is not None
    while archive.fileobj.read(2**20):
        pass


@contextmanager
def _zip(path: Path) -> Iterator[Members]:
    with zipfile.ZipFile(path) as archive:
        _check_count(archive, path)
        entries = [entry for entry in archive.infolist() if not entry.is_dir()]
        for entry in entries:
            kind = stat.S_IFMT(entry.external_attr >> 16)
            if kind not in (0, stat.S_IFREG):
                raise DataError(f"{path} holds {entry.filename!r}, a link or device; expected files and folders only.")
            if entry.flag_bits & 1:
                raise DataError(f"{path} holds {entry.filename!r}, which is encrypted; make an archive without a password.")
        found = _regular(path, [(entry.filename, entry.file_size, entry) for entry in entries])

        def read(wanted: Iterable[str]) -> Iterator[tuple[str, bytes]]:
            for name in sorted(wanted, key=lambda name: found[name].header_offset):
                yield name, archive.read(found[name])

        yield Members(tuple(sorted(found)), read)


def _check_count(archive: zipfile.ZipFile, path: Path) -> None:
    """Raise where the directory holds other than the number of members that the end record gives; zipfile does not compare."""
    with path.open("rb") as stream:
        stream.seek(-_ZIP_END - len(archive.comment), os.SEEK_END)
        mark, count = struct.unpack("<4s6xH", stream.read(12))
    if mark != b"PK\x05\x06" or count not in (len(archive.infolist()), _ZIP64):
        listed = len(archive.infolist())
        raise DataError(f"{path} is damaged: its directory lists {listed} members, its end record {count}. Copy it again.")


def _regular(path: Path, entries: list[tuple[str, int, _Entry]]) -> dict[str, _Entry]:
    """Entries by cleaned name, after the checks that hold for every archive."""
    found: dict[str, _Entry] = {}
    total = 0
    for name, size, entry in entries:
        parts = PurePosixPath(name).parts
        if not parts or ".." in parts or name.startswith("/") or "\\" in name or ":" in parts[0] or "\0" in name:
            raise DataError(
                f"{path} holds the path {name!r}, which leads out of the archive or is not portable; it is not read."
            )
        total += size
        if not 0 <= size <= LARGEST_MEMBER or total > LARGEST_TOTAL:
            raise DataError(
                f"{path} announces {size} bytes for {name!r} and {total} so far; at most {LARGEST_MEMBER} for one file and "
                f"{LARGEST_TOTAL} in all are accepted."
            )
        clean = "/".join(parts)
        if clean in found:
            raise DataError(f"{path} holds {clean!r} twice; make an archive with each file once.")
        if not any(map(_hidden, parts)):
            found[clean] = entry
    return found


def _hidden(name: str) -> bool:
    return name.startswith(".") or name == "__MACOSX"


def _raise(error: OSError) -> None:
    raise error
