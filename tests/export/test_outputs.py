"""Networks whose signature says nothing, and whose outputs hold more than tensors."""

import math
from collections import OrderedDict
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import torch
from torch import nn

from optnas.errors import InputError
from optnas.export.agreement import agree
from optnas.export.examples import examples
from optnas.export.formats import FORMATS
from optnas.utils.network import Network, first_line, runner
from optnas.utils.signature import left_out, named_outputs
from optnas.utils.tracing import trace

ONE = torch.zeros(1, 8)


class Cache:
    """Neither a tensor nor a structure of tensors."""

    def __init__(self, keys):
        self.keys = keys


class ModelOutput(OrderedDict):
    """As the outputs of transformers: by name and by attribute."""

    def __getattr__(self, name):
        return self[name]


@dataclass
class Output:
    logits: torch.Tensor
    cache: Any = None
    loss: Any = None
    hidden: Any = ()


class Pair(NamedTuple):
    mean: torch.Tensor
    scale: torch.Tensor


class Base(nn.Module):
    def __init__(self):
        super().__init__()
        self.layer = nn.Linear(8, 4)


class Star(Base):
    def forward(self, *args):
        return self.layer(args[0])


class ByName(Base):
    def forward(self, **given):
        return self.layer(given["x"]) + given["y"].sum(1, keepdim=True)


class WithCache(Base):
    def forward(self, x):
        hidden = self.layer(x)
        return ModelOutput(
            logits=hidden * 2, past_key_values=Cache(hidden), loss=None, hidden_states=(x, hidden)
        )


class AsDataclass(Base):
    def forward(self, x):
        hidden = self.layer(x)
        return Output(hidden, Cache(hidden), hidden.mean(), [x])


class AsTuple(Base):
    def forward(self, x):
        return self.layer(x), Cache(x), 0.5


class AsPair(Base):
    def forward(self, x):
        return Pair(self.layer(x), x)


class Masked(Base):
    def forward(self, x):
        return self.layer(x).masked_fill(torch.tensor([False, False, True, False]), -math.inf)


NETWORKS = {
    "forward(*args)": (Star, ONE, ["output"]),
    "forward(*args) of two": (Star, (ONE, ONE), ["output"]),
    "forward(**kwargs)": (ByName, {"x": ONE, "y": ONE}, ["output"]),
    "DataParallel": (lambda: nn.DataParallel(nn.Linear(8, 4)), ONE, ["output"]),
    "DataParallel by name": (
        lambda: nn.DataParallel(ByName()),
        {"x": ONE, "y": ONE},
        ["output"],
    ),
    "a ModelOutput with a cache": (
        WithCache,
        ONE,
        ["output_logits", "output_hidden_states_0", "output_hidden_states_1"],
    ),
    "a dataclass": (AsDataclass, ONE, ["output_logits", "output_loss", "output_hidden_0"]),
    "a tuple with other things": (AsTuple, ONE, ["output_0"]),
    "a named tuple": (AsPair, ONE, ["output_0", "output_1"]),
    "logits of minus infinity": (Masked, ONE, ["output"]),
}


@pytest.mark.parametrize("kind", ["onnx", "pt2"])
@pytest.mark.parametrize("case", NETWORKS)
def test_a_file_of_any_batch_size(case, kind, tmp_path):
    make, inputs, names = NETWORKS[case]
    model = make().eval()
    path = tmp_path / f"m.{kind}"
    FORMATS[kind].write(Network(model, inputs), path, {})
    run = FORMATS[kind].load(path, make)
    batch, words = examples(None, inputs, 7, model)
    assert agree(runner(model), run, batch, words, (1, 2, 7)).difference < 1e-6
    assert list(run(batch)) == names


def test_what_is_left_out_is_named():
    assert left_out(WithCache()(ONE)) == ["past_key_values (Cache)"]
    assert left_out(AsDataclass()(ONE)) == ["cache (Cache)"]
    assert left_out(AsTuple()(ONE)) == ["1 (Cache)", "2 (float)"]
    assert left_out(AsPair()(ONE)) == []


