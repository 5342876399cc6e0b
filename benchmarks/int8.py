"""What do 8-bit integers cost and save? Five networks for Fashion-MNIST, in both forms.

    python benchmarks/int8.py                    # about 10 minutes on one core
    python benchmarks/int8.py --epochs 5 --train 50000

Each network is trained once and quantised as `optnas export --format onnx-int8` does it. Accuracies
are those of all 5,000 validation images; ONNX Runtime runs the file with integers. Sizes are those
of the files. Latencies are of one image and one thread in ONNX Runtime: in each of 15 rounds both
files are timed one after the other, 50 passes each. Given are the medians, the median of the
rounds' ratios, and the range of the middle half of them.
"""

import argparse
import csv
import os
import time
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import optuna
import torch
from optuna.samplers import RandomSampler
from torch import nn

import optnas
from optnas.candidate import Candidate
from optnas.devices.device import cpu_threads, device_name
from optnas.evaluators.int8_scores import calibration_of, network_of
from optnas.metrics.runtimes import onnxruntime_pass
from optnas.utils.file_network import FileNetwork
from optnas.utils.inputs import in_order
from optnas.utils.int8 import write_int8
from optnas.utils.network_file import load_network, write_network
from optnas.utils.versions import version_of

ROOT = Path(__file__).parents[1]
RESULTS = Path(__file__).parent / "results"
FASHION_MNIST = os.environ.get("FASHION_MNIST", "/usr/share/datasets/fashion-mnist")
ROUNDS, PASSES = 15, 50


def vgg(*widths: int) -> nn.Module:
    """Two convolutions of each width, halved after each pair."""
    layers: list[nn.Module] = []
    before = 1
    for width in widths:
        for channels in (before, width):
            layers += [nn.Conv2d(channels, width, 3, padding=1, bias=False)]
            layers += [nn.BatchNorm2d(width), nn.ReLU()]
        layers.append(nn.MaxPool2d(2))
        before = width
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(before, 10))


def drawn(space: optnas.SearchSpace, seed: int) -> nn.Module:
    """A random network of a space."""
    trial = optuna.create_study(sampler=RandomSampler(seed=seed)).ask()
    return space.build(space.suggest(trial))


def networks() -> dict:
    studies = ROOT / "studies"
    mobile = optnas.load_search(studies / "fashion_mnist_mobile.py").space
    vit = optnas.ViTSpace(
        (1, 28, 28), 10, patch_sizes=(7,), embeddings=(96,), depth=(3, 3), head_width=32
    )
    return dict(optnas.load_search(studies / "fashion_mnist_cnn.py").baselines) | {
        "VGG 32-64-128": lambda: vgg(32, 64, 128),
        "drawn of fashion_mnist_mobile.py": lambda: drawn(mobile, 0),
        "ViT, patches of 7, width 96": lambda: drawn(vit, 0),
    }


def ratios(model: nn.Module, inputs: torch.Tensor) -> np.ndarray:
    """Medians of both files' passes in milliseconds, of shape (ROUNDS, 2)."""
    cpu = torch.device("cpu")
    passes = [onnxruntime_pass(model, inputs, cpu, 1, int8=int8) for int8 in (False, True)]
    for one in passes:
        for _ in range(PASSES):
            one()
    return np.array(
        [[np.median([one() for _ in range(PASSES)]) for one in passes] for _ in range(ROUNDS)]
    )


def row(name: str, make, data: optnas.Dataset, epochs: int) -> dict:
    candidate = Candidate(name, data.example_inputs, make, 0)
    evaluator = optnas.Quantized(optnas.TrainingEvaluator(data, epochs, device="cpu"))
    started = time.perf_counter()
    with torch.random.fork_rng():
        recipe = evaluator.suggest(optuna.trial.FixedTrial({}))
        scores = evaluator.evaluate(candidate, recipe, optnas.Report())
    seconds = time.perf_counter() - started
    network = network_of(candidate.model, data.example_inputs)
    calibration = calibration_of(data, data.example_inputs, evaluator.examples)
    with TemporaryDirectory() as folder:
        plain, small = Path(folder) / "float.onnx", Path(folder) / "int8.onnx"
        write_network(network, plain, {})
        write_int8(network, calibration, small, {})
        sizes = [path.stat().st_size for path in (plain, small)]
        images = in_order(data.val[0])[0].split(500)
        file = FileNetwork(load_network(small, threads=1), network)
        with torch.no_grad():
            same = [(file(x).argmax(1) == network.model(x).argmax(1)).float() for x in images]
    times = ratios(network.model, data.example_inputs)
    low, middle, high = np.quantile(times[:, 1] / times[:, 0], [0.25, 0.5, 0.75])
    return {
        "network": name,
        "params": sum(p.numel() for p in candidate.model.parameters()),
        "accuracy": round(scores["val_accuracy"], 4),
        "accuracy_int8": round(scores["val_accuracy.int8"], 4),
        "loss": round(scores["val_loss"], 4),
        "loss_int8": round(scores["val_loss.int8"], 4),
        "same_class": round(float(torch.cat(same).mean()), 4),
        "file_bytes": sizes[0],
        "file_bytes_int8": sizes[1],
        "size_ratio": round(sizes[1] / sizes[0], 3),
        "latency_ms": round(float(np.median(times[:, 0])), 4),
        "latency_ms_int8": round(float(np.median(times[:, 1])), 4),
        "latency_ratio": round(float(middle), 2),
        "latency_ratio_low": round(float(low), 2),
        "latency_ratio_high": round(float(high), 2),
        "train_seconds": round(seconds, 1),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--train", type=int, default=10_000, help="training images")
    parser.add_argument("--epochs", type=int, default=2)
    parser.add_argument("--output", type=Path, default=RESULTS / "int8.csv")
    args = parser.parse_args()
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    data = optnas.idx_images(FASHION_MNIST, train=args.train, val=5_000)
    found = {"images": args.train, "epochs": args.epochs, "cpu": device_name(torch.device("cpu"))}
    found |= {name: version_of(name) for name in ("torch", "onnxruntime")}
    rows = []
    with cpu_threads(1):
        for name, make in networks().items():
            rows.append(row(name, make, data, args.epochs) | found)
            print(rows[-1], flush=True)
    with args.output.open("w", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)


if __name__ == "__main__":
    main()
