"""`load`: one call from a name or a path to tensors, and what it says where it cannot."""

import gzip
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from egregium.data.dataset import Dataset, load
from egregium.errors import DataError, OptionError

X = np.arange(40, dtype=np.float32).reshape(10, 4)


def assert_sound(data: Dataset) -> None:
    for part, labels in ((data.train, data.train_labels), (data.test, data.test_labels)):
        assert part.dtype == torch.float32 and part.shape[1:] == data.shape and part.is_contiguous() and len(part) > 0
        assert bool(torch.isfinite(part).all())
        if labels is not None:
            assert labels.dtype == torch.int64 and labels.shape == (len(part),)
    if len(data.shape) == 3:
        assert data.train.min() >= 0 and data.train.max() <= 1


def test_digits() -> None:
    data = load("digits")
    assert_sound(data)
    assert data.shape == (1, 8, 8) and (len(data.train), len(data.test)) == (1438, 359) and len(data.classes) == 10
    assert "1438 train + 359 test of shape (1, 8, 8)" in repr(data)


def test_the_seed_decides_the_division_and_nothing_else_does() -> None:
    assert load("digits").checksum == load("digits").checksum
    assert load("digits").checksum != load("digits", seed=1).checksum
    everything = [torch.cat([data.train, data.test]).flatten(1).sum(0) for data in (load("digits"), load("digits", seed=1))]
    torch.testing.assert_close(everything[0], everything[1], rtol=1e-5, atol=0)  # sums of 1797 float32 in another order


def test_the_checksum_is_of_content(tmp_path: Path) -> None:
    np.save(tmp_path / "a.npy", X)
    np.savez(tmp_path / "b.npz", x=X)
    np.savez(tmp_path / "c.npz", x=X, y=np.zeros(10, int))
    np.save(tmp_path / "d.npy", X.reshape(10, 2, 2))
    a, b, c, d = (load(path) for path in sorted(tmp_path.iterdir()))
    assert a.checksum == b.checksum and len({a.checksum, c.checksum, d.checksum}) == 3
    assert (a.name, a.shape, d.shape) == ("a", (4,), (2, 2))


def test_named_images_are_scaled() -> None:
    data = load("digits", size=5, limit=7)
    assert_sound(data)
    assert data.shape == (1, 5, 5) and len(data.train) == len(data.test) == 7


def test_standardized_columns_have_mean_0_and_spread_1_over_the_training_part(tmp_path: Path) -> None:
    x = np.random.default_rng(0).normal(5, [1, 100, 0], size=(50, 3))
    np.save(tmp_path / "a.npy", x)
    data = load(tmp_path / "a.npy", standardize=True)
    np.testing.assert_allclose(data.train.mean(0), 0, atol=1e-5)
    np.testing.assert_allclose(data.train.std(0, correction=0), [1, 1, 0], atol=1e-5)
    assert data.origin.endswith("standardized") and data.checksum != load(tmp_path / "a.npy").checksum
    with pytest.raises(OptionError, match="arrays and tables"):
        load("digits", standardize=True)


def test_arrays_as_they_are(tmp_path: Path) -> None:
    np.savez(tmp_path / "a.npz", train=X * 100, test=X[:3], train_labels=np.array(list("abcdefghij")))
    data = load(tmp_path / "a.npz")
    assert_sound(data)
    assert torch.equal(data.test, torch.from_numpy(X[:3])) and data.train.max() == 3900
    assert data.train_labels is not None and data.test_labels is None
    rows = (data.train[:, 0] / 400).long()
    assert torch.equal(rows, data.train_labels)


def test_the_file_is_not_held_nor_changed(tmp_path: Path) -> None:
    np.save(tmp_path / "a.npy", X)
    data = load(tmp_path / "a.npy")
    data.train.fill_(-1)
    np.testing.assert_array_equal(np.load(tmp_path / "a.npy"), X)


def test_a_folder_of_images_by_a_string(tmp_path: Path) -> None:
    (tmp_path / "my.faces" / "a").mkdir(parents=True)
    for index in range(5):
        Image.new("L", (4, 4), index).save(tmp_path / "my.faces" / "a" / f"{index}.png")
    data = load(str(tmp_path / "my.faces"), test_fraction=0.4)
    assert_sound(data)
    assert data.name == "my.faces" and (len(data.train), len(data.test)) == (3, 2)


def test_mnist_and_its_folder(shared_data: Path) -> None:
    named, folder = load("mnist", data_dir=shared_data), load(shared_data / "mnist")
    assert_sound(named)
    assert named.checksum == folder.checksum
    assert named.shape == (1, 28, 28) and (len(named.train), len(named.test)) == (10_000, 10_000)
    assert "not as published: train-images" in named.origin and "t10k" not in named.origin
    assert named.train_labels is not None and len(named.train_labels[:100].unique()) == 10  # the file is sorted by class


def test_fashion_mnist_as_published(shared_data: Path) -> None:
    data = load("fashion-mnist", data_dir=shared_data, limit=100)
    assert_sound(data)
    assert data.origin.endswith("as published") and data.classes[9] == "Ankle boot"


def test_faces(shared_data: Path) -> None:
    data = load(shared_data / "orl-faces.tar.gz", size=16)
    assert_sound(data)
    assert data.name == "orl-faces" and data.shape == (1, 16, 16) and len(data.classes) == 40
    assert load(shared_data / "orl-faces.tar.gz", limit=2).shape == (1, 112, 92)


@pytest.mark.slow
def test_cifar(shared_data: Path) -> None:
    data = load(shared_data / "cifar10-jpeg.tar.gz", limit=50)
    assert_sound(data)
    assert data.shape == (3, 32, 32) and len(data.train) == len(data.test) == 50
    assert data.classes[:2] == ("airplane", "automobile") and len(data.classes) == 10


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("fashion_mnist", "Did you mean fashion-mnist"),
        ("no/such/file.npy", "no data set or file 'no/such/file.npy'"),
        ("no/such/faces.tar.gz", "no data set or file"),
        ("cifar", "Expected a name .digits, mnist, fashion-mnist."),
        ("", "holds no images|no data set"),
        ("/dev/zero", "of a kind that cannot be read"),
    ],
)
def test_nothing_of_that_name(name: str, message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(DataError, match=message):
        load(name)


def test_a_kind_of_file_that_is_not_read(tmp_path: Path) -> None:
    (tmp_path / "data.xlsx").write_bytes(b"x")
    with pytest.raises(DataError, match=r"cannot be read\. Expected .*\.npy, \.npz"):
        load(tmp_path / "data.xlsx")


@pytest.mark.parametrize("size", [0, -1, 2.5, True, "28", 5000])
def test_size_out_of_range(size: int) -> None:
    with pytest.raises(OptionError, match="size is"):
        load("digits", size=size)


def test_size_is_for_images(tmp_path: Path) -> None:
    np.save(tmp_path / "a.npy", X)
    with pytest.raises(OptionError, match="size applies to images"):
        load(tmp_path / "a.npy", size=8)


def test_gzip_by_another_name(tmp_path: Path) -> None:
    (tmp_path / "a.tar").write_bytes(gzip.compress(b"not a tar"))
    with pytest.raises(DataError, match="damaged"):
        load(tmp_path / "a.tar")
