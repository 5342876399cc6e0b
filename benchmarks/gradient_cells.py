"""Gradients against shared weights, the predictor and random, on cells, in equal time.

    python benchmarks/gradient_cells.py [--seeds 3] [--jobs 1] [--longer 1]

A cell space of one width on digits and on 2,000 images of Fashion-MNIST; the objectives are the
validation loss after training, and FLOPs. Each way has the same number of wall-clock seconds for
all that it does: `gradient` trains its relaxed network and then its proposals; `shared` trains a
supernet, scores networks by evolution for a quarter of the time, and trains those that keep most of
the front's hypervolume, one by one (it scores more once all of them are trained); `predictor` and
`random` train networks. Only networks that were trained for real count. The measure is the
hypervolume of the natural logarithms (reference point 1.1, where the front of all runs of a task
reaches from 0 to 1), as a share of that front's.

Then relaxed networks alone, with both mixtures, and with early stopping and β regularisation: the
share of skips among the likeliest operations, and what discretising adds to the loss. (`gumbel` is
the network that `gradient` trained.)

Prints both tables and writes benchmarks/results/gradient_cells.json, each run as soon as it is
there; a later call runs what is missing (to begin anew, delete the file). About two and a half
hours on one core: a core for each of the `--jobs` must be idle, or the seconds aren't equal.
"""

import argparse
import dataclasses
import tempfile
import time
from functools import cache
from statistics import mean, pstdev

import optuna
from common import sharing
from common.comparison import best_known, run_all, save, saved

import optnas
from optnas.pareto.confirmed import confirmed
from optnas.samplers.gradient import RelaxedSettings, relaxed_of

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


@dataclasses.dataclass(frozen=True)
class Sizes:
    """How long a way has on a task, and how long its trainings are.

    Attributes:
        seconds: Those of each way and seed.
        epochs: Those of a training for real.
        relaxed_epochs: Those of the relaxed network.
        steps: Those of the supernet.
    """

    seconds: float
    epochs: int
    relaxed_epochs: int
    steps: int


SIZES = {"digits": Sizes(180, 15, 50, 2_000), "fashion": Sizes(300, 8, 10, 1_000)}


@cache
def training(name):
    """The evaluator that trains networks for real."""
    sizes = SIZES[name]
    if name == "digits":
        return sharing.training(name, sizes.epochs)
    data = optnas.idx_images(sharing.FASHION_MNIST, train=2_000, val=500)
    return optnas.TrainingEvaluator(data, sizes.epochs, recipe=optnas.Recipe(learning_rate=0.01))


def space(name):
    data = training(name).data
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


def work(name, seed, way, seconds):
    """The values of all networks that were trained, and what the time went into."""
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    space(name)  # data and imports are loaded before the clock starts
    started = time.perf_counter()
    with tempfile.TemporaryDirectory() as folder:
        if way == "shared":
            prepared, found, facts = by_shared_weights(name, seed, folder, seconds)
        else:
            prepared, found, facts = by_trainings(name, seed, folder, way, seconds)
        took = time.perf_counter() - started
    found = [list(map(float, row)) for row in found]
    return {"values": found, "prepared": prepared, "all": took} | facts


def by_shared_weights(name, seed, folder, seconds):
    """The seconds of preparation, and the values of the networks that were trained."""
    started = time.perf_counter()
    evaluator = sharing.sharing_of(training(name), seed, SIZES[name].steps)
    one = search(name, seed, folder, evaluator, "evolution")
    sharing.train_supernet(one)
    prepared = time.perf_counter()
    study = run_until(one, prepared + SCORED * seconds)
    one_training = 0.0
    while (began := time.perf_counter()) + one_training < started + seconds:
        trained = {number for number, member in confirmed(study).items() if member.n}
        if {trial.number for trial in optnas.front(study)} <= trained:
            study = run_until(one, began + SCORED * seconds / 5)
            continue
        optnas.confirm(study, one, most=len(trained) + 1, seeds=1, progress=False)
        one_training = time.perf_counter() - began
    found = [member.repeats[0] for member in confirmed(study).values() if member.n]
    return prepared - started, found, {}


def by_trainings(name, seed, folder, way, seconds):
    """The same, and facts of the relaxed network if there is one."""
    started, sampler, facts = time.perf_counter(), way, {}
    if way == "gradient":
        sampler = optnas.GradientSampler(epochs=SIZES[name].relaxed_epochs)
    one = search(name, seed, folder, training(name), sampler)
    if way == "gradient":
        opened = one.open()
        opened.sampler.prepare(opened)
        facts = relaxed_facts(relaxed_of(opened))
    prepared = time.perf_counter()
    return prepared - started, values(run_until(one, started + seconds)), facts


