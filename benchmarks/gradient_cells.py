"""Gradients against shared weights, the predictor and random, on cells, in equal time.

    python benchmarks/gradient_cells.py [--seeds 3] [--seconds 600] [--keep runs.jsonl]

A cell space of one width on digits and on 6,000 images of Fashion-MNIST; the objectives are the
validation loss after training, and FLOPs. Each way has the same number of wall-clock seconds for
all that it does: `gradient` trains its relaxed network and then its proposals; `shared` trains a
supernet, scores networks by evolution, and trains those that keep most of the front's hypervolume;
`predictor` and `random` train networks. Only networks that were trained for real count. The measure
is the hypervolume of the natural logarithms (reference point 1.1, where the front of all runs of a
task reaches from 0 to 1), as a share of that front's.

Then relaxed networks alone, with both mixtures, and with early stopping and β regularisation: the
share of skips among the likeliest operations, and what discretising adds to the loss. Prints both
tables and writes benchmarks/results/gradient_cells.json. About two and a half hours on two cores;
`--keep` names a file for finished runs, from which an interrupted benchmark resumes.
"""

import argparse
import dataclasses
import json
import tempfile
import time
from pathlib import Path
from statistics import mean, pstdev

import optuna
from common.comparison import best_known, run_all, save
from common.sharing import TASKS, shared, training

import optnas
from optnas.pareto.confirmed import confirmed
from optnas.samplers.gradient import RelaxedSettings

WAYS = ("gradient", "shared", "predictor", "random")
OBJECTIVES = ("val_loss", "flops")
SCORED = 0.25
"""Of the seconds, those in which inherited scores may be computed."""
RELAXED = {
    "gumbel": {},
    "gumbel, early": {"most_skips": 0.5},
    "gumbel, β": {"beta": 25.0},
    "softmax": {"mixture": "softmax"},
    "softmax, early": {"mixture": "softmax", "most_skips": 0.5},
    "softmax, β": {"mixture": "softmax", "beta": 25.0},
}


def space(name):
    data = training(name, 1).data
    return optnas.CellSpace(
        data.input_shape,
        data.outputs,
        widths=(8,),
        stages=(2, 2),
        cells=(0, 1),
        nodes=(2, 3),
        operations=(
            "none",
            "skip_connect",
            "max_pool_3x3",
            "avg_pool_3x3",
            "sep_conv_3x3",
            "conv_1x1",
            "conv_3x3",
        ),
        stem_multiplier=1,
    )


def search(name, seed, folder, evaluator, sampler):
    return optnas.Search(
        space=space(name),
        evaluator=evaluator,
        objectives=OBJECTIVES,
        sampler=sampler,
        trials=1_000_000,
        seed=seed,
        device="cpu",
        weights=False,
        name=name,
        storage=f"sqlite:///{folder}/{name}.db",
    )


def values(study):
    trials = study.get_trials(deepcopy=False)
    return [t.values for t in trials if t.state.name == "COMPLETE"]


def run_until(one, end):
    """Runs trials of a search until a moment; the last one isn't cut off."""
    left = max(end - time.perf_counter(), 1e-3)
    return dataclasses.replace(one, hours=left / 3600).run(progress=False)


def work(name, seed, way, seconds, epochs, relaxed_epochs):
    """The values of all networks that were trained, and what the time went into."""
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    space(name), training(name, epochs)  # data and imports are loaded before the clock starts
    started = time.perf_counter()
    end = started + seconds
    with tempfile.TemporaryDirectory() as folder:
        if way == "shared":
            one = search(name, seed, folder, shared(name, seed, epochs), "evolution")
            one.objective().prepare()
            prepared = time.perf_counter()
            study = run_until(one, prepared + SCORED * seconds)
            optnas.confirm(study, one, most=1, seeds=1, progress=False)
            single = time.perf_counter() - prepared - SCORED * seconds
            most = 1 + int(max(end - time.perf_counter(), 0) / single)
            optnas.confirm(study, one, most=most, seeds=1, progress=False)
            found = [member.repeats[0] for member in confirmed(study).values() if member.n]
        else:
            sampler = way
            if way == "gradient":
                sampler = optnas.GradientSampler(epochs=relaxed_epochs)
            one = search(name, seed, folder, training(name, epochs), sampler)
            if way == "gradient":
                opened = one.open()
                opened.sampler.prepare(opened)
            prepared = time.perf_counter()
            study = run_until(one, end)
            found = values(study)
        took = {"prepared": prepared - started, "all": time.perf_counter() - started}
    return {"values": [list(map(float, row)) for row in found], "seconds": took}


