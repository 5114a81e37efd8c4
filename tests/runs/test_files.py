"""Files are whole or absent, equal content gives equal bytes, and damage is noticed."""

import errno
import os
import stat
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy
import pandas
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from egregium.errors import EgregiumError, OptionError, StorageError
from egregium.runs import files

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)


def table() -> pandas.DataFrame:
    frame = pandas.DataFrame({"model": [0, 1], "relation": ["geodesic", "chord"], "value": [1.5, float("nan")]})
    frame.attrs = {"scales": {"geodesic": "ratio"}}
    return frame


def tensors() -> dict[str, torch.Tensor]:
    base = torch.arange(12.0).reshape(3, 4)
    return {
        "transposed": base.T,
        "view": base[1],
        "empty": torch.zeros(0, 3),
        "scalar": torch.tensor(3),
        "half": torch.ones(2, dtype=torch.bfloat16),
        "trained": torch.nn.Parameter(torch.ones(2)),
        "truth": torch.tensor([True, False]),
    }


WRITERS: dict[str, Callable[[Path], None]] = {
    "bytes": lambda path: files.write_bytes(path, b"content"),
    "json": lambda path: files.write_json(path, {"a": 1}),
    "table": lambda path: files.write_table(path, table()),
    "tensors": lambda path: files.write_tensors(path, tensors(), {"kind": "vae"}),
}
READERS: dict[str, Callable[[Path], Any]] = {"json": files.read_json, "table": files.read_table, "tensors": files.read_tensors}


@given(JSON)
def test_json_comes_back(tmp_path_factory: pytest.TempPathFactory, obj: object) -> None:
    path = tmp_path_factory.getbasetemp() / "object.json"
    files.write_json(path, obj)
    assert files.read_json(path) == obj


@given(st.dictionaries(st.text(), JSON, min_size=2, max_size=4))
def test_digest_does_not_see_the_order_of_keys(obj: dict) -> None:
    assert files.digest(obj) == files.digest(dict(reversed(obj.items())))


@pytest.mark.parametrize(
    ("left", "right"),
    [(1, True), (1, 1.0), ("1", 1), ([], {}), ({"a": None}, {}), ([[1], 2], [1, [2]]), (0.1, 0.1 + 1e-17 * 3)],
)
def test_digest_tells_apart(left: object, right: object) -> None:
    assert (files.digest(left) == files.digest(right)) == (repr(left) == repr(right))


@pytest.mark.parametrize(
    "obj",
    [
        float("nan"),
        float("inf"),
        {1: "a"},
        {"a": {2}},
        numpy.int64(1),
        torch.tensor(1.0),
        Path("a"),
        b"bytes",
        {"a": [object()]},
    ],
)
def test_what_json_cannot_hold_is_refused(tmp_path: Path, obj: object) -> None:
    with pytest.raises(OptionError):
        files.write_json(tmp_path / "object.json", obj)
    assert os.listdir(tmp_path) == []


def test_the_refusal_says_where() -> None:
    with pytest.raises(OptionError, match=r"the object\['a'\]\[1\] is nan"):
        files.digest({"a": [0.0, float("nan")]})


def test_a_table_comes_back_with_its_attributes(tmp_path: Path) -> None:
    files.write_table(tmp_path / "t.parquet", table())
    back = files.read_table(tmp_path / "t.parquet")
    pandas.testing.assert_frame_equal(back, table(), check_exact=True)
    assert back.attrs == table().attrs


def test_a_table_of_objects_is_refused(tmp_path: Path) -> None:
    with pytest.raises(OptionError, match="cannot be stored as Parquet"):
        files.write_table(tmp_path / "t.parquet", pandas.DataFrame({"a": [object()]}))


def test_tensors_come_back(tmp_path: Path) -> None:
    files.write_tensors(tmp_path / "t.safetensors", tensors(), {"kind": "vae", "accent": "\u00e9"})
    back, meta = files.read_tensors(tmp_path / "t.safetensors")
    assert meta == {"kind": "vae", "accent": "\u00e9"}
    assert back.keys() == tensors().keys()
    for name, tensor in tensors().items():
        assert back[name].dtype == tensor.dtype and torch.equal(back[name], tensor)


def test_equal_tensors_and_metadata_give_equal_bytes(tmp_path: Path) -> None:
    meta = {letter: letter for letter in "qwertyuiopasdf"}
    sums = set()
    for index in range(5):  # safetensors itself shuffles the metadata of each file
        files.write_tensors(tmp_path / str(index), {"a": torch.ones(3)}, dict(sorted(meta.items(), reverse=index % 2 == 0)))
        sums.add(files.checksum(tmp_path / str(index)))
    assert len(sums) == 1


@pytest.mark.parametrize("meta", [{"a": 1}, {1: "a"}])
def test_metadata_are_strings(tmp_path: Path, meta: dict) -> None:
    with pytest.raises(OptionError, match="pair of strings"):
        files.write_tensors(tmp_path / "t", {"a": torch.ones(1)}, meta)


def test_sparse_tensors_are_refused(tmp_path: Path) -> None:
    with pytest.raises(OptionError, match="not a dense tensor"):
        files.write_tensors(tmp_path / "t", {"a": torch.eye(2).to_sparse()})


