"""The public face: every name is there, is what type checkers see, and costs no more than it must."""

import ast
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

import pytest

import egregium as eg

NOT_NEEDED = ("pandas", "pyarrow", "sklearn", "matplotlib", "typer", "rich", "safetensors", "PIL", "ot")
MATHEMATICAL = ("errors", "status", "spaces", "geodesics", "distributions", "relations")


def python(code: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-W", "error", "-c", code], capture_output=True, text=True, timeout=120)


@pytest.mark.parametrize("name", eg.__all__)
def test_every_name_resolves(name: str) -> None:
    assert getattr(eg, name) is not None
    assert name in dir(eg)


def test_an_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="no attribute 'geodesicc'"):
        eg.geodesicc  # noqa: B018  # pyright: ignore[reportAttributeAccessIssue]


def test_the_version_is_the_package_s() -> None:
    assert version("egregium") == eg.__version__


def test_type_checkers_see_what_runs(root: Path) -> None:
    tree = ast.parse((root / "src/egregium/__init__.py").read_text())
    guarded = next(node for node in tree.body if isinstance(node, ast.If))
    seen = {node.module: tuple(name.name for name in node.names) for node in guarded.body if isinstance(node, ast.ImportFrom)}
    assert len(seen) == len(guarded.body)
    assert seen == eg._FACE
    assert sorted(eg.__all__) == sorted(eg._SOURCE)


def test_importing_the_face_imports_nothing_heavy() -> None:
    done = python("import egregium, sys; print(sorted({'torch', 'numpy', 'scipy', 'pandas'} & set(sys.modules)))")
    assert (done.returncode, done.stdout) == (0, "[]\n"), done.stderr


def test_all_names_resolve_with_warnings_as_errors_and_no_setting_of_torch_changes() -> None:
    settings = """
import torch
from torch.distributions import Distribution
def settings():
    return (torch.get_default_dtype(), torch.is_grad_enabled(), Distribution._validate_args, torch.get_num_threads(),
            torch.are_deterministic_algorithms_enabled(), torch.default_generator.get_state().tolist()[:8])
before = settings()
import egregium as eg
for name in eg.__all__: getattr(eg, name)
assert settings() == before, (before, settings())
"""
    done = python(settings)
    assert done.returncode == 0, done.stderr


def test_the_mathematical_side_needs_only_torch_numpy_and_scipy() -> None:
    names = [name for name, source in eg._SOURCE.items() if source.partition(".")[2] in MATHEMATICAL]
    assert len(names) > 10
    block = f"import sys\nfor name in {NOT_NEEDED}: sys.modules[name] = None\n"
    done = python(block + f"import egregium as eg\nfor name in {names}: getattr(eg, name)")
    assert done.returncode == 0, done.stderr
