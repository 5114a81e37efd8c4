"""Acceptance 8: bad files of data, archives and downloads end in a typed error."""

import gzip
import hashlib
import io
import tarfile
import zipfile
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import numpy as np
import pytest
from PIL import Image
from tests.acceptance.bad_input import Cases, judged

from egregium.data import load
from egregium.data.download import download

case = Cases()


@case
def data_of_an_unknown_name():
    return load("mnits")


@case
def empty_array_file(here):
    (here / "x.npy").write_bytes(b"")
    return load(here / "x.npy")


@case
def truncated_array_file(here):
    np.save(here / "x.npy", np.zeros((50, 4)))
    (here / "x.npy").write_bytes((here / "x.npy").read_bytes()[:-64])
    return load(here / "x.npy")


@case
def array_file_with_pickled_objects(here):
    np.save(here / "x.npy", np.array([{"a": 1}], dtype=object), allow_pickle=bool(1))
    return load(here / "x.npy")


@case
def array_file_with_nan(here):
    np.save(here / "x.npy", np.full((50, 4), np.nan))
    return load(here / "x.npy")


@case
def table_with_words(here):
    (here / "x.csv").write_text("a,b\n1,2\n3,four\n")
    return load(here / "x.csv")


@case
def table_with_ragged_lines(here):
    (here / "x.csv").write_text("a,b\n1,2\n3,4,5\n")
    return load(here / "x.csv")


@case
def parquet_file_that_is_none(here):
    (here / "x.parquet").write_bytes(b"PAR1 and no more")
    return load(here / "x.parquet")


@case
def data_of_an_unknown_kind(here):
    (here / "x.docx").write_text("words")
    return load(here / "x.docx")


@case
def folder_without_images(here):
    (here / "images").mkdir()
    (here / "images" / "notes.txt").write_text("none")
    return load(here / "images")


def picture(side: int = 8) -> bytes:
    stream = io.BytesIO()
    Image.new("L", (side, side), 9).save(stream, "png")
    return stream.getvalue()


@case
def folder_with_a_damaged_image(here):
    (here / "images").mkdir()
    for k in range(4):
        (here / "images" / f"{k}.png").write_bytes(picture()[: 50 if k == 2 else None])
    return load(here / "images")


@case
def images_of_unequal_sizes(here):
    (here / "images").mkdir()
    for k in range(4):
        (here / "images" / f"{k}.png").write_bytes(picture(8 + k))
    return load(here / "images")


@case
def tar_that_escapes(here):
    with tarfile.open(here / "x.tar", "w") as archive:
        member = tarfile.TarInfo("../../outside.png")
        member.size = len(picture())
        archive.addfile(member, io.BytesIO(picture()))
    return load(here / "x.tar")


@case
def tar_with_a_link(here):
    with tarfile.open(here / "x.tar", "w") as archive:
        member = tarfile.TarInfo("a.png")
        member.type, member.linkname = tarfile.SYMTYPE, "/etc/passwd"
        archive.addfile(member)
    return load(here / "x.tar")


@case
def truncated_tar(here):
    with tarfile.open(here / "x.tar.gz", "w:gz") as archive:
        for k in range(4):
            member = tarfile.TarInfo(f"{k}.png")
            member.size = len(picture())
            archive.addfile(member, io.BytesIO(picture()))
    (here / "x.tar.gz").write_bytes((here / "x.tar.gz").read_bytes()[:-40])
    return load(here / "x.tar.gz")


@case
def zip_that_escapes(here):
    with zipfile.ZipFile(here / "x.zip", "w") as archive:
        archive.writestr("../outside.png", picture())
    return load(here / "x.zip")


@case
def idx_files_cut_short(here):
    content = bytes([0, 0, 8, 3]) + np.array([10, 28, 28], ">u4").tobytes() + bytes(100)
    (here / "mnist").mkdir()
    for role in ("train-images-idx3-ubyte", "train-labels-idx1-ubyte", "t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte"):
        (here / "mnist" / f"{role}.gz").write_bytes(gzip.compress(content))
    return load("mnist", data_dir=here)


@case
def named_data_in_an_empty_folder(here):
    (here / "empty").mkdir()
    return load("mnist", data_dir=here / "empty")


@case
def image_size_of_an_array(here):
    np.save(here / "x.npy", np.zeros((50, 4)))
    return load(here / "x.npy", size=8)


@case
def fraction_of_two():
    return load("digits", test_fraction=2.0)


@case
def limit_of_zero_rows(here):
    return load("digits", limit=0)


@pytest.fixture
def server(here: Path) -> Iterator[str]:
    """Address of a server on this machine that serves the folder."""
    (here / "served").mkdir()

    class Quiet(SimpleHTTPRequestHandler):
        def log_message(self, format: str, *args: object) -> None: ...

    with ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(here / "served"))) as running:
        thread = Thread(target=partial(running.serve_forever, poll_interval=0.01), daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{running.server_port}/"
        running.shutdown()
        thread.join()


@case
def truncated_download(here, server):
    (here / "served" / "x").write_bytes(b"half")
    return download([server + "x"], here / "x", sha256=hashlib.sha256(b"half and half").hexdigest(), size=13)


@case
def download_of_something_else(here, server):
    (here / "served" / "x").write_bytes(b"other content")
    return download([server + "x"], here / "x", sha256=hashlib.sha256(b"half and half").hexdigest(), size=13)


@case
def download_from_nowhere(here, server):
    return download([server + "missing"], here / "x", sha256="0" * 64, size=13)


@pytest.mark.parametrize("name", case)
def test_case(name: str, request: pytest.FixtureRequest) -> None:
    print(f"{name}: {judged(case[name], request)}")
