"""Cells of images with a single row or column, as signals are."""

import pytest
import torch
from optuna.trial import FixedTrial
from torch import nn

from optnas.search_spaces import CellSpace
from optnas.search_spaces.cell.operations import FactorizedReduction


@pytest.mark.parametrize("turned", [False, True])
def test_a_reduction_reads_every_pixel_of_a_row_and_of_a_column(turned):
    layer = FactorizedReduction(1, 2).eval()
    for conv in (layer.conv, layer.shifted):
        nn.init.ones_(conv.weight)
    image = torch.arange(1.0, 8.0).reshape(1, 1, 1, 7)
    with torch.no_grad():
        layer.norm.running_var.fill_(1 - layer.norm.eps)
        found = layer(image.mT).mT if turned else layer(image)
    assert found.shape == (1, 2, 1, 4)
    torch.testing.assert_close(found[0, 0, 0], torch.tensor([1.0, 3.0, 5.0, 7.0]))
    torch.testing.assert_close(found[0, 1, 0], torch.tensor([2.0, 4.0, 6.0, 0.0]))


@pytest.mark.parametrize("shape", [(1, 1, 8), (1, 8, 1), (1, 2, 2)])
def test_all_layers_of_a_signals_network_are_trained(shape):
    space = CellSpace(shape, 2, (4,), (2, 2), (1, 1), (1, 1), operations=("skip_connect",))
    inputs = {f"{kind}.node2.input{i}": i - 1 for kind in ("normal", "reduction") for i in (1, 2)}
    torch.manual_seed(0)
    network = space.build(space.suggest(FixedTrial(inputs)))
    network(torch.randn(8, *shape)).square().sum().backward()
    assert all(p.grad.abs().max() > 0 for p in network.parameters())
