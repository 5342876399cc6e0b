"""Samplers where depth decides which parameters exist: what inheriting conditional ones is worth.

    python benchmarks/samplers_conditional.py [--seeds 30] [--html figure.html]

Networks of 1 to 10 layers; a layer is a convolution (kernel, width), a separable one (kernel,
width), a pooling (kind) or nothing, so a network has 2 to 31 parameters. Nothing is trained: the
cost is the number of MACs of such a network, and the error falls with the sum of its layers'
merits, drawn at random for each seed: how good an operation is in general and at this depth, how
well it follows the one before, and what width is worth there. Two objectives; the hypervolume
(natural logarithms) as a share of that of the best front known, which all runs of all samplers on
the same landscape make together; scaled so that its ideal point is 0 and its nadir 1, reference
point 1.1.

Optuna's NSGA-II, NSGA-III, multivariate TPE and GP model the parameters that all trials share: here
that is the depth alone. The predictor is told the space and the MACs of what it proposes, and is
run for 200 evaluations. Prints a table and paired tests and writes
benchmarks/results/samplers_conditional.json.
"""

import math
from functools import cache
from itertools import product

import moocore
import numpy as np
from common.comparison import (
    COLORS,
    PEERS,
    PREDICTOR,
    SAMPLERS,
    arguments,
    at_budgets,
    best_known,
    chosen,
    run_all,
    run_sampler,
    save,
    saved,
    table,
    verdicts,
)
from common.figure import TOP_LEFT, figure
from optuna.trial import FixedTrial

DEPTH = 10
KINDS = ("conv", "sep", "pool", "skip")
KERNELS = (1, 3, 5, 7)
WIDTHS = (8, 16, 32, 64, 128)
POOLS = ("max", "avg")
PREDICTOR_BUDGET = 200
PIXELS = 1024


class Landscape:
    """The merits of all operations."""

    def __init__(self, seed):
        rng = np.random.default_rng(seed)
        names = [f"{kind}{k}" for kind in ("conv", "sep") for k in KERNELS]
        names += [f"pool-{pool}" for pool in POOLS] + ["skip", "start"]
        self.general = {name: rng.normal() for name in names}
        self.there = {(name, i): 0.7 * rng.normal() for name in names for i in range(DEPTH)}
        self.follows = {(a, b): 0.7 * rng.normal() for a in names for b in names}
        self.width = rng.uniform(0.1, 0.6, DEPTH)

    def objective(self, trial):
        """Error in percent, and MACs."""
        last, width, merit, macs = "start", 3, 0.0, 1000.0
        for i in range(trial.suggest_int("depth", 1, DEPTH)):
            name, out = trial.suggest_categorical(f"layer{i}.kind", KINDS), None
            if name in ("conv", "sep"):
                name += str(trial.suggest_categorical(f"layer{i}.kernel", KERNELS))
                out = trial.suggest_categorical(f"layer{i}.width", WIDTHS)
            elif name == "pool":
                name += f"-{trial.suggest_categorical(f'layer{i}.pool', POOLS)}"
            gained, cost, width = self.layer(i, last, width, name, out)
            last, merit, macs = name, merit + gained, macs + cost
        return error(merit), macs

    def layer(self, i, last, width, name, out):
        """What a layer adds to merit and MACs, and the width after it.

        Args:
            i: Its place.
            last: The operation before it.
            width: The width before it.
            name: Its operation.
            out: Its width; None for an operation that has none.
        """
        merit = self.general[name] + self.there[name, i] + self.follows[last, name]
        if out is None:
            return merit, 0, width
        kernel = int(name[-1])
        weights = kernel**2 * width * out
        if name.startswith("sep"):
            weights = kernel**2 * width + width * out
        return merit + self.width[i] * math.log2(out / 8), PIXELS * weights, out

    def front(self):
        """The errors and MACs of all networks that no other one dominates, shape (networks, 2).

        Layer by layer: of the networks that end in the same operation and width, those that are
        dominated stay so whatever follows.
        """
        choices = [(name, None) for name in ("skip", *(f"pool-{pool}" for pool in POOLS))]
        choices += [(f"{k}{n}", out) for k in KINDS[:2] for n in KERNELS for out in WIDTHS]
        ends, found = {("start", 3): np.array([[0.0, 1000.0]])}, []
        for i in range(DEPTH):
            longer = {}
            for ((last, width), networks), (name, out) in product(ends.items(), choices):
                gained, cost, now = self.layer(i, last, width, name, out)
                longer.setdefault((name, now), []).append(networks + np.array([-gained, cost]))
            ends = {end: best_of(networks) for end, networks in longer.items()}
            found += ends.values()
        front = best_of(found)
        return np.array([(error(-loss), macs) for loss, macs in front])


def best_of(networks):
    """The rows of several arrays that no other row dominates."""
    rows = np.vstack(networks)
    return rows[moocore.is_nondominated(rows, keep_weakly=False)]


def error(merit):
    """The error in percent of a network whose layers have these merits together."""
    return 5 + 85 / (1 + math.exp((merit - 4) / 4))


@cache
def landscape(seed):
    return Landscape(seed)


def work(name, seed, budget):
    objective = landscape(seed).objective
    known = {"space": objective, "costs": lambda params: {1: objective(FixedTrial(params))[1]}}
    return run_sampler(name, objective, 2, seed, budget, **known)


def main():
    options = arguments(__doc__).parse_args()
    # GP would model the depth alone, and draw the rest at random.
    names = chosen(options, [n for n in SAMPLERS if n != "optuna GP"])
    tasks = [
        (name, seed, min(options.budget, PREDICTOR_BUDGET) if name == PREDICTOR else options.budget)
        for seed in range(options.seeds)
        for name in names
    ]
    results = dict(run_all(work, tasks, options.jobs))
    file = options.results or "samplers_conditional"
    found = compared(results, names, options.seeds) if names else saved(file)
    curves = {name: row["curves"] for name, row in found.items()}
    print("conditional depth: share of the best known hypervolume")
    print(table(curves, {name: row["repeats"] for name, row in found.items()}))
    print(verdicts(curves, PEERS, larger_is_better=True))
    if names and (options.results or options.samplers is None):
        save(file, found)
    if options.html:
        seeds = max(map(len, curves.values()), default=0)
        title = f"Conditional depth, two objectives: median and middle half of {seeds} seeds"
        y_title = "hypervolume, as a share of the best known"
        figure(curves, title, y_title, [0, 1], TOP_LEFT).write_html(options.html)


def compared(results, names, seeds):
    """The share of repeats, and the shares at the budgets of each run, by sampler."""
    measures = [
        best_known([values for task, (values, _) in results.items() if task[1] == seed])
        for seed in range(seeds)
    ]
    found = {}
    for name in sorted(names, key=list(COLORS).index):
        runs = [run for task, run in results.items() if task[0] == name]
        found[name] = {
            "repeats": float(np.mean([share for _, share in runs])),
            "curves": [
                at_budgets(measure, values)
                for measure, (values, _) in zip(measures, runs, strict=True)
            ],
        }
    return found


if __name__ == "__main__":
    main()