@pytest.mark.parametrize("kind", sorted(READERS))
def test_truncation_is_noticed(tmp_path: Path, kind: str) -> None:
    WRITERS[kind](tmp_path / "whole")
    data = (tmp_path / "whole").read_bytes()
    for size in range(0, len(data) - 2, 1 + len(data) // 40):
        (tmp_path / "part").write_bytes(data[:size])
        with pytest.raises(StorageError, match="is damaged"):
            READERS[kind](tmp_path / "part")


def test_a_flipped_bit_in_the_values_of_a_table_is_noticed(tmp_path: Path) -> None:
    files.write_table(tmp_path / "t.parquet", table())
    data = (tmp_path / "t.parquet").read_bytes()
    footer = int.from_bytes(data[-8:-4], "little") + 8  # names and attributes, for which Parquet has no checksum
    for index in range(len(data) - footer):
        flipped = bytearray(data)
        flipped[index] ^= 1 << index % 8
        (tmp_path / "u.parquet").write_bytes(flipped)
        try:
            back = files.read_table(tmp_path / "u.parquet")
        except StorageError:
            continue
        pandas.testing.assert_frame_equal(back, table(), check_exact=True)


@pytest.mark.parametrize("kind", sorted(READERS))
@pytest.mark.parametrize("content", [b"", b"\x00" * 64, b"\xff" * 64, b"PAR1PAR1PAR1", b"[" * 100_000])
def test_garbage_is_damage(tmp_path: Path, kind: str, content: bytes) -> None:
    (tmp_path / "garbage").write_bytes(content)
    with pytest.raises(StorageError, match="is damaged"):
        READERS[kind](tmp_path / "garbage")


@pytest.mark.parametrize("read", [*READERS.values(), files.checksum], ids=[*READERS, "checksum"])
def test_a_missing_file_is_a_sentence(tmp_path: Path, read: Callable[[Path], object]) -> None:
    with pytest.raises(StorageError, match=r"cannot read .*nowhere: there is no such file"):
        read(tmp_path / "nowhere")


@pytest.mark.parametrize("call", ["write", "fsync", "replace", "open"])
@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EACCES, errno.EROFS, errno.EDQUOT, errno.EIO, errno.EMLINK])
def test_a_failing_disk_leaves_the_old_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, call: str, code: int) -> None:
    def fail(*arguments: object, **options: object) -> None:
        raise OSError(code, os.strerror(code))

    files.write_bytes(tmp_path / "file", b"old")
    with monkeypatch.context() as patch:
        patch.setattr(os, call, fail)
        with pytest.raises(StorageError) as caught:
            files.write_bytes(tmp_path / "file", b"new content")
    assert isinstance(caught.value, EgregiumError) and isinstance(caught.value, OSError)
    assert str(caught.value).startswith("cannot ") and "; " in str(caught.value)
    assert os.listdir(tmp_path) == ["file"]
    assert (tmp_path / "file").read_bytes() == b"old"


def test_a_disk_that_writes_little_at_a_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write = os.write
    monkeypatch.setattr(os, "write", lambda descriptor, data: write(descriptor, bytes(data[:3])))
    files.write_bytes(tmp_path / "file", b"0123456789")
    assert (tmp_path / "file").read_bytes() == b"0123456789"


def test_a_disk_that_fills_up_half_way(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write, room = os.write, iter([4, 4])

    def fill(descriptor: int, data: memoryview) -> int:
        size = next(room, None)
        if size is None:
            raise OSError(errno.ENOSPC, "full")
        return write(descriptor, data[:size])

    monkeypatch.setattr(os, "write", fill)
    with pytest.raises(StorageError, match="the disk is full; free some space"):
        files.write_bytes(tmp_path / "file", b"0123456789")
    assert os.listdir(tmp_path) == []


def test_ctrl_c_while_writing_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupt(descriptor: int) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(os, "fsync", interrupt)
    with pytest.raises(KeyboardInterrupt):
        files.write_bytes(tmp_path / "file", b"content")
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize("kind", sorted(WRITERS))
def test_every_writer_syncs_the_file_then_renames_then_syncs_the_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    seen = []
    fsync, replace = os.fsync, os.replace

    def noted_fsync(descriptor: int) -> None:
        seen.append("folder" if stat.S_ISDIR(os.fstat(descriptor).st_mode) else "file")
        fsync(descriptor)

    def noted_replace(source: Path, target: Path) -> None:
        assert Path(source).parent == Path(target).parent
        seen.append("rename")
        replace(source, target)

    monkeypatch.setattr(os, "fsync", noted_fsync)
    monkeypatch.setattr(os, "replace", noted_replace)
    WRITERS[kind](tmp_path / "file")
    assert seen == ["file", "rename", "folder"]


def test_a_file_system_that_cannot_sync_folders_will_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fsync(descriptor: int) -> None:
        if stat.S_ISDIR(os.fstat(descriptor).st_mode):
            raise OSError(errno.EINVAL, "not for folders")

    monkeypatch.setattr(os, "fsync", fsync)
    files.write_bytes(tmp_path / "file", b"content")
    assert (tmp_path / "file").read_bytes() == b"content"


def test_a_folder_is_made_with_its_parents(tmp_path: Path) -> None:
    assert files.make_folder(tmp_path / "a" / "b" / "c").is_dir()
    files.write_bytes(tmp_path / "file", b"")
    with pytest.raises(StorageError, match="file"):
        files.make_folder(tmp_path / "file" / "below")
    with pytest.raises(StorageError, match="a file of that name is in the way"):
        files.make_folder(tmp_path / "file")
