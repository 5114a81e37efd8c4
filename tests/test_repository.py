"""Rules that no linter knows: what must not stand in a tracked file, and what the code may not do."""

import ast
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
TEXT = {".py", ".md", ".toml", ".txt", ".cff", ".json", ".html", ".svg", ".yml", ".yaml", ".sh", ""}

# Machine-dependent paths, names of this kind of machine's accounts, and hosts of package registries.
FORBIDDEN = {
    "an absolute path": re.compile(r"(?<![\w.:/<])/(?:root|home|Users|work|opt|mnt|tmp|var)/(?!someone\b)\w"),
    "a Windows path": re.compile(r"(?<![A-Za-z])[A-Z]:\\{1,2}Users"),
    "a package registry": re.compile(
        r"(?:pypi|pythonhosted|npmjs|anaconda|debian)\.(?:org|com)|download\.pytorch\.org|registry\.|deb\.", re.IGNORECASE
    ),
    "an address of a machine": re.compile(r"\b(?:10|192\.168|172\.(?:1[6-9]|2\d|3[01]))(?:\.\d{1,3}){2,3}\b"),
}

# Where an import may stand inside a function, and why.
LOCAL_IMPORTS = {
    "src/egregium/cli/": "a command prints its first line before torch is imported, which takes seconds",
    "src/egregium/relations/couplings.py": "POT is an optional extra",
}

# Calls that run what a file says.
UNSAFE = {"eval", "exec", "compile", "__import__", "os.system", "torch.load", "torch.save", "torch.jit.load", "joblib.load"}
UNSAFE_MODULES = {"pickle", "cPickle", "dill", "cloudpickle", "joblib", "marshal", "shelve"}


def tracked() -> list[str]:
    """Files that git knows or would take up."""
    command = ["git", "ls-files", "--cached", "--others", "--exclude-standard"]
    listed = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    if listed.returncode:
        pytest.skip("not a git checkout")
    return sorted(name for name in set(listed.stdout.splitlines()) if (ROOT / name).is_file())


def package() -> list[str]:
    return sorted(str(path.relative_to(ROOT)) for path in (ROOT / "src" / "egregium").rglob("*.py"))


def dotted(node: ast.expr) -> str:
    match node:
        case ast.Name(id=name):
            return name
        case ast.Attribute(value=value, attr=name):
            return f"{dotted(value)}.{name}"
        case _:
            return "?"


def unsafe(source: str) -> Iterator[str]:
    """Every use of pickle, eval and their like, as `line: what`."""
    for node in ast.walk(ast.parse(source)):
        match node:
            case ast.Call(func=function) if dotted(function) in UNSAFE:
                yield f"{node.lineno}: {dotted(function)}"
            case ast.keyword(arg="allow_pickle", value=value) if not (isinstance(value, ast.Constant) and value.value is False):
                yield f"{node.lineno}: allow_pickle"
            case ast.Import(names=names) if any(name.name.split(".")[0] in UNSAFE_MODULES for name in names):
                yield f"{node.lineno}: import {names[0].name}"
            case ast.ImportFrom(module=str(module)) if module.split(".")[0] in UNSAFE_MODULES:
                yield f"{node.lineno}: import {module}"
            case _:
                pass


def local_imports(source: str) -> Iterator[int]:
    """Line of every import inside a function."""
    for function in ast.walk(ast.parse(source)):
        if isinstance(function, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda):
            yield from (node.lineno for node in ast.walk(function) if isinstance(node, ast.Import | ast.ImportFrom))


def face_imports(source: str) -> Iterator[int]:
    """Line of every import of the package's own face, outside the face; its modules may be imported from it."""
    for node in ast.walk(ast.parse(source)):
        match node:
            case ast.Import(names=names) if any(name.name == "egregium" for name in names):
                yield node.lineno
            case ast.ImportFrom(module="egregium", names=names) if not all(is_module(name.name) for name in names):
                yield node.lineno
            case ast.ImportFrom(level=level) if level:
                yield node.lineno
            case _:
                pass


def is_module(name: str) -> bool:
    return (ROOT / "src" / "egregium" / name).is_dir() or (ROOT / "src" / "egregium" / f"{name}.py").is_file()


