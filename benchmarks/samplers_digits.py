"""Samplers where every trial is trained and measured: small CNNs for handwritten digits.

    python benchmarks/samplers_digits.py [--seeds 5] [--trials 40] [--epochs 6]

`MacroCNNSpace` with its default ranges; validation loss, FLOPs, parameters and the latency on this
machine. Each run is a study of its own in memory, by one process. The measure is the hypervolume of
natural logarithms, as a share of that of the front of all runs together, which are scaled so that
its ideal point is 0 and its nadir 1; reference point 1.1. Latency is measured anew in each run, so
part of the spread is the machine's. Prints a table with paired tests and writes
benchmarks/results/samplers_digits.json. About 20 minutes on two cores.
"""

import time

import numpy as np
import optuna
from common.comparison import (
    arguments,
    at_budgets,
    best_known,
    chosen,
    paired,
    run_all,
    save,
    saved,
    table,
)

import optnas

NAMES = ("predictor", "evolution", "tpe", "nsgaii", "random")
BUDGETS = (10, 20, 30, 40)


def run(epochs, **settings):
    """A study of the digits space in memory, and the seconds that it took."""
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    data = optnas.digits()
    search = optnas.Search(
        space=optnas.MacroCNNSpace(data.input_shape, data.outputs),
        evaluator=optnas.TrainingEvaluator(
            data, epochs=epochs, recipe=optnas.Recipe(learning_rate=0.01, batch_size=32)
        ),
        weights=False,
        storage=optuna.storages.InMemoryStorage(),
        **settings,
    )
    started = time.monotonic()
    return search.run(progress=False), time.monotonic() - started


def complete_values(study):
    """Values of the COMPLETE trials in order."""
    complete = [t for t in study.trials if t.state == optuna.trial.TrialState.COMPLETE]
    return np.array([t.values for t in complete])


def work(name, seed, trials, epochs):
    """Values of the COMPLETE trials in order, and the seconds that they took."""
    objectives = ("val_loss", "flops", "params", "latency_ms")
    study, seconds = run(epochs, objectives=objectives, trials=trials, sampler=name, seed=seed)
    return complete_values(study), seconds


def main():
    parser = arguments(__doc__, seeds=5)
    parser.add_argument("--trials", type=int, default=40)
    parser.add_argument("--epochs", type=int, default=6)
    options = parser.parse_args()
    names = chosen(options, NAMES)
    tasks = [(n, s, options.trials, options.epochs) for s in range(options.seeds) for n in names]
    results = dict(run_all(work, tasks, options.jobs))
    content = compared(results, names) if names else saved("samplers_digits")
    curves = content["curves"]
    print("digits: share of the hypervolume of all runs together")
    print(table(curves, {n: [0.0] for n in curves}, BUDGETS))
    first, *others = curves
    for name in others:
        tests = [(n, paired(curves, first, name, n, True)) for n in BUDGETS]
        print(f"{first} - {name}: ", *(f"{n}: {t[0]:+.3f} (p {t[1]:.2f})" for n, t in tests if t))
    print("seconds a run:", content["seconds"])
    if options.samplers is None:
        save("samplers_digits", content)


def compared(results, names):
    """The shares at the budgets, and the seconds, of each run by sampler."""
    share = best_known([values for values, _ in results.values()])
    runs = {n: [found for task, found in results.items() if task[0] == n] for n in names}
    return {
        "curves": {n: [at_budgets(share, values) for values, _ in r] for n, r in runs.items()},
        "seconds": {n: [round(seconds, 1) for _, seconds in r] for n, r in runs.items()},
    }


if __name__ == "__main__":
    main()
