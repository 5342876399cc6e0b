"""What is drawn under a seed of its own, and the networks of a candidate."""

import subprocess
import sys

import pytest
import torch
from optuna.trial import FixedTrial
from torch import nn

from optnas.candidate import Candidate, copy_of
from optnas.search_spaces import FunctionSpace
from optnas.utils.random_state import seeded

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
from optnas.candidate import Candidate, seeded

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


def test_an_untrained_network_has_weights_of_a_seed_of_its_own():
    def weights(model):
        return [p.tolist() for p in model.parameters()]

    one, other = (Candidate("a", torch.zeros(1, 4), lambda: nn.LazyLinear(2), s) for s in (1, 2))
    assert weights(one.model) != weights(other.model)
    assert weights(one.untrained()) == weights(other.untrained()) == weights(one.untrained())
    assert not one.untrained().training
    assert one.untrained() is not one.model


def test_the_model_that_suggest_made_stays_the_candidate_s():
    space = FunctionSpace(
        lambda trial: nn.Linear(4, trial.suggest_int("width", 1, 9)), torch.zeros(1, 4)
    )
    architecture = space.suggest(FixedTrial({"width": 3}))
    (made,) = architecture._made
    candidate = Candidate(architecture, space.example_inputs, lambda: space.build(architecture))
    assert candidate.untrained() is not made
    assert candidate.model is made


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (
            torch.nn.Linear(2, 2).state_dict(),
            "OrderedDict of weight, bias: load these weights into",
        ),
        (torch.nn.Linear, "a torch.nn.Module, got a type$"),
    ],
)
def test_what_is_no_module_is_named_in_short(given, message):
    with pytest.raises(TypeError, match=message):
        copy_of(given)
