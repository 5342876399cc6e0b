"""The failure of the first trial ends a run, and says why and what to do."""

from pathlib import Path

import pytest

SAID = "No network of this study has succeeded yet, so this is taken for a fault of the code"
NETWORKS = """
import torch
from networks import build_linear

import optnas


def train(model, recipe, report):
    if not FAILED:
        FAILED.append(True)
        raise ValueError("this width can't be trained")
    return {"loss": 1.0}


FAILED = []
search = optnas.Search(
    space=optnas.FunctionSpace(build_linear, torch.zeros(1, 2)),
    evaluator=optnas.FunctionEvaluator(train, {"loss": "minimize"}),
    objectives=("loss", "params"), sampler="random", trials=2, seed=3,
)
"""
COMMAND = """
import optnas

search = optnas.Search(
    space=optnas.ParameterSpace({"width": (1, 9)}),
    evaluator=optnas.CommandEvaluator(
        "python -S train.py {width}", {"loss": ("minimize", r"loss (\\S+)")}
    ),
    objectives=("loss",), sampler="random", trials=1, seed=3,
)
"""
TRAIN = """
import os, sys

print("loss 1")
if not os.path.exists("seen"):
    open("seen", "w").close()
    sys.exit(7)
"""


def test_a_traceback_ends_with_what_to_do(optnas):
    Path("own.py").write_text(NETWORKS)
    with pytest.raises(ValueError, match="this width can't be trained") as raised:
        optnas("run", "own.py")
    assert raised.value.__notes__[-1].startswith(SAID)
    assert "run again" in raised.value.__notes__[-1]


def test_so_does_the_sentence_on_a_command(optnas):
    Path("own.py").write_text(COMMAND)
    Path("train.py").write_text(TRAIN)
    code, _, err = optnas("run", "own.py")
    assert code == 1
    assert "ended with exit code 7" in err
    assert SAID in err
    code, _, err = optnas("run", "own.py")
    assert (code, SAID in err) == (0, False)


def test_and_that_of_a_worker(optnas):
    Path("own.py").write_text(NETWORKS)
    code, _, err = optnas("run", "own.py", "--workers", 2)
    assert code == 1
    assert SAID in err
