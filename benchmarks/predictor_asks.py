"""What an ask of the predictor costs: exact costs and proxies of its proposals included.

    python benchmarks/predictor_asks.py [--sizes 100 1000 5000] [--networks digits cells mobile ...]

`digits`: `MacroCNNSpace` for digits; a study in memory is filled with random finished trials (loss
and latency made up, FLOPs and parameters counted), then 20 are asked and told: median, least and
longest CPU time on one thread. The first ask of a new process is shown apart: it computes costs and
proxies of the trials that it learns from. `cells` (`CellSpace` for images of 32 pixels), `mobile`
(`MobileSpace.ofa_mbv3`) and `resnet` (`ResNetSpace.imagenet`, both for 224 pixels) are larger
networks: 10 finished trials, 5 asks, about a quarter of an hour of one core together. Prints a
table and writes benchmarks/results/predictor_asks.json; what isn't run stays in it.
"""

import argparse
import math
import random
import statistics
import time

import numpy as np
import optuna
import torch
from common.comparison import save, saved
from optuna.trial import create_trial

import optnas
from optnas.utils.draft import Draft

SPACES = {
    "digits": lambda: optnas.MacroCNNSpace((1, 8, 8), 10),
    "cells": lambda: optnas.CellSpace((3, 32, 32), 10),
    "mobile": optnas.MobileSpace.ofa_mbv3,
    "resnet": optnas.ResNetSpace.imagenet,
}
ASKS = 20
FEW_TRIALS, FEW_ASKS = 10, 5
"""Of the larger networks."""


def objective_of(space):
    if isinstance(space, optnas.MacroCNNSpace):
        data = optnas.digits()
    else:
        x = np.zeros((4, *space.example_inputs.shape[1:]), dtype=np.float32)
        data = optnas.arrays(x, [0.0, 1.0, 0.0, 1.0], task="regression")
    return optnas.Objective(
        space,
        optnas.TrainingEvaluator(data, recipe=optnas.Recipe(learning_rate=0.01)),
        ("val_loss", "flops", "params", "latency_ms"),
    )


def asked(objective, size, asks):
    """CPU seconds of asks after `size` random trials; the first one apart."""

    def values(params):
        flops, count = objective.preview(params).values.values()
        noise = random.Random(str(params))
        loss = 3 / math.log(count) + 0.05 * noise.random()
        return loss, flops, count, 0.05 + flops**0.5 / 4000 + 0.01 * noise.random()

    study = optuna.create_study(directions=["minimize"] * 4)
    rng = random.Random(0)
    for _ in range(size):
        draft = Draft({}, rng)
        objective.suggest(draft)
        distributions = draft.distributions
        study.add_trial(
            create_trial(
                params=draft.params, distributions=distributions, values=values(draft.params)
            )
        )
    fresh = optnas.Objective(objective.space, objective.evaluator, objective.objectives)
    study.sampler = optnas.PredictorSampler(seed=0)
    study.sampler.fill_in(fresh.suggest, fresh.preview)
    seconds = []
    for _ in range(asks + 1):
        started = time.process_time()
        trial = study.ask()
        fresh.suggest(trial)
        seconds.append(time.process_time() - started)
        study.tell(trial, values(trial.params))
    first, *others = seconds
    return {
        "median": round(statistics.median(others), 3),
        "least": round(min(others), 3),
        "longest": round(max(others), 3),
        "first": round(first, 3),
    }


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--sizes", nargs="+", type=int, default=[100, 1000, 5000])
    parser.add_argument("--networks", nargs="+", choices=SPACES, default=list(SPACES))
    options = parser.parse_args()
    torch.set_num_threads(1)
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    found = {str(key): row for key, row in saved("predictor_asks").items()}
    for name in options.networks:
        objective = objective_of(SPACES[name]())
        few = name != "digits"
        for size in [FEW_TRIALS] if few else options.sizes:
            key = name if few else str(size)
            found[key] = asked(objective, size, FEW_ASKS if few else ASKS)
            print(f"{name:8} {size:6} trials: {found[key]}", flush=True)
            save("predictor_asks", found)


if __name__ == "__main__":
    main()
