"""What the spaces of the package do while they build a network."""

import pytest
import torch
from torch import nn

from optnas.search_spaces import (
    CellSpace,
    GPTSpace,
    MacroCNNSpace,
    MLPSpace,
    MobileSpace,
    NASBench201Space,
    ResNetSpace,
    ResNetStage,
    SequenceSpace,
    TabularSpace,
    UNetSpace,
    ViTSpace,
)
from optnas.testing.spaces import architectures

SPACES = [
    CellSpace.small((1, 8, 8), 2),
    GPTSpace.small(5, 8),
    MacroCNNSpace((1, 8, 8), 2, depth=(0, 3), heads=("mean", "flatten"), hidden=(0, 8)),
    MLPSpace((4,), 2),
    MobileSpace.small((1, 28, 28), 2),
    NASBench201Space(),
    ResNetSpace((3, 9, 9), 2, (ResNetStage((1, 2), (8,), (1, 2), ("basic", "bottleneck")),)),
    SequenceSpace((8,), 2, vocabulary=5),
    TabularSpace(2, (3,), 2),
    UNetSpace((1, 8, 8), 2),
    ViTSpace.small((1, 8, 8), 2),
]


@pytest.mark.parametrize("space", SPACES, ids=lambda space: type(space).__name__)
def test_no_parameter_is_made_and_dropped(space, monkeypatch):
    """A sampler that computes costs builds dozens of networks for each trial."""
    register, made = nn.Module.register_parameter, []

    def noted(module, name, parameter):
        made.append(parameter)
        register(module, name, parameter)

    monkeypatch.setattr(nn.Module, "register_parameter", noted)
    for architecture, _ in architectures(space, 8):
        made.clear()
        network = space.build(architecture)
        kept = set(map(id, network.parameters()))
        tensors = [p for p in made if isinstance(p, torch.Tensor) and not p.is_meta]
        assert all(id(tensor) in kept for tensor in tensors), str(architecture)
