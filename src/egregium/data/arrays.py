"""Arrays of the user's own: .npy, .npz, .csv and .parquet, read without executing anything that they contain.

Numbers are taken as they are (as float32), but bytes (uint8), which are grey values, are divided by 255. Rows are examples.
Labels are integers or strings, found by name:

- `.npy`: one array `(N, ...)`, no labels.
- `.npz`: `x` or `data` with `labels`, `label` or `y`; or already divided, `train` and `test` (or `x_train`, `x_test`) with
  `train_labels` and `test_labels` (or `y_train`, `y_test`). A lone array beside the labels may have any name.
- `.csv`, `.parquet`: a column for each number, and one called `labels`, `label` or `y`. A column `y` beside a column `x` is
  a coordinate, not a label. A CSV file without a header line has no labels.
"""

import zipfile
import zlib
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
from pyarrow import ArrowException

from egregium.data.selection import Parts
from egregium.errors import DataError

SUFFIXES = (".npy", ".npz", ".csv", ".parquet")
LARGEST = 64 * 2**30
KEYS = {
    "train": ("train", "x_train"),
    "test": ("test", "x_test"),
    "train_labels": ("train_labels", "y_train"),
    "test_labels": ("test_labels", "y_test"),
    "all": ("x", "data"),
    "labels": ("labels", "label", "y"),
}
_DAMAGE = (OSError, EOFError, ValueError, KeyError, NotImplementedError, zlib.error, zipfile.BadZipFile, ArrowException)


def read(path: Path) -> Parts:
    """Examples and labels of an array file; the suffix says which kind it is.

    Raises:
        DataError: the file is missing, damaged, of another format, needs unpickling, or holds NaN, infinity or text
            where numbers are expected; the message names the row.
    """
    reader = {".npy": _read_npy, ".npz": _read_npz, ".csv": _read_csv, ".parquet": _read_parquet}[path.suffix.lower()]
    try:
        return reader(path)
    except DataError:
        raise
    except FileNotFoundError as error:
        raise DataError(f"There is no file {path}.") from error
    except MemoryError as error:
        raise DataError(f"{path} announces an array larger than this machine's memory; it is damaged or too large.") from error
    except _DAMAGE as error:
        raise DataError(f"{path} is not a sound {path.suffix} file of numbers: {_first_line(error)}.") from error


def _read_npy(path: Path) -> Parts:
    with path.open("rb") as stream:
        start = stream.read(6)
    if start != b"\x93NUMPY":
        hint = "it is an archive: rename it to .npz" if start[:2] == b"PK" else "write it with numpy.save"
        raise DataError(f"{path} is called .npy but does not begin like one; {hint}.")
    # Mapped, not read: a header that announces more than the file holds is refused before anything is allocated.
    array = np.load(path, mmap_mode="r", allow_pickle=False)
    return Parts(train=_numbers(array, path.name), origin=f"array {path.name}")


def _read_npz(path: Path) -> Parts:
    with zipfile.ZipFile(path) as archive:
        total = sum(member.file_size for member in archive.infolist())
    if total > LARGEST:
        raise DataError(f"{path} announces {total} bytes, more than the {LARGEST} that are accepted.")
    with np.load(path, allow_pickle=False) as archive:
        roles = _roles({key.lower(): key for key in archive.files}, path)
        found = {role: archive[key] for role, key in roles.items()}
    numbers = {role: _numbers(found[role], roles[role]) for role in ("train", "test") if role in found}
    shapes = {role: array.shape[1:] for role, array in numbers.items()}
    if len(set(shapes.values())) > 1:
        raise DataError(f"{path}: train examples have shape {shapes['train']}, test examples {shapes['test']}.")
    return _labelled(path, numbers["train"], numbers.get("test"), found.get("train_labels"), found.get("test_labels"))


def _roles(keys: dict[str, str], path: Path) -> dict[str, str]:
    """The archive's own key of each role: train, test, train_labels, test_labels."""
    found = {role: keys[name] for role, known in KEYS.items() for name in known if name in keys}
    if "train" in found:
        if "test" not in found and "labels" in found:
            found.setdefault("train_labels", found["labels"])
        return {role: key for role, key in found.items() if role not in ("all", "labels")}
    others = [key for key in keys.values() if key not in found.values()]
    data = found.get("all") or (others[0] if len(others) == 1 and "test" not in found else None)
    if data is None:
        raise DataError(
            f"{path} holds the arrays {', '.join(keys.values()) or '(none)'}; expected x and labels, or train and test with "
            f"train_labels and test_labels."
        )
    return {"train": data} | ({"train_labels": found["labels"]} if "labels" in found else {})


def _read_csv(path: Path) -> Parts:
    frame = pd.read_csv(path, low_memory=False)
    if all(_is_number(str(name)) for name in frame.columns):
        frame = pd.read_csv(path, header=None, low_memory=False)
    elif str(frame.columns[0]).startswith("Unnamed: 0"):
        raise DataError(f"The first column of {path} has no name: a row index? Name it, or write without it (index=False).")
    return _from_frame(path, frame)


def _read_parquet(path: Path) -> Parts:
    return _from_frame(path, pd.read_parquet(path))


