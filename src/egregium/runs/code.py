"""The code that a result depends on: a hash of the package's source, whole or as far as one module reaches."""

import ast
import hashlib
from functools import cache
from pathlib import Path

from egregium.runs.files import read_bytes

PACKAGE = Path(__file__).resolve().parents[1]
"""The folder of the egregium package: the code that tasks run."""


@cache
def _sources() -> dict[str, bytes]:
    """Every module of the package by its dotted name, as it was when this process first asked."""
    return {
        _dotted(path): read_bytes(path) for path in sorted(PACKAGE.rglob("*.py")) if not path.name.startswith(".")
    }  # fmt: skip


def _dotted(path: Path) -> str:
    parts = (PACKAGE.name, *path.relative_to(PACKAGE).with_suffix("").parts)
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


@cache
def code_version() -> str:
    """Hash of all source files of the egregium package, as they were when this process first asked."""
    return _hash(set(_sources()))


@cache
def code_behind(module: str) -> str:
    """Hash of the source of `module` and of all modules of the package that it imports, directly or through others.

    A package counts only where a module imports from the package itself: its `__init__` runs on the way to its modules,
    but, as everywhere in this library, it does no more than to import them.
    """
    reached, ahead = set(), {module} & _sources().keys()
    while ahead:
        reached |= ahead
        ahead = set().union(*map(_imported, ahead)) - reached
    return _hash(reached)


@cache
def _imported(module: str) -> frozenset[str]:
    """Modules of the package that a module imports, at its head or inside of functions."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(_sources()[module])):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and not node.level:
            below = [f"{node.module}.{alias.name}" for alias in node.names]
            found |= {name if name in _sources() else str(node.module) for name in below}
    return frozenset(found & _sources().keys())


def _hash(modules: set[str]) -> str:
    lines = [f"{name}\0{hashlib.sha256(_sources()[name]).hexdigest()}\n" for name in sorted(modules)]
    return hashlib.sha256("".join(lines).encode()).hexdigest()[:32]
