"""Images from folders and archives, laid out as `<class>/x.png`, flat, or with `train/` and `test/` above either.

An image becomes float32 `(C, H, W)` in [0, 1], with one channel where all images are grey (also those stored with three equal
channels), else three. What is transparent is drawn on white; the orientation that a camera noted is applied; 16-bit grey
keeps its depth.
"""

import re
import warnings
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path, PurePosixPath

import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError

from egregium.data.archives import members
from egregium.data.selection import Parts, Selection
from egregium.errors import DataError, OptionError

FORMATS = ("PNG", "JPEG", "PPM", "BMP", "GIF", "TIFF", "WEBP")
SUFFIXES = (".png", ".jpg", ".jpeg", ".pgm", ".ppm", ".pbm", ".pnm", ".bmp", ".gif", ".tif", ".tiff", ".webp")
LARGEST = 2**26
LARGEST_SIZE = 4096
TRAIN, TEST, HELD_OUT = ("train", "training"), ("test", "testing"), ("val", "valid", "validation")


@dataclass(frozen=True)
class Layout:
    """File names of both parts, sorted; `test` is None where all images stand together. `label` is a file's class, if any."""

    train: tuple[str, ...]
    test: tuple[str, ...] | None
    label: dict[str, str | None]


def read(path: Path, *, size: int | None, selection: Selection) -> Parts:
    """Images of a folder, tar or zip, in a seeded random order (their files lie sorted by class).

    With `size` each image is cut to its central square and scaled to `size` x `size`; without, all must be of one size.
    Only the images selected are decoded.

    Raises:
        DataError: no images, an image is damaged, too large or of another size, the archive is damaged or unsafe, or
            some images of a part lie in class folders and others beside them.
    """
    with warnings.catch_warnings(), members(path) as found:
        # Pillow warns of large images where LARGEST refuses them; the check below is the one that decides.
        warnings.simplefilter("ignore", Image.DecompressionBombWarning)
        layout = arrange(found.names, str(path))
        rows = selection.rows(len(layout.train), None if layout.test is None else len(layout.test), shuffle=True)
        pools = (layout.train, layout.train if layout.test is None else layout.test)
        chosen = [[pool[row] for row in part] for pool, part in zip(pools, rows, strict=True)]
        decoded = _decode_all(found.read([*chosen[0], *chosen[1]]), size, str(path))
    classes = tuple(sorted({label for label in layout.label.values() if label is not None}, key=_natural))
    colour = any(image.shape[0] == 3 for image in decoded.values())
    train, test = (_stack([decoded[name] for name in part], colour) for part in chosen)
    train_labels, test_labels = (_labels([layout.label[name] for name in part], classes) for part in chosen)
    return Parts(train, test, train_labels, test_labels, classes, f"images of {path.name}", _coloured(decoded))


def arrange(names: Sequence[str], place: str) -> Layout:
    """Which files are images, which part they belong to, and their class.

    Folders that all files share are passed over. `val/` belongs to the training part where there is a `test/` (a training
    takes its own held-out share), and is the test part where there is none.

    >>> arrange(["faces/ann/1.png", "faces/bob/1.png", "faces/README"], "here").label
    {'faces/ann/1.png': 'ann', 'faces/bob/1.png': 'bob'}
    """
    paths = {name: PurePosixPath(name).parts for name in sorted(names) if name.lower().endswith(SUFFIXES)}
    if not paths:
        kinds = sorted({PurePosixPath(name).suffix or "no suffix" for name in names})[:8]
        raise DataError(f"{place} holds no images ({', '.join(SUFFIXES)}); it holds {', '.join(kinds) or 'nothing'}.")
    while all(len(parts) > 1 for parts in paths.values()) and len({parts[0] for parts in paths.values()}) == 1:
        paths = {name: parts[1:] for name, parts in paths.items()}
    kinds = {parts[0]: parts[0].lower() for parts in paths.values() if len(parts) > 1}
    divided = all(len(parts) > 1 for parts in paths.values()) and set(kinds.values()) <= {*TRAIN, *TEST, *HELD_OUT}
    if not divided or not set(kinds.values()) & set(TRAIN):
        return Layout(tuple(paths), None, _classes(paths, place))
    testing = TEST if set(kinds.values()) & set(TEST) else HELD_OUT
    test = {name: parts[1:] for name, parts in paths.items() if kinds[parts[0]] in testing}
    train = {name: parts[1:] for name, parts in paths.items() if name not in test}
    label = _classes(train, f"the training part of {place}") | _classes(test, f"the test part of {place}")
    return Layout(tuple(train), tuple(test), label)


def decode(data: bytes, name: str, size: int | None = None) -> np.ndarray:
    """One image file as `(C, H, W)`: uint8, or float32 in [0, 1] where it has 16 bits.

    Raises:
        DataError: the file is damaged, holds several pictures, or more pixels than accepted.
    """
    try:
        with Image.open(BytesIO(data), formats=FORMATS) as image:
            _check(image, name)
            plain = _plain(ImageOps.exif_transpose(image), name)
    except DataError:
        raise
    except UnidentifiedImageError as error:
        raise DataError(f"{name} is not a sound image: its content is none of {', '.join(FORMATS)}. Take it out.") from error
    except Exception as error:  # Pillow's readers raise errors of every kind on damaged files
        raise DataError(f"{name} is not a sound image: {error or type(error).__name__}. Mend it or take it out.") from error
    pixels = np.asarray(plain if size is None else _square(plain, size))
    channels = pixels[None] if pixels.ndim == 2 else pixels.transpose(2, 0, 1)  # (C, H, W)
    return channels[:1] if (channels == channels[:1]).all() else channels


