"""The textbook comparison: samplers on the 3,600 choices of studies/regression_mlp.py.

    python benchmarks/regression_mlp.py [--seeds 100]

Every choice of network and training was trained with three seeds
(benchmarks/regression_mlp_table.py); a choice's value is the mean val_loss, and a training that
diverged fails its trial. Prints the regret, the val_loss above that of the best choice, after 5, 50
and 200 evaluations, with paired tests, and writes benchmarks/results/regression_mlp.json. Optuna's
GP sampler, which has fewer seeds, and the predictor, which is told nothing here, have 50
evaluations.
"""

import csv
import math
from functools import cache

import numpy as np
from common.comparison import (
    COLORS,
    PEERS,
    PREDICTOR,
    SAMPLERS,
    arguments,
    at_budgets,
    run_all,
    run_sampler,
    save,
    table,
    verdicts,
)
from regression_mlp_table import CHOICES, TABLE

BUDGETS = (5, 10, 20, 50, 100, 200)
GP_SEEDS, SLOW_BUDGET = 10, 50


@cache
def losses():
    with TABLE.open(newline="") as file:
        rows = list(csv.reader(file))[1:]
    n = len(CHOICES)
    return {tuple(row[:n]): float(np.mean([float(x) for x in row[n:]])) for row in rows}


def suggest(trial):
    """Draws the parameters as the study does; returns the row of the table."""
    chosen = (
        trial.suggest_int("num_hidden_layers", 1, 5),
        trial.suggest_categorical("hidden_size", CHOICES["hidden_size"]),
        trial.suggest_categorical("activation", CHOICES["activation"]),
        trial.suggest_float("dropout", 0.0, 0.6, step=0.2),
        trial.suggest_categorical("recipe.optimizer", CHOICES["recipe.optimizer"]),
        trial.suggest_categorical("recipe.learning_rate", CHOICES["recipe.learning_rate"]),
    )
    return tuple(str(round(x, 6) if isinstance(x, float) else x) for x in chosen)


def objective(trial):
    """The loss of a row; NaN where training diverged."""
    loss = losses()[suggest(trial)]
    return loss if math.isfinite(loss) else math.nan


def regret(values):
    finite = values[np.isfinite(values)]
    return (finite.min() if len(finite) else max(losses_that_are_finite())) - min(losses().values())


def losses_that_are_finite():
    return [loss for loss in losses().values() if math.isfinite(loss)]


def work(name, seed, budget):
    values, repeats = run_sampler(name, objective, 1, seed, budget)
    return at_budgets(regret, values, BUDGETS), repeats


def main():
    options = arguments(__doc__, seeds=100, budget=200).parse_args()
    names = options.samplers or list(SAMPLERS)
    tasks = []
    for name in names:
        gp = name == "optuna GP"
        budget = min(options.budget, SLOW_BUDGET) if gp or name == PREDICTOR else options.budget
        seeds = min(options.seeds, GP_SEEDS) if gp else options.seeds
        tasks += [(name, seed, budget) for seed in range(seeds)]
    tasks.sort(key=lambda task: task[0] != "optuna GP")
    results = dict(run_all(work, tasks, options.jobs))
    finite = losses_that_are_finite()
    print(
        f"{len(losses())} choices, {len(losses()) - len(finite)} of them diverge; best val_loss "
        f"{min(finite):.4f}, median {np.median(finite):.4f}"
    )
    curves, repeats = {}, {}
    for name in sorted(names, key=list(COLORS).index):
        runs = [result for task, result in results.items() if task[0] == name]
        curves[name], repeats[name] = [c for c, _ in runs], [r for _, r in runs]
    print(table(curves, repeats, BUDGETS, digits=4))
    print(verdicts(curves, PEERS, larger_is_better=False, budgets=BUDGETS))
    if not options.samplers:
        save(
            "regression_mlp",
            {
                name: {"repeats": float(np.mean(repeats[name])), "curves": curves[name]}
                for name in curves
            },
        )


if __name__ == "__main__":
    main()
