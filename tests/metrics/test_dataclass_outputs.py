"""What is counted of a network doesn't depend on what its outputs are packed in."""

from collections import UserDict, namedtuple
from dataclasses import dataclass

import pytest
import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import pack_padded_sequence

import optnas
from optnas.errors import InputError
from optnas.metrics.counting import count_modules


@dataclass(frozen=True)
class Output:
    logits: Tensor
    hidden: Tensor


class Own:
    """No container that anyone can open."""

    def __init__(self, *tensors):
        self.tensors = tensors


class Packing(nn.Module):
    """Packs two tensors in a container."""

    def __init__(self, pack):
        super().__init__()
        self.pack = pack
        self.first, self.second = nn.Linear(64, 512, bias=False), nn.Linear(512, 10, bias=False)

    def forward(self, x):
        hidden = self.first(x)
        return self.pack(self.second(hidden), hidden)


PACKS = [
    lambda *found: found,
    namedtuple("Pair", "logits hidden"),
    lambda *found: {"logits": found[0], "more": [found[1]]},
    Output,
    lambda *found: {"inner": Output(*found)},
    lambda *found: UserDict(zip("ab", found, strict=True)),
]
KIB = 1024


@pytest.mark.parametrize("pack", PACKS)
def test_outputs_are_found_in_any_container(pack):
    names = ["flash_kib.int8", "peak_activation_kib.int8", "peak_activation_mb"]
    found = optnas.measure(Packing(pack), torch.zeros(1, 64), names)
    assert found == {
        "flash_kib.int8": (64 * 512 + 512 * 10 + 8 * (512 + 10)) / KIB,
        "peak_activation_kib.int8": (64 + 512) / KIB,
        "peak_activation_mb": 4 * (64 + 512) / 1e6,
    }


def test_outputs_in_a_dataclass_live_to_the_end():
    class Late(nn.Module):
        def forward(self, x):
            early = x * 2
            late = x.sum(1)
            for _ in range(3):
                late = late * 3
            return Output(late, early)

    found = optnas.measure(Late(), torch.zeros(1, 100), ["peak_activation_kib.int8"])
    assert found == {"peak_activation_kib.int8": (2 * 100 + 1) / KIB}


def test_the_shape_of_a_dataclass_is_that_of_its_first_tensor():
    counts = count_modules(Packing(Output), torch.zeros(1, 64))
    assert counts[""].output == (1, 10)


def test_a_packed_sequence_is_an_output():
    class Packed(nn.Module):
        def __init__(self):
            super().__init__()
            self.layer = nn.Linear(8, 16, bias=False)

        def forward(self, x):
            return pack_padded_sequence(self.layer(x), torch.tensor([4]), batch_first=True)

    found = optnas.measure(Packed(), torch.zeros(1, 4, 8), ["flash_kib.int8"])
    order = 1  # by which the one row is sorted
    assert found == {"flash_kib.int8": (8 * 16 + 8 * 16 + order) / KIB}


@pytest.mark.parametrize("name", ["flash_kib.int8", "peak_activation_kib.int8"])
@pytest.mark.parametrize("pack", [Own, lambda *found: None])
def test_a_network_that_returns_no_tensor_is_refused(pack, name):
    with pytest.raises(InputError, match=r"forward of Packing returns a .* there is no tensor"):
        optnas.measure(Packing(pack), torch.zeros(1, 64), [name])
