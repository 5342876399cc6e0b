"""Samplers on NAS-Bench-201: 15,625 trained cells, one and four objectives.

    pip install -c constraints.txt -e '.[benchmark]'
    python benchmarks/samplers_nb201.py [--datasets cifar10] [--objectives 4] [--seeds 30]
        [--html figure.html]

A cell's value is the mean over its training seeds. One objective: the regret, validation
accuracy below the best of the table, in points. Four objectives (100 - validation accuracy, MACs,
params, latency; natural logarithms): the hypervolume as a share of the true front's. The true front
is what isn't dominated among the cells with a validation error of at most 20 % (CIFAR-100: 50 %,
ImageNet16-120: 75 %); objectives are scaled so that its ideal point is 0 and its nadir 1, and the
reference point is 1.1. All samplers see the plain values, none the logarithms. The predictor is
told MACs and params of what it proposes, and zero-cost proxies of the cell's network for CIFAR-10
(`zero_cost_nb201.py` computed them); latency and validation error it predicts.

Settings were chosen on CIFAR-10; the other two datasets are for checking. Optuna's GP sampler is
slow with four objectives: it is run on CIFAR-10 alone, for fewer evaluations, and there with fewer
seeds; the predictor, whose asks take longer, is run with 20 seeds, and but for CIFAR-10 with four
objectives for 110 evaluations. Prints tables and paired tests and writes
benchmarks/results/samplers_nb201.json, where `--samplers` replaces those it names (none: it prints
what is there). Under two hours on two cores.
"""

from functools import cache

import moocore
import numpy as np
from common.comparison import (
    COLORS,
    PEERS,
    PREDICTOR,
    RESULTS,
    SAMPLERS,
    arguments,
    at_budgets,
    chosen,
    run_all,
    run_sampler,
    save,
    saved,
    table,
    verdicts,
)
from common.figure import figure
from optuna.trial import FixedTrial

from optnas.evaluators.tabular import nasbench201_table
from optnas.metrics.zero_cost import OF_BLOCKS
from optnas.search_spaces.nasbench201 import EDGES, OPERATIONS, NASBench201Space

WORST_ERROR = {"cifar10": 20.0, "cifar100": 50.0, "imagenet16-120": 75.0}
SPACE = NASBench201Space()
PYMOO = "pymoo NSGA-II"
GP_SEEDS, GP_BUDGET = 3, 100
PREDICTOR_SEEDS, PREDICTOR_BUDGET = 20, 110
LONG = ("cifar10", 4)
"""There the predictor is run to the end."""
PROXIES = ("synflow", "live_params", "naswot", "grad_norm")
"""What the predictor sees; the table has those of blocks, too."""


class Benchmark:
    """A dataset's table, and the two measures."""

    def __init__(self, dataset):
        rows = nasbench201_table(dataset)
        pixels, classes = {"cifar10": (1024, 10), "cifar100": (1024, 100)}.get(dataset, (256, 120))
        base = (7_783_040 - 640) * pixels // 1024 + 64 * classes
        values = []
        for cell, row in rows.items():
            convolutions = [cell.count(f"nor_conv_{k}x{k}") for k in (1, 3)]
            macs = base + pixels * (3840 * convolutions[0] + 34_560 * convolutions[1])
            values.append(
                (np.mean(row["val_error"]), macs, row["params"], np.mean(row["latency_ms"]))
            )
        self.values = dict(zip(rows, values, strict=True))
        matrix = np.array(values)
        self.best = matrix[:, 0].min()
        logs = np.log(matrix[matrix[:, 0] <= WORST_ERROR[dataset]])
        front = logs[moocore.is_nondominated(logs, keep_weakly=False)]
        self._ideal, self._extent = front.min(axis=0), np.ptp(front, axis=0)
        self._whole = 1.0
        self._whole = self.share(np.exp(front))

    def objective(self, objectives):
        """A function of a trial, for a number of objectives."""

        def objective(trial):
            values = self.values[str(SPACE.suggest(trial))]
            return values[0] if objectives == 1 else values

        return objective

    def known(self, objectives):
        """What the predictor is told: the space, MACs and params, and proxies."""
        if objectives == 1:
            return {"space": SPACE, "proxies": proxies}
        return {"space": SPACE, "costs": self.costs, "proxies": proxies}

    def costs(self, params):
        """MACs and params, by position."""
        _, macs, count, _ = self.values[str(SPACE.suggest(FixedTrial(params)))]
        return {1: macs, 2: count}

    def regret(self, values):
        """Points of accuracy below the best cell."""
        return values[:, 0].min() - self.best

    def share(self, values):
        """The hypervolume as a share of the true front's."""
        scaled = np.unique((np.log(values) - self._ideal) / self._extent, axis=0)
        scaled = scaled[(scaled < 1.1).all(axis=1)]
        if not len(scaled):
            return 0.0
        return moocore.hypervolume(scaled, ref=[1.1] * 4) / self._whole


@cache
def proxy_table():
    return np.loadtxt(RESULTS / "zero_cost_nb201.csv", delimiter=",", skiprows=1)


