"""Does a search beat the networks that people build by hand? Fashion-MNIST, five baselines.

    python benchmarks/beat_baselines.py [--seeds 3] [--trials 60] [--epochs 5] [--jobs 1]

12,000 training images and one recipe for all. The baselines: LeNet-5, ResNet-8, MobileNetV2 0.25, a
plain CNN with dropout, and a perceptron. The space is a `MacroCNNSpace` of up to five layers, whose
heads may see all pixels: few layers are what makes LeNet-5 and the perceptron quick. (`--mobile`
takes `MobileSpace.small`, whose networks have more layers.) Objectives: val_accuracy, flops,
params, latency_ms. The samplers: the predictor with its default reference (the worst values of the
baselines), the predictor without a reference, Optuna's TPE and NSGA-II.

After each search, for each baseline the three networks that dominate it with the largest lead in
what is noisy are evaluated with three fresh seeds, and so is the baseline. It is beaten if a
network's mean accuracy is at least its own, and FLOPs, parameters and latency are no more, with one
of the four better. Reported are, for each seed, which baselines were beaten, after how many trials,
by which network (the most accurate of those), and what the nearest network lacks to beat the
others. Prints a table and writes benchmarks/results/beat_baselines.json.

A search takes half an hour or more. Each is a study in `beat_baselines.db` in the working
directory, which a later call resumes. Results are written at once, and a later call runs what is
missing. All searches of a seed have the same baselines, so these are trained once for all of them:
what was trained is in `beat_baselines_trained.jsonl`. (To begin anew, delete the three files.)
`--samplers predictor` runs one row alone, `--samplers` without a name prints what is there.

Needs Fashion-MNIST's IDX files (FASHION_MNIST names their folder).
"""

import json
import os
import time
from pathlib import Path
from statistics import mean

import numpy as np
from common.comparison import arguments, chosen, run_all, save, saved
from optuna.trial import TrialState
from torch import Tensor, nn

import optnas
from optnas.finished.confirm import confirm
from optnas.pareto.baselines import baseline_standings
from optnas.pareto.dominance import dominates, losses
from optnas.pareto.snapshot import Snapshot
from optnas.study.attributes import ARCHITECTURE, BASELINE, DETAIL

OBJECTIVES = ("val_accuracy", "flops", "params", "latency_ms")
ROWS = {
    "predictor": ("predictor", True),
    "predictor, no reference": ("predictor", False),
    "TPE": ("tpe", True),
    "NSGA-II": ("nsgaii", True),
}
FRESH, CANDIDATES = 3, 3
"""Fresh seeds of each confirmation, and the networks that are confirmed for a baseline."""
TRAINED = Path("beat_baselines_trained.jsonl")
SAVED = "training_saved"
"""The detail of a trial whose training wasn't repeated: the seconds that it had taken."""
NOISE = {"val_accuracy": 0.005, "latency_ms": 0.1}
"""What a lead is measured in: accuracy between two trainings, and a share of the latency."""


