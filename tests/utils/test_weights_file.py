"""Files of weights hold whatever a model's state_dict returns, or say what they can't hold."""

from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_model
from torch import nn

from optnas.errors import InputError
from optnas.utils.weights_file import (
    WeightsFileError,
    check_weights,
    copied_state,
    load_into,
    own_memory,
    save_weights,
)

FILE = Path("weights")


class Extra(nn.Module):
    """A network with a state besides its tensors."""

    def __init__(self, extra):
        super().__init__()
        self.layer = nn.Linear(2, 2)
        self.extra = extra

    def get_extra_state(self):
        return self.extra

    def set_extra_state(self, state):
        self.extra = state


class Nested(nn.Module):
    """A network whose state_dict is a dictionary of dictionaries and lists."""

    def __init__(self):
        super().__init__()
        self.one, self.two = nn.Linear(2, 2), nn.Linear(2, 2)

    def state_dict(self, *args, **kwargs):
        return {"one": self.one.state_dict(), "rest": [self.two.state_dict(), 3]}

    def load_state_dict(self, state, *args, **kwargs):
        self.one.load_state_dict(state["one"])
        self.two.load_state_dict(state["rest"][0])


def with_buffer(make):
    def network():
        model = nn.Linear(2, 2)
        model.register_buffer("buffer", make())
        return model

    return network


def chunks():
    model = nn.Module()
    model.q, model.k = (nn.Parameter(t) for t in torch.randn(6, 4).chunk(2))
    return model


def overlapping():
    model, base = nn.Module(), torch.randn(8)
    model.a, model.b = nn.Parameter(base[:6]), nn.Parameter(base[2:])
    return model


def tied():
    model = nn.Sequential(nn.Linear(3, 3), nn.Linear(3, 3))
    model[1].weight = model[0].weight
    return model


def transposed():
    model = nn.Linear(3, 4)
    model.register_buffer("transposed", model.weight.detach().t())
    return model


def flattened():
    model = nn.Linear(3, 4)
    model.register_buffer("flat", model.weight.detach().view(-1))
    return model


def conjugates():
    model, base = nn.Module(), torch.randn(3, dtype=torch.complex64)
    for name, tensor in {"a": base, "b": base.conj(), "c": torch.view_as_real(base)}.items():
        model.register_buffer(name, tensor)
    return model


def tied_under_the_name_of_a_fact():
    model = nn.Linear(3, 3)
    model.trial = model.weight
    return model


STATES = {
    "a part of another tensor": with_buffer(lambda: torch.randn(2, 1).unbind(0)[0]),
    "a slice": with_buffer(lambda: torch.randn(9)[1::2]),
    "an expanded tensor": with_buffer(lambda: torch.randn(1, 4).expand(3, 4)),
    "chunks": chunks,
    "tensors that overlap": overlapping,
    "tied": tied,
    "tied, and called as a fact": tied_under_the_name_of_a_fact,
    "flattened": flattened,
    "a tensor and its conjugate": conjugates,
    "transposed": transposed,
    "a number": with_buffer(lambda: torch.randn(())),
    "empty": with_buffer(lambda: torch.zeros(0)),
    "bfloat16": with_buffer(lambda: torch.randn(3).bfloat16()),
    "complex": with_buffer(lambda: torch.randn(3, dtype=torch.complex64)),
    "conjugated": with_buffer(lambda: torch.randn(3, dtype=torch.complex64).conj()),
    "complex128": with_buffer(lambda: torch.randn(3, dtype=torch.complex128)),
    "sparse": with_buffer(lambda: torch.randn(3, 3).to_sparse()),
    "uint16": with_buffer(lambda: torch.randint(9, (3,)).to(torch.uint16)),
    "extra state that is a dictionary": lambda: Extra({"n": 1, "t": torch.randn(2)}),
    "extra state that is a number": lambda: Extra(int(torch.randint(999, ()))),
    "a state_dict of its own": Nested,
    "averaged": lambda: torch.optim.swa_utils.AveragedModel(nn.Linear(2, 2)),
    "in DataParallel": lambda: nn.DataParallel(nn.Linear(2, 2)),
}


