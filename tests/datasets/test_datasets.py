"""Data sets: splits, normalisation, files, and what is refused."""

import gzip
import json
import struct
import tracemalloc

import numpy as np
import pytest
import torch
from idx_files import FILES, idx
from torch.utils.data import DataLoader, TensorDataset

import optnas
from optnas.datasets.dataset import moments_json
from optnas.errors import InputError


def test_digits():
    data = optnas.digits()
    assert (data.input_shape, data.outputs, data.task) == ((1, 8, 8), 10, "classification")
    assert [len(part[0]) for part in (data.train, data.val, data.test)] == [1079, 359, 359]
    assert data.train[1].dtype == torch.int64
    assert optnas.digits().fingerprint == data.fingerprint != optnas.digits(seed=1).fingerprint


def test_diabetes_is_normalised_by_its_training_part():
    data = optnas.diabetes()
    assert (data.input_shape, data.outputs, data.task) == ((10,), 1, "regression")
    x, y = data.train
    assert y.shape == (266, 1)
    assert torch.allclose(x.mean(0), torch.zeros(10), atol=1e-6)
    assert torch.allclose(x.std(0, correction=0), torch.ones(10), atol=1e-4)
    assert float(y.mean()) == pytest.approx(0, abs=1e-6)
    assert abs(float(data.val[0].mean())) > 1e-4


def test_parts_are_disjoint_and_stratified():
    x = np.arange(200.0).reshape(100, 2)
    y = np.repeat([0, 1], [80, 20])
    data = optnas.arrays(x, y, val=20, test=0.1, normalize=False)
    parts = (data.train, data.val, data.test)
    assert [len(p[1]) for p in parts] == [70, 20, 10]
    assert sorted(torch.cat([p[0] for p in parts]).flatten().tolist()) == sorted(x.flatten())
    assert [int(p[1].sum()) for p in parts] == [14, 4, 2]


def test_images_are_normalised_by_channel_and_constants_stay_finite():
    x = np.random.default_rng(0).normal(3.0, 2.0, (60, 2, 4, 4))
    x[:, 1] = 7.0
    data = optnas.arrays(x, np.tile([0, 1], 30))
    assert torch.allclose(data.train[0].mean((0, 2, 3)), torch.zeros(2), atol=1e-5)
    assert float(data.train[0][:, 1].abs().max()) == 0


@pytest.mark.parametrize("constant", [1.0, 0.1, 1e-30, -7 / 3])
def test_what_is_constant_in_the_training_part_is_only_shifted(constant):
    """Its computed standard deviation may be a rounding error."""
    x = np.random.default_rng(0).normal(size=(90, 2))
    x[:, 1] = constant
    data = optnas.arrays(x, np.arange(90) % 2)
    assert data.x_moments[1].flatten()[1] == 1
    assert float(data.normalize(torch.tensor([[0.0, constant + 1]]))[0, 1]) == pytest.approx(1)


def test_tokens_stay_whole_numbers():
    data = optnas.arrays(np.zeros((20, 5), dtype=int), np.tile([0, 1], 10), normalize=False)
    assert data.train[0].dtype == torch.int64


