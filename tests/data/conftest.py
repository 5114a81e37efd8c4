"""What the tests of data share: local copies of real data, an empty cache, and a server on this machine."""

import os
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import pytest

_LOCAL = os.environ.get("EGREGIUM_DATA") or Path(__file__).parents[2] / ".." / "shared" / "data"


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """A folder with real MNIST, Fashion-MNIST, CIFAR-10 and ORL files; tests that need it are skipped without."""
    folder = Path(_LOCAL).resolve()
    if not (folder / "mnist").is_dir():
        pytest.skip(f"no local data in {folder}; set EGREGIUM_DATA")
    return folder


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty cache instead of the user's, no EGREGIUM_DATA, and no proxy."""
    monkeypatch.delenv("EGREGIUM_DATA", raising=False)
    monkeypatch.setenv("no_proxy", "*")
    folder = tmp_path / "cache"
    monkeypatch.setattr("egregium.data.catalog.cache_folder", lambda: folder)
    return folder


class _Handler(SimpleHTTPRequestHandler):
    """Serves a folder; a name below /cut/ announces its whole length and breaks off in the middle."""

    def do_GET(self) -> None:
        if not self.path.startswith("/cut/"):
            return super().do_GET()
        content = Path(self.directory, self.path.removeprefix("/cut/")).read_bytes()
        self.send_response(200)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content[: len(content) // 2])

    def log_message(self, format: str, *args: object) -> None: ...


@pytest.fixture
def server(tmp_path: Path) -> Iterator[tuple[str, Path]]:
    """Address of a server on this machine, and the folder that it serves."""
    folder = tmp_path / "served"
    folder.mkdir()
    with ThreadingHTTPServer(("127.0.0.1", 0), partial(_Handler, directory=str(folder))) as running:
        thread = Thread(target=partial(running.serve_forever, poll_interval=0.01), daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{running.server_port}/", folder
        running.shutdown()
        thread.join()