def _from_frame(path: Path, frame: pd.DataFrame) -> Parts:
    columns = {str(name).lower(): name for name in frame.columns}
    labels = next((columns[name] for name in KEYS["labels"] if name in columns and not (name == "y" and "x" in columns)), None)
    data = frame if labels is None else frame.drop(columns=labels)
    if data.shape[1] == 0 or len(data) == 0:
        raise DataError(f"{path} holds {len(data)} rows and {data.shape[1]} columns of numbers; expected at least one of each.")
    for name, column in data.items():
        _check_column(path, str(name), column)
    numbers = _numbers(data.to_numpy(dtype=np.float64, na_value=np.nan), path.name)
    parts = _labelled(path, numbers, None, None if labels is None else frame[labels].to_numpy(), None)
    return replace(parts, note=_numbering(data))


def _numbering(data: pd.DataFrame) -> str:
    """A sentence about columns of whole numbers no two of which are equal, which as a rule number the rows."""
    names = [str(name) for name, column in data.items() if column.is_unique and bool((column.astype(float) % 1 == 0).all())]
    if not names:
        return ""
    shown = ", ".join(names[:3]) + (", ..." if len(names) > 3 else "")
    return f"A different whole number in each row: column {shown}; if that numbers the rows, remove it, for it is taken as data"


def _check_column(path: Path, name: str, column: pd.Series) -> None:
    if pd.api.types.is_numeric_dtype(column) and not pd.api.types.is_complex_dtype(column):
        return
    row = next((row for row, value in enumerate(column) if not _is_number(str(value))), 0)
    raise DataError(
        f"{path}, column {name!r}, row {row} (counted from 0) holds {column.iloc[row]!r}, which is not a number. Expected a "
        "comma-separated table of numbers; text is taken only in a column called labels, label or y: drop other columns of "
        "names or dates."
    )


def _numbers(array: np.ndarray, name: str) -> np.ndarray:
    """The array as finite float32 with at least two dimensions, none of them 0."""
    if array.dtype.kind not in "biuf":
        raise DataError(f"{name} holds {array.dtype} values; expected real numbers.")
    if array.ndim < 2 or array.size == 0:
        raise DataError(f"{name} has shape {array.shape}; expected (N, ...): N examples, each of at least one number.")
    with np.errstate(over="ignore"):  # a value beyond float32 becomes infinity, which is refused below
        numbers = np.ascontiguousarray(array, dtype=np.float32) / np.float32(255 if array.dtype == np.uint8 else 1)
    bad = np.flatnonzero(~np.isfinite(numbers.reshape(len(numbers), -1)).all(1))
    if bad.size:
        row = int(bad[0])
        value = array[row].reshape(-1)[~np.isfinite(numbers[row].reshape(-1))][0]
        raise DataError(
            f"{name} holds {value} in row {row} (counted from 0), the first of {bad.size} with NaN, missing values or numbers "
            f"beyond float32. Expected finite numbers: drop or fill these rows."
        )
    return numbers


def standardized(parts: Parts) -> Parts:
    """Every number with mean 0 and standard deviation 1 over the training part; constant ones are only centred."""
    mean, spread = parts.train.mean(0), parts.train.std(0)
    spread = np.where(spread > 0, spread, np.float32(1))
    assert parts.test is not None
    scaled = ((part - mean) / spread for part in (parts.train, parts.test))
    train, test = (part.astype(np.float32) for part in scaled)
    return replace(parts, train=train, test=test, origin=f"{parts.origin}, standardized")


def _labelled(
    path: Path, train: np.ndarray, test: np.ndarray | None, train_labels: np.ndarray | None, test_labels: np.ndarray | None
) -> Parts:
    pairs = {"train": (train, train_labels), "test": (test, test_labels)}
    present = {
        part: _check_labels(path, labels, data)
        for part, (data, labels) in pairs.items()
        if data is not None and labels is not None
    }
    classes: tuple[str, ...] = ()
    if any(labels.dtype.kind != "i" for labels in present.values()):
        classes = tuple(sorted({str(label) for labels in present.values() for label in labels.tolist()}))
        number = {label: index for index, label in enumerate(classes)}
        present = {part: np.array([number[str(label)] for label in labels.tolist()]) for part, labels in present.items()}
    return Parts(train, test, present.get("train"), present.get("test"), classes, f"arrays {path.name}")


def _check_labels(path: Path, labels: np.ndarray, data: np.ndarray) -> np.ndarray:
    """Labels as int64, or as they are where they are strings."""
    if labels.shape != (len(data),):
        raise DataError(f"{path}: labels have shape {labels.shape} for {len(data)} examples; expected one label for each.")
    missing = np.flatnonzero(pd.isna(labels))
    if missing.size:
        raise DataError(f"{path}: the label of row {int(missing[0])} (counted from 0) is missing. Fill it or drop the row.")
    if labels.dtype.kind in "OSUT":
        return labels.astype(str)
    whole = labels.astype(np.int64) if labels.dtype.kind in "biuf" else np.zeros(len(labels), np.int64)
    wrong = np.flatnonzero(whole != labels)
    if wrong.size:
        raise DataError(
            f"{path}: the label of row {int(wrong[0])} (counted from 0) is {labels[wrong[0]]}; labels are integers or strings. "
            f"Rename the column or array if it is data."
        )
    return whole


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def _first_line(error: Exception) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0].rstrip(".")