@pytest.mark.parametrize(
    ("x", "y", "kwargs", "message"),
    [
        (np.zeros((4, 1)), [0, 1, 0], {}, "4 examples but 3 targets"),
        ([[np.nan]] * 4, [0, 1, 0, 1], {}, "NaN or infinite"),
        (np.zeros((4, 1)), [0, 1, -1, 0], {}, "numbers from 0, got -1 to 1"),
        (np.zeros((4, 1)), [0, 1, 2, 0], {"classes": 2}, "numbers from 0 to 1, got 0 to 2"),
        (np.zeros((4, 1)), [0.0, 1, 0, 1], {"task": "classification"}, "whole numbers"),
        (np.zeros((4, 1)), [0, 1, 0, 1], {"task": "ranking"}, "one of classification, regression"),
        (np.zeros((10, 1)), [0] * 5 + [1] * 5, {"val": 1.5}, "val=1.5 asks for 15 of"),
        (np.zeros((10, 1)), [0] * 9 + [1], {}, "can't split off"),
        (np.zeros((0, 1)), np.zeros(0, dtype=int), {}, "0 examples"),
        (np.zeros((4, 1)), ["a", "b", "a", "b"], {}, "must be an array of real numbers"),
        (np.zeros((4, 1)), [0.0, 1, 0, 1], {}, "may be classes or numbers: for classes give y"),
        (
            np.zeros((99, 1)),
            np.arange(99) * 1000,
            {},
            "for classes give task='classification'",
        ),
        (np.zeros((4, 1)), [1, 2, 1, 2], {}, "no example has class 0 of 0 to 2"),
        (np.zeros((4, 1)), [0, 10**9, 0, 10**9], {}, "no example has class 1 of 0 to 1000000000"),
        (np.zeros((10, 1)), [0, 1] * 5, {"val": float("nan")}, "val=nan asks for 0 of"),
    ],
)
def test_unusable_arrays_are_refused(x, y, kwargs, message):
    with pytest.raises(InputError, match=message):
        optnas.arrays(x, y, **kwargs)


ONE_HOT = np.eye(3)[np.arange(30) % 3]


@pytest.mark.parametrize(
    ("y", "kwargs", "line"),
    [
        (ONE_HOT, {}, r"for classes give y\.argmax\(1\), for numbers task='regression'"),
        (ONE_HOT.astype(int), {}, r"got int64 of shape \(30, 3\): give y\.argmax\(1\)"),
        (ONE_HOT.astype(bool), {}, r"give y\.argmax\(1\)"),
        (ONE_HOT * 0.9 + 0.1 / 3, {}, r"for classes give y\.argmax\(1\)"),
        (ONE_HOT, {"task": "classification"}, r"give y\.argmax\(1\)"),
        (ONE_HOT[:, :1].astype(int), {}, r"shape \(30, 1\): give y\[:, 0\]\.astype\(int\)"),
        (ONE_HOT[:, :1], {}, r"for classes give y\[:, 0\]\.astype\(int\)"),
        (ONE_HOT[:, 0], {}, r"for classes give y\.astype\(int\)"),
        (ONE_HOT[:, 0], {"task": "classification"}, r"give y\.astype\(int\)"),
        (ONE_HOT + ONE_HOT[:, ::-1], {}, "for classes give one whole number an example"),
        (ONE_HOT[:, 0].astype(int) + 1, {}, r"np\.unique\(y, return_inverse=True\)\[1\] does"),
        (np.array(["a", "b", "c"] * 10), {}, r"\(np\.unique\(y, return_inverse=True\)\[1\]\)"),
    ],
)
def test_labels_in_another_form_are_refused_with_the_line_that_makes_labels(y, kwargs, line):
    with pytest.raises(InputError, match=line):
        optnas.arrays(np.zeros((30, 2)), y, **kwargs)


def test_numbers_of_several_outputs_are_a_regression_where_they_are_no_classes():
    assert optnas.arrays(np.zeros((30, 2)), ONE_HOT, task="regression").outputs == 3
    rng = np.random.default_rng(0)
    assert optnas.arrays(np.zeros((30, 2)), rng.normal(size=(30, 3))).task == "regression"


@pytest.mark.parametrize(
    ("shape", "dtype"),
    [((32, 32, 3), float), ((32, 32, 4), float), ((24, 32, 3), np.uint8)],
)
def test_channels_last_images_are_refused_with_the_line_that_turns_them(shape, dtype):
    x = np.zeros((20, *shape), dtype)
    with pytest.raises(InputError, match=r"channels last.*give x\.transpose\(0, 3, 1, 2\)"):
        optnas.arrays(x, np.arange(20) % 2)


@pytest.mark.parametrize(
    ("shape", "line"),
    [
        ((28, 28, 1), r"if the 1 is the number of channels, give x\.transpose\(0, 3, 1, 2\)"),
        ((22, 100, 3), r"images of 22 channels: if the 3 .*, give x\.transpose\(0, 3, 1, 2\)"),
        ((8, 8), r"without a dimension for channels, give x\[:, None\]"),
        ((), r"single numbers.*x\[:, None\]"),
    ],
)
def test_an_unusual_order_of_dimensions_gets_one_warning_at_the_callers_line(shape, line):
    x, y = np.zeros((20, *shape)), np.arange(20) % 2
    with pytest.warns(UserWarning, match=line) as caught:
        data = optnas.arrays(x, y)
    assert data.input_shape == shape
    assert [warning.filename for warning in caught] == [__file__]


