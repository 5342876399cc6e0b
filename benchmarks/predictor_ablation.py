"""What each part of the predictor contributes, on NAS-Bench-201 with four objectives.

    python benchmarks/predictor_ablation.py [--dataset cifar10] [--seeds 20] [--budget 110]

The measure is that of `samplers_nb201.py`, in the mean over seeds. Prints a table with paired tests
against the whole. Each result is written to benchmarks/results/predictor_ablation.json as soon as
it is there, and a later call runs the seeds that are missing (to begin anew, delete that file).
"""

from functools import partial

import numpy as np
import optuna
from common.comparison import arguments, at_budgets, chosen, paired, run_all, save, saved, table
from samplers_nb201 import PROXIES, WORST_ERROR, benchmark, proxies

from optnas.metrics.zero_cost import OF_BLOCKS
from optnas.samplers import PredictorSampler, ensemble, proposals

WHOLE = "whole"
ALL_CHECKED, BLOCKS = "proxies of all that are checked", "proxies of blocks, too"
BUDGETS = (20, 40, 60, 80, 100, 110)


class RandomStart(PredictorSampler):
    """Its startup trials are drawn at random."""

    def _spread(self, ask, lessons):
        return {}


class WithoutAim(PredictorSampler):
    """Any score may gain in all trials."""

    def _limits(self, ask, tried, suggest):
        return ask.history.limits


KINDS = {"random start": RandomStart, "no aim": WithoutAim}


def without_ensemble():
    ensemble.WITH_PROXIES = ensemble.WITH_PROXIES[2:3]


def without_counts():
    def less(terms):
        return tuple(term for term in terms if term.groups != ("counts",))

    ensemble.WITH_PROXIES = tuple(map(less, ensemble.WITH_PROXIES))
    ensemble.PLAIN, ensemble.DECISIONS = less(ensemble.PLAIN), less(ensemble.DECISIONS)


def only_random():
    proposals.RANDOM = 1.0


VARIANTS = {
    WHOLE: None,
    "no costs: all objectives predicted": None,
    "no proxies": None,
    "no ensemble: all features in one process": without_ensemble,
    "no counts of what layers of one kind chose": without_counts,
    "no aim": None,
    ALL_CHECKED: None,
    BLOCKS: None,
    "random start": None,
    "random proposals alone": only_random,
    "nothing given: plain Optuna": None,
}


def work(name, dataset, seed, budget):
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    bench = benchmark(dataset)
    known = bench.known(4)
    if name.startswith("no costs"):
        del known["costs"]
    if name == "no proxies":
        del known["proxies"]
    if name.startswith("nothing"):
        known = {}
    saved = ensemble.WITH_PROXIES, ensemble.PLAIN, ensemble.DECISIONS, proposals.RANDOM
    if VARIANTS[name] is not None:
        VARIANTS[name]()
    if name == ALL_CHECKED:
        known["n_proxies"] = 40
    if name == BLOCKS:
        known["proxies"] = partial(proxies, names=(*PROXIES, *OF_BLOCKS))
    kind = KINDS.get(name, PredictorSampler)
    study = optuna.create_study(directions=["minimize"] * 4, sampler=kind(seed=seed, **known))
    study.optimize(bench.objective(4), n_trials=budget)
    ensemble.WITH_PROXIES, ensemble.PLAIN, ensemble.DECISIONS, proposals.RANDOM = saved
    values = np.array([trial.values for trial in study.trials])
    repeats = 1 - len({str(t.params) for t in study.trials}) / len(study.trials)
    return at_budgets(bench.share, values), repeats


def main():
    parser = arguments(__doc__, seeds=20, budget=110)
    parser.add_argument("--dataset", choices=WORST_ERROR, default="cifar10")
    options = parser.parse_args()
    names = chosen(options, VARIANTS)
    content = saved("predictor_ablation")
    rows = content.setdefault(options.dataset, {})
    for name in names:
        rows.setdefault(name, {"curves": [], "repeats": []})
    tasks = [
        (name, options.dataset, seed, options.budget)
        for seed in range(options.seeds)
        for name in names
        if seed >= len(rows[name]["curves"])
    ]
    for (name, *_), (curve, repeats) in run_all(work, tasks, options.jobs):
        rows[name]["curves"].append(curve)
        rows[name]["repeats"].append(repeats)
        save("predictor_ablation", content)
    curves = {name: row["curves"] for name, row in rows.items()}
    print(table(curves, {name: row["repeats"] for name, row in rows.items()}, BUDGETS))
    for name in curves:
        if name != WHOLE and WHOLE in curves:
            tests = [paired(curves, WHOLE, name, n, True) for n in (40, 60, 110)]
            print(f"whole - {name}: ", *(f"{d:+.3f} (p {p:.1e})" for d, p in filter(None, tests)))


if __name__ == "__main__":
    main()
