"""The memory layout of a training."""

import pytest
import torch
from torch import nn

from optnas.evaluators.layout import memory_format

WIDE = nn.Conv2d(4, 32, 3)


@pytest.mark.parametrize(
    ("convolution", "layout"),
    [
        (nn.Conv2d(4, 4, 1, stride=2), torch.contiguous_format),
        (nn.Conv2d(7, 32, 1, stride=(1, 2)), torch.contiguous_format),
        (nn.Conv2d(4, 4, 1), torch.channels_last),
        (nn.Conv2d(16, 4, 1, stride=2), torch.channels_last),
        (nn.Conv2d(4, 4, 3, stride=2), torch.channels_last),
        (nn.Conv2d(4, 4, 1, stride=2, groups=4), torch.channels_last),
    ],
)
def test_no_network_is_laid_out_so_that_its_gradient_writes_behind_its_memory(convolution, layout):
    """Seen as a process that ends: 1×1, a stride, few channels, channels last, backward."""
    network = nn.Sequential(WIDE, convolution)
    assert memory_format(network, torch.device("cpu"), "float32") == layout
