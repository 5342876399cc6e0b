"""Is a second training of a network on the front worth more than a new network?

    pip install -c constraints.txt -e '.[benchmark]'
    python benchmarks/repeats.py [--dataset cifar10] [--seeds 20] [--budget 110]

NAS-Bench-201 with four objectives (those of `samplers_nb201.py`), but an evaluation gives the error
of one training, as in a real search; a network's next evaluation gives that of another training.
(The table has two or three of each cell.) The predictor proposes. With repeats, from the 20th
evaluation on every fourth one is another training of a member of the front: of those that were
trained least, the most accurate. Samplers and choice go by the means of what was evaluated.

The measure is what a person gets: for five latencies (the tenths 1, 3, 5, 7 and 9 of all cells),
the network that looks most accurate among those that are as fast. Its regret is how much more its
error is, in the mean of all its trainings, than that of the best cell within the latency. Prints
the mean over the latencies, and the share of the true front's hypervolume that the networks have in
the means of all their trainings. Each result is written to benchmarks/results/repeats.json as soon
as it is there, and a later call runs the seeds that are missing (to begin anew, delete that file).
"""

from collections import defaultdict
from random import Random

import numpy as np
import optuna
from common.comparison import arguments, at_budgets, paired, run_all, save, saved, table
from samplers_nb201 import SPACE, WORST_ERROR, benchmark

from optnas.evaluators.tabular import nasbench201_table
from optnas.pareto.dominance import nondominated
from optnas.samplers import PredictorSampler

NEW, REPEATS = "new networks alone", "every fourth a repeat"
FIRST, EVERY = 20, 4
TENTHS = (0.1, 0.3, 0.5, 0.7, 0.9)
BUDGETS = (30, 40, 60, 80, 100, 110)


class Search:
    """Evaluations of cells, one training each."""

    def __init__(self, dataset, seed):
        self._bench = benchmark(dataset)
        self._rows = nasbench201_table(dataset)
        self._seed = seed
        self.seen = defaultdict(list)
        self._params = {}
        self.order = []

    def objective(self, trial):
        """The objectives by a training that hasn't been seen."""
        cell = str(SPACE.suggest(trial))
        errors = list(self._rows[cell]["val_error"])
        Random(f"{self._seed} {cell}").shuffle(errors)
        error = errors[len(self.seen[cell])]
        self.seen[cell].append(error)
        self._params[cell] = trial.params
        self.order.append((cell, error))
        return error, *self._bench.values[cell][1:]

    def repeat(self):
        """The parameters of a member of the front that can be trained again; None without one."""
        cells = list(self.seen)
        means = np.array([np.mean(self.seen[cell]) for cell in cells])
        points = np.column_stack([means, [self._bench.values[cell][1:] for cell in cells]])
        left = [
            (len(self.seen[cells[i]]), means[i], cells[i])
            for i in np.flatnonzero(nondominated(points))
            if len(self.seen[cells[i]]) < len(self._rows[cells[i]]["val_error"])
        ]
        return self._params[min(left)[-1]] if left else None

    def regret(self, evaluations):
        """Points of error above the best cell that is as fast, in the mean over the latencies."""
        seen = defaultdict(list)
        for cell, error in evaluations:
            seen[cell].append(error)
        values = np.array(list(self._bench.values.values()))
        cells = list(seen)
        looks = np.array([np.mean(seen[cell]) for cell in cells])
        found = []
        for limit in np.quantile(values[:, 3], TENTHS):
            fast = [i for i, cell in enumerate(cells) if self._bench.values[cell][3] <= limit]
            if not fast:  # the worst that there is
                found.append(np.ptp(values[values[:, 3] <= limit, 0]))
                continue
            taken = cells[min(fast, key=looks.__getitem__)]
            best = values[values[:, 3] <= limit, 0].min()
            found.append(self._bench.values[taken][0] - best)
        return np.mean(found)

    def share(self, evaluations):
        """Of the true front's hypervolume."""
        return self._bench.share(np.array([self._bench.values[cell] for cell, _ in evaluations]))


def work(name, dataset, seed, budget):
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    search = Search(dataset, seed)
    sampler = PredictorSampler(seed=seed, **benchmark(dataset).known(4))
    study = optuna.create_study(directions=["minimize"] * 4, sampler=sampler)
    for number in range(budget):
        again = search.repeat() if name == REPEATS and number >= FIRST and not number % EVERY else 0
        if again:
            study.enqueue_trial(again)
        study.optimize(search.objective, n_trials=1)
    return {
        measure.__name__: at_budgets(measure, search.order, BUDGETS)
        for measure in (search.regret, search.share)
    }


def main():
    parser = arguments(__doc__, seeds=20, budget=110)
    parser.add_argument("--dataset", choices=WORST_ERROR, default="cifar10")
    options = parser.parse_args()
    content = saved("repeats")
    rows = content.setdefault(options.dataset, {})
    for name in (NEW, REPEATS):
        rows.setdefault(name, {"regret": [], "share": []})
    tasks = [
        (name, options.dataset, seed, options.budget)
        for seed in range(options.seeds)
        for name in (NEW, REPEATS)
        if seed >= len(rows[name]["regret"])
    ]
    for (name, *_), found in run_all(work, tasks, options.jobs):
        for measure, curve in found.items():
            rows[name][measure].append(curve)
        save("repeats", content)
    for measure in ("regret", "share"):
        curves = {name: row[measure] for name, row in rows.items()}
        print(f"\n{options.dataset}, {measure}")
        print(table(curves, {name: [0] for name in curves}, BUDGETS))
        larger = measure == "share"
        for n in BUDGETS:
            if compared := paired(curves, REPEATS, NEW, n, larger_is_better=larger):
                print(f"{n}: {compared[0]:+.3f} (p {compared[1]:.2g}, one-sided, for repeats)")


if __name__ == "__main__":
    main()
