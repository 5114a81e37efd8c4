"""The resolved configuration of a study, flattened for a table; nothing in it names the author's machine."""

from collections.abc import Iterator
from pathlib import PurePosixPath, PureWindowsPath
from typing import Any

from egregium.report.results import Results
from egregium.report.words import NOTHING


def data_name(results: Results) -> str:
    """The name of the data in the configuration, if it can be told."""
    data = results.setting("data")
    found = data if isinstance(data, str) else results.setting("source")
    return plain_setting(found) if isinstance(found, str) else ""


def flat(value: Any, prefix: str = "") -> Iterator[tuple[str, str]]:
    """Nested settings as dotted names with short values.

    >>> list(flat({"model": {"hidden": [256, 256], "split": True}}))
    [('model.hidden', '256, 256'), ('model.split', 'yes')]
    """
    if isinstance(value, dict):
        for key, inner in value.items():
            yield from flat(inner, f"{prefix}.{key}" if prefix else str(key))
    elif isinstance(value, list) and any(isinstance(item, dict | list) for item in value):
        for place, inner in enumerate(value):
            yield from flat(inner, f"{prefix}.{place}")
    elif isinstance(value, list):
        yield prefix, ", ".join(plain_setting(item) for item in value)
    else:
        yield prefix, plain_setting(value)


def plain_setting(value: object) -> str:
    """A setting in words; of an absolute path only the last name.

    >>> plain_setting("/home/someone/data")
    'data'
    """
    if value is None:
        return NOTHING
    if isinstance(value, bool):
        return "yes" if value else "no"
    said = str(value)
    if PurePosixPath(said).is_absolute() or PureWindowsPath(said).is_absolute():
        return PureWindowsPath(said).name
    return said
