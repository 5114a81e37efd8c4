"""CausalCircuit: both layouts of pictures, parts of a folder, limits, and files that are not what they say."""

import io
import zipfile
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

import egregium as eg
from egregium.errors import DataError, OptionError

SIDE = 8


def pictures(count: int, seed: int = 0, side: int = SIDE) -> np.ndarray:
    """`(N, 2, H, W, 3)`, smooth enough for JPEG."""
    corners = np.random.default_rng(seed).integers(0, 256, (count, 2, 1, 1, 3))
    return (corners * np.linspace(0.3, 1, side)[:, None, None] * np.ones((side, 1))).astype(np.uint8)


def encoded(images: np.ndarray, kind: str = "PNG") -> np.ndarray:
    """`(N, 2)` byte strings."""

    def one(image: np.ndarray) -> bytes:
        buffer = io.BytesIO()
        Image.fromarray(image).save(buffer, kind)
        return buffer.getvalue()

    return np.array([[one(image) for image in pair] for pair in images])


def arrays(count: int = 5, n: int = 4, seed: int = 0, **changed: np.ndarray) -> dict[str, np.ndarray]:
    """What a file holds, as published."""
    rng = np.random.default_rng(seed)
    labels = np.arange(count) % (n + 1)
    published = {
        "imgs": encoded(pictures(count, seed)),
        "original_latents": rng.uniform(size=(count, 2, n)),
        "epsilon": rng.uniform(size=(count, 2, n)),
        "intervention_labels": labels,
        "intervention_masks": labels[:, None] == np.arange(1, n + 1),
    }
    return published | changed


def saved(file: Path, **content: np.ndarray) -> Path:
    np.savez_compressed(file, **content)  # pyright: ignore[reportArgumentType]
    return file


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "train-0.npz"


def test_every_array_comes_as_it_was_written(file: Path) -> None:
    published = arrays()
    pairs = eg.data.causal_circuit(saved(file, **published))
    x = torch.from_numpy(pictures(5)).permute(0, 1, 4, 2, 3) / 255
    assert torch.equal(torch.stack([pairs.before, pairs.after], 1), x) and pairs.before.dtype == torch.float32
    for before, after, key in (
        (pairs.latents_before, pairs.latents_after, "original_latents"),
        (pairs.noise_before, pairs.noise_after, "epsilon"),
    ):
        assert torch.equal(torch.stack([before, after], 1), torch.from_numpy(published[key]).float())
    assert pairs.targets.tolist() == [0, 1, 2, 3, 4] and pairs.targets.dtype == torch.int64
    assert torch.equal(pairs.masks[1:], torch.eye(4, dtype=torch.bool)) and not pairs.masks[0].any()
    assert len(pairs) == 5 and "5 pairs of pictures (3, 8, 8), 4 causal variables, CausalCircuit, train-0.npz" in repr(pairs)


def test_the_published_jpeg_and_raw_pictures_are_read(file: Path) -> None:
    raw = pictures(3)
    exact = eg.data.causal_circuit(saved(file, **arrays(3, imgs=raw)))
    lossy = eg.data.causal_circuit(saved(file, **arrays(3, imgs=encoded(raw, "JPEG"))))
    void = encoded(raw)
    same = eg.data.causal_circuit(saved(file, **arrays(3, imgs=void.view(f"V{void.dtype.itemsize}"))))
    assert torch.equal(exact.after, same.after)
    torch.testing.assert_close(lossy.before, exact.before, rtol=0, atol=0.03)  # quality 75, colours at half resolution


def test_grey_pictures_fill_three_channels(file: Path) -> None:
    grey = pictures(2)[..., 0]
    pairs = eg.data.causal_circuit(saved(file, **arrays(2, imgs=encoded(grey))))
    assert pairs.before.shape == (2, 3, SIDE, SIDE) and torch.equal(pairs.before[:, 0], pairs.before[:, 2])


@pytest.mark.parametrize("raw", [True, False])
def test_pictures_are_scaled(file: Path, raw: bool) -> None:
    whole = pictures(2)
    pairs = eg.data.causal_circuit(saved(file, **arrays(2, imgs=whole if raw else encoded(whole))), size=4)
    assert pairs.before.shape == (2, 3, 4, 4)
    halved = torch.from_numpy(whole[:, 0]).float().permute(0, 3, 1, 2).unfold(2, 2, 2).unfold(3, 2, 2).mean((-1, -2)) / 255
    torch.testing.assert_close(pairs.before[:, :, 1:-1], halved[:, :, 1:-1], rtol=0, atol=2 / 255)  # rounded twice


def test_parts_of_a_folder_are_read_in_order(tmp_path: Path) -> None:
    for index in (10, 2, 0):
        saved(tmp_path / f"train-{index}.npz", **arrays(3, seed=index))
    saved(tmp_path / "test.npz", **arrays(2, seed=99))
    train, test = eg.data.causal_circuit(tmp_path), eg.data.causal_circuit(tmp_path, part="test")
    ordered = torch.cat([torch.from_numpy(arrays(3, seed=seed)["epsilon"]) for seed in (0, 2, 10)]).float()
    assert torch.equal(train.noise_before, ordered[:, 0]) and len(test) == 2
    some = eg.data.causal_circuit(tmp_path, limit=4)
    assert torch.equal(some.noise_before, ordered[:4, 0]) and torch.equal(some.after, train.after[:4])
    assert len(eg.data.causal_circuit(tmp_path, limit=3)) == 3
    with pytest.raises(DataError, match=r"no val\.npz"):
        eg.data.causal_circuit(tmp_path, part="val")


