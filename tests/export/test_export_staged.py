"""Files of mobile and residual networks, for batches of any size."""

import pytest
import torch

from optnas.export.agreement import BATCH_SIZES, agree
from optnas.export.examples import examples
from optnas.export.formats import FORMATS
from optnas.search_spaces import MobileSpace, ResNetSpace
from optnas.search_spaces.mobile import MobileArchitecture, MobileBlock
from optnas.search_spaces.resnet import ResNetArchitecture, ResNetBlocks
from optnas.utils.network import Network, runner

MOBILE = MobileArchitecture(
    8,
    2,
    "hard_swish",
    (
        (MobileBlock(8, 3, 1, 1, "expanded", "relu6"), MobileBlock(8, 5, 3, 1, "input", "silu")),
        (),
        (MobileBlock.identity(16, 2), MobileBlock.identity(16, 1)),
    ),
    head_width=24,
    hidden_width=16,
    resolution=20,
)
RESNET = ResNetArchitecture(
    8, 5, 2, True, (ResNetBlocks(2, 8), None, ResNetBlocks(1, 8, 2, "bottleneck", 2, 4))
)
SPACES = {
    "mobile": (MobileSpace.small((1, 28, 28), 10), MOBILE),
    "resnet": (ResNetSpace.small((1, 28, 28), 10), RESNET),
}


@pytest.mark.parametrize("kind", ["onnx", "pt2"])
@pytest.mark.parametrize("name", SPACES)
def test_files_compute_what_the_network_computes(name, kind, tmp_path):
    space, architecture = SPACES[name]
    torch.manual_seed(0)
    model = space.build(architecture)
    model(torch.randn(64, *space.input_shape))  # statistics of normalisation other than 0 and 1
    model.eval()
    path = tmp_path / f"network.{kind}"
    FORMATS[kind].write(Network(model, space.example_inputs), path, {})
    loaded = FORMATS[kind].load(path, lambda: space.build(architecture))
    inputs, words = examples(None, space.example_inputs, max(BATCH_SIZES))
    agree(runner(model), loaded, inputs, words, BATCH_SIZES)
