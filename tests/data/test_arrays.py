"""Arrays of the user's own: the documented names are found, and nothing doubtful is read silently."""

import io
import pickle
import zipfile
from pathlib import Path
from typing import Literal

import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst

from egregium.data import arrays
from egregium.errors import DataError

same_folder = settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=40)
X = np.arange(12, dtype=np.float64).reshape(6, 2)
Y = np.array([2, 0, 1, 1, 0, 2])
TEXT = np.array(["b", "a", "b", "c", "a", "a"])


def npz(folder: Path, **found: np.ndarray) -> Path:
    np.savez(folder / "data.npz", **found)  # pyright: ignore[reportArgumentType]
    return folder / "data.npz"


def text(folder: Path, content: str) -> Path:
    (folder / "data.csv").write_text(content)
    return folder / "data.csv"


numbers = st.sampled_from(["f4", "i2", "u1", "?"]).flatmap(
    lambda kind: npst.arrays(
        np.dtype(kind),
        npst.array_shapes(min_dims=2, max_dims=4, max_side=4),
        elements=st.floats(-9, 9, width=32) if kind == "f4" else None,
    )
)


@same_folder
@given(array=numbers, order=st.sampled_from(["C", "F"]))
def test_npy_round_trip(tmp_path: Path, array: np.ndarray, order: Literal["C", "F"]) -> None:
    np.save(tmp_path / "a.npy", np.asarray(array, order=order))
    found = arrays.read(tmp_path / "a.npy")
    np.testing.assert_array_equal(found.train, array / np.float32(255) if array.dtype == np.uint8 else array)
    assert found.train.dtype == np.float32 and found.test is None and found.train_labels is None


@pytest.mark.parametrize(
    ("found", "labels"),
    [
        ({"x": X}, None),
        ({"X": X, "y": Y}, Y),
        ({"data": X, "labels": Y}, Y),
        ({"embeddings": X}, None),
        ({"embeddings": X, "label": Y}, Y),
        ({"train": X, "labels": Y}, Y),
        ({"x": X, "ids": Y, "y": Y.astype(float)}, Y),
    ],
)
def test_npz_with_one_part(tmp_path: Path, found: dict[str, np.ndarray], labels: np.ndarray | None) -> None:
    parts = arrays.read(npz(tmp_path, **found))
    np.testing.assert_array_equal(parts.train, X)
    assert parts.test is None
    if labels is None:
        assert parts.train_labels is None
    else:
        np.testing.assert_array_equal(parts.train_labels, labels)  # pyright: ignore[reportArgumentType]


@pytest.mark.parametrize(
    "names", [("train", "test", "train_labels", "test_labels"), ("x_train", "x_test", "y_train", "y_test")]
)
def test_npz_with_two_parts(tmp_path: Path, names: tuple[str, ...]) -> None:
    parts = arrays.read(npz(tmp_path, **dict(zip(names, (X, X[:2], Y, Y[:2]), strict=True))))
    assert parts.test is not None and parts.test_labels is not None
    assert parts.test.shape == (2, 2) and parts.test_labels.tolist() == [2, 0]


def test_text_labels_become_numbers_with_names(tmp_path: Path) -> None:
    parts = arrays.read(npz(tmp_path, x=X, labels=TEXT))
    assert parts.classes == ("a", "b", "c") and parts.train_labels is not None
    assert [parts.classes[label] for label in parts.train_labels] == TEXT.tolist()


@pytest.mark.parametrize("suffix", [".csv", ".parquet"])
@pytest.mark.parametrize("name", ["labels", "label", "y", "Label"])
@pytest.mark.parametrize("labels", [Y, TEXT])
def test_tables(tmp_path: Path, suffix: str, name: str, labels: np.ndarray) -> None:
    frame = pd.DataFrame({"a": X[:, 0], name: labels, "b": X[:, 1]})
    path = tmp_path / f"data{suffix}"
    frame.to_csv(path, index=False) if suffix == ".csv" else frame.to_parquet(path)
    parts = arrays.read(path)
    np.testing.assert_array_equal(parts.train, X)
    assert parts.train_labels is not None
    named = parts.train_labels if labels is Y else np.array(parts.classes)[parts.train_labels]
    assert named.tolist() == labels.tolist()


