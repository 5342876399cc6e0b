"""A thousand inherited scores and 20 trainings, against 60 trainings: the front, and the time.

    python benchmarks/shared_search.py [--seeds 3] [--tasks digits fashion]

For each task and seed, one after the other in one process: a study of 1,000 networks scored with
shared weights (the supernet's training included), of which `confirm` trains the 20 that keep most
of the front's hypervolume; and a study of 60 networks that are trained. Both have the same sampler,
space and training, and an SQLite database each. The objectives are the validation loss after
training, FLOPs and params. The measure is the hypervolume of their natural logarithms (reference
point 1.1, where the front of all runs of a task reaches from 0 to 1), as a share of that front's.
Times are wall-clock seconds. Tasks are those of `shared_weights.py`. Prints a table and writes
benchmarks/results/shared_search.json. About 40 minutes on two cores.
"""

import argparse
import json
import tempfile
import time
from pathlib import Path

import optuna
from common.comparison import best_known, run_all, save
from common.sharing import TASKS, shared, space, train_supernet, training

import optnas
from optnas.pareto.confirmed import confirmed

OBJECTIVES = ("val_loss", "flops", "params")
SAMPLER = "evolution"
EPOCHS = {"digits": 150, "fashion": 20}
"""Of a training."""


def search(name, seed, folder, evaluator, trials):
    return optnas.Search(
        space=space(name),
        evaluator=evaluator,
        objectives=OBJECTIVES,
        sampler=SAMPLER,
        trials=trials,
        seed=seed,
        device="cpu",
        weights=False,
        name=f"{name}{trials}",
        storage=f"sqlite:///{folder}/{name}{trials}.db",
    )


def work(name, seed, scored, trained, ordinary):
    """Values after training of both ways, and the seconds of their parts."""
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    epochs, seconds = EPOCHS[name], {}
    with tempfile.TemporaryDirectory() as folder:
        one = search(name, seed, folder, shared(name, seed, epochs), scored)
        started = time.perf_counter()
        train_supernet(one)
        seconds["supernet"] = time.perf_counter() - started
        study = one.run(progress=False)
        seconds["scores"] = time.perf_counter() - started - seconds["supernet"]
        optnas.confirm(study, one, most=trained, seeds=1, progress=False)
        seconds["shared"] = time.perf_counter() - started
        seconds["trainings"] = seconds["shared"] - seconds["scores"] - seconds["supernet"]
        found = [member.repeats[0] for member in confirmed(study).values() if member.n]
        two = search(name, seed, folder, training(name, epochs), ordinary)
        started = time.perf_counter()
        values = [t.values for t in two.run(progress=False).get_trials(deepcopy=False) if t.values]
        seconds["ordinary"] = time.perf_counter() - started
    return found, values, seconds


def kept(path):
    """The runs of an interrupted benchmark, by task."""
    if path is None or not path.exists():
        return {}
    return {tuple(task): run for task, run in map(json.loads, path.read_text().splitlines())}


def summary(runs):
    """Hypervolumes of both ways, and the seconds of their parts, by seed."""
    share = best_known([values for run in runs for values in run[:2]])
    return {
        "shared": [float(share(values)) for values, _, _ in runs],
        "ordinary": [float(share(values)) for _, values, _ in runs],
        "seconds": [seconds for *_, seconds in runs],
    }


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--tasks", nargs="+", choices=TASKS, default=TASKS)
    parser.add_argument("--jobs", type=int, default=2, help="processes")
    parser.add_argument("--scored", type=int, default=1000, help="networks with shared weights")
    parser.add_argument("--trained", type=int, default=20, help="of them, to be trained")
    parser.add_argument("--ordinary", type=int, default=60, help="networks of the other study")
    parser.add_argument("--keep", type=Path, help="file for finished runs, to resume from")
    options = parser.parse_args()
    sizes = options.scored, options.trained, options.ordinary
    tasks = [(name, seed, *sizes) for seed in range(options.seeds) for name in options.tasks]
    found = kept(options.keep)
    for task, run in run_all(work, [task for task in tasks if task not in found], options.jobs):
        found[task] = run
        if options.keep is not None:
            with options.keep.open("a") as file:
                file.write(json.dumps([task, run]) + "\n")
    results = {}
    for name in options.tasks:
        results[name] = summary([found[task] for task in tasks if task[0] == name])
        print(f"{name}: share of the hypervolume of all runs, and seconds")
        for seed, (a, b, s) in enumerate(zip(*results[name].values(), strict=True)):
            print(
                f"  seed {seed}: shared {a:.3f} in {s['shared']:.0f} s (supernet "
                f"{s['supernet']:.0f}, scores {s['scores']:.0f}, trainings {s['trainings']:.0f})"
                f"   ordinary {b:.3f} in {s['ordinary']:.0f} s   time "
                f"{s['shared'] / s['ordinary']:.2f}"
            )
            one = s["ordinary"] / options.ordinary
            cost = (s["supernet"] + s["scores"]) / one
            print(
                f"          the search of {options.scored:,} cost as much as {cost:.1f} trainings"
                f" ({one:.2f} s each)"
            )
    if tuple(options.tasks) == TASKS:
        save("shared_search", results)


if __name__ == "__main__":
    main()
