"""A file from the network into a folder: whole and with the right checksum, or not at all."""

import hashlib
from collections.abc import Callable, Sequence
from http.client import HTTPException
from pathlib import Path
from urllib.error import HTTPError, URLError
from urllib.request import urlopen

from egregium.errors import DataError
from egregium.runs.files import storage_error, write_bytes

TIMEOUT = 30.0
_CHUNK = 2**18


def download(
    urls: Sequence[str],
    target: Path,
    *,
    sha256: str,
    size: int,
    timeout: float = TIMEOUT,
    progress: Callable[[int, int], None] | None = None,
) -> Path:
    """The file at the first of `urls` that gives exactly `size` bytes with checksum `sha256`, written to `target`.

    Nothing is written before the checksum has been compared, and the name appears only once the content is on disk.
    `progress(done, total)` is called in bytes; `timeout` is in seconds without an answer.

    Raises:
        DataError: no address gave the file; the message says for each what went wrong.
        StorageError: the folder cannot be made or written.
    """
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise storage_error("make the folder", target.parent, error) from error
    failures = []
    for url in urls:
        content, failure = _attempt(url, sha256, size, timeout, progress)
        if content is not None:
            write_bytes(target, content)
            return target
        failures.append(f"{url}: {failure}")
    raise DataError(
        f"{target.name} could not be downloaded. Tried {'; '.join(failures)}. Check the network and try again, or put the file "
        f"into {target.parent} by hand."
    )


def _attempt(
    url: str, sha256: str, size: int, timeout: float, progress: Callable[[int, int], None] | None
) -> tuple[bytes | None, str]:
    """The content, or None and what went wrong."""
    content = bytearray()
    try:
        with urlopen(url, timeout=timeout) as answer:
            while len(content) <= size and (chunk := answer.read(_CHUNK)):
                content += chunk
                if progress:
                    progress(min(len(content), size), size)
    except HTTPError as error:
        return None, f"the server answered {error.code} {error.reason}"
    except URLError as error:
        return None, f"no connection ({error.reason})"
    except (OSError, HTTPException, ValueError) as error:
        return None, f"the transfer broke off after {len(content)} of {size} bytes ({error or type(error).__name__})"
    if len(content) != size:
        fault = f"ended after {len(content)} of" if len(content) < size else "did not end at the expected"
        return None, f"the transfer {fault} {size} bytes"
    found = hashlib.sha256(content).hexdigest()
    if found != sha256:
        return None, f"the content has SHA-256 {found}, expected {sha256}"
    return bytes(content), ""
