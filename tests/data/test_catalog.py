"""Named data sets: pinned checksums, the cache, folders of the user's own."""

import gzip
import hashlib
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from egregium.data import catalog, idx
from egregium.data.catalog import cache_folder  # bound here, before the fixture `cache` replaces it
from egregium.errors import DataError, StorageError

# The times at which the publisher of Fashion-MNIST compressed his files, as his gzip headers give them.
FASHION_TIMES = {"train": 1504176606, "t10k": 1504176627}


def content(array: np.ndarray) -> bytes:
    return bytes([0, 0, 8, array.ndim]) + np.array(array.shape, ">u4").tobytes() + array.tobytes()


def small_files(train: int = 12, test: int = 6, label: int = 3) -> dict[str, bytes]:
    arrays = {}
    for role, count in (("train", train), ("test", test)):
        arrays[f"{role}_images"] = np.full((count, 28, 28), 51, np.uint8)
        arrays[f"{role}_labels"] = np.full(count, label, np.uint8)
    return {idx.ROLES[role]: content(array) for role, array in arrays.items()}


@pytest.fixture
def published(server: tuple[str, Path], monkeypatch: pytest.MonkeyPatch) -> Path:
    """The catalog with a small set in the place of MNIST, published by a server on this machine; the folder it serves."""
    address, folder = server
    files = []
    for name, plain in small_files().items():
        zipped = gzip.compress(plain, mtime=0)
        (folder / f"{name}.gz").write_bytes(zipped)
        files.append(catalog.File(name, len(zipped), hashlib.sha256(zipped).hexdigest(), hashlib.sha256(plain).hexdigest()))
    small = replace(catalog.entry("mnist"), mirrors=(address,), files=tuple(files))
    monkeypatch.setattr(catalog, "ENTRIES", tuple(small if known.name == "mnist" else known for known in catalog.ENTRIES))
    return folder


def fill(folder: Path, files: dict[str, bytes]) -> Path:
    folder.mkdir(parents=True)
    for name, plain in files.items():
        (folder / name).write_bytes(plain)
    return folder


def withdraw(published: Path) -> None:
    for path in published.iterdir():
        path.unlink()


def test_checksums_are_complete_and_distinct() -> None:
    files = [file for known in catalog.ENTRIES for file in known.files]
    sums = [text for file in files for text in (file.sha256, file.content_sha256)]
    assert len(set(sums)) == 16 and all(len(text) == 64 and set(text) <= set("0123456789abcdef") for text in sums)
    assert all({file.name for file in known.files} in (set(), set(idx.ROLES.values())) for known in catalog.ENTRIES)
    assert catalog.entry("digits").size == 0 and catalog.entry("mnist").size == 11_594_722


def test_pinned_checksums_of_mnist(shared_data: Path) -> None:
    """The test files there are the publisher's, byte for byte."""
    for file in catalog.entry("mnist").files[2:]:
        zipped = (shared_data / "mnist" / f"{file.name}.gz").read_bytes()
        assert (len(zipped), hashlib.sha256(zipped).hexdigest()) == (file.size, file.sha256)
        assert hashlib.sha256(gzip.decompress(zipped)).hexdigest() == file.content_sha256


def test_pinned_checksums_of_fashion_mnist(shared_data: Path) -> None:
    """The compressed content there is the publisher's; with his name and time in the header so is the file."""
    for file in catalog.entry("fashion-mnist").files:
        local = (shared_data / "fashion-mnist" / f"{file.name}.gz").read_bytes()
        time = FASHION_TIMES[file.name.split("-")[0]].to_bytes(4, "little")
        rebuilt = local[:3] + b"\x08" + time + b"\x00\x03" + file.name.encode() + b"\0" + local[10:]
        assert (len(rebuilt), hashlib.sha256(rebuilt).hexdigest()) == (file.size, file.sha256)


@pytest.mark.parametrize("name", ["mnist", "fashion-mnist"])
def test_local_folder(shared_data: Path, name: str) -> None:
    assert catalog.present(name, data_dir=shared_data)
    known = catalog.entry(name)
    labels = idx.read(shared_data / name / "t10k-labels-idx1-ubyte.gz")
    assert labels.sha256 == known.files[3].content_sha256
    assert set(labels.array.tolist()) == set(range(len(known.classes)))


def test_a_first_read_downloads_and_a_second_does_not(published: Path, cache: Path) -> None:
    assert not catalog.present("mnist")
    parts = catalog.read("mnist")
    assert catalog.present("mnist") and len(list((cache / "mnist").iterdir())) == 4
    assert parts.train.shape == (12, 1, 28, 28) and parts.train.dtype == np.float32
    np.testing.assert_allclose(parts.train, 0.2, rtol=1e-7)
    assert parts.origin.endswith("as published") and parts.classes == tuple("0123456789")
    withdraw(published)
    np.testing.assert_array_equal(catalog.read("mnist").train, parts.train)


def test_fetch_reports_and_is_idempotent(published: Path, cache: Path) -> None:
    seen: list[str] = []
    folder = catalog.fetch("mnist", progress=lambda name, done, total: seen.append(name))
    assert folder == cache / "mnist" and len(set(seen)) == 4
    withdraw(published)
    assert catalog.fetch("mnist") == folder


