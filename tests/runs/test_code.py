"""What a result depends on: the code that it reaches, and no other."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from egregium.runs import code

FILES = {
    "__init__.py": "from egregium.b import y",
    "a.py": "import math\nfrom egregium.inner import deep\nfrom egregium.inner.deep import z\n",
    "b.py": "y = 1",
    "inner/__init__.py": "from egregium.b import y",
    "inner/deep.py": "def f():\n    import egregium.late\n",
    "late.py": "from egregium.a import z",
}


@pytest.fixture
def write(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[str, str], None]]:
    """A package of its own; writing to it forgets what was read of it."""
    place = tmp_path / "egregium"
    monkeypatch.setattr(code, "PACKAGE", place)

    def write(name: str, text: str) -> None:
        (place / name).parent.mkdir(parents=True, exist_ok=True)
        (place / name).write_text(text)
        forget()

    for name, text in FILES.items():
        write(name, text)
    yield write
    monkeypatch.undo()
    forget()


def forget() -> None:
    for cached in (code._sources, code._imported, code.code_version, code.code_behind):
        cached.cache_clear()


Write = Callable[[str, str], None]


@pytest.mark.parametrize("name", [*FILES, "new.py"])
def test_the_version_sees_every_source_file(write: Write, name: str) -> None:
    before = code.code_version()
    write("notes.txt", "not code")
    assert code.code_version() == before
    write(name, "x = 2")
    assert code.code_version() != before


@pytest.mark.parametrize("name", ["a.py", "inner/deep.py", "late.py", "inner/__init__.py", "b.py"])
def test_the_code_behind_a_module_sees_what_it_imports(write: Write, name: str) -> None:
    """`inner` is imported from by name in the line that also names its module, hence not counted: see below."""
    before = code.code_behind("egregium.a")
    write(name, FILES[name] + "\nx = 2")
    assert (code.code_behind("egregium.a") != before) == (name in ("a.py", "inner/deep.py", "late.py"))


def test_a_package_counts_where_something_is_imported_from_it(write: Write) -> None:
    write("a.py", "from egregium.inner import y")
    before = code.code_behind("egregium.a")
    write("b.py", "y = 2")
    assert code.code_behind("egregium.a") != before


def test_unknown_modules_are_all_alike(write: Write) -> None:
    assert code.code_behind("egregium.nowhere") == code.code_behind("os") != code.code_behind("egregium.b")


def test_every_module_of_the_library_imports_by_full_names() -> None:
    """Relative imports would be overlooked."""
    assert not [name for name, source in code._sources().items() if b"from ." in source]


def test_trainings_do_not_reach_the_code_that_measures() -> None:
    reached = {name for name in code._sources() if "egregium.models.training" in _users(name)}
    assert "egregium.models.nets" in reached and "egregium.geodesics.connect" not in reached


def _users(module: str) -> set[str]:
    """Modules that reach `module`."""
    users, ahead = set(), {module}
    while ahead:
        users |= ahead
        ahead = {name for name in code._sources() if code._imported(name) & ahead} - users
    return users
