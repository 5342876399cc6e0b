"""Dimensions besides the batch that may vary."""

import pytest
import torch
from torch import nn

import optnas
from optnas.errors import InputError
from optnas.evaluators import FunctionEvaluator
from optnas.export.dynamic import check_dynamic, read_dynamic
from optnas.export.formats import FORMATS

ONES = torch.ones(1, 16, dtype=torch.long)
INPUTS = {"input_ids": ONES, "attention_mask": ONES}
BOTH = {"input_ids": {1: "seq"}, "attention_mask": {1: "seq"}}


class Positions(nn.Module):
    """Takes at most 16 tokens."""

    def __init__(self):
        super().__init__()
        self.tokens, self.positions = nn.Embedding(50, 4), nn.Parameter(torch.randn(16, 4))

    def forward(self, input_ids, attention_mask):
        found = self.tokens(input_ids) + self.positions[: input_ids.shape[1]]
        return found * attention_mask[..., None]


def searched(make):
    evaluator = FunctionEvaluator(lambda m, r, p: {"loss": 1.0}, {"loss": "minimize"})
    space = optnas.ModelSpace(lambda kind: make(), {"kind": ["a"]}, INPUTS)
    search = optnas.Search(
        space=space, evaluator=evaluator, objectives=("loss",), trials=1, name="tokens"
    )
    return search.run(progress=False), search


@pytest.mark.parametrize("kind", ["onnx", "pt2"])
def test_a_sequence_of_any_length(kind, tmp_path):
    study, search = searched(Positions)
    done = optnas.export_model(study, search, 0, f"m.{kind}", dynamic=BOTH)
    run = FORMATS[kind].load(done.path, Positions)
    model = optnas.best_model(study, search)
    for batch, length in ((1, 16), (3, 5), (2, 1)):
        inputs = {name: torch.ones(batch, length, dtype=torch.long) for name in INPUTS}
        assert torch.allclose(run(inputs)["output"], model(**inputs), atol=1e-5)
    assert "batch × seq |" in done.card.read_text()


class Fixed(Positions):
    def forward(self, input_ids, attention_mask):
        return self.tokens(input_ids) * float(int(input_ids.shape[1])) * attention_mask[..., None]


def test_a_fixed_length_is_told_of():
    study, search = searched(Fixed)
    with pytest.raises(InputError, match=r"can't be traced .*: without `dynamic=` it can be"):
        optnas.export_model(study, search, 0, "m.pt2", dynamic=BOTH)
    with pytest.raises(InputError, match=r"only weights, for any inputs: leave out `dynamic=`"):
        optnas.export_model(study, search, 0, "m.safetensors", dynamic=BOTH)


@pytest.mark.parametrize(
    ("dynamic", "message"),
    [
        ({"ids": {1: "seq"}}, r"no input is called 'ids'; there are: input_ids, attention_mask"),
        ({"input_ids": {0: "n"}}, r"dimension 0 of input_ids must be from 1 to 1 \(0 is the batch"),
        ({"input_ids": {2: "n"}}, r"dimension 2 of input_ids must be from 1 to 1"),
        ({"input_ids": {1: "batch"}}, r"must be a word other than batch: 'batch'"),
        ({"input_ids": {1: "a b"}}, r"must be a word other than batch: 'a b'"),
    ],
)
def test_dimensions_that_there_are_not(dynamic, message):
    with pytest.raises(InputError, match=message):
        check_dynamic(dynamic, INPUTS)


def test_a_dimension_of_one_cannot_vary():
    with pytest.raises(InputError, match=r"dimension 1 of input is 1 in the space's example_inpu"):
        check_dynamic({"input": {1: "seq"}}, torch.zeros(1, 1))


def test_how_the_option_is_read():
    assert read_dynamic(["a:1=seq", "a:2=w", "b:1=seq"]) == {
        "a": {1: "seq", 2: "w"},
        "b": {1: "seq"},
    }
    for text in ("a", "a:1", "a:x=seq", ":1=seq", "a:1="):
        with pytest.raises(InputError, match=r"`dynamic=` takes INPUT:DIMENSION=NAME"):
            read_dynamic([text])
