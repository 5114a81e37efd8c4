"""The embedded digits are scikit-learn's, read without importing it."""

import subprocess
import sys

import numpy as np
import pytest
from sklearn.datasets import load_digits

from egregium.data import digits
from egregium.errors import DataError


def test_the_digits_are_those_of_scikit_learn() -> None:
    ours, (theirs, labels) = digits.read(), load_digits(return_X_y=True)
    np.testing.assert_array_equal(ours.train.reshape(-1, 64) * 16, np.asarray(theirs))
    np.testing.assert_array_equal(np.asarray(ours.train_labels), np.asarray(labels))
    assert ours.train.dtype == np.float32 and ours.train.min() == 0 and ours.train.max() == 1


def test_scikit_learn_is_not_imported() -> None:
    """Importing it costs every worker process more than a second."""
    code = "import sys; from egregium.data import digits; digits.read(); sys.exit('sklearn' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_without_scikit_learn(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(digits, "find_spec", lambda name: None)
    with pytest.raises(DataError, match="reinstall scikit-learn"):
        digits.read()