def test_files_of_a_part_must_be_alike(tmp_path: Path) -> None:
    saved(tmp_path / "train-0.npz", **arrays(2))
    saved(tmp_path / "train-1.npz", **arrays(2, n=3))
    with pytest.raises(DataError, match="one by one"):
        eg.data.causal_circuit(tmp_path)


def test_objects_are_never_unpickled(file: Path) -> None:
    class Armed:
        def __reduce__(self) -> tuple[object, ...]:
            return Path.touch, (file.parent / "fired",)

    saved(file, **arrays(imgs=np.array([[Armed(), Armed()]] * 5, dtype=object)))
    with pytest.raises(DataError, match=r"pickle.*convert it once"):
        eg.data.causal_circuit(file)
    assert not (file.parent / "fired").exists()


def test_a_limit_needs_no_more_of_the_file_than_its_rows(file: Path) -> None:
    damaged = encoded(pictures(5))
    damaged[3, 1] = b"no picture"
    saved(file, **arrays(imgs=damaged))
    assert len(eg.data.causal_circuit(file, limit=3)) == 3
    with pytest.raises(DataError, match="picture 3 after"):
        eg.data.causal_circuit(file)


BAD = {
    "lacks an array": ({"epsilon": None}, "holds the arrays imgs, original_latents, intervention_labels"),
    "other pairs": ({"epsilon": np.zeros((4, 2, 4))}, r"epsilon .* shape \(4, 2, 4\) for 5 pairs"),
    "other variables": ({"intervention_masks": np.zeros((5, 3), bool)}, r"expected \(5, 4\)"),
    "one picture a row": ({"imgs": encoded(pictures(5))[:, :1]}, r"encoded images, \(N, 2\)"),
    "text": ({"imgs": np.full((5, 2), "picture")}, "encoded images"),
    "no rows": ({"imgs": encoded(pictures(5))[:0]}, "for 0 pairs"),
    "one number": ({"original_latents": np.array(1.0)}, "expected rows"),
    "by columns": ({"original_latents": np.asfortranarray(np.zeros((5, 2, 4)))}, "by columns"),
    "NaN": ({"original_latents": np.full((5, 2, 4), np.nan)}, "NaN"),
    "complex": ({"epsilon": np.zeros((5, 2, 4), complex)}, "complex128"),
    "a fifth variable": ({"intervention_labels": np.arange(1, 6)}, "are 1 to 5; expected integers, 0 to 4"),
    "half a variable": ({"intervention_labels": np.arange(5) / 2}, "expected integers"),
    "half a mask": ({"intervention_masks": np.full((5, 4), 0.5)}, "other values than 0 and 1"),
    "two sizes": ({"imgs": np.concatenate([encoded(pictures(4)), encoded(pictures(1, side=6))])}, "pass size="),
}


@pytest.mark.parametrize("changed, message", BAD.values(), ids=BAD.keys())
def test_arrays_that_do_not_fit_together_are_refused(file: Path, changed: dict, message: str) -> None:
    content = {key: array for key, array in (arrays() | changed).items() if array is not None}
    with pytest.raises(DataError, match=message):
        eg.data.causal_circuit(saved(file, **content))


def test_damaged_and_missing_files_are_refused(file: Path) -> None:
    with pytest.raises(DataError, match="There is no file"):
        eg.data.causal_circuit(file)
    whole = saved(file, **arrays()).read_bytes()
    for damaged in (whole[: len(whole) // 2], b"", b"not a zip", whole[:200] + bytes(100) + whole[300:]):
        file.write_bytes(damaged)
        with pytest.raises(DataError, match=r"not a sound|sound image"):
            eg.data.causal_circuit(file)


@pytest.mark.parametrize(
    "shape, message", [((5, 2, 400), "cut short"), ((2**40, 2, 4), "announces"), ((-5, 2, 4), "expected rows")]
)
def test_an_array_that_announces_what_it_does_not_hold_is_refused(file: Path, shape: tuple[int, ...], message: str) -> None:
    header = io.BytesIO()
    np.lib.format.write_array_header_1_0(header, {"descr": "<f8", "fortran_order": False, "shape": shape})
    saved(file, **{key: array for key, array in arrays().items() if key != "original_latents"})
    with zipfile.ZipFile(file, "a") as archive:
        archive.writestr("original_latents.npy", header.getvalue() + bytes(320))
    with pytest.raises(DataError, match=message):
        eg.data.causal_circuit(file)


def test_options_out_of_range_are_refused(file: Path) -> None:
    saved(file, **arrays())
    for part, limit, size in (("training", None, None), ("train", 0, None), ("train", None, 0)):
        with pytest.raises(OptionError):
            eg.data.causal_circuit(file, part=part, limit=limit, size=size)
