"""What stopping hopeless trainings saves, and what it costs: small CNNs for handwritten digits.

    python benchmarks/early_stopping.py [--seeds 5] [--trials 40] [--epochs 15] [--jobs 1]

`MacroCNNSpace` with its default ranges, in batches of 32; validation loss, FLOPs and parameters
(not latency, whose noise would differ between two runs). Each study is run without and with early
stopping. The random sampler draws the same networks both times, with the same weights and batches,
so that every difference is early stopping's; the predictor learns from what it has seen, and goes
another way. The measure is the hypervolume of `samplers_digits.py`: of natural
logarithms, as a share of that of the front of all runs together.

The rule and its constant were chosen on recorded curves of seeds 100 to 104. Prints a table and
writes benchmarks/results/early_stopping.json. About half an hour in one process.
"""

import numpy as np
from common.comparison import arguments, best_known, chosen, run_all, save, saved
from samplers_digits import complete_values, run

from optnas.study.attributes import CURVE, STOPPED

NAMES = ("random", "predictor")


def work(name, seed, early_stop, trials, epochs):
    """Values of the COMPLETE trials, epochs trained, trials stopped, and the seconds it took."""
    study, seconds = run(
        epochs,
        objectives=("val_loss", "flops", "params"),
        trials=trials,
        sampler=name,
        seed=seed,
        device="cpu",
        early_stop=early_stop,
    )
    return {
        "values": complete_values(study),
        "epochs": sum(len(t.user_attrs.get(CURVE, ())) for t in study.trials),
        "stopped": sum(STOPPED in t.user_attrs for t in study.trials),
        "seconds": seconds,
    }


def summary(runs):
    """What was saved and lost, by sampler; `runs`: (name, seed, early_stop) -> what `work` gave."""
    share = best_known([run["values"] for run in runs.values()])
    found = {}
    for name in dict.fromkeys(name for name, _, _ in runs):
        seeds = [seed for of, seed, on in runs if of == name and on]
        off = [runs[name, seed, False] for seed in seeds]
        on = [runs[name, seed, True] for seed in seeds]
        volumes = [[share(run["values"]) for run in side] for side in (off, on)]
        found[name] = {
            "stopped": [run["stopped"] for run in on],
            "epochs saved": [1 - b["epochs"] / a["epochs"] for a, b in zip(off, on, strict=True)],
            "hypervolume without": volumes[0],
            "hypervolume with": volumes[1],
            "hypervolume lost": [1 - b / a for a, b in zip(*volumes, strict=True)],
            "seconds without": [run["seconds"] for run in off],
            "seconds with": [run["seconds"] for run in on],
        }
    return {
        name: {label: [round(float(v), 5) for v in values] for label, values in rows.items()}
        for name, rows in found.items()
    }


def table(found):
    """Mean, standard deviation and each seed's value, a row a number."""
    lines = []
    for name, rows in found.items():
        for label, values in rows.items():
            each = " ".join(f"{v:8.4g}" for v in values)
            mean = f"{np.mean(values):8.4g} ± {np.std(values):.2g}"
            lines.append(f"{name:10} {label:20} {mean:20} {each}")
    return "\n".join(lines)


def main():
    parser = arguments(__doc__, seeds=5)
    parser.add_argument("--trials", type=int, default=40)
    parser.add_argument("--epochs", type=int, default=15)
    options = parser.parse_args()
    names = chosen(options, NAMES)
    tasks = [
        (name, seed, early_stop, options.trials, options.epochs)
        for seed in range(options.seeds)
        for name in names
        for early_stop in (False, True)
    ]
    runs = {task[:3]: run for task, run in run_all(work, tasks, options.jobs)}
    found = summary(runs) if names else saved("early_stopping")
    print("digits: mean ± deviation, each seed")
    print(table(found))
    if options.samplers is None:
        save("early_stopping", found)


if __name__ == "__main__":
    main()
