"""The binary files of CIFAR; those made here have fewer images."""

import importlib
import pickle
from dataclasses import replace

import numpy as np
import pytest
import torch

import optnas
from optnas.errors import InputError

FILES = importlib.import_module("optnas.datasets.cifar")  # `datasets.cifar` is the function
TRAIN, TEST = 20, 10


@pytest.fixture(autouse=True)
def _few_images(monkeypatch):
    assert (FILES.CIFAR10.train_images, FILES.CIFAR100.train_images) == (10_000, 50_000)
    for name in ("CIFAR10", "CIFAR100"):
        few = replace(getattr(FILES, name), train_images=TRAIN, test_images=TEST)
        monkeypatch.setattr(FILES, name, few)


def image(number):
    """An image by its number: rows, columns and colours differ."""
    red = np.add.outer(np.arange(32), 2 * np.arange(32)) + number
    return np.stack([red, red + 40, red + 80]).astype(np.uint8)


def write(path, numbers, *labels):
    """Labels and pixels of each image, one after the other."""
    with open(path, "wb") as file:
        for number, own in zip(numbers, zip(*labels, strict=True), strict=True):
            file.write(bytes(own) + image(number).tobytes())


@pytest.fixture
def cifar10(tmp_path):
    folder = tmp_path / "cifar-10-batches-bin"
    folder.mkdir()
    for batch in range(5):
        numbers = range(batch * TRAIN, (batch + 1) * TRAIN)
        write(folder / f"data_batch_{batch + 1}.bin", numbers, [n % 10 for n in numbers])
    write(folder / "test_batch.bin", range(100, 110), range(10))
    (folder / "batches.meta.txt").write_text("airplane")
    return folder


@pytest.fixture
def cifar100(tmp_path):
    folder = tmp_path / "cifar-100-binary"
    folder.mkdir()
    fine = np.arange(TRAIN) % 10
    write(folder / "train.bin", range(TRAIN), fine // 5, fine)
    write(folder / "test.bin", range(TEST), [19] * TEST, [99] * TEST)
    return folder


def raw(data, part):
    mean, std = data.x_moments
    return (part[0] * std + mean).round().to(torch.uint8).numpy()


def test_cifar10(cifar10):
    data = optnas.cifar(cifar10, val=20)
    assert (data.name, data.outputs, data.input_shape) == ("CIFAR-10", 10, (3, 32, 32))
    parts = (data.train, data.val, data.test)
    assert [len(part[0]) for part in parts] == [80, 20, 10]
    assert data.val[1].bincount().tolist() == [2] * 10
    seen = {}
    for part in parts:
        for pixels, label in zip(raw(data, part), part[1], strict=True):
            number = int(pixels[0, 0, 0])
            assert np.array_equal(pixels, image(number))
            seen[number] = int(label)
    assert seen == {number: number % 10 for number in range(110)}
    assert torch.allclose(data.train[0].mean((0, 2, 3)), torch.zeros(3), atol=1e-5)


def test_fewer_images_can_be_trained_on(cifar10):
    data = optnas.cifar(cifar10, train=30, val=0.2, name="small")
    assert data.fingerprint.startswith("small 30/20/10 ")
    assert data.fingerprint != optnas.cifar(cifar10, train=30, val=0.2, seed=1).fingerprint


def test_cifar100_has_fine_and_coarse_classes(cifar100):
    fine = optnas.cifar(str(cifar100), val=10)
    assert (fine.name, fine.outputs) == ("CIFAR-100", 100)
    assert sorted({*fine.train[1].tolist(), *fine.test[1].tolist()}) == [*range(10), 99]
    coarse = optnas.cifar(cifar100, val=10, coarse=True)
    assert (coarse.name, coarse.outputs) == ("CIFAR-100 coarse", 20)
    assert {*coarse.train[1].tolist(), *coarse.test[1].tolist()} == {0, 1, 19}


def test_cifar10_has_no_superclasses(cifar10):
    with pytest.raises(InputError, match="CIFAR-10 has no superclasses"):
        optnas.cifar(cifar10, coarse=True)


def python_version(folder):
    for file in folder.glob("*.bin"):
        file.unlink()
    (folder / "data_batch_1").write_bytes(pickle.dumps({b"data": 1}))


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda f: (f / "data_batch_3.bin").unlink(), "data_batch_3.bin can't be read: .*get CIF"),
        (lambda f: (f / "data_batch_1.bin").unlink(), "has neither data_batch_1.bin nor train.bin"),
        (python_version, "has the Python version of the files: give the folder of the binary"),
        (
            lambda f: (f / "test_batch.bin").write_bytes(b"0" * 3073),
            "has 3,073 bytes, and this file of CIFAR-10 has 30,730: get it again",
        ),
        (lambda f: write(f / "test_batch.bin", range(10), [10] * 10), "from 0 to 9, got 10 to 10"),
    ],
)
def test_damaged_folders_are_refused(cifar10, damage, message):
    damage(cifar10)
    with pytest.raises(InputError, match=message):
        optnas.cifar(cifar10, val=20)


def test_no_folder_is_refused(tmp_path):
    with pytest.raises(InputError, match="is no folder: give the folder of the binary version"):
        optnas.cifar(tmp_path / "cifar-10-binary.tar.gz")


def test_sizes_are_checked_before_anything_is_read(cifar10, monkeypatch):
    monkeypatch.setattr(np, "fromfile", None)
    with open(cifar10 / "test_batch.bin", "ab") as file:
        file.truncate(2**40)  # takes no space on the disk
    with pytest.raises(InputError, match="has 1,099,511,627,776 bytes"):
        optnas.cifar(cifar10)


def test_the_sizes_are_those_of_the_published_files(monkeypatch):
    monkeypatch.undo()
    sizes = {
        file: images * (len(files.classes) + 3072)
        for files in (FILES.CIFAR10, FILES.CIFAR100)
        for file, images in ((files.train[-1], files.train_images), (files.test, files.test_images))
    }
    assert sizes == {
        "data_batch_5.bin": 30_730_000,
        "test_batch.bin": 30_730_000,
        "train.bin": 153_700_000,
        "test.bin": 30_740_000,
    }