def relax(name, seed, way):
    """Shares of skips and gaps of a relaxed network."""
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    kept = []
    objective = optnas.Objective(space(name), training(name), OBJECTIVES, device="cpu")
    settings = RelaxedSettings(epochs=SIZES[name].relaxed_epochs, **RELAXED[way])
    started = time.perf_counter()
    objective.relaxation.train(settings, seed, lambda line: None, None, lambda: None, kept.append)
    (found,) = kept
    return {"prepared": time.perf_counter() - started} | relaxed_facts(found)


def relaxed_facts(found):
    """What is reported of a relaxed network, one number for each preference."""
    return {
        "skips": [p.skips for p in found.proposals],
        "relaxed": [p.relaxed_loss for p in found.proposals],
        "discretised": [p.discretised_loss for p in found.proposals],
        "different": len({str(p.params) for p in found.proposals}),
        "epochs": found.epochs,
    }


def spread(numbers):
    return f"{mean(numbers):.3f} ± {pstdev(numbers):.3f}"


def of_seeds(done, name, way):
    """The runs of a way, in the order of their seeds."""
    begin = f"{name}, {way}, seed "
    return [run for key, run in sorted(done.items()) if key.startswith(begin)]


def compared(name, done):
    """A table of the hypervolumes of a task."""
    runs = {way: of_seeds(done, name, way) for way in WAYS}
    found = [run["values"] for way in runs.values() for run in way if run["values"]]
    if not found:
        return
    share = best_known(found)
    print(f"{name}: share of the hypervolume of all runs, networks trained, seconds of preparation")
    for way, own in runs.items():
        if own:
            volumes = [float(share(run["values"])) if run["values"] else 0.0 for run in own]
            print(
                f"  {way:15} {len(own)} seeds   {spread(volumes)}   "
                f"{mean(len(run['values']) for run in own):6.1f} trained   "
                f"{mean(run['prepared'] for run in own):6.1f} s of "
                f"{mean(run['all'] for run in own):.1f}"
            )


def collapsed(name, done):
    """A table of the shares of skips and of the gaps of a task."""
    print(f"{name}: relaxed networks: share of skips, what discretising adds to the loss")
    for way in RELAXED:
        runs = of_seeds(done, name, key_of(way))
        if runs:
            skips = [mean(run["skips"]) for run in runs]
            pairs = [zip(run["relaxed"], run["discretised"], strict=True) for run in runs]
            gaps = [mean(b - a for a, b in pair) for pair in pairs]
            print(
                f"  {way:15} {len(runs)} seeds   skips {spread(skips)}   gap {spread(gaps)}   loss "
                f"{mean(mean(run['relaxed']) for run in runs):.3f}   "
                f"{mean(run['epochs'] for run in runs):.0f} epochs, "
                f"{mean(run['prepared'] for run in runs):.0f} s, "
                f"{mean(run['different'] for run in runs):.1f} different proposals"
            )


def key_of(way):
    """Under which name a relaxed network is kept: the first is the one that `gradient` trained."""
    return "gradient" if way == "gumbel" else f"relaxed by {way}"


def run_missing(function, tasks, options, done):
    """Runs what isn't there yet; keeps each run, by its task, its way and its seed."""
    missing = {task: key for task, key in tasks.items() if key not in done}
    for task, run in run_all(function, list(missing), options.jobs):
        done[missing[task]] = run
        save(options.results, done)


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--tasks", nargs="+", choices=tuple(SIZES), default=tuple(SIZES))
    parser.add_argument("--jobs", type=int, default=1, help="processes")
    parser.add_argument("--longer", type=float, default=1, help="multiplies the seconds of a way")
    parser.add_argument("--results", default="gradient_cells", help="name of the file of results")
    options = parser.parse_args()
    done = saved(options.results)
    if done.setdefault("longer", options.longer) != options.longer:
        parser.error(f"results/{options.results}.json was begun with --longer {done['longer']:g}")
    each = [(name, seed) for seed in range(options.seeds) for name in options.tasks]
    equal = {
        (name, seed, way, SIZES[name].seconds * options.longer): f"{name}, {way}, seed {seed}"
        for name, seed in each
        for way in WAYS
    }
    alone = {
        (name, seed, way): f"{name}, {key_of(way)}, seed {seed}"
        for name, seed in each
        for way in RELAXED
    }
    run_missing(work, equal, options, done)
    run_missing(relax, alone, options, done)
    for name in options.tasks:
        compared(name, done)
        collapsed(name, done)


if __name__ == "__main__":
    main()
