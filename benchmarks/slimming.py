"""A trained CNN with 40 % fewer FLOPs: is a searched width of each layer better than one for all?

    pip install torch timm 'optnas[slim]'
    python benchmarks/slimming.py [--seeds 3] [--trials 24] [--networks ResNet-8]

Three networks for Fashion-MNIST are trained on 12,000 images, with one recipe: ResNet-8 with a stem
of stride 2 and MobileNetV2 0.5 with strides of 2 up to its fourth stage (both for speed), and a
RegNetY that timm makes from a configuration. Then each is made slimmer in two ways, with the same
importance (the sum of squared weights over a group):

- a search over `SlimSpace`, with the predictor, for val_loss and FLOPs. A trial trains a slim
  network for one epoch of some training images. The original and two uniform widths are its
  baselines. The network of the front with the least val_loss is taken, of those with at most 60 %
  of the original's FLOPs;
- torch-pruning's own pruner, with one ratio for all groups: the least with at most 60 %.

Both, cut out of the trained network, and the trained network itself get the same final training,
and are scored once on the 10,000 test images. `--long` gives the uniform one in addition as much
training as the search had.

Prints a table, and writes benchmarks/results/slimming.csv, a row for each network and seed. A later
call runs what is missing; `slimming.db` and the trained networks, in the working directory, let an
interrupted one resume. Needs Fashion-MNIST's IDX files (FASHION_MNIST names their folder).
"""

import argparse
import csv
import os
import time
import warnings
from bisect import bisect_left
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from statistics import mean, stdev
from typing import Any

import optuna
import torch
from beat_baselines import Residual
from optuna.trial import FixedTrial
from real_networks import package
from torch import nn

import optnas
from optnas.candidate import Candidate, copy_of
from optnas.devices.device import cpu_threads
from optnas.metrics import Flops
from optnas.pareto.snapshot import Snapshot

RESULTS = Path(__file__).parent / "results" / "slimming.csv"
FASHION_MNIST = os.environ.get("FASHION_MNIST", "/usr/share/datasets/fashion-mnist")
SHARE = 0.6
"""Of the original's FLOPs, which may be left."""
WIDTHS = (0.5, 0.625, 0.75, 0.875, 1.0)
BASELINES = (1.0, 0.75, 0.5)
TRAINING = optnas.Recipe(learning_rate=0.01, schedule="one_cycle")
FINE_TUNING = optnas.Recipe(learning_rate=0.003)
COLUMNS = ("original", "searched", "uniform", "uniform, long")


def resnet8() -> nn.Module:
    return nn.Sequential(
        nn.Conv2d(1, 16, 3, 2, 1, bias=False), nn.BatchNorm2d(16), nn.ReLU(),
        Residual(16, 16, 1), Residual(16, 32, 2), Residual(32, 64, 2),
        nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(64, 10),
    )  # fmt: skip


def mobilenet() -> nn.Module:
    space = optnas.MobileSpace.small((1, 28, 28), 10)
    strides = (2, 2, 2, 2, 2, 1, 1, 1)
    return space.build(optnas.MobileSpace.mobilenet_v2((1, 28, 28), width=0.5, strides=strides))


def regnet() -> nn.Module:
    regnets = package("timm").models.regnet
    config = regnets.RegNetCfg(
        depth=6, w0=16, wa=16.0, wm=2.0, group_size=4, se_ratio=0.25, stem_width=16
    )
    return regnets.RegNet(config, in_chans=1, num_classes=10)


NETWORKS: dict[str, Callable[[], nn.Module]] = {
    "ResNet-8": resnet8,
    "RegNetY of timm": regnet,
    "MobileNetV2 0.5": mobilenet,
}


def first(data: optnas.Dataset, train: int, val: int) -> optnas.Dataset:
    """The data with the first examples of its training and its validation part."""
    parts = {"train": train, "val": val}
    return replace(
        data, **{name: tuple(t[:n] for t in getattr(data, name)) for name, n in parts.items()}
    )


