"""What is drawn under a seed of its own."""

import subprocess
import sys

import pytest
import torch

from optnas.candidate import seeded

NEEDS_CUDA = pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")


@pytest.mark.parametrize("device", ["cpu", pytest.param("cuda", marks=NEEDS_CUDA)])
def test_a_block_draws_from_its_seed_and_leaves_no_trace(device):
    def drawn():
        return torch.rand(3, device=device).tolist()

    torch.manual_seed(7)
    without = [drawn(), drawn()]
    torch.manual_seed(7)
    with_blocks = [drawn()]
    blocks = []
    for seed in (3, 3, 4):
        with seeded(seed):
            blocks.append(drawn())
    with_blocks.append(drawn())
    assert with_blocks == without
    assert blocks[0] == blocks[1] != blocks[2]


ASLEEP = """
import torch
from optnas.candidate import seeded

torch.manual_seed(7)
with seeded(3):
    torch.rand(1)
assert not torch.cuda.is_initialized()
USES
found = torch.rand(3, device="cuda")
torch.manual_seed(7)
assert torch.equal(found, torch.rand(3, device="cuda"))
"""


@NEEDS_CUDA
@pytest.mark.parametrize("uses", ["", 'with seeded(3): torch.rand(1, device="cuda")'])
def test_a_gpu_that_is_not_used_is_left_asleep(uses):
    """Its context takes half a gigabyte there, and seconds."""
    subprocess.run([sys.executable, "-c", ASLEEP.replace("USES", uses)], check=True)
