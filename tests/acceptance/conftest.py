"""Fixtures of the cases of bad input."""

from pathlib import Path

import pytest
import torch
from torch import nn

from egregium.models import LatentModel


@pytest.fixture(scope="module")
def model() -> LatentModel:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return LatentModel(nn.Linear(5, 2), nn.Linear(2, 5))


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A fresh folder, where commands run too, and where named data sets are not found elsewhere."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("EGREGIUM_DATA", raising=False)
    monkeypatch.setattr("egregium.data.catalog.cache_folder", lambda: tmp_path / "cache")
    return tmp_path
