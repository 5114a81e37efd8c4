"""Where a result comes from: versions of what computed it, and nothing that names the machine or its owner."""

import platform
import subprocess
from importlib.metadata import PackageNotFoundError, version
from typing import Any

from egregium.runs.code import PACKAGE, code_version
from egregium.runs.files import plain


def provenance(extra: dict[str, Any] | None = None) -> dict[str, Any]:
    """Versions, platform, hash of the code and git revision as a JSON-like dict, with the entries of `extra` added.

    Raises:
        OptionError: `extra` is not JSON-like.

    >>> sorted(provenance({"command": "egregium study digits"}))[:3]
    ['code', 'command', 'egregium']
    """
    return {
        "egregium": _version("egregium"),
        "code": code_version(),
        "git": git_revision(),
        "python": platform.python_version(),
        "torch": _version("torch"),
        "numpy": _version("numpy"),
        "scipy": _version("scipy"),
        "platform": f"{platform.system()} {platform.machine()}",
        **plain(extra or {}, "extra"),
    }


def git_revision() -> str | None:
    """The revision of the checkout that holds the package, `+changed` if it differs from it; None outside a checkout."""
    # an installed package may lie inside somebody else's repository, which does not track it
    if not _git("ls-files", "--", "errors.py"):
        return None
    revision = _git("rev-parse", "HEAD")
    if not revision:
        return None
    return revision + ("+changed" if _git("status", "--porcelain", "--", ".") else "")


def _git(*arguments: str) -> str:
    try:
        done = subprocess.run(["git", "-C", str(PACKAGE), *arguments], capture_output=True, text=True, timeout=10)
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return done.stdout.strip() if done.returncode == 0 else ""


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "unknown"
