"""A study whose trials sleep: architectures are drawn and measured, and nothing is trained.

`benchmarks/scale.py` runs it. Each process appends a line a trial to a file of its own, in the
folder that SCALE_LOGS names: when the sleep began and ended, and what was asked of the storage
until then. SCALE_SECONDS is the length of a sleep.
"""

import json
import os
import sys
import time
from pathlib import Path

import torch
from torch import nn

import optnas

sys.path.append(str(Path(__file__).resolve().parent.parent))
from common import storage_counts

SECONDS = float(os.environ.get("SCALE_SECONDS", "5"))
LOGS = os.environ.get("SCALE_LOGS", "")
COUNTS = storage_counts.install() if LOGS else {}


def build(trial):
    """A perceptron; with as many as there are, a trial hardly ever repeats another one."""
    layers, width = [], 8
    for i in range(trial.suggest_int("depth", 1, 6)):
        wide = trial.suggest_int(f"width{i}", 4, 400)
        layers += [nn.Linear(width, wide), nn.ReLU()]
        width = wide
    return nn.Sequential(*layers, nn.Linear(width, 2))


def sleep(model, recipe, report):
    """Sleeps in place of a training; the score is made up."""
    row = {"began": time.time(), **COUNTS}
    time.sleep(SECONDS)
    loss = sum(p.numel() for p in model.parameters()) % 997 / 997
    report(0, {"val_loss": loss})
    if LOGS:
        with open(Path(LOGS) / f"{os.getpid()}.jsonl", "a") as file:
            file.write(json.dumps(row | {"ended": time.time()}) + "\n")
    return {"val_loss": loss}


search = optnas.Search(
    space=optnas.FunctionSpace(build, torch.zeros(1, 8)),
    evaluator=optnas.FunctionEvaluator(sleep, {"val_loss": "minimize"}),
    objectives=("val_loss", "params", "macs"),
    sampler="random",
    device="cpu",
    seed=1,
)
