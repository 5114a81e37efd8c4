"""Images: values, layouts, sizes, depths, and files that are not what they say."""

import io
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from egregium.data import images
from egregium.data.selection import Parts, Selection
from egregium.errors import DataError

GREY = np.arange(12, dtype=np.uint8).reshape(3, 4) * 20
COLOUR = np.stack([GREY, GREY[::-1], 255 - GREY], -1)


def encoded(picture: Image.Image | np.ndarray, kind: str = "PNG", **options: object) -> bytes:
    buffer = io.BytesIO()
    picture = Image.fromarray(picture) if isinstance(picture, np.ndarray) else picture
    picture.save(buffer, kind, **options)  # pyright: ignore[reportArgumentType]
    return buffer.getvalue()


def fill(root: Path, *names: str, content: bytes | None = None) -> Path:
    """A folder in which the image of the n-th name has the grey value n everywhere."""
    for index, name in enumerate(names):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(encoded(np.full((2, 3), index, np.uint8)) if content is None else content)
    return root


def read(path: Path, size: int | None = None, **options: float) -> Parts:
    return images.read(path, size=size, selection=Selection(**options))  # pyright: ignore[reportArgumentType]


@pytest.mark.parametrize("kind", ["PNG", "PPM", "BMP", "GIF", "TIFF"])
def test_lossless_kinds_give_their_values(kind: str) -> None:
    np.testing.assert_array_equal(images.decode(encoded(GREY, kind), "x"), GREY[None])
    if kind != "GIF":
        np.testing.assert_array_equal(images.decode(encoded(COLOUR, kind), "x"), COLOUR.transpose(2, 0, 1))


def test_grey_stored_as_colour_is_grey() -> None:
    assert images.decode(encoded(np.stack([GREY] * 3, -1)), "x").shape == (1, 3, 4)
    assert images.decode(encoded(Image.fromarray(GREY).convert("P")), "x").shape == (1, 3, 4)


@pytest.mark.parametrize("kind", ["PNG", "PPM", "TIFF"])
def test_sixteen_bits_keep_their_depth(kind: str) -> None:
    values = np.array([[0, 1, 257], [65535, 40000, 2]], np.uint16)
    np.testing.assert_allclose(images.decode(encoded(values, kind), "x")[0], values / 65535, rtol=1e-6)
    scaled = images.decode(encoded(np.full((8, 8), 1000, np.uint16), kind), "x", 4)
    np.testing.assert_allclose(scaled, 1000 / 65535, rtol=1e-6)


def test_the_maximum_of_a_pgm_is_one(tmp_path: Path) -> None:
    assert images.decode(b"P5\n2 1\n15\n\x0f\x00", "x").tolist() == [[[255, 0]]]


def test_transparent_is_white() -> None:
    picture = np.zeros((1, 2, 4), np.uint8)
    picture[0, 1, 3] = 255
    assert images.decode(encoded(picture), "x").tolist() == [[[255, 0]]]
    assert images.decode(encoded(Image.fromarray(picture).convert("LA")), "x").tolist() == [[[255, 0]]]


def test_black_and_white_and_the_noted_orientation() -> None:
    assert images.decode(encoded(Image.fromarray(GREY > 100)), "x").tolist() == ((GREY > 100) * 255)[None].tolist()
    turned = Image.Exif()
    turned[0x0112] = 3  # upside down
    np.testing.assert_array_equal(images.decode(encoded(GREY, exif=turned), "x"), GREY[None, ::-1, ::-1])


@given(width=st.integers(1, 40), height=st.integers(1, 40), size=st.integers(1, 12), value=st.integers(0, 255))
def test_a_uniform_image_stays_uniform(width: int, height: int, size: int, value: int) -> None:
    found = images.decode(encoded(np.full((height, width), value, np.uint8)), "x", size)
    assert found.shape == (1, size, size) and (found == value).all()


def test_the_central_square_is_kept() -> None:
    wide = np.zeros((2, 6), np.uint8)
    wide[:, 2:4] = 200
    assert (images.decode(encoded(wide), "x", 2) == 200).all() and (images.decode(encoded(wide.T), "x", 4) == 200).all()


