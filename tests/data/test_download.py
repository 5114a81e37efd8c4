"""A download arrives whole and right, or not at all."""

import hashlib
import socket
from pathlib import Path

import pytest

from egregium.data.download import download
from egregium.errors import DataError, StorageError

CONTENT = bytes(range(256)) * 2000
SHA256 = hashlib.sha256(CONTENT).hexdigest()


def get(target: Path, *urls: str, size: int = len(CONTENT), sha256: str = SHA256, **options) -> Path:
    return download(urls, target, sha256=sha256, size=size, **options)


def assert_nothing_left(target: Path) -> None:
    assert not target.parent.exists() or list(target.parent.iterdir()) == []


def test_whole(server: tuple[str, Path], tmp_path: Path) -> None:
    address, folder = server
    (folder / "file").write_bytes(CONTENT)
    seen: list[tuple[int, int]] = []
    target = get(tmp_path / "a" / "b" / "file", address + "file", progress=lambda done, total: seen.append((done, total)))
    assert target.read_bytes() == CONTENT
    assert [path.name for path in target.parent.iterdir()] == ["file"]
    assert seen[-1] == (len(CONTENT), len(CONTENT)) and sorted(seen) == seen


def test_from_a_file_url(tmp_path: Path) -> None:
    (tmp_path / "source").write_bytes(CONTENT)
    assert get(tmp_path / "out" / "file", (tmp_path / "source").as_uri()).read_bytes() == CONTENT


def test_the_next_mirror_is_tried(server: tuple[str, Path], tmp_path: Path) -> None:
    address, folder = server
    (folder / "bad").write_bytes(CONTENT[::-1])
    (folder / "file").write_bytes(CONTENT)
    target = get(tmp_path / "out" / "file", address + "absent", address + "bad", address + "cut/file", address + "file")
    assert target.read_bytes() == CONTENT


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("cut/file", f"ended after {len(CONTENT) // 2} of {len(CONTENT)}"),
        ("short", "ended after 10 of"),
        ("long", "did not end at the expected"),
        ("other", "expected " + SHA256),
        ("absent", "404"),
    ],
)
def test_what_is_wrong_is_refused(server: tuple[str, Path], tmp_path: Path, name: str, message: str) -> None:
    address, folder = server
    contents = {"file": CONTENT, "short": CONTENT[:10], "long": CONTENT + b"x", "other": CONTENT[::-1]}
    for file, content in contents.items():
        (folder / file).write_bytes(content)
    target = tmp_path / "out" / "file"
    with pytest.raises(DataError, match=message):
        get(target, address + name)
    assert_nothing_left(target)


def test_a_failed_download_leaves_the_old_file(server: tuple[str, Path], tmp_path: Path) -> None:
    target = tmp_path / "file"
    target.write_bytes(b"old")
    with pytest.raises(DataError):
        get(target, server[0] + "absent")
    assert target.read_bytes() == b"old"


def test_no_network(tmp_path: Path) -> None:
    with socket.socket() as taken:  # bound but not listening: connections are refused
        taken.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{taken.getsockname()[1]}/file"
        with pytest.raises(DataError, match=r"no connection.*by hand"):
            get(tmp_path / "out" / "file", url, timeout=2)


def test_a_silent_server(tmp_path: Path) -> None:
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        with pytest.raises(DataError, match="timed out"):
            get(tmp_path / "out" / "file", f"http://127.0.0.1:{silent.getsockname()[1]}/file", timeout=0.2)


@pytest.mark.parametrize("url", ["nonsense", "ftp://127.0.0.1:1/x", "file:///no/such/file"])
def test_useless_addresses(tmp_path: Path, url: str) -> None:
    with pytest.raises(DataError, match="could not be downloaded"):
        get(tmp_path / "out" / "file", url, timeout=1)


def test_a_folder_that_cannot_be_made(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"in the way")
    with pytest.raises(StorageError):
        get(tmp_path / "file" / "out", (tmp_path / "file").as_uri())
