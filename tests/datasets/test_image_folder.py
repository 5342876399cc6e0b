"""Images in folders: classes, order, sizes, and what is refused."""

import sys

import numpy as np
import optuna
import pytest
import torch
from PIL import Image

import optnas
from optnas.datasets.normalize import byte_moments, channel_moments
from optnas.errors import InputError

RNG = np.random.default_rng(0)


def save(path, pixels=None, **options):
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = RNG.integers(0, 256, (6, 6, 3)) if pixels is None else pixels
    Image.fromarray(np.asarray(pixels, np.uint8)).save(path, **options)


@pytest.fixture
def folder(tmp_path):
    """Two classes of 10 and 20 images, of which each has a colour of its own."""
    for number in range(30):
        name = "b zebra" if number < 10 else "a ant"
        save(tmp_path / "animals" / name / f"{number}.png", np.full((6, 6, 3), number))
    return tmp_path / "animals"


def raw(data, part):
    """The images of a part as they were before they were normalised."""
    mean, std = data.x_moments
    return (part[0] * std + mean).round().to(torch.uint8)


def test_classes_are_numbered_by_name_and_keep_their_shares(folder):
    data = optnas.image_folder(folder, 6)
    assert (data.name, data.task, data.outputs, data.input_shape) == (
        "animals",
        "classification",
        2,
        (3, 6, 6),
    )
    parts = (data.train, data.val, data.test)
    assert [part[1].bincount().tolist() for part in parts] == [[12, 6], [4, 2], [4, 2]]
    seen = {}
    for part in parts:
        for image, label in zip(raw(data, part), part[1], strict=True):
            (value,) = image.unique().tolist()
            seen[value] = int(label)
    assert seen == {number: int(number >= 10) ^ 1 for number in range(30)}
    assert torch.allclose(data.train[0].mean((0, 2, 3)), torch.zeros(3), atol=1e-5)
    assert torch.allclose(data.train[0].std((0, 2, 3), correction=0), torch.ones(3), atol=1e-5)


def test_the_same_folder_gives_the_same_data_whatever_the_disk_lists_first(folder, tmp_path):
    whole = optnas.image_folder(folder, 6).fingerprint
    assert optnas.image_folder(str(folder), 6, name="animals").fingerprint == whole
    copy = tmp_path / "copy" / "animals"
    for path in sorted(folder.rglob("*.png"), reverse=True):
        save(copy / path.parent.name / path.name, np.asarray(Image.open(path)))
    assert optnas.image_folder(copy, 6).fingerprint == whole
    assert optnas.image_folder(folder, 6, seed=1).fingerprint != whole


def test_other_files_and_hidden_ones_are_ignored(folder):
    before = optnas.image_folder(folder, 6).fingerprint
    save(folder / ".cache" / "x.png")
    save(folder / "a ant" / ".hidden.png")
    save(folder / "loose.png")
    (folder / "a ant" / "notes.txt").write_text("ants")
    (folder / "a ant" / "folder.png").mkdir()
    assert optnas.image_folder(folder, 6).fingerprint == before


def test_the_test_part_may_be_a_folder_of_its_own(folder, tmp_path):
    held_back = tmp_path / "held back"
    for name in ("a ant", "b zebra"):
        for number in range(3):
            save(held_back / name / f"{number}.JPG", np.full((6, 6, 3), 200))
    data = optnas.image_folder(folder, 6, val=6, test=held_back)
    assert [len(part[1]) for part in (data.train, data.val, data.test)] == [24, 6, 6]
    assert raw(data, data.test).unique().tolist() == [200]
    assert data.test[1].tolist() == [0, 0, 0, 1, 1, 1]
    (held_back / "b zebra").rename(held_back / "c")
    with pytest.raises(
        InputError, match=r"must have the classes of .*a ant, b zebra; it has a ant"
    ):
        optnas.image_folder(folder, 6, test=str(held_back))


def one_image(tmp_path, image, size, ending="png", **settings):
    """How an image is read: it is the only one, 10 times, in each of two classes."""
    folder = tmp_path / "one"
    for name in "ab":
        for number in range(10):
            (folder / name).mkdir(parents=True, exist_ok=True)
            image.save(folder / name / f"{number}.{ending}")
    data = optnas.image_folder(folder, size, **settings)
    mean, std = data.x_moments
    return (data.train[0][0] * std[0] + mean[0]).round().to(torch.uint8)


def test_images_are_cut_around_their_middle_and_resized(tmp_path):
    pixels = np.zeros((4, 12, 3), np.uint8)
    pixels[:, 4:8] = [[[10, 20, 30]]]
    found = one_image(tmp_path, Image.fromarray(pixels), 2)
    # At the border of the cut, Pillow's filter sees a little of what lies outside.
    assert found.flatten(1).tolist() == [pytest.approx([v] * 4, rel=0.2) for v in (10, 20, 30)]


def test_images_that_are_not_square(tmp_path):
    pixels = np.tile(np.arange(8, dtype=np.uint8)[None, :, None], (4, 1, 3))
    found = one_image(tmp_path, Image.fromarray(pixels), (4, 6), channels=1)
    assert found.tolist() == [[[1, 2, 3, 4, 5, 6]] * 4]


