"""A folder that was made otherwise says in words what differs."""

from collections.abc import Callable
from pathlib import Path

import pytest

from egregium.errors import RunError
from egregium.runs.engine import execute
from egregium.runs.folder import RunFolder
from egregium.runs.task import Task

Open = Callable[..., RunFolder]
Make = Callable[..., Task]


def test_another_configuration_is_named(opened: Open, example: Make) -> None:
    with opened(config={"models": 30, "spec": {"latent": 2, "lr": 0.1}, "seed": 0}) as folder:
        execute([example("sleepy", "a")], folder, in_process=True)
    with pytest.raises(RunError) as caught:
        opened(config={"models": 40, "spec": {"latent": 2, "lr": 0.2}, "pairs": 5, "seed": 0})
    sentence = str(caught.value)
    assert (
        "another configuration (models: 30 there, 40 here; pairs: none there, 5 here; spec.lr: 0.1 there, 0.2 here)" in sentence
    )
    assert "another folder" in sentence and "--force" in sentence and "data" not in sentence and "code" not in sentence


def test_other_data_and_another_code_are_named(tmp_path: Path, example: Make) -> None:
    with RunFolder.open(tmp_path / "run", {"data_checksum": "a" * 64}, {"code": "b" * 32}) as folder:
        execute([example("sleepy", "a")], folder, in_process=True)
    with pytest.raises(RunError, match=r"other data .*aaaa.* there, .*cccc.* here"):
        RunFolder.open(tmp_path / "run", {"data_checksum": "c" * 64}, {"code": "b" * 32})
    with pytest.raises(RunError, match=r"another version of the code .*bbbb.* there, dddd.* here"):
        RunFolder.open(tmp_path / "run", {"data_checksum": "a" * 64}, {"code": "d" * 32})
    with pytest.raises(RunError, match=r"other data .* and another version of the code"):
        RunFolder.open(tmp_path / "run", {"data_checksum": "c" * 64}, {"code": "d" * 32})
