"""What each part of the predictor contributes, on NAS-Bench-201 with four objectives.

    python benchmarks/predictor_ablation.py [--dataset cifar10] [--seeds 20] [--budget 110]

The measure is that of `samplers_nb201.py`, in the mean over seeds. Prints a table with paired tests
against the whole, and writes benchmarks/results/predictor_ablation.json.
"""

import numpy as np
import optuna
from common.comparison import arguments, at_budgets, paired, run_all, save, table
from samplers_nb201 import WORST_ERROR, benchmark

from optnas.samplers import PredictorSampler, ensemble, proposals

WHOLE = "whole"
BUDGETS = (20, 40, 60, 80, 100, 110)


class RandomStart(PredictorSampler):
    """Its startup trials are drawn at random."""

    def _spread(self, ask, lessons):
        return {}


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
    kind = RandomStart if name == "random start" else PredictorSampler
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
    names = options.samplers or list(VARIANTS)
    tasks = [(n, options.dataset, s, options.budget) for s in range(options.seeds) for n in names]
    results = dict(run_all(work, tasks, options.jobs))
    runs = {n: [found for task, found in results.items() if task[0] == n] for n in names}
    curves = {n: [curve for curve, _ in found] for n, found in runs.items()}
    print(table(curves, {n: [share for _, share in found] for n, found in runs.items()}, BUDGETS))
    for name in names:
        if name != WHOLE and WHOLE in names:
            tests = [paired(curves, WHOLE, name, n, True) for n in (40, 60, 110)]
            print(f"whole - {name}: ", *(f"{d:+.3f} (p {p:.1e})" for d, p in filter(None, tests)))
    if not options.samplers:
        save("predictor_ablation", {options.dataset: curves})


if __name__ == "__main__":
    main()