def trained(
    model: nn.Module, data: optnas.Dataset, epochs: int, recipe: optnas.Recipe, seed: int
) -> float:
    """Trains a model in place, and returns its accuracy on the test part."""
    evaluator = optnas.TrainingEvaluator(first(data, len(data.train[1]), 100), epochs, recipe)
    candidate = Candidate("", data.example_inputs, lambda: model, seed)
    evaluator.evaluate(candidate, evaluator.suggest(FixedTrial({})), optnas.Report())
    test = optnas.TrainingEvaluator(replace(data, val=data.test), epochs, recipe)
    return test.score_again(model, test.suggest(FixedTrial({})))["val_accuracy"]


def flops(model: nn.Module, data: optnas.Dataset) -> float:
    return Flops().measure(Candidate("", data.example_inputs, lambda: copy_of(model)))


def uniform(model: nn.Module, data: optnas.Dataset, most: float) -> nn.Module:
    """The network that torch-pruning leaves with one ratio, the least with at most these FLOPs."""
    few = bisect_left(range(100), True, key=lambda n: flops(pruned(model, data, n), data) <= most)
    return pruned(model, data, few)


def pruned(model: nn.Module, data: optnas.Dataset, percent: int) -> nn.Module:
    """A copy, of which torch-pruning's own pruner removed so much of each group's channels."""
    import torch_pruning

    slim = copy_of(model).requires_grad_().eval()
    head = [layer for layer in slim.modules() if isinstance(layer, nn.Linear)][-1]
    importance = torch_pruning.importance.GroupMagnitudeImportance(
        p=2, group_reduction="sum", normalizer=None
    )
    torch_pruning.pruner.BasePruner(
        slim, data.example_inputs, importance, pruning_ratio=percent / 100, ignored_layers=[head]
    ).step()
    return slim.train()


def searched(
    model: nn.Module, data: optnas.Dataset, name: str, seed: int, options: argparse.Namespace
) -> tuple[nn.Module, dict[str, Any]]:
    """The network that a search leaves, with its original weights, and facts of the search."""
    space = optnas.SlimSpace(model, data.example_inputs, widths=WIDTHS)
    search = optnas.Search(
        space=space,
        evaluator=optnas.TrainingEvaluator(
            first(data, options.images, 2_000), 1, FINE_TUNING, device="cpu"
        ),
        objectives=("val_loss", "flops"),
        baselines={f"{w:g} of each width": space.uniform(w) for w in BASELINES},
        trials=options.trials,
        seed=seed,
        weights=False,
        name=f"{name}-{seed}-{options.trials}x{options.images}".replace(" ", "-"),
        storage="sqlite:///slimming.db",
    )
    study = search.run(progress=False)
    seen = Snapshot.of(study)
    most = SHARE * flops(model, data)
    chosen = min((t for t in seen.front if t.values[1] <= most), key=lambda t: t.values[0])
    hand_made = {record.number for record in seen.baselines}
    return space.build(space.suggest(chosen)), {
        "front": len(seen.front),
        "chosen_is_baseline": chosen.number in hand_made,
        "search_epochs": round(len(seen.complete) * options.images / len(data.train[1]), 2),
        "search_seconds": round(sum(t.duration.total_seconds() for t in seen.complete)),
    }