def test_fetch_of_embedded_data_needs_nothing() -> None:
    assert (catalog.fetch("digits") / "digits.csv.gz").is_file()
    assert catalog.present("digits")


def test_fetch_into_a_folder_of_the_users_own(published: Path, tmp_path: Path, cache: Path) -> None:
    assert catalog.fetch("mnist", data_dir=tmp_path / "own") == tmp_path / "own" / "mnist"
    assert catalog.read("mnist", data_dir=tmp_path / "own").origin.endswith("as published")
    assert not cache.exists()


def test_a_damaged_cache_is_an_error_and_fetch_mends_it(published: Path, cache: Path) -> None:
    path = catalog.fetch("mnist") / "t10k-labels-idx1-ubyte.gz"
    whole = path.read_bytes()
    path.write_bytes(whole[:-9])
    with pytest.raises(DataError, match="truncated"):
        catalog.read("mnist")
    path.write_bytes(gzip.compress(small_files(label=4)[path.stem]))
    with pytest.raises(DataError, match=r"cache is damaged.*egregium data fetch mnist"):
        catalog.read("mnist")
    catalog.fetch("mnist")
    assert path.read_bytes() == whole


def test_no_network_says_what_to_do(published: Path, cache: Path) -> None:
    withdraw(published)
    with pytest.raises(DataError, match=r"could not be downloaded.*404"):
        catalog.read("mnist")
    assert not catalog.present("mnist")


def test_a_local_folder_need_not_be_what_was_published(published: Path, tmp_path: Path) -> None:
    fill(tmp_path / "own" / "mnist", small_files(train=5))
    parts = catalog.read("mnist", data_dir=tmp_path / "own")
    assert len(parts.train) == 5
    assert "not as published: train-images-idx3-ubyte, train-labels-idx1-ubyte" in parts.origin


def test_a_local_folder_by_the_environment(published: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = fill(tmp_path / "own" / "mnist", small_files(train=5))
    monkeypatch.setenv("EGREGIUM_DATA", str(tmp_path / "own"))
    assert len(catalog.read("mnist").train) == 5
    monkeypatch.setenv("EGREGIUM_DATA", str(folder))
    assert len(catalog.read("mnist").train) == 5


def test_only_its_own_name_makes_a_folder_that_of_a_set(published: Path, tmp_path: Path) -> None:
    """Fashion-MNIST's files have the same names: its folder must not be read as MNIST."""
    folder = fill(tmp_path / "own" / "fashion-mnist", small_files())
    with pytest.raises(DataError, match="does not hold train-images"):
        catalog.read("mnist", data_dir=folder)


def test_a_local_folder_is_never_filled_by_reading(published: Path, tmp_path: Path) -> None:
    with pytest.raises(DataError, match="egregium data fetch mnist"):
        catalog.read("mnist", data_dir=tmp_path / "own")
    assert not (tmp_path / "own").exists()


def test_files_of_the_users_own_are_never_replaced(published: Path, tmp_path: Path) -> None:
    folder = fill(tmp_path / "own" / "mnist", small_files(train=5))
    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    with pytest.raises(DataError, match="not the published file"):
        catalog.fetch("mnist", data_dir=tmp_path / "own")
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == before


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"t10k-labels-idx1-ubyte": content(np.zeros(5, np.uint8))}, "6 images but 5 labels"),
        ({"t10k-labels-idx1-ubyte": content(np.full(6, 10, np.uint8))}, "10 classes"),
        ({"t10k-labels-idx1-ubyte": b"<html>not found</html>"}, "not an IDX file"),
    ],
)
def test_a_local_folder_of_the_wrong_structure(tmp_path: Path, change: dict[str, bytes], message: str) -> None:
    fill(tmp_path / "mnist", small_files() | change)
    with pytest.raises(DataError, match=message):
        catalog.read("mnist", data_dir=tmp_path)


def test_images_of_another_size_are_not_mnist(tmp_path: Path) -> None:
    images = content(np.zeros((6, 8, 8), np.uint8))
    fill(tmp_path / "mnist", small_files(6, 6) | {"train-images-idx3-ubyte": images, "t10k-images-idx3-ubyte": images})
    with pytest.raises(DataError, match=r"\(1, 8, 8\), but mnist has \(1, 28, 28\)"):
        catalog.read("mnist", data_dir=tmp_path)


def test_an_unknown_name() -> None:
    with pytest.raises(DataError, match="digits, mnist, fashion-mnist"):
        catalog.fetch("emnist")


def test_a_cache_that_cannot_be_written(published: Path, cache: Path) -> None:
    cache.write_bytes(b"in the way")
    with pytest.raises(StorageError):
        catalog.fetch("mnist")


@pytest.mark.parametrize(
    ("platform", "variable", "expected"),
    [
        ("linux", "XDG_CACHE_HOME", "{}/egregium/data"),
        ("linux", None, "{}/.cache/egregium/data"),
        ("darwin", None, "{}/Library/Caches/egregium/data"),
        ("win32", "LOCALAPPDATA", "{}/egregium/data"),
        ("win32", None, "{}/AppData/Local/egregium/data"),
    ],
)
def test_the_platforms_cache(
    platform: str, variable: str | None, expected: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.platform", platform)
    for name in ("XDG_CACHE_HOME", "LOCALAPPDATA"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv(variable or "HOME", str(tmp_path))
    assert cache_folder() == Path(expected.format(tmp_path))
