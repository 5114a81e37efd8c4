"""Folders, tars and zips give the same members; whatever is unsafe or cut short is refused."""

import io
import os
import stat
import struct
import tarfile
import zipfile
from pathlib import Path

import pytest

from egregium.data import archives
from egregium.data.archives import members
from egregium.errors import DataError

FILES = {f"top/{name}/{index}.txt": f"{name}{index}".encode() * 400 for name in "ab" for index in range(3)}
KINDS = ("folder", *archives.SUFFIXES)


def make(root: Path, kind: str, files: dict[str, bytes]) -> Path:
    """The files as a folder or an archive; an archive holds them in the order given."""
    path = root / ("data" if kind == "folder" else f"data{kind}")
    if kind == "folder":
        for name, content in files.items():
            (path / name).parent.mkdir(parents=True, exist_ok=True)
            (path / name).write_bytes(content)
    elif kind == ".zip":
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
            for name, content in files.items():
                archive.writestr(name, content)
    else:
        mode = {".tar": "w", ".tar.gz": "w:gz", ".tgz": "w:gz", ".tar.bz2": "w:bz2", ".tar.xz": "w:xz"}[kind]
        with tarfile.open(path, mode) as archive:  # pyright: ignore[reportCallIssue, reportArgumentType]
            for name, content in files.items():
                add(archive, name, content)
    return path


def add(archive: tarfile.TarFile, name: str, content: bytes = b"", **fields: object) -> None:
    entry = tarfile.TarInfo(name)
    entry.size = len(content)
    for field, value in fields.items():
        setattr(entry, field, value)
    archive.addfile(entry, io.BytesIO(content))


def read_all(path: Path) -> dict[str, bytes]:
    with members(path) as found:
        return dict(found.read(found.names))


@pytest.mark.parametrize("kind", KINDS)
def test_all_kinds_give_the_same(tmp_path: Path, kind: str) -> None:
    path = make(tmp_path, kind, dict(reversed(FILES.items())))
    with members(path) as found:
        assert found.names == tuple(sorted(FILES))
        assert dict(found.read(list(FILES)[2:4])) == dict(list(FILES.items())[2:4])
    assert read_all(path) == FILES


@pytest.mark.parametrize("kind", KINDS)
def test_hidden_files_are_left_out(tmp_path: Path, kind: str) -> None:
    hidden = {".x.png": b"x", "top/.git/y": b"y", "__MACOSX/a/._0.png": b"z"}
    assert read_all(make(tmp_path, kind, FILES | hidden)) == FILES


def test_names_that_begin_with_a_dot_folder(tmp_path: Path) -> None:
    """`tar c .` writes ./a/0.txt."""
    path = make(tmp_path, ".tar", {f"./{name}": content for name, content in FILES.items()})
    assert read_all(path) == FILES


@pytest.mark.parametrize("name", ["../evil", "a/../../evil", "/etc/evil", "a\\..\\evil", "C:/evil", "C:\\evil"])
@pytest.mark.parametrize("kind", [".tar", ".tar.gz", ".zip"])
def test_paths_that_lead_out(tmp_path: Path, kind: str, name: str) -> None:
    with pytest.raises(DataError, match=r"leads out|portable"):
        read_all(make(tmp_path, kind, FILES | {name: b"evil"}))


@pytest.mark.parametrize("kind", [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.FIFOTYPE, tarfile.CHRTYPE])
def test_links_and_devices_in_a_tar(tmp_path: Path, kind: bytes) -> None:
    with tarfile.open(tmp_path / "data.tar", "w") as archive:
        add(archive, "a/0.png", type=kind, linkname="/etc/passwd")
    with pytest.raises(DataError, match="link or device"):
        read_all(tmp_path / "data.tar")


def test_a_link_in_a_zip(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "data.zip", "w") as archive:
        entry = zipfile.ZipInfo("a/0.png")
        entry.external_attr = (stat.S_IFLNK | 0o777) << 16
        archive.writestr(entry, "/etc/passwd")
    with pytest.raises(DataError, match="link or device"):
        read_all(tmp_path / "data.zip")


def test_an_encrypted_zip(tmp_path: Path) -> None:
    whole = bytearray(make(tmp_path, ".zip", {"a": b"x"}).read_bytes())
    for mark, offset in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        whole[whole.index(mark) + offset] |= 1
    (tmp_path / "data.zip").write_bytes(whole)
    with pytest.raises(DataError, match="encrypted"):
        read_all(tmp_path / "data.zip")


