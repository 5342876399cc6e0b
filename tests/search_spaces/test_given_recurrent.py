"""Spaces of a given network that has recurrent layers."""

import copy

import pytest
import torch
from optuna.trial import FixedTrial
from torch import nn

from optnas.search_spaces import LoRASpace, SlimSpace
from optnas.utils.code_hash import code_hash

X = torch.zeros(1, 5, 4)


class Recurrent(nn.Module):
    def __init__(self, kind):
        super().__init__()
        self.stem = nn.Linear(4, 6)
        self.layers = kind(6, 7, batch_first=True)
        self.hidden, self.head = nn.Linear(7, 8), nn.Linear(8, 2)

    def forward(self, x):
        states = self.layers(self.stem(x).relu())[0]
        return self.head(self.hidden(states[:, -1]).relu())


def made(kind, seed=0):
    torch.manual_seed(seed)
    return Recurrent(kind).eval()


@pytest.mark.parametrize("kind", [nn.LSTM, nn.GRU, nn.RNN])
def test_recurrent_layers_are_told_apart_by_their_weights(kind):
    one = made(kind)
    assert code_hash(one) == code_hash(made(kind)) == code_hash(copy.deepcopy(one))
    assert code_hash(one) != code_hash(made(kind, seed=1))
    other = made(kind)
    with torch.no_grad():
        other.layers.bias_hh_l0[0] += 1
    assert code_hash(one) != code_hash(other)


@pytest.mark.parametrize("kind", [nn.LSTM, nn.GRU])
def test_a_network_with_recurrent_layers_has_adapters(kind):
    network = made(kind)
    space = LoRASpace(network, X, "stem", ranks=(0, 2))
    assert space.fingerprint == LoRASpace(made(kind), X, "stem", ranks=(0, 2)).fingerprint
    adapted = space.build(space.suggest(FixedTrial({"stem.rank": 2}))).eval()
    x = torch.randn(3, 5, 4)
    assert torch.equal(adapted(x), network(x))


@pytest.mark.parametrize("kind", [nn.LSTM, nn.GRU])
def test_a_network_with_recurrent_layers_is_slimmed_around_them(kind):
    network = made(kind)
    space = SlimSpace(network, X, widths=(0.5, 1.0))
    half = space.build(space.suggest(FixedTrial({"hidden.width": 0.5}))).eval()
    assert half.hidden.out_features == half.head.in_features == 4
    assert half.layers.hidden_size == 7
    x = torch.randn(3, 5, 4)
    assert torch.equal(space.build(space.uniform(1)).eval()(x), network(x))
    assert half(x).shape == (3, 2)