def resize(images: np.ndarray, size: int) -> np.ndarray:
    """Float images `(N, C, H, W)` cut to the central square and scaled to `(N, C, size, size)`."""
    flat = images.reshape(-1, *images.shape[2:])
    scaled = [np.asarray(_square(Image.fromarray(channel), size)) for channel in flat]
    return np.stack(scaled).reshape(*images.shape[:2], size, size)


def check_size(size: int | None) -> None:
    """Raise OptionError unless `size` is None or a number of pixels."""
    if size is not None and (not isinstance(size, int) or isinstance(size, bool) or not 1 <= size <= LARGEST_SIZE):
        raise OptionError(f"size is {size!r} (--size): give the side of a square in pixels, from 1 to {LARGEST_SIZE}, or None.")


def _check(image: Image.Image, name: str) -> None:
    if image.width * image.height > LARGEST:
        raise DataError(f"{name} is {image.width} x {image.height} pixels; at most {LARGEST} pixels are accepted.")
    if getattr(image, "n_frames", 1) > 1:
        raise DataError(f"{name} holds several pictures (an animation or pages); expected one. Save each as a file.")


def _plain(image: Image.Image, name: str) -> Image.Image:
    """The image in mode L, RGB, or F with values in [0, 1]."""
    if image.mode in ("L", "RGB"):
        image.load()
        return image
    if image.mode.startswith("I"):
        values = np.asarray(image)
        if values.min() < 0 or values.max() > 65535:
            raise DataError(f"{name} holds grey values from {values.min()} to {values.max()}; expected 0 to 65535.")
        return Image.fromarray((values / 65535).astype(np.float32))
    if image.mode == "F":
        raise DataError(f"{name} holds floating-point values without a known range; save them as .npy, or as a 16-bit image.")
    if "A" in image.mode or "a" in image.mode or "transparency" in image.info:
        drawn = Image.alpha_composite(Image.new("RGBA", image.size, "white"), image.convert("RGBA"))
        return drawn.convert("L" if image.mode in ("LA", "La") else "RGB")
    return image.convert("L" if image.mode == "1" else "RGB")


def _square(image: Image.Image, size: int) -> Image.Image:
    side = min(image.size)
    left, top = (image.width - side) // 2, (image.height - side) // 2
    # A bilinear filter, since it never overshoots: values stay in [0, 1].
    return image.crop((left, top, left + side, top + side)).resize((size, size), Image.Resampling.BILINEAR)


def _decode_all(files: Iterable[tuple[str, bytes]], size: int | None, place: str) -> dict[str, np.ndarray]:
    decoded: dict[str, np.ndarray] = {}
    for name, data in files:
        decoded[name] = decode(data, f"{name} in {place}", size)
        first = next(iter(decoded))
        (height, width), (usual_height, usual_width) = (decoded[one].shape[1:] for one in (name, first))
        if (height, width) != (usual_height, usual_width):  # at once: many large images would not fit into memory
            raise DataError(
                f"The images in {place} differ in size: {name} is {width} x {height}, while the {len(decoded) - 1} read "
                f"before, such as {first}, are {usual_width} x {usual_height}. Take the odd ones out, or pass size= (--size) "
                "to make all one square size."
            )
    return decoded


def _coloured(decoded: dict[str, np.ndarray]) -> str:
    """A sentence where a minority of colour images makes all of them three-channel ones."""
    names = [name for name, image in decoded.items() if image.shape[0] == 3]
    if not 0 < len(names) < len(decoded) / 2:
        return ""
    shown = ", ".join(names[:3]) + (", ..." if len(names) > 3 else "")
    return f"{len(names)} of {len(decoded)} images are in colour ({shown}), so that all have three channels: take out strays"


def _stack(images: list[np.ndarray], colour: bool) -> np.ndarray:
    stacked = np.empty((len(images), 3 if colour else 1, *images[0].shape[1:]), np.float32)
    for row, image in zip(stacked, images, strict=True):
        row[:] = image / np.float32(255) if image.dtype == np.uint8 else image  # grey fills all three channels
    return stacked


def _classes(paths: dict[str, tuple[str, ...]], place: str) -> dict[str, str | None]:
    loose = [name for name, parts in paths.items() if len(parts) == 1]
    if loose and len(loose) < len(paths):
        raise DataError(
            f"In {place} {len(loose)} images lie beside the class folders, such as {loose[0]}. Put every image into a class "
            f"folder, or none."
        )
    return {name: None if loose else parts[0] for name, parts in paths.items()}


def _labels(labels: list[str | None], classes: tuple[str, ...]) -> np.ndarray | None:
    number = {label: index for index, label in enumerate(classes)}
    numbers = [number[label] for label in labels if label is not None]
    return np.array(numbers, np.int64) if len(numbers) == len(labels) else None


def _natural(name: str) -> list[str | int]:
    """Sorting key by which s2 comes before s10."""
    return [int(part) if index % 2 else part for index, part in enumerate(re.split(r"(\d+)", name))]