def proxies(params, names=PROXIES):
    """The zero-cost proxies of a cell, whose row is its number in base 5."""
    row = 0
    for i, j in EDGES:
        row = row * len(OPERATIONS) + OPERATIONS.index(params[f"edge{i}-{j}"])
    found = dict(zip((*PROXIES, *OF_BLOCKS), proxy_table()[row], strict=True))
    return {name: found[name] for name in names}


@cache
def benchmark(dataset):
    return Benchmark(dataset)


def work(dataset, objectives, name, seed, budget):
    bench = benchmark(dataset)
    if name == PYMOO:
        values, repeats = run_pymoo(bench, objectives, seed, budget)
    else:
        objective, known = bench.objective(objectives), bench.known(objectives)
        values, repeats = run_sampler(name, objective, objectives, seed, budget, **known)
    return at_budgets(bench.regret if objectives == 1 else bench.share, values), repeats


def run_pymoo(bench, objectives, seed, budget):
    """NSGA-II of pymoo on the six edges as integers, without duplicates, as its manual has it."""
    from pymoo.algorithms.moo.nsga2 import NSGA2
    from pymoo.core.problem import ElementwiseProblem
    from pymoo.operators.crossover.sbx import SBX
    from pymoo.operators.mutation.pm import PM
    from pymoo.operators.repair.rounding import RoundingRepair
    from pymoo.operators.sampling.rnd import IntegerRandomSampling
    from pymoo.optimize import minimize

    names = [f"edge{i}-{j}" for i, j in EDGES]
    seen = []

    class Cells(ElementwiseProblem):
        def __init__(self):
            super().__init__(n_var=6, n_obj=objectives, xl=0, xu=4, vtype=int)

        def _evaluate(self, x, out, *args, **kwargs):
            params = {n: OPERATIONS[int(i)] for n, i in zip(names, x, strict=True)}
            values = bench.values[str(SPACE.suggest(FixedTrial(params)))]
            seen.append((values, str(params)))
            out["F"] = values[:objectives]

    repair = RoundingRepair()
    algorithm = NSGA2(
        pop_size=20,
        sampling=IntegerRandomSampling(),
        crossover=SBX(prob=1.0, eta=3.0, vtype=float, repair=repair),
        mutation=PM(prob=1.0, eta=3.0, vtype=float, repair=repair),
        eliminate_duplicates=True,
    )
    minimize(Cells(), algorithm, ("n_eval", budget), seed=seed)
    seen = seen[:budget]
    return np.array([values for values, _ in seen]), 1 - len({p for _, p in seen}) / len(seen)


def main():
    parser = arguments(__doc__)
    parser.add_argument("--datasets", nargs="+", choices=WORST_ERROR, default=list(WORST_ERROR))
    parser.add_argument("--objectives", nargs="+", type=int, choices=(1, 4), default=(1, 4))
    options = parser.parse_args()
    names = chosen(options, [*SAMPLERS, PYMOO])
    tasks = []
    for dataset in options.datasets:
        for objectives in options.objectives:
            for name in names:
                gp = name == "optuna GP"
                seeds = min(options.seeds, GP_SEEDS) if gp and objectives > 1 else options.seeds
                budget = min(options.budget, GP_BUDGET) if gp else options.budget
                if name == PREDICTOR:
                    seeds = min(options.seeds, PREDICTOR_SEEDS)
                    if (dataset, objectives) != LONG:
                        budget = min(options.budget, PREDICTOR_BUDGET)
                if gp and dataset != "cifar10":
                    continue
                tasks += [(dataset, objectives, name, seed, budget) for seed in range(seeds)]
    # The slow ones first, so that no core waits at the end.
    tasks.sort(key=lambda task: ("GP" not in task[2], "TPE" not in task[2]))
    results = dict(run_all(work, tasks, options.jobs))

    file = options.results or "samplers_nb201"
    content = saved(file)
    for dataset in options.datasets:
        for objectives in options.objectives:
            found = content.setdefault(f"{dataset}, {objectives}", {})
            for name in names:
                runs = [r for t, r in results.items() if t[:3] == (dataset, objectives, name)]
                if runs:
                    found[name] = {
                        "repeats": [share for _, share in runs],
                        "curves": [curve for curve, _ in runs],
                    }
            shown = sorted(found, key=list(COLORS).index)
            curves = {name: found[name]["curves"] for name in shown}
            repeats = {name: found[name]["repeats"] for name in shown}
            print(f"\n{dataset}, {objectives} objective(s): ", end="")
            print("regret in points" if objectives == 1 else "share of the true hypervolume")
            print(table(curves, repeats))
            print(verdicts(curves, [*PEERS, PYMOO], larger_is_better=objectives > 1))
            if options.html and dataset == "cifar10" and objectives == 4:
                fig = figure(
                    {n: c for n, c in curves.items() if n != "optuna NSGA-III"},
                    "NAS-Bench-201, CIFAR-10, four objectives: median and middle half of the seeds",
                    "hypervolume, as a share of the true front's",
                    [0.2, 1.0],
                )
                fig.write_html(options.html)
    if names:
        save(file, content)


if __name__ == "__main__":
    main()
