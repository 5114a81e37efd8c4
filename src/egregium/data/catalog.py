"""The data sets known by name: what they are, where their files come from, and where they lie on this machine."""

import hashlib
import os
import sys
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

from egregium.data import digits, idx
from egregium.data.download import TIMEOUT, download
from egregium.data.selection import Parts
from egregium.errors import DataError


@dataclass(frozen=True)
class File:
    """A published file: `size` and `sha256` of the gzipped file as downloaded, `content_sha256` of what is in it."""

    name: str
    size: int
    sha256: str
    content_sha256: str


@dataclass(frozen=True)
class Entry:
    """A data set known by name; `files` is empty where the data comes with an installed package."""

    name: str
    title: str
    shape: tuple[int, ...]
    train: int
    test: int | None
    classes: tuple[str, ...]
    licence: str
    source: str
    mirrors: tuple[str, ...] = ()
    files: tuple[File, ...] = ()

    @property
    def size(self) -> int:
        """Bytes to download."""
        return sum(file.size for file in self.files)


# Where the checksums come from. Fashion-MNIST: all four verified against the publisher's MD5 list, by rebuilding his gzip
# headers (name and time) around a local copy of the same compressed content (tests/data/test_catalog.py does it again).
# MNIST: the test files verified on a byte-for-byte copy. The training files could not be had here; their checksums are
# the ones that ten independent public projects pin alike.
ENTRIES = (
    Entry(
        name="digits",
        title="Optical Recognition of Handwritten Digits, as shipped with scikit-learn",
        shape=(1, 8, 8),
        train=1797,
        test=None,
        classes=tuple("0123456789"),
        licence="CC BY 4.0 (Alpaydin and Kaynak)",
        source="https://archive.ics.uci.edu/dataset/80",
    ),
    Entry(
        name="mnist",
        title="MNIST handwritten digits",
        shape=(1, 28, 28),
        train=60_000,
        test=10_000,
        classes=tuple("0123456789"),
        licence="CC BY-SA 3.0 (LeCun and Cortes)",
        source="http://yann.lecun.com/exdb/mnist/",
        mirrors=("https://storage.googleapis.com/cvdf-datasets/mnist/", "https://ossci-datasets.s3.amazonaws.com/mnist/"),
        files=(
            File(
                "train-images-idx3-ubyte",
                9_912_422,
                "440fcabf73cc546fa21475e81ea370265605f56be210a4024d2ca8f203523609",
                "ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db",
            ),
            File(
                "train-labels-idx1-ubyte",
                28_881,
                "3552534a0a558bbed6aed32b30c495cca23d567ec52cac8be1a0730e8010255c",
                "65a50cbbf4e906d70832878ad85ccda5333a97f0f4c3dd2ef09a8a9eef7101c5",
            ),
            File(
                "t10k-images-idx3-ubyte",
                1_648_877,
                "8d422c7b0a1c1c79245a5bcf07fe86e33eeafee792b84584aec276f5a2dbc4e6",
                "0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7",
            ),
            File(
                "t10k-labels-idx1-ubyte",
                4_542,
                "f7ae60f92e00ec6debd23a6088c31dbd2371eca3ffa0defaefb259924204aec6",
                "ff7bcfd416de33731a308c3f266cc351222c34898ecbeaf847f06e48f7ec33f2",
            ),
        ),
    ),
    Entry(
        name="fashion-mnist",
        title="Fashion-MNIST articles of clothing",
        shape=(1, 28, 28),
        train=60_000,
        test=10_000,
        classes=("T-shirt/top", "Trouser", "Pullover", "Dress", "Coat", "Sandal", "Shirt", "Sneaker", "Bag", "Ankle boot"),
        licence="MIT (Zalando SE)",
        source="https://github.com/zalandoresearch/fashion-mnist",
        mirrors=(
            "https://raw.githubusercontent.com/zalandoresearch/fashion-mnist/master/data/fashion/",
            "http://fashion-mnist.s3-website.eu-central-1.amazonaws.com/",
        ),
        files=(
            File(
                "train-images-idx3-ubyte",
                26_421_880,
                "3aede38d61863908ad78613f6a32ed271626dd12800ba2636569512369268a84",
                "c59f468a2f672dc815687fe0f83887768d799fd8a3f3276145d20f83aa44d888",
            ),
            File(
                "train-labels-idx1-ubyte",
                29_515,
                "a04f17134ac03560a47e3764e11b92fc97de4d1bfaf8ba1a3aa29af54cc90845",
                "bad3541b69d912435c50bb6ba87bec294ff4f6a2e1246121d8633921760443d9",
            ),
            File(
                "t10k-images-idx3-ubyte",
                4_422_102,
                "346e55b948d973a97e58d2351dde16a484bd415d4595297633bb08f03db6a073",
                "5b4141f0afbad91edebe8549f8fcffe087ea10ca49f1dbef5c9a5cd8815ce37b",
            ),
            File(
                "t10k-labels-idx1-ubyte",
                5_148,
                "67da17c76eaffca5446c3361aaab5c3cd6d1c2608764d35dfb1850b086bf8dd5",
                "0402a96d92fd2663957122ceb108a494c5af83dab82d92729df917d7dec38c34",
            ),
        ),
    ),
)


def names() -> tuple[str, ...]:
    """Names that `load` and `fetch` know.

    >>> names()
    ('digits', 'mnist', 'fashion-mnist')
    """
    return tuple(entry.name for entry in ENTRIES)


def entry(name: str) -> Entry:
    """The catalog's entry of that name.

    Raises:
        DataError: there is none.
    """
    for known in ENTRIES:
        if known.name == name:
            return known
    raise DataError(f"No data set is called {name!r}; the names are {', '.join(names())}.")


