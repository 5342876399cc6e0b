"""Trained architectures per minute: TrainingEvaluator against a plain DataLoader loop.

    python benchmarks/training_throughput.py [--repeats 5] [--epochs 10] [--device cuda]

The plain loop is the one of Optuna's PyTorch example: a shuffling DataLoader over a
TensorDataset, the optimizer as PyTorch makes it, and a validation loop that counts correct
predictions with `.item()`; a cosine schedule and the validation loss are added, so that both train
alike. Same networks, data (scikit-learn's digits), batch size, epochs, seeds and validation
scores. The two take turns, one CPU thread; on a GPU the plain loop moves each batch there. Prints a
table and writes benchmarks/results/training_throughput.json (or training_throughput_cuda.json).
"""

import argparse
import json
import statistics
import time
from pathlib import Path

import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

import optnas
from optnas.candidate import Candidate
from optnas.devices.device import device_name
from optnas.metrics.counting import count_macs
from optnas.utils.random_state import seeded

BATCH_SIZE, LEARNING_RATE = 64, 0.003
WIDTHS = {"tiny": (4, 8), "small": (8, 12), "medium": (24, 48), "large": (64, 160)}


def network(widths):
    first, second = widths
    return nn.Sequential(
        nn.Conv2d(1, first, 3, padding=1, bias=False),
        nn.BatchNorm2d(first),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Conv2d(first, second, 3, padding=1, bias=False),
        nn.BatchNorm2d(second),
        nn.ReLU(),
        nn.Conv2d(second, second, 3, padding=1, bias=False),
        nn.BatchNorm2d(second),
        nn.ReLU(),
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
        nn.Linear(second, 10),
    )


def plain(data, model, epochs, seed, device):
    """The loop that most people write."""
    with seeded(seed):
        train = DataLoader(TensorDataset(*data.train), batch_size=BATCH_SIZE, shuffle=True)
        val = DataLoader(TensorDataset(*data.val), batch_size=BATCH_SIZE)
        model.to(device)
        optimizer = torch.optim.AdamW(model.parameters(), LEARNING_RATE)
        schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, epochs * len(train))
        criterion = nn.CrossEntropyLoss()
        for _ in range(epochs):
            model.train()
            for x, y in train:
                x, y = x.to(device), y.to(device)
                optimizer.zero_grad()
                loss = criterion(model(x), y)
                loss.backward()
                optimizer.step()
                schedule.step()
            model.eval()
            correct, total = 0, 0.0
            with torch.no_grad():
                for x, y in val:
                    x, y = x.to(device), y.to(device)
                    outputs = model(x)
                    total += criterion(outputs, y).item() * len(y)
                    correct += (outputs.argmax(1) == y).sum().item()
        return {"val_loss": total / len(data.val[1]), "val_accuracy": correct / len(data.val[1])}


def ours(evaluator, model, seed):
    candidate = Candidate("", torch.zeros(1, 1, 8, 8), lambda: model, seed)
    return evaluator.evaluate(candidate, evaluator.suggest(None), optnas.Report())


def measure(name, widths, data, evaluator, epochs, repeats, device):
    times = {"plain": [], "ours": []}
    losses = {"plain": [], "ours": []}
    for seed in range(repeats + 1):
        for which in ("plain", "ours") if seed % 2 else ("ours", "plain"):
            with seeded(seed):
                model = network(widths)
            start = time.perf_counter()
            if which == "plain":
                scores = plain(data, model, epochs, seed, device)
            else:
                scores = ours(evaluator, model, seed)
            if seed:  # the first turn warms up
                times[which].append(time.perf_counter() - start)
                losses[which].append(scores["val_loss"])
    ratios = [p / o for p, o in zip(times["plain"], times["ours"], strict=True)]
    return {
        "network": name,
        "mflops": 2 * count_macs(network(widths), torch.zeros(1, 1, 8, 8)) / 1e6,
        "plain_per_minute": 60 / statistics.median(times["plain"]),
        "ours_per_minute": 60 / statistics.median(times["ours"]),
        "ratio": statistics.median(ratios),
        "ratio_min": min(ratios),
        "ratio_max": max(ratios),
        "plain_val_loss": statistics.mean(losses["plain"]),
        "plain_val_loss_sd": statistics.stdev(losses["plain"]),
        "ours_val_loss": statistics.mean(losses["ours"]),
        "ours_val_loss_sd": statistics.stdev(losses["ours"]),
    }


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--repeats", type=int, default=9, help="seeds; each trains both ways")
    parser.add_argument("--epochs", type=int, default=10)
    parser.add_argument("--device", default="cpu", choices=("cpu", "cuda"))
    args = parser.parse_args()
    torch.set_num_threads(1)
    data, device = optnas.digits(), torch.device(args.device)
    recipe = optnas.Recipe(learning_rate=LEARNING_RATE, batch_size=BATCH_SIZE)
    evaluator = optnas.TrainingEvaluator(data, args.epochs, recipe, device=args.device)
    rows = []
    print(
        "network  MFLOPs/image  per minute: plain   ours   ratio (min–max)   val_loss: plain  ours"
    )
    for name, widths in WIDTHS.items():
        row = measure(name, widths, data, evaluator, args.epochs, args.repeats, device)
        rows.append(row)
        ratios = f"{row['ratio']:.2f} ({row['ratio_min']:.2f}–{row['ratio_max']:.2f})"
        losses = [
            f"{row[f'{which}_val_loss']:.4f} ± {row[f'{which}_val_loss_sd']:.4f}"
            for which in ("plain", "ours")
        ]
        print(
            f"{name:8} {row['mflops']:12.3f} {row['plain_per_minute']:18.1f}"
            f" {row['ours_per_minute']:6.1f}   {ratios}   {'  '.join(losses)}",
            flush=True,
        )
    result = {
        "torch": torch.__version__,
        "device": device_name(device),
        "epochs": args.epochs,
        "repeats": args.repeats,
        "rows": rows,
    }
    name = "training_throughput" + ("" if args.device == "cpu" else "_cuda")
    path = Path(__file__).parent / "results" / f"{name}.json"
    path.parent.mkdir(exist_ok=True)
    path.write_text(json.dumps(result, indent=1) + "\n")


if __name__ == "__main__":
    main()
