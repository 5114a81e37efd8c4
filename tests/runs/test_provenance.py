"""Provenance says what computed a result, and nothing about where or for whom."""

import getpass
import json
import platform
import subprocess
from pathlib import Path

import pytest

from egregium.errors import OptionError
from egregium.runs import provenance as module
from egregium.runs.code import code_version
from egregium.runs.provenance import git_revision, provenance


def test_versions_and_code() -> None:
    found = provenance({"command": "egregium study digits"})
    assert found["code"] == code_version() and found["command"] == "egregium study digits"
    assert found["python"] == platform.python_version() and {"torch", "numpy", "egregium", "platform"} <= found.keys()


def test_neither_machine_nor_owner_nor_place() -> None:
    text = json.dumps(provenance())
    assert str(Path.cwd()) not in text and str(module.PACKAGE) not in text
    assert platform.node() not in text.replace(platform.machine(), "") or len(platform.node()) < 4
    assert f"/{getpass.getuser()}" not in text


def test_extra_entries_are_json() -> None:
    with pytest.raises(OptionError, match="extra"):
        provenance({"when": object()})


def git(folder: Path, *arguments: str) -> None:
    identity = ["-c", "user.name=test", "-c", "user.email=test@example.org", "-c", "commit.gpgsign=false"]
    subprocess.run(["git", "-C", str(folder), *identity, *arguments], check=True, capture_output=True)


def test_the_revision_is_that_of_the_checkout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    package = tmp_path / "src" / "egregium"
    package.mkdir(parents=True)
    monkeypatch.setattr(module, "PACKAGE", package)
    assert git_revision() is None
    git(tmp_path, "init", "--quiet")
    (tmp_path / "README.md").write_text("")
    git(tmp_path, "add", ".")
    git(tmp_path, "commit", "--quiet", "-m", "somebody else's")
    (package / "errors.py").write_text("x = 1")
    assert git_revision() is None, "the package only lies inside that repository"
    git(tmp_path, "add", ".")
    git(tmp_path, "commit", "--quiet", "-m", "ours")
    revision = git_revision()
    assert revision and len(revision) == 40
    (package / "errors.py").write_text("x = 2")
    assert git_revision() == revision + "+changed"


def test_without_git_there_is_no_revision(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")
    assert git_revision() is None