def work(name: str, seed: int, options: argparse.Namespace) -> dict[str, Any]:
    """The row of one network and seed."""
    data = optnas.idx_images(FASHION_MNIST, train=options.train, val=5_000)
    torch.manual_seed(seed)
    model = NETWORKS[name]()
    started = time.perf_counter()
    file = Path(f"slimming-{name}-{seed}-{options.epochs}x{options.train}.pt".replace(" ", "-"))
    if file.exists():
        kept = torch.load(file)
        before = kept.pop("accuracy")
        model.load_state_dict(kept)
    else:
        before = trained(model, data, options.epochs, TRAINING, seed)
        torch.save(model.state_dict() | {"accuracy": before}, file)
    print(f"{name}, seed {seed}: {before:.4f}, {time.perf_counter() - started:.0f} s", flush=True)
    whole = flops(model, data)
    slim, facts = searched(model, data, name, seed, options)
    networks = {
        "original": (copy_of(model).requires_grad_(), options.tuning),
        "searched": (slim, options.tuning),
        "uniform": (uniform(model, data, SHARE * whole), options.tuning),
    }
    if options.long:
        more = options.tuning + round(facts["search_epochs"])
        networks["uniform, long"] = uniform(model, data, SHARE * whole), more
    row: dict[str, Any] = {"network": name, "seed": seed} | settings(options)
    row |= {"trained": round(before, 4), "flops": int(whole)} | facts
    for kind in COLUMNS:
        network, epochs = networks.get(kind, (None, 0))
        row[f"{kind}: flops"] = row[f"{kind}: accuracy"] = ""
        if network is not None:
            row[f"{kind}: flops"] = round(flops(network, data) / whole, 4)
            row[f"{kind}: accuracy"] = round(trained(network, data, epochs, FINE_TUNING, seed), 4)
    return row | {"seconds": round(time.perf_counter() - started)}


def settings(options: argparse.Namespace) -> dict[str, int]:
    """What a row must have in common with this call to be kept."""
    return {
        "train": options.train,
        "epochs": options.epochs,
        "tuning": options.tuning,
        "trials": options.trials,
        "images": options.images,
    }


def table(rows: list[dict[str, Any]]) -> str:
    """A line a network: mean and standard deviation over the seeds, in percent."""
    lines = [
        f"{'network':16} {'seeds':>5} {'original':>12} {'searched':>12} {'FLOPs':>6} "
        f"{'lost':>12} {'uniform':>12} {'FLOPs':>6} {'lost':>12} {'front':>12}"
    ]
    for name in NETWORKS:
        of = [row for row in rows if row["network"] == name]
        if not of:
            continue
        accuracy = {
            kind: [100 * float(row[f"{kind}: accuracy"]) for row in of] for kind in COLUMNS[:3]
        }
        cells = [f"{name:16} {len(of):5} {spread(accuracy['original'])}"]
        for kind in ("searched", "uniform"):
            lost = [a - b for a, b in zip(accuracy["original"], accuracy[kind], strict=True)]
            share = mean(float(row[f"{kind}: flops"]) for row in of)
            cells.append(f"{spread(accuracy[kind])} {share:6.1%} {spread(lost)}")
        cells.append(spread([float(row["front"]) for row in of]))
        lines.append(" ".join(cells))
    return "\n".join(lines)


def spread(values: list[float]) -> str:
    """Mean and standard deviation."""
    deviation = stdev(values) if len(values) > 1 else 0.0
    return f"{f'{mean(values):.2f} ± {deviation:.2f}':>12}"


def saved() -> list[dict[str, Any]]:
    if not RESULTS.exists():
        return []
    with RESULTS.open(newline="") as file:
        return list(csv.DictReader(file))


def write(rows: list[dict[str, Any]]) -> None:
    with RESULTS.open("w", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]), lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--networks", nargs="*", choices=list(NETWORKS), default=list(NETWORKS))
    parser.add_argument("--train", type=int, default=12_000, help="training images")
    parser.add_argument("--epochs", type=int, default=10, help="of the first training")
    parser.add_argument("--tuning", type=int, default=3, help="epochs of the final training")
    parser.add_argument("--trials", type=int, default=24)
    parser.add_argument("--images", type=int, default=6_000, help="training images of a trial")
    parser.add_argument("--long", action="store_true", help="also a longer uniform training")
    options = parser.parse_args()
    warnings.simplefilter("ignore")
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    wanted = {name: str(value) for name, value in settings(options).items()}
    rows = [row for row in saved() if wanted.items() <= row.items()]
    done = {(row["network"], row["seed"]) for row in rows}
    with cpu_threads(1):
        for seed in range(options.seeds):
            for name in options.networks:
                if (name, str(seed)) not in done:
                    found = work(name, seed, options)
                    rows.append({key: str(value) for key, value in found.items()})
                    write(rows)
                    print(table(rows), flush=True)
    print(table(rows))


if __name__ == "__main__":
    main()
