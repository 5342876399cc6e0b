"""What an ask of the predictor costs: exact costs and proxies of its proposals included.

    python benchmarks/predictor_asks.py [--sizes 100 1000 5000]

`MacroCNNSpace` for digits; a study in memory is filled with random finished trials (loss and
latency made up, FLOPs and parameters counted), then 20 are asked and told: median, least and
longest CPU time on one thread. The first ask of a new process is shown apart: it computes costs and
proxies of the trials that it learns from. Prints a table and writes
benchmarks/results/predictor_asks.json.
"""

import argparse
import math
import random
import statistics
import time

import optuna
import torch
from common.comparison import save
from optuna.trial import create_trial

import optnas
from optnas.utils.draft import Draft

ASKS = 20


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--sizes", nargs="+", type=int, default=[100, 1000, 5000])
    options = parser.parse_args()
    torch.set_num_threads(1)
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    data = optnas.digits()
    space = optnas.MacroCNNSpace(data.input_shape, data.outputs)
    objective = optnas.Objective(
        space,
        optnas.TrainingEvaluator(data, recipe=optnas.Recipe(learning_rate=0.01)),
        ("val_loss", "flops", "params", "latency_ms"),
    )

    def values(params):
        flops, count = objective.preview(params).values.values()
        noise = random.Random(str(params))
        loss = 3 / math.log(count) + 0.05 * noise.random()
        return loss, flops, count, 0.05 + flops**0.5 / 4000 + 0.01 * noise.random()

    found = {}
    for size in options.sizes:
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
        fresh = optnas.Objective(space, objective.evaluator, objective.objectives)
        study.sampler = optnas.PredictorSampler(seed=0)
        study.sampler.fill_in(fresh.suggest, fresh.preview)
        seconds = []
        for _ in range(ASKS + 1):
            started = time.process_time()
            trial = study.ask()
            fresh.suggest(trial)
            seconds.append(time.process_time() - started)
            study.tell(trial, values(trial.params))
        first, *others = seconds
        found[str(size)] = {
            "median": round(statistics.median(others), 3),
            "least": round(min(others), 3),
            "longest": round(max(others), 3),
            "first": round(first, 3),
        }
        print(f"{size:6} trials: {found[str(size)]}", flush=True)
    save("predictor_asks", found)


if __name__ == "__main__":
    main()
