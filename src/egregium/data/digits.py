"""The embedded default: 1,797 handwritten digits of 8 x 8 pixels, which scikit-learn carries inside its wheel."""

import gzip
from importlib.util import find_spec
from pathlib import Path

import numpy as np

from egregium.data.selection import Parts
from egregium.errors import DataError


def location() -> Path:
    """Where scikit-learn keeps the file."""
    spec = find_spec("sklearn")
    for folder in spec.submodule_search_locations or () if spec else ():
        path = Path(folder, "datasets", "data", "digits.csv.gz")
        if path.is_file():
            return path
    raise DataError("The digits are scikit-learn's datasets/data/digits.csv.gz, which was not found; reinstall scikit-learn.")


def read() -> Parts:
    """The digits, `(1797, 1, 8, 8)` in [0, 1], and their labels; they have no published test part.

    References:
        Alpaydin and Kaynak 1998, Optical Recognition of Handwritten Digits, UCI Machine Learning Repository.
    """
    # The file is read directly because importing sklearn.datasets would cost every worker process 1.4 s.
    try:
        with gzip.open(location(), "rt", encoding="ascii") as lines:
            table = np.loadtxt(lines, delimiter=",", dtype=np.float32)
    except (OSError, EOFError, ValueError) as error:
        raise DataError(f"scikit-learn's digits cannot be read ({error}); reinstall scikit-learn.") from error
    images = table[:, :64].reshape(-1, 1, 8, 8) / 16  # (N, 1, 8, 8): grey values are 0 .. 16
    return Parts(train=images, train_labels=table[:, 64].astype(np.int64), origin="digits as shipped with scikit-learn")