@pytest.mark.parametrize("case", STATES)
def test_what_is_loaded_is_what_was_saved(case, tmp_path):
    make = STATES[case]
    torch.manual_seed(1)
    model, other = make(), make()
    state = model.state_dict()
    before = repr(state)
    copied = copied_state(state)
    assert repr(copied) == before
    check_weights(state)
    save_weights(state, tmp_path / "w", {"trial": "3"})
    assert repr(other.state_dict()) != before or case == "empty"
    assert load_into(other, tmp_path / "w")["trial"] == "3"
    assert repr(other.state_dict()) == before
    # A copy doesn't change with the network.
    own_memory(model)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.fill_(7)
    assert repr(copied) == before


def test_a_copied_state_keeps_the_versions_of_its_modules():
    model = nn.BatchNorm1d(2)
    assert copied_state(model.state_dict())._metadata == model.state_dict()._metadata


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
@pytest.mark.filterwarnings("ignore::UserWarning")
def test_a_network_with_quantised_layers(tmp_path):
    def make():
        layers = nn.Sequential(nn.Linear(4, 4))
        return torch.ao.quantization.quantize_dynamic(layers, {nn.Linear}, torch.qint8)

    model, other, x = make(), make(), torch.randn(2, 4)
    save_weights(model.state_dict(), tmp_path / "w")
    load_into(other, tmp_path / "w")
    assert torch.equal(model(x), other(x))


def test_tied_tensors_are_written_once_and_whole_ones_alone(tmp_path):
    save_weights(tied().state_dict(), tmp_path / "w")
    assert set(load_file(tmp_path / "w")) == {"0.weight", "0.bias", "1.bias"}
    save_weights(nn.Linear(9, 9, bias=False).state_dict(), tmp_path / "w")
    save_weights({"x": torch.zeros(10**6)[:1].to_sparse()}, tmp_path / "small")
    assert (tmp_path / "small").stat().st_size < 10**4


@pytest.mark.parametrize("make", [tied, flattened])
def test_files_of_older_versions_are_read(make, tmp_path):
    model, other = make(), make()
    save_model(model, str(tmp_path / "w"))
    load_into(other, tmp_path / "w")
    assert repr(other.state_dict()) == repr(model.state_dict())


class Custom:
    """Something that only its own code can read."""


@pytest.mark.parametrize("extra", [Custom(), np.ones(2), {"deep": [Custom]}])
def test_what_only_running_code_could_read_is_refused(extra, tmp_path):
    state = Extra(extra).state_dict()
    for refused in (check_weights, lambda s: save_weights(s, tmp_path / "w")):
        with pytest.raises(InputError, match=r'reading "_extra_state" \(.*\) would run code: ret'):
            refused(state)


def test_a_format_of_plain_tensors_names_what_it_cannot_hold(tmp_path):
    with pytest.raises(InputError, match=r'hold "_extra_state" \(builtins.int\)'):
        save_weights(Extra(3).state_dict(), tmp_path / "w", plain=True)


@pytest.mark.parametrize("content", [b"", b"no weights", b"PK\x03\x04 no weights", b"\0" * 50])
def test_damaged_files_are_named(content, tmp_path):
    (tmp_path / "w").write_bytes(content)
    with pytest.raises(WeightsFileError, match=r"^w is damaged, or no file of weights: "):
        load_into(nn.Linear(2, 2), tmp_path / "w")


def test_weights_of_another_network_do_not_fit(tmp_path):
    save_weights(nn.Linear(3, 2).state_dict(), tmp_path / "w")
    for model in (nn.Linear(2, 2), Nested()):
        with pytest.raises(RuntimeError):
            load_into(model, tmp_path / "w")
