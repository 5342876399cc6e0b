"""A predictor that learns from an older study, on NAS-Bench-201 with one and four objectives.

    pip install -c constraints.txt -e '.[benchmark]'
    python benchmarks/warm_start.py [--older cifar10] [--dataset cifar100] [--seeds 10]

The older study is the predictor's own on another dataset, of 100 trials; each seed has one of its
own. Arms: "cold" learns from nothing; "warm" learns from the older study; "shuffled" from the same
architectures, whose values are dealt out anew at random; "turned" from values of which each is
mirrored within its range, so that the worst networks look best. Costs and proxies are told as in
`samplers_nb201.py`. Its measures, too: with four objectives the hypervolume as a share of the true
front's; with one the regret, validation accuracy below the best of the table, in points.

The settings were chosen on CIFAR-10 -> CIFAR-100 with seeds 0 to 7; other pairs and seeds are for
checking. Prints a table, the number of trials after which a warm study has what the cold one has
after 100, and what misleading studies cost; writes benchmarks/results/warm_start.json, where each
pair of datasets replaces its own entry. CPU time: about a minute a seed.
"""

import random

import numpy as np
import optuna
from common.comparison import arguments, at_budgets, chosen, paired, run_all, save, saved, table
from optuna.trial import create_trial
from samplers_nb201 import WORST_ERROR, benchmark

from optnas.samplers import PredictorSampler

OLDER_TRIALS = 100
BUDGETS = (10, 25, 50, 75, 100)
CURVE = (*range(5, 101, 5),)
COLD, WARM, SHUFFLED, TURNED = "cold", "warm", "shuffled", "turned"
ARMS = (COLD, WARM, SHUFFLED, TURNED)


def study_of(dataset, objectives, seed, trials, source=None):
    """A study of the predictor on a dataset."""
    bench = benchmark(dataset)
    sampler = PredictorSampler(source=source, seed=seed, **bench.known(objectives))
    study = optuna.create_study(directions=["minimize"] * objectives, sampler=sampler)
    study.optimize(bench.objective(objectives), n_trials=trials)
    return study


def misleading(study, arm, seed):
    """The architectures of a study with other values."""
    values = np.array([trial.values for trial in study.trials])
    if arm == SHUFFLED:
        rows = list(values)
        random.Random(seed).shuffle(rows)
        values = np.array(rows)
    else:
        values = values.min(axis=0) + values.max(axis=0) - values
    other = optuna.create_study(directions=study.directions)
    for trial, row in zip(study.trials, values.tolist(), strict=True):
        other.add_trial(
            create_trial(params=trial.params, distributions=trial.distributions, values=row)
        )
    return other


def work(older, dataset, objectives, seed, budget, arms):
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    bench = benchmark(dataset)
    measure = bench.regret if objectives == 1 else bench.share
    source = study_of(older, objectives, 1000 + seed, OLDER_TRIALS)
    found = {}
    for arm in arms:
        given = None if arm == COLD else source
        if arm in (SHUFFLED, TURNED):
            given = misleading(source, arm, seed)
        study = study_of(dataset, objectives, seed, budget, given)
        values = np.array([trial.values for trial in study.trials])
        found[arm] = at_budgets(measure, values, CURVE)
    return found


def reached(curves, larger_is_better):
    """What cold studies have in the end, and after how many trials warm ones have it (means)."""
    last = max(curves[COLD][0])
    goal = np.mean([run[last] for run in curves[COLD]])
    means = {n: np.mean([run[n] for run in curves[WARM]]) for n in curves[WARM][0]}
    sign = 1 if larger_is_better else -1
    return goal, next((n for n, mean in means.items() if sign * mean >= sign * goal), None)


def main():
    parser = arguments(__doc__, seeds=10, budget=100)
    parser.add_argument("--older", choices=WORST_ERROR, default="cifar10")
    parser.add_argument("--dataset", choices=WORST_ERROR, default="cifar100")
    parser.add_argument("--objectives", type=int, choices=(1, 4), default=4)
    parser.add_argument("--first", type=int, default=0, help="the first seed")
    options = parser.parse_args()
    arms = chosen(options, ARMS)
    seeds = range(options.first, options.first + options.seeds)
    objectives, larger = options.objectives, options.objectives > 1
    pair = options.older, options.dataset, objectives
    tasks = [(*pair, seed, options.budget, arms) for seed in seeds if arms]
    runs = [found for _, found in run_all(work, tasks, options.jobs)]
    from_seed = f", from seed {options.first}" if options.first else ""
    key = f"{options.older} -> {options.dataset}, {objectives}{from_seed}"
    content = saved("warm_start")
    curves = content.get(key, {}) | {arm: [run[arm] for run in runs] for arm in arms}
    budgets = [n for n in BUDGETS if n <= options.budget]
    what = "share of the true hypervolume" if larger else "regret in points"
    print(f"\n{options.older} -> {options.dataset}, {objectives} objective(s): {what}")
    print(table(curves, {arm: [0.0] for arm in curves}, budgets))
    for arm in curves:
        if arm != COLD and COLD in curves:
            tests = {n: paired(curves, arm, COLD, n, larger) for n in budgets}
            print(f"{arm} - cold: ", *(f"{n}: {d:+.3f} (p {p:.2g})" for n, (d, p) in tests.items()))
    if {COLD, WARM} <= set(curves):
        goal, trials = reached(curves, larger)
        print(f"cold after {options.budget} trials: {goal:.3f}; warm has it after {trials}")
    if arms:
        save("warm_start", content | {key: curves})


if __name__ == "__main__":
    main()
