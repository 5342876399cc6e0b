"""The inputs of the comparison are distinct, and in the range that the network takes."""

import numpy as np
import pytest
import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

import optnas
from optnas.errors import InputError
from optnas.export.agreement import agree
from optnas.export.examples import examples
from optnas.utils.network import runner

BLOBS = optnas.arrays(
    np.random.default_rng(0).normal(size=(90, 4)), np.arange(90) % 3, name="blobs"
)


class Language(nn.Module):
    def __init__(self):
        super().__init__()
        self.words, self.kinds = nn.Embedding(50, 4), nn.Embedding(3, 4)

    def forward(self, input_ids, attention_mask, token_type_ids):
        mixed = self.words(input_ids) + self.kinds(token_type_ids)
        return mixed * attention_mask[..., None]


ONES = torch.ones(1, 12, dtype=torch.long)


@pytest.mark.parametrize("by_name", [True, False])
def test_integers_have_the_range_of_their_embedding_and_masks_have_padding(by_name):
    names = ("input_ids", "attention_mask", "token_type_ids")
    inputs = dict.fromkeys(names, ONES) if by_name else (ONES,) * 3
    found, words = examples(None, inputs, 64, Language())
    ids, mask, kinds = found.values() if by_name else found
    assert set(ids.unique().tolist()) == set(range(50))
    assert set(kinds.unique().tolist()) == {0, 1, 2}
    assert mask[0].all()
    assert mask.sum(1).unique().numel() > 5
    assert (mask.diff(dim=1) <= 0).all()  # padding only follows
    assert mask.sum(1).min() >= 1
    assert words == (
        "random inputs (input_ids: whole numbers from 0 to 49; attention_mask: ones, then padding; "
        "token_type_ids: whole numbers from 0 to 2)"
    )


def test_a_graph_that_looks_at_one_token_is_another_network():
    model = Language()
    inputs = dict.fromkeys(("input_ids", "attention_mask", "token_type_ids"), ONES)
    found, words = examples(None, inputs, 64, model)
    wrong = runner(lambda **given: model(**given | {"input_ids": given["input_ids"] * 0 + 1}))
    with pytest.raises(InputError, match="its outputs differ"):
        agree(runner(model), wrong, found, words, (1, 2))


class Positive(nn.Module):
    def forward(self, x):
        return torch.log(x)


class Nodes(nn.Module):
    def forward(self, x):
        return torch.eye(4)[x].sum(-1)


@pytest.mark.parametrize(
    ("model", "one", "words"),
    [
        (nn.Linear(3, 2), torch.zeros(1, 3), "random inputs (normally distributed numbers)"),
        (Positive(), torch.tensor([[1.0, 3.0]]), "random inputs (x: numbers between 1 and 3)"),
        (Nodes(), torch.tensor([[3, 0, 1]]), "random inputs (x: whole numbers from 0 to 3)"),
        (nn.Embedding(9, 2), torch.zeros(1, 3, dtype=torch.int32), "whole numbers from 0 to 8)"),
    ],
)
def test_other_inputs(model, one, words):
    found, said = examples(None, one, 64, model)
    assert said.endswith(words) or said == words
    assert found.dtype == one.dtype
    assert len(found.unique(dim=0)) > 5
    assert model(found).isfinite().all()


def test_what_the_network_does_not_take_is_not_given():
    class Strict(nn.Module):
        def forward(self, x):
            if (x.sort(dim=1).values != torch.tensor([3, 8, 90])).any():
                raise ValueError("no permutation")
            return x * 1.0

    found, said = examples(None, torch.tensor([[8, 3, 90]]), 64, Strict())
    assert len(found.unique(dim=0)) == 6
    assert "the values of the example input in other orders" in said


def test_examples_come_from_the_validation_part_if_they_fit():
    found, words = examples(BLOBS, torch.zeros(1, 4), 64)
    assert words == "18 distinct validation examples"
    assert torch.equal(found[:18], BLOBS.val[0])
    assert torch.equal(found[18], BLOBS.val[0][0])  # too few, so they repeat
    assert examples(BLOBS, torch.zeros(1, 5), 3)[1].startswith("random inputs")
    loader = DataLoader(TensorDataset(*BLOBS.val), batch_size=4)
    loaders = optnas.Loaders(loader, loader, "classification", "x")
    found, words = examples(loaders, torch.zeros(1, 4), 6)
    assert words == "6 distinct validation examples"
    assert torch.equal(found, BLOBS.val[0][:6])


def test_equal_validation_examples_are_used_once():
    x, y = BLOBS.val
    doubled = TensorDataset(torch.cat([x[:1]] * 40 + [x[1:3]]), torch.cat([y[:1]] * 40 + [y[1:3]]))
    loader = DataLoader(doubled, batch_size=7)
    found, words = examples(
        optnas.Loaders(loader, loader, "classification", "x"), torch.zeros(1, 4), 4
    )
    assert words == "3 distinct validation examples"
    assert torch.equal(found, x[[0, 1, 2, 0]])
    same = DataLoader(TensorDataset(x[:1].repeat(9, 1), y[:1].repeat(9)), batch_size=3)
    loaders = optnas.Loaders(same, same, "classification", "x")
    assert examples(loaders, torch.zeros(1, 4), 4)[1].startswith("random inputs")