def test_y_beside_x_is_a_coordinate(tmp_path: Path) -> None:
    parts = arrays.read(text(tmp_path, "x,y,z\n1,2,3\n4,5.5,6\n"))
    assert parts.train.tolist() == [[1, 2, 3], [4, 5.5, 6]] and parts.train_labels is None


def test_csv_without_a_header(tmp_path: Path) -> None:
    assert arrays.read(text(tmp_path, "1,2\n3,4\n")).train.tolist() == [[1, 2], [3, 4]]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", "not a sound .csv"),
        ("a,b\n", "holds 0 rows"),
        ("labels\n1\n", "0 columns"),
        ("a,b\n1,2\n3,\n", r"nan in row 1 \(counted from 0\)"),
        ("a,b\n1,2\n3,inf\n", "inf in row 1"),
        ("a,b\n1,2\n3,1e39\n", "1e[+]39 in row 1"),
        ("a,b\n1,2\n3,red\n", "column 'b', row 1 .* holds 'red'"),
        ("a;b\n1;2\n", "comma-separated"),
        ("a,b\n1,2\n1,2,3,4\n", "not a sound .csv"),
        (",a\n0,1\n1,2\n", "no name"),
        ("a,label\n1,0.5\n", "label of row 0 .* is 0.5"),
        ("a,label\n1,2\n3,\n", "label of row 1 .* is missing"),
    ],
)
def test_csv_that_cannot_be_used(tmp_path: Path, content: str, message: str) -> None:
    with pytest.raises(DataError, match=message):
        arrays.read(text(tmp_path, content))


def test_csv_that_is_not_text(tmp_path: Path) -> None:
    (tmp_path / "data.csv").write_bytes(bytes(range(128, 256)) * 9)
    with pytest.raises(DataError, match=r"not a sound \.csv"):
        arrays.read(tmp_path / "data.csv")


def npy(folder: Path, array: np.ndarray) -> Path:
    np.save(folder / "data.npy", array, allow_pickle=True)
    return folder / "data.npy"


@pytest.mark.parametrize(
    ("array", "message"),
    [
        (np.array([[1, np.nan]]), "nan in row 0"),
        (np.array([[1, 2], [3, 4], [-np.inf, 5]]), "-inf in row 2"),
        (np.array([[1e300, 0]]), r"1e[+]300 in row 0"),
        (np.zeros((0, 3)), r"shape \(0, 3\)"),
        (np.zeros((3, 0)), r"shape \(3, 0\)"),
        (np.zeros(3), r"expected \(N, ...\)"),
        (np.float64(3), r"shape \(\)"),
        (np.zeros((2, 2), complex), "complex128"),
        (np.array([["a", "b"]]), "expected real numbers"),
        (np.zeros((2, 2), "M8[s]"), "expected real numbers"),
        (np.zeros(2, [("a", "f4")]), "expected real numbers"),
        (np.array([[{}]], dtype=object), "not a sound .npy"),
    ],
)
def test_npy_that_cannot_be_used(tmp_path: Path, array: np.ndarray, message: str) -> None:
    with pytest.raises(DataError, match=message):
        arrays.read(npy(tmp_path, array))


class Malice:
    def __reduce__(self) -> tuple:
        return pytest.fail, ("code of the file was executed",)


@pytest.mark.parametrize("suffix", [".npy", ".npz"])
def test_nothing_is_unpickled(tmp_path: Path, suffix: str) -> None:
    (tmp_path / f"data{suffix}").write_bytes(pickle.dumps(Malice()))
    with pytest.raises(DataError, match=r"not a sound|does not begin like one"):
        arrays.read(tmp_path / f"data{suffix}")