def test_large_jpegs_are_read_as_they_look(tmp_path):
    """They are decoded at a lower scale, which is faster."""
    pixels = np.zeros((512, 512, 3), np.uint8)
    pixels[:256, :256], pixels[256:, 256:] = (200, 40, 40), (40, 40, 200)
    image = Image.fromarray(pixels)
    found = one_image(tmp_path / "jpeg", image, 16, "jpeg").int()
    assert found[:, 1, 1].tolist() == pytest.approx([200, 40, 40], abs=6)
    assert (found - one_image(tmp_path / "png", image, 16).int()).abs().max() <= 6


@pytest.mark.parametrize(
    ("mode", "channels", "expected"),
    [("L", 3, [90] * 3), ("RGB", 1, [90]), ("RGBA", 3, [90] * 3), ("1", 1, [255]), ("P", 3, None)],
)
def test_modes_of_pillow_become_colours_or_grey(tmp_path, mode, channels, expected):
    grey = Image.new("RGB", (4, 4), (90, 90, 90))
    image = Image.new("1", (4, 4), 1) if mode == "1" else grey.convert(mode)
    found = one_image(tmp_path, image, 4, channels=channels)
    assert found.shape == (channels, 4, 4)
    if expected is not None:
        assert found[:, 0, 0].tolist() == expected


def test_images_are_turned_as_their_exif_data_says(tmp_path):
    pixels = np.zeros((8, 8, 3), np.uint8)
    pixels[:4] = 240  # bright above
    exif = Image.Exif()
    exif[0x0112] = 3  # turned by half a circle
    folder = tmp_path / "turned"
    for name in "ab":
        for number in range(10):
            save(folder / name / f"{number}.jpg", pixels, exif=exif)
    data = optnas.image_folder(folder, 2, channels=1)
    assert (data.train[0][:, :, 1] > data.train[0][:, :, 0]).all()


def test_a_palette_with_transparency_costs_no_warning(tmp_path):
    image = Image.new("P", (4, 4), 1)
    image.putpalette([0, 0, 0, 90, 90, 90])
    image.info["transparency"] = b"\x80\xff"
    assert one_image(tmp_path, image, 4)[:, 0, 0].tolist() == [90] * 3


def test_no_folder_is_refused():
    with pytest.raises(InputError, match="no folder nowhere: it must hold one folder of images"):
        optnas.image_folder("nowhere", 8)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda folder: save(folder / "0.png"), "it has no folders"),
        (lambda folder: (folder / "a").mkdir(parents=True), "its folder a has none"),
        (lambda folder: save(folder / "train" / "a" / "0.png"), "its folder train has none"),
        (lambda folder: save(folder / "a" / ".0.png"), "its folder a has none"),
    ],
)
def test_folders_without_images_are_refused(tmp_path, make, message):
    make(tmp_path / "images")
    with pytest.raises(InputError, match=rf"{message}; if the folders are parts such as train"):
        optnas.image_folder(tmp_path / "images", 8)


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda path: path.write_bytes(b"no image"), "cannot identify"),
        (lambda path: path.write_bytes(b""), "cannot identify"),
        (lambda path: path.write_bytes(path.read_bytes()[:-40]), "3.png can't be used"),
        (
            lambda path: Image.fromarray(np.zeros((4, 4), np.uint16)).save(path),
            "more than 8 bits a channel",
        ),
    ],
)
def test_an_image_that_cannot_be_read_is_named(folder, damage, message):
    path = folder / "b zebra" / "3.png"
    damage(path)
    with pytest.raises(
        InputError, match=r"3\.png can't be used .*; replace or remove it"
    ) as caught:
        optnas.image_folder(folder, 6)
    assert message in str(caught.value)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"size": 0}, "size must be a number of pixels, or height and width, got 0"),
        ({"size": (8, 0.5)}, "height and width"),
        ({"size": (3, 8, 8)}, r"height and width, got \(3, 8, 8\)"),
        ({"size": 8.0}, "height and width, got 8"),
        ({"size": 8, "channels": 4}, "channels must be 3 .colours. or 1 .grey., got 4"),
        ({"size": 8, "val": 30}, "val=30 asks for 30 of 24"),
    ],
)
def test_settings_out_of_range_are_refused(folder, settings, message):
    with pytest.raises(InputError, match=message):
        optnas.image_folder(folder, **settings)


def test_without_pillow_the_error_says_what_to_install(folder, monkeypatch):
    monkeypatch.setitem(sys.modules, "PIL", None)
    with pytest.raises(InputError, match=r"pip install 'optnas\[images\]'"):
        optnas.image_folder(folder, 6)


def test_moments_of_bytes_are_those_of_numbers():
    x = RNG.integers(0, 256, (2500, 3, 3, 5)).astype(np.uint8)
    x[:, 2] = 7
    for found, expected in zip(byte_moments(x), channel_moments(x), strict=True):
        assert found.shape == expected.shape == (1, 3, 1, 1)
        assert found.flatten() == pytest.approx(expected.flatten(), rel=1e-12)


def test_a_network_is_trained_on_folders_of_images(folder):
    data = optnas.image_folder(folder, 8)
    evaluator = optnas.TrainingEvaluator(
        data, 1, optnas.Recipe(flip=True, shift=1, cutout=2), device="cpu"
    )
    space = optnas.MacroCNNSpace(data.input_shape, data.outputs, depth=(1, 1))
    objective = optnas.Objective(space, evaluator, objectives=("val_loss", "params"))
    study = optuna.create_study(directions=objective.directions)
    study.optimize(objective, n_trials=1)
    assert study.trials[0].values[0] > 0
