"""How two runs differ, in words: their configuration, their data, their code."""

import json

_GIVEN = "options."  # of a configuration: what the user gave, as opposed to what was resolved from it


def differences(old: dict, new: dict) -> list[str]:
    """In words, how the configuration, data and code of one `run.json` differ from those of another."""
    found = []
    a, b = (_flat({key: value for key, value in state["config"].items() if key != "data_checksum"}) for state in (old, new))
    changed = sorted(key for key in a.keys() | b.keys() if a.get(key) != b.get(key))
    changed = [key for key in changed if key.startswith(_GIVEN)] or changed  # the rest follows from what was given
    if changed:
        shown = [f"{_words(key)}: {_short(a, key)} there, {_short(b, key)} here" for key in changed[:5]]
        found.append(f"another configuration ({'; '.join(shown)}{'; ...' if len(changed) > 5 else ''})")
    for what, part, key in (("other data", "config", "data_checksum"), ("another version of the code", "provenance", "code")):
        if old[part].get(key) != new[part].get(key):
            found.append(f"{what} ({_short(old[part], key)[:12]} there, {_short(new[part], key)[:12]} here)")
    return found


def _words(key: str) -> str:
    """A setting as the command line spells it.

    >>> _words("options.latent_dim")
    'latent-dim'
    """
    return key.removeprefix(_GIVEN).replace("_", "-")


def _flat(values: dict, prefix: str = "") -> dict[str, str]:
    """Leaves of a nested dict under dotted names, written as JSON."""
    flat = {}
    for key, value in values.items():
        if isinstance(value, dict) and value:
            flat |= _flat(value, f"{prefix}{key}.")
        else:
            flat[f"{prefix}{key}"] = json.dumps(value)
    return flat


def _short(values: dict, key: str) -> str:
    text = str(values.get(key, "none"))
    return text if len(text) <= 40 else f"{text[:37]}..."