def test_outputs_without_tensors_are_refused():
    with pytest.raises(InputError, match=r"returns a Cache in which there are no tensors: it must"):
        named_outputs(Cache(ONE))


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_the_way_out_is_true():
    class Branches(Base):
        def forward(self, x):
            return self.layer(x) if x.sum() > 0 else -self.layer(x)

    class Caches(Base):
        def forward(self, x):
            raise TypeError("DynamicCache is no supported type")

    scripted = torch.jit.script(nn.Linear(8, 4))
    for network, message in (
        (Branches(), r"its code branches on the values of tensors, .* or `format=\"safet"),
        (Caches(), r"switch its cache off where you make it \(use_cache=False in transformers\)"),
        (
            scripted,
            r"it contains a ScriptModule; use the module it was made from, or `format=\"saf",
        ),
    ):
        for size in (None, 1):
            with pytest.raises(InputError, match=message) as caught:
                trace(Network(network, ONE, size))
            assert "batch_size" not in str(caught.value)


def test_infinities_and_missing_numbers_are_compared():
    inf, nan = math.inf, math.nan

    def gives(*values):
        return lambda x: {"output": torch.tensor([values])}

    for values in ((1.0, -inf), (inf, inf), (nan, 1.0), (nan, nan)):
        assert agree(gives(*values), gives(*values), ONE, "", (1,)).difference == 0
    for one, other in (
        ((1.0, -inf), (1.0, inf)),
        ((1.0, -inf), (1.0, -1e30)),
        ((1.0, nan), (1.0, 2.0)),
        ((1.0, 2.0), (1.0, nan)),
        ((1.0, -inf), (1.1, -inf)),
    ):
        with pytest.raises(InputError, match="outputs differ"):
            agree(gives(*one), gives(*other), ONE, "", (1,))
    assert agree(gives(1 + 2j), gives(1 + 2j), ONE, "", (1,)).difference == 0
    with pytest.raises(InputError, match="outputs differ"):
        agree(gives(1 + 2j), gives(1 + 3j), ONE, "", (1,))


@pytest.mark.parametrize("kind", ["onnx", "pt2"])
def test_gpt2_with_its_cache(kind, tmp_path):
    transformers = pytest.importorskip("transformers", reason="transformers isn't installed")
    config = transformers.GPT2Config(
        vocab_size=100, n_positions=64, n_layer=1, n_embd=16, n_head=2, bos_token_id=0
    )
    config.eos_token_id = 0
    model = transformers.GPT2LMHeadModel(config).eval()
    inputs = {"input_ids": torch.ones(1, 9, dtype=torch.long)}
    inputs["attention_mask"] = torch.ones_like(inputs["input_ids"])
    path = tmp_path / f"m.{kind}"
    FORMATS[kind].write(Network(model, inputs), path, {})
    run = FORMATS[kind].load(path, lambda: model)
    batch, words = examples(None, inputs, 7, model)
    assert "input_ids: whole numbers from 0 to 99; attention_mask: ones, then padding" in words
    agree(runner(model), run, batch, words, (1, 2, 7))
    (told,) = left_out(model(**inputs))
    assert told.endswith(" (DynamicCache)")


def test_operators_are_read_once_and_files_are_the_same_as_if_they_were_read_each_time(monkeypatch):
    from torch.onnx._internal.exporter._registration import ONNXRegistry

    from optnas.utils import onnx_file

    read, times = vars(ONNXRegistry)["from_torchlib"].__func__, []

    @classmethod
    def counted(cls, *args, **settings):
        times.append(1)
        return read(cls, *args, **settings)

    def written():
        FORMATS["onnx"].write(Network(model, ONE), Path("m.onnx"), {})
        return Path("m.onnx").read_bytes()

    model = Masked().eval()
    with monkeypatch.context() as patched:
        patched.setattr(onnx_file, "operators_read_once", nullcontext)
        wanted = written()
    monkeypatch.setattr(ONNXRegistry, "from_torchlib", counted)
    assert [written(), written()] == [wanted, wanted]
    assert len(times) == 1
    assert vars(ONNXRegistry)["from_torchlib"] is counted
    # What is changed in the operators of one export is not in the next one.
    with onnx_file.operators_read_once():
        ONNXRegistry().from_torchlib(opset_version=18).functions.clear()
        assert ONNXRegistry().from_torchlib(opset_version=18).functions
    monkeypatch.delattr(ONNXRegistry, "from_torchlib")  # another PyTorch
    with onnx_file.operators_read_once():
        assert "from_torchlib" not in vars(ONNXRegistry)


def test_an_exporters_error_is_one_line_without_colours():
    error = ValueError("\n\x1b[31mFailed to decompose\x1b[0m the graph\nand more")
    assert first_line(error) == "ValueError: Failed to decompose the graph"