class Residual(nn.Module):
    """The basic block of He et al. (2016)."""

    def __init__(self, channels: int, out: int, stride: int) -> None:
        super().__init__()
        self.body = nn.Sequential(
            nn.Conv2d(channels, out, 3, stride, 1, bias=False),
            nn.BatchNorm2d(out),
            nn.ReLU(),
            nn.Conv2d(out, out, 3, 1, 1, bias=False),
            nn.BatchNorm2d(out),
        )
        self.skip = nn.Conv2d(channels, out, 1, stride, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        return nn.functional.relu(self.body(x) + self.skip(x))


def lenet5():
    return nn.Sequential(
        nn.Conv2d(1, 6, 5, padding=2), nn.ReLU(), nn.MaxPool2d(2),
        nn.Conv2d(6, 16, 5), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(),
        nn.Linear(400, 120), nn.ReLU(), nn.Linear(120, 84), nn.ReLU(), nn.Linear(84, 10),
    )  # fmt: skip


def resnet8():
    return nn.Sequential(
        nn.Conv2d(1, 16, 3, padding=1, bias=False), nn.BatchNorm2d(16), nn.ReLU(),
        Residual(16, 16, 1), Residual(16, 32, 2), Residual(32, 64, 2),
        nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(64, 10),
    )  # fmt: skip


def plain_cnn():
    return nn.Sequential(
        nn.Conv2d(1, 32, 3), nn.ReLU(), nn.Conv2d(32, 64, 3), nn.ReLU(), nn.MaxPool2d(2),
        nn.Dropout(0.25), nn.Flatten(), nn.Linear(9216, 128), nn.ReLU(), nn.Dropout(0.5),
        nn.Linear(128, 10),
    )  # fmt: skip


def perceptron():
    return nn.Sequential(
        nn.Flatten(), nn.Linear(784, 256), nn.ReLU(), nn.Linear(256, 128), nn.ReLU(),
        nn.Linear(128, 10),
    )  # fmt: skip


class TrainedOnce(optnas.TrainingEvaluator):
    """A network that was trained with the same seed before isn't trained again."""

    def evaluate(self, candidate, recipe, report):
        key = f"{candidate}, seed {candidate.seed}, {recipe}, {self.fingerprint}"
        known = self._trained().get(key)
        if known is not None:
            candidate.details[SAVED] = known["seconds"]
            for point in known["curve"]:
                report(point["step"], {k: v for k, v in point.items() if k != "step"})
            return known["scores"]
        started = time.monotonic()
        scores = super().evaluate(candidate, recipe, report)
        took = time.monotonic() - started
        row = {"key": key, "scores": scores, "curve": report.curve, "seconds": took}
        with TRAINED.open("a") as file:
            file.write(json.dumps(row) + "\n")
        return scores

    @staticmethod
    def _trained():
        if not TRAINED.exists():
            return {}
        return {row["key"]: row for row in map(json.loads, TRAINED.read_text().splitlines())}


def make_search(row, seed, trials, epochs, mobile=False):
    sampler, aims = ROWS[row]
    data = optnas.idx_images(
        os.environ.get("FASHION_MNIST", "/usr/share/datasets/fashion-mnist"),
        train=12_000,
        val=5_000,
    )
    small = optnas.MobileSpace.small(data.input_shape, data.outputs, stages=3)
    layers = optnas.MacroCNNSpace(
        data.input_shape,
        data.outputs,
        depth=(0, 5),
        channels=(8, 16, 24, 32, 48, 64),
        kernel_sizes=(3, 5),
        activations=("relu", "hard_swish"),
        pools=("none", "max", "stride"),
        heads=("mean", "flatten"),
        hidden=(0, 64, 128, 192, 256),
    )
    mobilenet = optnas.MobileSpace.mobilenet_v2(
        data.input_shape, width=0.25, strides=(2, 1, 2, 2, 2, 1, 1, 1)
    )
    return optnas.Search(
        space=small if mobile else layers,
        evaluator=TrainedOnce(data, epochs=epochs, recipe=optnas.Recipe(learning_rate=0.01)),
        objectives=OBJECTIVES,
        baselines={
            "LeNet-5": lenet5,
            "ResNet-8": resnet8,
            "MobileNetV2 0.25": lambda: small.build(mobilenet),
            "plain CNN": plain_cnn,
            "perceptron": perceptron,
        },
        reference="" if aims else {},
        sampler=sampler,
        trials=trials,
        seed=seed,
        device="cpu",
        weights=False,
        name=f"{row.replace(', ', '-').replace(' ', '-')}-{seed}-{trials}x{epochs}"
        + "-mobile" * mobile,
        storage="sqlite:///beat_baselines.db",
    )


def work(row, seed, trials, epochs, mobile):
    """Which baselines one search beats, after how many trials, and the seconds of its trials.

    The baselines are among the trials, and their seconds count wherever they were trained.
    """
    search = make_search(row, seed, trials, epochs, mobile)
    study = search.run(progress=False)
    ended = study.get_trials(states=(TrialState.COMPLETE, TrialState.PRUNED))
    trained = [t.duration.total_seconds() for t in ended]
    trained += [t.user_attrs.get(f"{DETAIL}{SAVED}", 0) for t in ended]
    seen = Snapshot.of(study)
    wanted = {record.number for record in seen.baselines}
    for found in baseline_standings(seen):
        best = sorted(found.dominated_by, key=lead_over(study, found.baseline.number))
        wanted |= set(best[:CANDIDATES])
    confirm(study, search, trials=sorted(wanted), seeds=FRESH, progress=False)
    return {"seconds": sum(trained)} | outcome(study)


def lead_over(study, baseline):
    """A key that sorts networks by their lead over a baseline, the largest first."""
    accuracy, *_, latency = study.trials[baseline].values

    def key(number):
        own_accuracy, *_, own_latency = study.trials[number].values
        leads = (
            (own_accuracy - accuracy) / NOISE["val_accuracy"],
            (latency - own_latency) / latency / NOISE["latency_ms"],
        )
        return -min(leads)

    return key


def outcome(study):
    """What stands after the confirmation, by baseline."""
    seen = Snapshot.of(study)
    confirmed = [(n, s.member) for n, s in seen.standing.items() if s.member.n]
    means = {number: [s.mean for s in member.spreads] for number, member in confirmed}
    sure = {number: losses([mean], seen.directions)[0] for number, mean in means.items()}
    beaten, by, lacks = {}, {}, {}
    for found in baseline_standings(seen):
        name, own = str(found.baseline.baseline), found.baseline.number
        better = [n for n in found.dominated_by if n in sure and dominates(sure[n], sure[own])]
        if better:
            beaten[name] = first_trial(study, min(better))
            best = min(better, key=lambda number: sure[number][0])
            architecture = study.trials[best].user_attrs[ARCHITECTURE]
            by[name] = {"network": architecture, "its means": means[best], "own": means[own]}
        else:
            lacks[name] = found.text()
            if found.dominated_by:
                lacks[name] += " in the search, but not in the means of fresh seeds"
    complete = [t for t in study.trials if t.state == TrialState.COMPLETE]
    return {
        "beaten": beaten,
        "by": by,
        "not beaten": lacks,
        "accuracies": [t.values[0] for t in complete if BASELINE not in t.user_attrs],
        "baselines": {
            t.user_attrs[BASELINE]: t.values for t in complete if BASELINE in t.user_attrs
        },
    }


def first_trial(study, number):
    """How many networks had been sampled when this one was."""
    return sum(BASELINE not in t.user_attrs for t in study.trials[: number + 1])


def table(runs):
    """A row a sampler: in how many seeds each baseline was beaten, after how many networks."""
    names = list(next(iter(runs.values()))["baselines"])
    lines = [f"{'sampler':26}" + "".join(f"{name:>21}" for name in names) + f"{'seconds':>10}"]
    for row in ROWS:
        of = [run for name, run in runs.items() if f"{row}, seed " in name]
        if not of:
            continue
        cells = []
        for name in names:
            after = [run["beaten"][name] for run in of if name in run["beaten"]]
            text = f"{len(after)} of {len(of)}"
            cells.append(text + (f", after {np.median(after):.0f}" if after else ""))
        seconds = mean(run["seconds"] for run in of)
        lines.append(f"{row:26}" + "".join(f"{c:>21}" for c in cells) + f"{seconds:10.0f}")
    for row, run in runs.items():
        for name, found in run.get("by", {}).items():
            own, its = (", ".join(f"{x:.6g}" for x in found[key]) for key in ("own", "its means"))
            lines.append(f"{row}, {name} ({own}): beaten by {found['network']} ({its})")
        lines += [f"{row}, {name}: {text}" for name, text in run["not beaten"].items()]
    return "\n".join(lines)


def main():
    parser = arguments(__doc__, seeds=3)
    parser.add_argument("--trials", type=int, default=60)
    parser.add_argument("--epochs", type=int, default=5)
    parser.add_argument("--mobile", action="store_true", help="search in MobileSpace.small")
    options = parser.parse_args()
    settings = {"trials": options.trials, "epochs": options.epochs, "mobile": options.mobile}
    done = saved("beat_baselines")
    of_these = {name: run for name, run in done.items() if settings.items() <= run.items()}
    space = "MobileSpace, " * options.mobile
    tasks = [
        (row, seed, *settings.values())
        for seed in range(options.seeds)
        for row in chosen(options, ROWS)
        if f"{space}{row}, seed {seed}" not in of_these
    ]
    for (row, seed, *_), run in run_all(work, tasks, options.jobs):
        done[f"{space}{row}, seed {seed}"] = of_these[f"{space}{row}, seed {seed}"] = settings | run
        save("beat_baselines", done)
        print(table(of_these), flush=True)
    if not tasks:
        print(table(of_these))


if __name__ == "__main__":
    main()