@pytest.mark.parametrize("suffix", [".npy", ".npz"])
def test_no_object_inside_an_array_is_unpickled(tmp_path: Path, suffix: str) -> None:
    array = np.array([[Malice()]], dtype=object)
    path = npy(tmp_path, array) if suffix == ".npy" else npz(tmp_path, x=array)
    with pytest.raises(DataError, match=r"Object arrays cannot be loaded|Python objects in dtype"):
        arrays.read(path)


@pytest.mark.parametrize("suffix", [".npy", ".npz", ".parquet"])
def test_truncated_anywhere(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"data{suffix}"
    buffer = io.BytesIO()
    if suffix == ".parquet":
        pd.DataFrame(X, columns=["a", "b"]).to_parquet(buffer)
    else:
        np.save(buffer, X) if suffix == ".npy" else np.savez_compressed(buffer, x=X)
    whole = buffer.getvalue()
    for length in {*range(0, len(whole), 1 + len(whole) // 60), len(whole) - 1}:
        path.write_bytes(whole[:length])
        with pytest.raises(DataError):
            arrays.read(path)


def test_a_header_that_announces_more_than_there_is(tmp_path: Path) -> None:
    whole = npy(tmp_path, X).read_bytes()
    huge = whole.replace(b"'shape': (6, 2), }            ", b"'shape': (600000000000, 2), } ")
    assert huge != whole and len(huge) == len(whole)
    (tmp_path / "data.npy").write_bytes(huge)
    with pytest.raises(DataError):
        arrays.read(tmp_path / "data.npy")
    with zipfile.ZipFile(tmp_path / "data.npz", "w") as archive:
        archive.writestr("x.npy", huge)
    with pytest.raises(DataError):
        arrays.read(tmp_path / "data.npz")


@pytest.mark.parametrize(
    ("found", "message"),
    [
        ({"a": X, "b": X}, "holds the arrays a, b; expected x and labels"),
        ({"labels": Y}, "expected x and labels"),
        ({"test": X}, "expected x and labels"),
        ({"train": X, "test": X[:, :1]}, "train examples have shape"),
        ({"x": X, "y": Y[:5]}, r"shape \(5,\) for 6 examples"),
        ({"x": X, "y": X}, "one label for each"),
        ({"x": X, "y": Y + 0.5}, "integers or strings"),
        ({"train": X, "test": X * np.nan}, "test holds nan in row 0"),
    ],
)
def test_npz_that_cannot_be_used(tmp_path: Path, found: dict[str, np.ndarray], message: str) -> None:
    with pytest.raises(DataError, match=message):
        arrays.read(npz(tmp_path, **found))


def test_a_missing_file_and_an_archive_by_the_wrong_name(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no file"):
        arrays.read(tmp_path / "absent.npy")
    npz(tmp_path, x=X).rename(tmp_path / "data.npy")
    with pytest.raises(DataError, match=r"rename it to \.npz"):
        arrays.read(tmp_path / "data.npy")


@pytest.mark.parametrize("kind", ["csv", "parquet"])
def test_columns_that_number_the_rows_are_named(tmp_path: Path, kind: str) -> None:
    frame = pd.DataFrame({"id": [12, 7, 9, 30], "row": [0.0, 1.0, 2.0, 3.0], "count": [3, 3, 4, 5], "x": [0.5, 1.0, 2.0, 3.0]})
    frame.to_csv(tmp_path / "a.csv", index=False)
    frame.to_parquet(tmp_path / "a.parquet")
    assert "in each row: column id, row; if" in arrays.read(tmp_path / f"a.{kind}").note
    frame[["count", "x"]].to_csv(tmp_path / "b.csv", index=False)
    assert arrays.read(tmp_path / "b.csv").note == ""