def cache_folder() -> Path:
    """The platform's folder for what can be downloaded again; it may not exist yet."""
    try:
        home = Path.home()
    except RuntimeError as error:
        raise DataError("This user has no home folder for a cache; set EGREGIUM_DATA to a folder for data.") from error
    if sys.platform == "win32":
        base = Path(os.environ.get("LOCALAPPDATA") or home / "AppData" / "Local")
    elif sys.platform == "darwin":
        base = home / "Library" / "Caches"
    else:
        base = Path(os.environ.get("XDG_CACHE_HOME") or home / ".cache")
    return base / "egregium" / "data"


def present(name: str, *, data_dir: str | Path | None = None) -> bool:
    """Whether `load(name, data_dir=data_dir)` finds all its files without the network."""
    known = entry(name)
    folder = _folder(known, data_dir)
    return all(idx.find(folder, file.name) for file in known.files)


def fetch(
    name: str | Entry,
    *,
    data_dir: str | Path | None = None,
    timeout: float = TIMEOUT,
    progress: Callable[[str, int, int], None] | None = None,
) -> Path:
    """Bring the files of a data set onto this machine, where they are not there yet; the folder that holds them.

    They go to `data_dir/name`, else to `$EGREGIUM_DATA/name`, else to the platform's cache. `progress(file, done, total)`
    is called in bytes. Damaged files of the cache are replaced; files in a folder of the user's own never are.

    Raises:
        DataError: unknown name, no network, a transfer cut short or of the wrong content, or other content in its place.
        StorageError: the folder cannot be written.
    """
    known = entry(name) if isinstance(name, str) else name
    if not known.files:
        return digits.location().parent
    folder = _folder(known, data_dir)
    for file in known.files:
        there = idx.find(folder, file.name)
        if there is not None and _intact(there, file):
            continue
        if there is not None and _own_folder(data_dir) is not None:
            raise DataError(
                f"{there} is not the published file ({known.source}), and files in a folder of your own are not replaced. "
                f"It may be readable all the same; to have the published one, move it away or choose another folder."
            )
        urls = [mirror + file.name + ".gz" for mirror in known.mirrors]
        report = None if progress is None else _named(progress, file.name + ".gz")
        download(urls, folder / f"{file.name}.gz", sha256=file.sha256, size=file.size, timeout=timeout, progress=report)
    return folder


def read(name: str, *, data_dir: str | Path | None = None) -> Parts:
    """All examples of a named data set: images in [0, 1] and labels, with the published division where there is one.

    From `data_dir` or `$EGREGIUM_DATA` whatever is found there is read, and `origin` says whether it is what was
    published. Otherwise the cache is read, after a download where a file is missing, and must be what was published.

    Raises:
        DataError: the folder lacks a file, a file is damaged, or a download failed.
        StorageError: the cache cannot be written.
    """
    known = entry(name)
    if not known.files:
        return replace(digits.read(), classes=known.classes)
    own, folder = _own_folder(data_dir), _folder(known, data_dir)
    if own is None and not present(name):
        fetch(known)
    found = {file: idx.read(_required(known, folder, file.name)) for file in known.files}
    other = [file.name for file, content in found.items() if content.sha256 != file.content_sha256]
    if other and own is None:
        raise DataError(
            f"{other[0]} in {folder} is not the published file: the cache is damaged. "
            f"Bring it back with `egregium data fetch {name}`, or by deleting the folder."
        )
    arrays = {role: found[file].array for role, title in idx.ROLES.items() for file in known.files if file.name == title}
    origin = f"{known.title}, {'as published' if not other else 'local files; not as published: ' + ', '.join(other)}"
    parts = idx.assemble(arrays, str(folder), origin)
    shape = parts.train.shape[1:]
    if shape != known.shape:
        raise DataError(f"The images in {folder} have shape {shape}, but {name} has {known.shape}; check the folder.")
    for labels in (parts.train_labels, parts.test_labels):
        if labels is not None and labels.max() >= len(known.classes):
            raise DataError(f"A label in {folder} is {labels.max()}, but {name} has {len(known.classes)} classes, from 0 on.")
    return replace(parts, classes=known.classes)


def _own_folder(data_dir: str | Path | None) -> Path | None:
    """The folder that the user named, if any: not ours to mend."""
    named = data_dir or os.environ.get("EGREGIUM_DATA")
    return Path(named).expanduser() if named else None


def _folder(known: Entry, data_dir: str | Path | None) -> Path:
    own = _own_folder(data_dir)
    if own is None:
        return cache_folder() / known.name
    # The data set's own folder may be named too, but only by its name: MNIST and its relatives share file names.
    return own if own.name == known.name and not (own / known.name).is_dir() else own / known.name


def _required(known: Entry, folder: Path, name: str) -> Path:
    path = idx.find(folder, name)
    if path is None:
        raise DataError(
            f"{folder} does not hold {name}.gz. Expected the files of {known.name} there: fetch them with "
            f"`egregium data fetch {known.name}`, or name the folder that holds {known.name}/ with --data-dir or EGREGIUM_DATA."
        )
    return path


def _intact(path: Path, file: File) -> bool:
    try:
        return hashlib.sha256(path.read_bytes()).hexdigest() == file.sha256 or idx.read(path).sha256 == file.content_sha256
    except (DataError, OSError):
        return False


def _named(progress: Callable[[str, int, int], None], name: str) -> Callable[[int, int], None]:
    return lambda done, total: progress(name, done, total)