@given(size=st.integers(1, 20), seed=st.integers(0, 1000))
def test_scaled_arrays_stay_in_range(size: int, seed: int) -> None:
    given_images = np.random.default_rng(seed).random((2, 3, 8, 7)).astype(np.float32).round()
    found = images.resize(given_images, size)
    assert found.shape == (2, 3, size, size) and found.dtype == np.float32 and found.min() >= 0 and found.max() <= 1


def test_classes_are_numbered_in_natural_order(tmp_path: Path) -> None:
    parts = read(fill(tmp_path, *(f"all/s{number}/{i}.png" for number in (1, 10, 2) for i in range(4)), "all/README.txt"))
    assert parts.classes == ("s1", "s2", "s10")
    assert parts.train_labels is not None and parts.test is not None and parts.test_labels is not None
    values = np.concatenate([parts.train, parts.test])[:, 0, 0, 0] * 255
    labels = np.concatenate([parts.train_labels, parts.test_labels])
    assert sorted(zip(values.round().astype(int).tolist(), labels.tolist(), strict=True)) == [
        (value, (0, 2, 1)[value // 4]) for value in range(12)
    ]


def test_flat_images_have_no_labels(tmp_path: Path) -> None:
    parts = read(fill(tmp_path, *(f"{i}.png" for i in range(5))), test_fraction=0.4)
    assert parts.train.shape == (3, 1, 2, 3) and parts.train_labels is None and parts.classes == ()


@pytest.mark.parametrize(
    ("folders", "train", "test"),
    [
        (("train", "test"), {0}, {1}),
        (("Training", "Testing"), {0}, {1}),
        (("data/train", "data/test"), {0}, {1}),
        (("train", "val"), {0}, {1}),
        (("train", "val", "test"), {0, 1}, {2}),
    ],
)
def test_published_parts(tmp_path: Path, folders: tuple[str, ...], train: set[int], test: set[int]) -> None:
    for index, folder in enumerate(folders):
        content = encoded(np.full((2, 3), index, np.uint8))
        fill(tmp_path / folder, "a/1.png", "b/1.png", content=content)
    parts = read(tmp_path)
    assert parts.test is not None and parts.classes == ("a", "b")
    assert {round(value * 255) for value in parts.train[:, 0, 0, 0].tolist()} == train
    assert {round(value * 255) for value in parts.test[:, 0, 0, 0].tolist()} == test


def test_only_a_training_part_is_divided(tmp_path: Path) -> None:
    parts = read(fill(tmp_path, *(f"train/{name}/{i}.png" for name in "ab" for i in range(5))))
    assert parts.test is not None and (len(parts.train), len(parts.test)) == (8, 2) and parts.classes == ("a", "b")


def test_a_class_called_train_is_a_class(tmp_path: Path) -> None:
    assert read(fill(tmp_path, "train/1.png", "bus/1.png", "train/2.png")).classes == ("bus", "train")


def test_an_unlabelled_test_part(tmp_path: Path) -> None:
    parts = read(fill(tmp_path, "train/a/1.png", "train/b/1.png", "test/1.png"))
    assert parts.train_labels is not None and parts.test_labels is None


def test_grey_among_colour(tmp_path: Path) -> None:
    fill(tmp_path, "1.png", "2.png", content=encoded(COLOUR))
    fill(tmp_path, "3.png", content=encoded(GREY))
    parts = read(tmp_path)
    assert parts.test is not None
    assert parts.train.shape[1:] == parts.test.shape[1:] == (3, 3, 4)


def test_only_what_is_selected_is_decoded(tmp_path: Path) -> None:
    fill(tmp_path, *(f"{i}.png" for i in range(40)))
    parts = read(tmp_path, limit=3)
    assert parts.test is not None
    kept = {round(value * 255) for part in (parts.train, parts.test) for value in part[:, 0, 0, 0].tolist()}
    for index in set(range(40)) - kept:
        (tmp_path / f"{index}.png").write_bytes(b"damaged")
    np.testing.assert_array_equal(read(tmp_path, limit=3).train, parts.train)


def test_images_of_different_sizes(tmp_path: Path) -> None:
    fill(tmp_path, "1.png", "2.png")
    fill(tmp_path, "3.png", content=encoded(GREY))
    with pytest.raises(DataError, match=r"3\.png is 4 x 3, while the 2 read before, such as 1\.png, are 3 x 2\..* size="):
        read(tmp_path)
    assert read(tmp_path, size=5).train.shape == (2, 1, 5, 5)


@pytest.mark.parametrize(
    ("names", "message"),
    [
        ((), "holds no images"),
        (("a/notes.txt", "a/data.h5"), r"no images .*\.h5, \.txt"),
        (("a/1.png", "b/1.png", "stray.png"), "1 images lie beside the class folders, such as stray.png"),
        (("train/a/1.png", "train/b/1.png", "train/2.png", "test/a/1.png"), "the training part of"),
        (("only.png",), "at least two"),
    ],
)
def test_layouts_that_cannot_be_used(tmp_path: Path, names: tuple[str, ...], message: str) -> None:
    with pytest.raises(DataError, match=message):
        read(fill(tmp_path, *names))


def animation() -> bytes:
    pictures = [Image.fromarray(np.full((3, 4), value, np.uint8)) for value in (0, 255)]
    return encoded(pictures[0], "GIF", save_all=True, append_images=pictures[1:])


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "not a sound image"),
        (b"<html>not found</html>", "not a sound image"),
        (b"%!PS-Adobe-3.0 EPSF-3.0\n", "not a sound image"),
        (b"P5\n20000 20000\n255\n", "not a sound image"),
        (b"P5\n9000 9000\n255\n", "9000 x 9000 pixels; at most"),
        (b"P5\n2 0\n255\n", "not a sound image"),
        (animation(), "several pictures"),
        (encoded(Image.fromarray(np.ones((2, 2), np.float32)), "TIFF"), "floating-point"),
        (encoded(Image.fromarray(np.full((2, 2), -5, np.int32)), "TIFF"), "expected 0 to 65535"),
    ],
)
def test_files_that_are_not_what_they_say(tmp_path: Path, content: bytes, message: str) -> None:
    fill(tmp_path, "1.png", "2.png")
    fill(tmp_path, "a.png", content=content)
    with pytest.raises(DataError, match=message) as caught:
        read(tmp_path)
    assert "a.png" in str(caught.value)


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "PPM", "BMP", "GIF", "TIFF", "WEBP"])
def test_truncated_anywhere(kind: str) -> None:
    whole = encoded(np.random.default_rng(0).integers(0, 256, (16, 16), np.uint8), kind)
    pixels = images.decode(whole, "x")
    for length in range(0, len(whole), 1 + len(whole) // 40):
        try:
            found = images.decode(whole[:length], "x")
        except DataError:
            continue
        np.testing.assert_array_equal(found, pixels)  # only the format's closing bytes were missing


def test_hidden_files_and_thumbnail_folders_are_no_data(tmp_path: Path) -> None:
    fill(tmp_path, "0.png", "1.png", ".thumbnails/0.png")
    (tmp_path / ".DS_Store").write_bytes(b"x")
    (tmp_path / "._0.png").write_bytes(b"x")
    found = read(tmp_path)
    assert found.test is not None and (len(found.train), len(found.test), found.note) == (1, 1, "")


def test_an_image_of_another_size_is_named(tmp_path: Path) -> None:
    fill(tmp_path, *(f"{index}.png" for index in range(8)))
    fill(tmp_path, "screen.jpg", content=encoded(np.zeros((4, 5), np.uint8), "JPEG"))
    with pytest.raises(DataError, match=r"screen\.jpg is 5 x 4, while the 8 read before, such as 0\.png, are 3 x 2\..*--size"):
        read(tmp_path)


def test_a_few_colour_images_among_grey_ones_are_named(tmp_path: Path) -> None:
    fill(tmp_path, *(f"{index}.png" for index in range(4)))
    fill(tmp_path, "screen.png", content=encoded(COLOUR[:2, :3]))
    found = read(tmp_path)
    assert found.train.shape[1] == 3
    assert found.note.startswith("1 of 5 images are in colour (screen.png), so that all have three channels")