def relax(name, seed, way, relaxed_epochs):
    """Shares of skips and gaps of a relaxed network, one for each preference."""
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    started = time.perf_counter()
    kept = []
    objective = optnas.Objective(space(name), training(name, 1), OBJECTIVES, device="cpu")
    settings = RelaxedSettings(epochs=relaxed_epochs, **RELAXED[way])
    objective.relaxation.train(settings, seed, lambda line: None, None, lambda: None, kept.append)
    (found,) = kept
    return {
        "skips": [p.skips for p in found.proposals],
        "relaxed": [p.relaxed_loss for p in found.proposals],
        "discretised": [p.discretised_loss for p in found.proposals],
        "different": len({str(p.params) for p in found.proposals}),
        "epochs": found.epochs,
        "seconds": time.perf_counter() - started,
    }


def kept(path):
    """The runs of an interrupted benchmark, by task."""
    if path is None or not path.exists():
        return {}
    return {tuple(task): run for task, run in map(json.loads, path.read_text().splitlines())}


def finished(function, tasks, options, found):
    """Runs what isn't there yet, and keeps it."""
    for task, run in run_all(function, [t for t in tasks if t not in found], options.jobs):
        found[task] = run
        if options.keep is not None:
            with options.keep.open("a") as file:
                file.write(json.dumps([task, run]) + "\n")


def spread(numbers):
    return f"{mean(numbers):.3f} ± {pstdev(numbers):.3f}"


def compared(name, options, found):
    """Prints and returns the hypervolumes of a task."""
    sizes = options.seconds, options.epochs, options.relaxed_epochs
    runs = {w: [found[name, s, w, *sizes] for s in range(options.seeds)] for w in WAYS}
    share = best_known([run["values"] for way in runs.values() for run in way if run["values"]])
    print(f"{name}: share of the hypervolume of all runs, networks trained, seconds of preparation")
    results = {}
    for way, own in runs.items():
        volumes = [float(share(run["values"])) if run["values"] else 0.0 for run in own]
        trained = [len(run["values"]) for run in own]
        prepared = [run["seconds"]["prepared"] for run in own]
        took = [run["seconds"]["all"] for run in own]
        print(
            f"  {way:10} {spread(volumes)}   {mean(trained):6.1f} trained   "
            f"{mean(prepared):6.1f} s of {mean(took):.1f}"
        )
        results[way] = {
            "hypervolume": volumes,
            "trained": trained,
            "prepared": prepared,
            "seconds": took,
        }
    return results


def collapsed(name, options, found):
    """Prints and returns shares of skips and gaps of a task."""
    print(f"{name}: relaxed networks: share of skips, what discretising adds to the loss")
    results = {}
    for way in RELAXED:
        runs = [found[name, s, way, options.relaxed_epochs] for s in range(options.seeds)]
        skips = [mean(run["skips"]) for run in runs]
        pairs = [zip(run["relaxed"], run["discretised"], strict=True) for run in runs]
        gaps = [mean(b - a for a, b in pair) for pair in pairs]
        print(
            f"  {way:15} skips {spread(skips)}   gap {spread(gaps)}   loss "
            f"{mean(mean(run['relaxed']) for run in runs):.3f}   "
            f"{mean(run['epochs'] for run in runs):.0f} epochs, "
            f"{mean(run['seconds'] for run in runs):.0f} s, "
            f"{mean(run['different'] for run in runs):.1f} different proposals"
        )
        results[way] = {
            "skips": skips,
            "gap": gaps,
            "epochs": [run["epochs"] for run in runs],
            "seconds": [run["seconds"] for run in runs],
        }
    return results


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--tasks", nargs="+", choices=TASKS, default=TASKS)
    parser.add_argument("--jobs", type=int, default=2, help="processes")
    parser.add_argument("--seconds", type=float, default=600, help="of each way and seed")
    parser.add_argument("--epochs", type=int, default=15, help="of a training for real")
    parser.add_argument("--relaxed-epochs", type=int, default=50)
    parser.add_argument("--keep", type=Path, help="file for finished runs, to resume from")
    parser.add_argument("--results", default="gradient_cells", help="name of the file of results")
    options = parser.parse_args()
    found = kept(options.keep)
    sizes = options.seconds, options.epochs, options.relaxed_epochs
    each = [(name, seed) for seed in range(options.seeds) for name in options.tasks]
    finished(work, [(*one, way, *sizes) for one in each for way in WAYS], options, found)
    tasks = [(*one, way, options.relaxed_epochs) for one in each for way in RELAXED]
    finished(relax, tasks, options, found)
    results = {"sizes": vars(options) | {"keep": None}}
    for name in options.tasks:
        results[name] = {
            "equal time": compared(name, options, found),
            "relaxed": collapsed(name, options, found),
        }
    save(options.results, results)


if __name__ == "__main__":
    main()