@pytest.mark.parametrize(
    "shape", [(3, 32, 32), (1, 8, 8), (32, 4, 4), (64, 7, 3), (16, 100), (3, 3), (5,)]
)
def test_examples_in_the_usual_order_pass_without_a_word(shape):
    assert optnas.arrays(np.zeros((20, *shape)), np.arange(20) % 2).input_shape == shape


def test_tokens_pass_without_a_word():
    for shape in ((9, 9), ()):
        x = np.zeros((20, *shape), int)
        assert optnas.arrays(x, np.arange(20) % 2, normalize=False).input_shape == shape


def write_folder(folder, compress):
    folder.mkdir()
    rng = np.random.default_rng(0)
    for name in FILES:
        n = 60 if name.startswith("train") else 20
        raw = idx(rng.integers(0, 255, (n, 4, 4)) if "images" in name else np.arange(n) % 3)
        if compress:
            (folder / f"{name}.gz").write_bytes(gzip.compress(raw))
        else:
            (folder / name).write_bytes(raw)
    return folder


@pytest.mark.parametrize("compress", [False, True])
def test_idx_images(tmp_path, compress):
    data = optnas.idx_images(write_folder(tmp_path / "images", compress), train=30, val=15)
    assert data.input_shape == (1, 4, 4)
    assert data.outputs == 3
    assert [len(p[0]) for p in (data.train, data.val, data.test)] == [30, 15, 20]
    assert data.train[1].bincount().tolist() == [10, 10, 10]


def test_a_missing_idx_folder_is_reported_with_a_way_to_get_one():
    with pytest.raises(InputError, match="apt-get install dataset-fashion-mnist"):
        optnas.idx_images("nowhere")


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda p: p.unlink(), "has neither"),
        (lambda p: p.write_bytes(p.read_bytes()[:-3]), "is truncated"),
        (lambda p: p.write_bytes(p.read_bytes()[:9]), "is truncated"),
        (lambda p: p.write_bytes(b"GIF89a"), "is no IDX file"),
        (lambda p: p.rename(f"{p}.gz"), "can't be read"),
    ],
)
def test_damaged_idx_files_are_refused(tmp_path, damage, message):
    folder = write_folder(tmp_path / "images", compress=False)
    damage(folder / FILES[0])
    with pytest.raises(InputError, match=message):
        optnas.idx_images(folder, val=10)


@pytest.mark.parametrize(
    ("shape", "data", "message"),
    [
        ((2**31, 2**31, 4), b"", "2147483648×2147483648×4 bytes, .*(too small for them)"),
        ((2**32 - 1, 1, 1), b"\0" * 50, "is truncated: its header says 4294967295×1×1 bytes"),
        ((0, 28, 28), b"", "is empty: its header says 0×28×28"),
        ((3, 0, 28), b"", "is empty"),
        ((2, 2, 2), bytes(50_000_000), "2×2×2 bytes, and more are there"),
    ],
)
@pytest.mark.parametrize("packed", [False, True])
def test_an_idx_header_that_lies_is_refused_before_memory_is_taken(
    tmp_path, shape, data, message, packed
):
    folder = write_folder(tmp_path / "images", packed)
    path = folder / (FILES[0] + ".gz" * packed)
    with gzip.open(path, "wb", 1) if packed else path.open("wb") as file:
        file.write(struct.pack(">4B3I", 0, 0, 8, 3, *shape))
        file.write(data)
    tracemalloc.start()
    try:
        with pytest.raises(InputError, match=message):
            optnas.idx_images(folder)
        assert tracemalloc.get_traced_memory()[1] < 20_000_000
    finally:
        tracemalloc.stop()


