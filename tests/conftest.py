"""What all tests share: one thread, repeatable hypothesis examples, and the folder of real data where there is one."""

import os
from pathlib import Path

import pytest
import torch
from hypothesis import settings

ROOT = Path(__file__).resolve().parent.parent

torch.set_num_threads(1)
settings.register_profile("egregium", deadline=None, derandomize=True, max_examples=25, print_blob=True)
settings.load_profile("egregium")


@pytest.fixture(scope="session")
def root() -> Path:
    """The checkout that is being tested."""
    return ROOT


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """A folder with `mnist/` and `fashion-mnist/`: `EGREGIUM_DATA`, or `shared/data` beside the checkout."""
    folder = Path(os.environ.get("EGREGIUM_DATA", ROOT.parent / "shared" / "data"))
    if not (folder / "mnist").is_dir():
        pytest.skip("no local copy of MNIST: set EGREGIUM_DATA to a folder that holds mnist/ and fashion-mnist/")
    return folder