def without_docstring(source: str) -> Iterator[str]:
    """The first line, where a module does not begin with a docstring."""
    if not ast.get_docstring(ast.parse(source)):
        yield "1: no docstring"


def offenders(rule: Callable[[str], Iterator[object]], *, except_for: tuple[str, ...] = ()) -> list[str]:
    """`file:line` of everything in the package that a rule finds."""
    names = [name for name in package() if not name.startswith(except_for)] if except_for else package()
    return [f"{name}:{found}" for name in names for found in rule((ROOT / name).read_text(encoding="utf-8"))]


def test_no_tracked_file_names_a_machine() -> None:
    found = []
    for name in tracked():
        path = ROOT / name
        if path.suffix not in TEXT or name == "tests/test_repository.py":
            continue
        text = path.read_text(encoding="utf-8", errors="replace")
        found += [f"{name}: {what}: {match[0]}" for what, rule in FORBIDDEN.items() for match in rule.finditer(text)]
    assert found == []


def test_no_tracked_file_is_large_or_generated() -> None:
    names = tracked()
    assert [name for name in names if (ROOT / name).stat().st_size > 2_000_000] == []
    assert [
        name for name in names if re.search(r"__pycache__|\.pyc$|\.egg-info|(^|/)\.venv/|(^|/)runs/[^/]*/run\.json", name)
    ] == []


def test_the_package_runs_nothing_that_a_file_says() -> None:
    assert offenders(unsafe) == []


def test_imports_stand_at_the_top() -> None:
    assert offenders(local_imports, except_for=tuple(LOCAL_IMPORTS)) == []


def test_the_package_does_not_import_its_own_face() -> None:
    assert offenders(face_imports, except_for=("src/egregium/__init__.py",)) == []


def test_every_module_says_what_it_is() -> None:
    assert offenders(without_docstring) == []


def test_the_readme_runs(tmp_path: Path) -> None:
    blocks = re.findall(r"```python\n(.*?)```", (ROOT / "README.md").read_text(), re.DOTALL)
    assert len(blocks) == 6
    assert len(blocks[0].splitlines()) <= 12
    script = tmp_path / "readme.py"
    script.write_text("\n".join(blocks))
    warnings = ["-W", "error", "-W", "ignore:`torch.jit.script` is deprecated:DeprecationWarning"]  # torch's own
    done = subprocess.run([sys.executable, *warnings, script], capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    assert "Geodesic(batch (10,), d = 3" in done.stdout
    assert "torch.Size([100, 9, 784])" in done.stdout and "Indeterminacy(20 points, d = 2" in done.stdout


def test_the_readme_points_at_what_exists() -> None:
    links = re.findall(r"\]\(([^)#:]+)\)", (ROOT / "README.md").read_text())
    assert len(links) >= 4
    assert [link for link in links if not (ROOT / link).exists()] == []


@pytest.mark.parametrize(
    ("source", "rule"),
    [
        ("import pickle", unsafe),
        ("from joblib import load", unsafe),
        ("import torch\ntorch.load('x', weights_only=False)", unsafe),
        ("eval('1')", unsafe),
        ("import numpy as np\nnp.load('x', allow_pickle=True)", unsafe),
        ("def f():\n    import os", local_imports),
        ("def f():\n    from os import path", local_imports),
        ("import egregium", face_imports),
        ("from egregium import Status", face_imports),
        ("from . import x", face_imports),
        ("x = 1", without_docstring),
    ],
)
def test_the_rules_can_fail(source: str, rule: Callable[[str], Iterator[object]]) -> None:
    assert list(rule(source)) != []


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ("see " + "/ho" + "me/somebody/x", "an absolute path"),
        ("C:" + "\\Users", "a Windows path"),
        ("https://py" + "pi.org/simple", "a package registry"),
        ("http://192." + "168.0.7", "an address of a machine"),
    ],
)
def test_the_text_rules_can_fail(text: str, what: str) -> None:
    assert FORBIDDEN[what].search(text)
    assert not FORBIDDEN[what].search("the ratio a/home, from egregium.runs/opt and 1/tmp; decoders 10.5")
