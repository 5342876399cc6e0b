"""What a dataset is made of is checked before any network sees it."""

import hashlib

import pytest
import torch
from torch.utils.data import DataLoader, TensorDataset

import optnas
from optnas.errors import InputError

X, Y = torch.zeros(12, 3), torch.arange(12) % 2


@pytest.mark.parametrize(
    ("name", "task", "message"),
    [
        ("ids", "clasification", r"got 'clasification' \(did you mean classification\?\)"),
        ("ids", "ranking", "one of classification, regression, segmentation, language, got 'rank"),
        ("classification", "ids", "got 'ids' and the name 'classification': .* other way round"),
        ("ids", None, "got None"),
    ],
)
def test_a_task_that_there_is_not_is_refused(name, task, message):
    with pytest.raises(InputError, match=message):
        optnas.Dataset(name, task, (X, Y), (X, Y), (X, Y), 2)
    loader = DataLoader(TensorDataset(X, Y), 4)
    with pytest.raises(InputError, match=message):
        optnas.Loaders(loader, loader, task, name)


@pytest.mark.parametrize(
    ("part", "message"),
    [
        ((X.numpy(), Y), r"^d: x of the part val is a ndarray.* torch\.from_numpy\(x\), or let"),
        ((X, Y.numpy()), r"y of the part val is a ndarray.* torch\.from_numpy\(y\), or let"),
        (({"a": X, "b": X.numpy()}, Y), r"x\['b'\] .* torch\.from_numpy\(x\['b'\]\)"),
        (((X, X.numpy()), Y), r"x\[1\] .* torch\.from_numpy\(x\[1\]\)"),
        ((X.tolist(), Y), r"x of the part val is a list of 12.* torch\.tensor\(x\)"),
        ((X, Y.tolist()), r"y of the part val is a list of 12.* torch\.tensor\(y\)"),
        ((X, torch.tensor(1)), "y of the part val is a tensor"),
        (X, r"the part val must be a pair of examples and targets, \(x, y\), got a tensor"),
        (TensorDataset(X, Y), r"\(x, y\), got a TensorDataset"),
        ((X, Y, Y), r"\(x, y\), got a tuple of 3"),
        (({}, Y), "the examples of the part val are a dict of nothing"),
    ],
)
def test_a_part_is_a_pair_of_tensors(part, message):
    with pytest.raises(InputError, match=message):
        optnas.Dataset("d", "classification", (X, Y), part, (X, Y), 2)


@pytest.mark.parametrize("kind", [torch.bfloat16, torch.float16, torch.float64, torch.complex64])
def test_data_of_any_type_of_numbers_have_a_fingerprint(kind):
    def fingerprint(x):
        part = x, torch.zeros(4, 1)
        return optnas.Dataset("made", "regression", part, part, part, outputs=1).fingerprint

    x = torch.arange(12.0).reshape(4, 3).to(kind)
    assert fingerprint(x) == fingerprint(x.t().contiguous().t())
    assert fingerprint(x) == fingerprint(x.clone().requires_grad_())
    assert fingerprint(x) != fingerprint(x + 1)
    assert fingerprint(x[:, :1].expand(4, 3)) == fingerprint(x[:, :1].repeat(1, 3))
    assert fingerprint(x[0, 1].expand(4)) == fingerprint(x[0, 1].repeat(4))
    assert fingerprint(x[:, :0])  # a table of categories alone has no numbers


def test_the_fingerprint_is_a_hash_of_the_bytes_in_order():
    x, y = torch.arange(12.0).reshape(4, 3), torch.zeros(4, 1)
    digest = hashlib.sha256(b"".join(t.numpy().tobytes() for t in (x, y, x, y))).hexdigest()
    data = optnas.Dataset("made", "regression", (x, y), (x, y), (x, y), outputs=1)
    assert data.fingerprint == f"made 4/4/4 {digest[:12]}"