def test_a_truncated_gzip_file(tmp_path):
    folder = write_folder(tmp_path / "images", compress=True)
    path = folder / f"{FILES[1]}.gz"
    path.write_bytes(path.read_bytes()[:-12])
    with pytest.raises(InputError, match="can't be read"):
        optnas.idx_images(folder, val=10)


def test_loaders_need_a_name_and_a_task():
    loader = DataLoader(TensorDataset(torch.zeros(4, 2), torch.zeros(4, dtype=torch.int64)), 2)
    assert optnas.Loaders(loader, loader, "classification", "v1").fingerprint == "v1 2/2 batches"
    with pytest.raises(ValueError, match="name is empty"):
        optnas.Loaders(loader, loader, "classification", "")
    with pytest.raises(ValueError, match="task must be one of"):
        optnas.Loaders(loader, loader, "ranking", "v1")


class Stream(torch.utils.data.IterableDataset):
    def __iter__(self):
        yield from range(9)


@pytest.mark.parametrize("part", ["train", "val", "train_val", "test"])
def test_loaders_have_a_length_and_batches(part):
    rows = list(range(9))
    given = dict.fromkeys(("train", "val", "train_val", "test"), DataLoader(rows, 4))
    settings = {"task": "classification", "name": "v1"}
    optnas.Loaders(**given, **settings)
    with pytest.raises(
        ValueError, match=rf"^{part} has no length, .* give the dataset, .* __len__"
    ):
        optnas.Loaders(**given | {part: DataLoader(Stream(), 4)}, **settings)
    with pytest.raises(ValueError, match=rf"^{part} has no batches: give it examples"):
        optnas.Loaders(**given | {part: DataLoader(rows, 16, drop_last=True)}, **settings)


def test_bools_are_classes_and_numpy_sizes_are_numbers():
    data = optnas.arrays(np.random.rand(40, 2), np.arange(40) % 2 == 0, val=np.int64(7), test=9)
    assert data.task == "classification"
    assert [len(p[1]) for p in (data.train, data.val, data.test)] == [24, 7, 9]


def test_normalize_and_denormalize_convert_between_raw_and_network_units():
    rng = np.random.default_rng(0)
    x, y = rng.normal(5, 3, (50, 4)), rng.normal(100, 20, 50)
    data = optnas.arrays(x, y)
    parts = (data.train, data.val, data.test)
    everything = torch.cat([p[0] for p in parts])
    again = data.normalize(x)
    assert torch.allclose(again.sum(0), everything.sum(0), atol=1e-3)
    raw = torch.cat([data.denormalize(p[1]) for p in parts]).flatten()
    assert torch.allclose(raw.sort().values, torch.tensor(np.sort(y)), atol=1e-3)


def test_numbers_close_together_and_far_from_zero_come_back():
    """float32 has steps of 128 at 1.7e9."""
    rng = np.random.default_rng(0)
    y = 1.7e9 + 50 + 3 * rng.normal(size=50)
    data = optnas.arrays(np.stack([y, rng.normal(size=50)], 1), y)
    parts = (data.train, data.val, data.test)
    raw = torch.cat([data.denormalize(p[1]) for p in parts]).flatten()
    assert np.allclose(np.sort(raw.numpy()), np.sort(y), rtol=0, atol=1e-5)
    trained = torch.cat([p[0] for p in parts])[:, 0]
    again = data.normalize(np.stack([y, y], 1))[:, 0]
    assert torch.equal(again.sort().values, trained.sort().values)


def test_the_moments_survive_json_exactly_and_are_left_out_where_nothing_is_normalised():
    data = optnas.diabetes()
    found = {
        name: torch.tensor(json.loads(text), dtype=torch.float64)
        for name, text in moments_json(data).items()
    }
    assert torch.equal(found["x_mean"], data.x_moments[0])
    assert torch.equal(found["y_std"].reshape(data.y_moments[1].shape), data.y_moments[1])
    assert set(moments_json(optnas.digits())) == {"x_mean", "x_std"}
    raw = optnas.arrays(np.zeros((20, 2)), np.tile([0, 1], 10), normalize=False)
    assert moments_json(raw) == moments_json(None) == {}