@pytest.mark.parametrize("kind", [".tar", ".zip"])
def test_the_same_name_twice(tmp_path: Path, kind: str) -> None:
    with pytest.raises(DataError, match="twice"):
        read_all(make(tmp_path, kind, FILES | {f"./{name}": content for name, content in FILES.items()}))


def test_a_tar_that_announces_an_absurd_size(tmp_path: Path) -> None:
    entry = tarfile.TarInfo("a/0.png")
    entry.size = 2**40
    (tmp_path / "data.tar").write_bytes(entry.tobuf(tarfile.GNU_FORMAT) + bytes(1024))
    with pytest.raises(DataError):
        read_all(tmp_path / "data.tar")


@pytest.mark.parametrize("kind", [".tar.gz", ".zip"])
@pytest.mark.parametrize("limit", ["LARGEST_MEMBER", "LARGEST_TOTAL"])
def test_too_large(tmp_path: Path, kind: str, limit: str, monkeypatch: pytest.MonkeyPatch) -> None:
    path = make(tmp_path, kind, FILES)
    monkeypatch.setattr(archives, limit, 799 if limit == "LARGEST_MEMBER" else 6 * 800 - 1)
    with pytest.raises(DataError, match="are accepted"):
        read_all(path)


def test_a_zip_that_lies_about_a_size_gives_no_more_than_announced(tmp_path: Path) -> None:
    path = make(tmp_path, ".zip", {"a": bytes(2**20)})
    whole = bytearray(path.read_bytes())
    place = whole.index(b"PK\x01\x02") + 24
    whole[place : place + 4] = struct.pack("<I", 100)
    path.write_bytes(whole)
    with pytest.raises(DataError):
        read_all(path)


@pytest.mark.parametrize("kind", archives.SUFFIXES)
def test_truncated_anywhere(tmp_path: Path, kind: str) -> None:
    """Cut at block borders too, where tarfile itself sees a shorter archive and no fault."""
    path = make(tmp_path, kind, FILES)
    whole = path.read_bytes()
    end = 512 * (2 * 6 + 4) if kind == ".tar" else len(whole)  # members, then empty blocks that only pad
    cuts = {*range(0, end, 512), *range(0, end, 1 + end // 50), end - 1} - {end}
    for length in cuts:
        path.write_bytes(whole[:length])
        with pytest.raises(DataError):
            read_all(path)


@pytest.mark.parametrize("kind", archives.SUFFIXES)
def test_a_damaged_archive_is_never_read_as_another(tmp_path: Path, kind: str) -> None:
    """A flipped byte is an error, or changes nothing that is read; a plain tar protects its headers only."""
    path = make(tmp_path, kind, FILES)
    whole = path.read_bytes()
    for place in range(0, len(whole), 1 + len(whole) // 150):
        damaged = bytearray(whole)
        damaged[place] ^= 0x55
        path.write_bytes(damaged)
        try:
            found = read_all(path)
        except DataError:
            continue
        if kind == ".tar":
            assert set(found) == set(FILES)
        else:
            assert found == FILES


@pytest.mark.parametrize("kind", archives.SUFFIXES)
@pytest.mark.parametrize("content", [b"", b"<html>not found</html>", bytes(2000)])
def test_not_an_archive(tmp_path: Path, kind: str, content: bytes) -> None:
    (tmp_path / f"data{kind}").write_bytes(content)
    if content == bytes(2000) and kind != ".zip":  # zero blocks are a tar without members
        assert read_all(tmp_path / f"data{kind}") == {}
        return
    with pytest.raises(DataError, match=r"damaged, truncated or not an archive"):
        read_all(tmp_path / f"data{kind}")


def test_missing(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no file or folder"):
        read_all(tmp_path / "absent.tar")


def test_links_in_a_folder_are_followed_once(tmp_path: Path) -> None:
    path = make(tmp_path, "folder", FILES)
    other = make(tmp_path / "other", "folder", {"0.txt": b"linked"})
    os.symlink(other, path / "linked")
    os.symlink(path, path / "top" / "circle")
    os.mkfifo(path / "top" / "pipe.png")
    assert read_all(path) == FILES | {"linked/0.txt": b"linked"}
