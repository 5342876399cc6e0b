"""What a file with 8-bit integers scores, example by example next to the network it was made of."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from optuna.trial import FrozenTrial
from torch import Tensor, nn

from optnas.candidate import copy_of
from optnas.evaluators import Evaluator
from optnas.evaluators.abilities import Rescoring, data_of, retraining_of, training_of
from optnas.evaluators.int8_scores import SUFFIX
from optnas.export.trained import Weights
from optnas.finished.scored_again import score_with, scorer_of
from optnas.objective.objective import Objective
from optnas.utils.file_network import FileNetwork
from optnas.utils.int8 import METHOD, Int8Weights, count_weights
from optnas.utils.markdown import code, plain, table
from optnas.utils.network import Network
from optnas.utils.network_file import load_network
from optnas.utils.text import number


@dataclass(frozen=True)
class PartScores:
    """The scores on one part of the data.

    Attributes:
        part: `validation` or `test`.
        examples: Number of its examples; all are run.
        network: The scores of the network in PyTorch, by name.
        file: Those of the file, computed by ONNX Runtime; the names end in `.int8`.
        mean: The mean of the outputs' absolute differences; NaN where outputs are no numbers.
        most: The largest one.
        same: The share of examples (for pixels or tokens, of those) whose predicted class is the
            same; None where there are no classes.
    """

    part: str
    examples: int
    network: Mapping[str, float]
    file: Mapping[str, float]
    mean: float
    most: float
    same: float | None


@dataclass(frozen=True)
class Int8Report:
    """What is known of a file with 8-bit integers.

    Attributes:
        calibration: The examples that it was calibrated with, in words.
        weights: How many of its numbers are integers.
        parts: Its scores on the validation part and, for retrained weights, on the test part.
        trained_on: Whether the weights were trained on the validation part, too.
    """

    calibration: str
    weights: Int8Weights
    parts: tuple[PartScores, ...]
    trained_on: bool

    def markdown(self) -> list[str]:
        """Paragraphs for a model card."""
        found = [
            "Post-training static quantisation by ONNX Runtime: weights are 8-bit integers from "
            "-64 to 64 with a scale for each output channel, activations between them 8-bit "
            f"integers with a scale for each tensor. {self.weights} (scales not counted); biases "
            "are 32-bit integers. Sums, products, normalisation and recurrent layers compute in "
            "float32. Inputs and outputs are float32.",
            plain(f"Calibrated with {self.calibration}: {METHOD}."),
        ]
        for part in self.parts:
            found += self._about(part)
        return found

    def _about(self, part: PartScores) -> list[str]:
        rows = [
            (code(name), number(part.network[name]), number(part.file[f"{name}{SUFFIX}"]))
            for name in part.network
        ]
        outputs = f"Outputs differ by {part.mean:.2g} on average and by {part.most:.2g} at most"
        if part.same is not None:
            outputs += f"; the predicted class is the same for {100 * part.same:.4g} %"
        trained = self.trained_on and part.part == "validation"
        return [
            f"On all {part.examples:,} examples of the {part.part} part"
            + (", which these weights were trained on, too:" * trained or ":"),
            table([("", "the network in PyTorch", "this file in ONNX Runtime"), *rows]),
            f"{outputs}.",
        ]


def int8_report(
    path: Path,
    network: Network,
    calibration: str,
    objective: Objective,
    trial: FrozenTrial,
    weights: Weights,
) -> Int8Report:
    """Runs a file on the whole validation part and, for retrained weights, on the test part.

    Args:
        path: The file.
        network: What was written.
        calibration: What it was calibrated with, in words.
        objective: The search's objective, whose evaluator knows its data.
        trial: The trial.
        weights: Where the weights come from.
    """
    evaluator = training_of(objective.evaluator)
    data = data_of(evaluator)
    scorers = {"validation": scorer_of(evaluator, objective.device)}
    if weights.run is not None:
        scorers["test"] = retraining_of(evaluator)
    parts = tuple(
        _scores(part, path, network, scorer, trial, "" if data is None else data.task)
        for part, scorer in scorers.items()
        if scorer is not None and isinstance(scorer, Rescoring)
    )
    return Int8Report(calibration, count_weights(path), parts, weights.run is not None)


def _scores(
    part: str, path: Path, network: Network, scorer: Evaluator, trial: FrozenTrial, task: str
) -> PartScores:
    # With as many threads as `Quantized` has, so that the scores are equal to the last digit.
    run = load_network(path, threads=torch.get_num_threads())
    compared = _Compared(network.model, FileNetwork(run, network), task)
    file = score_with(scorer, compared, trial)
    return PartScores(
        part,
        compared.examples,
        dict(score_with(scorer, copy_of(network.model), trial)),
        {f"{name}{SUFFIX}": score for name, score in file.items()},
        compared.total / compared.outputs if compared.outputs else float("nan"),
        compared.most,
        compared.same / compared.predicted if compared.predicted else None,
    )


class _Compared(nn.Module):
    """A file in the place of its network, which runs next to it and is compared with it.

    Args:
        network: The network, on the CPU.
        file: Its file.
        task: That of the data.
    """

    def __init__(self, network: nn.Module, file: FileNetwork, task: str) -> None:
        super().__init__()
        self._network = [network]  # in a list, so that it isn't moved, and stays as it is
        self._file = file
        self._task = task
        self.examples = self.outputs = self.same = self.predicted = 0
        self.total = self.most = 0.0

    def forward(self, *args: Tensor, **kwargs: Tensor) -> Any:
        """The file's outputs."""
        found = self._file(*args, **kwargs)
        with torch.no_grad():
            wanted = self._network[0](
                *(tensor.cpu() for tensor in args), **{k: v.cpu() for k, v in kwargs.items()}
            )
        self.examples += len(next(iter((*args, *kwargs.values()))))
        self._compare(wanted, found)
        return found

    def _compare(self, wanted: Any, found: Any) -> None:
        if isinstance(wanted, dict):
            wanted, found = tuple(wanted.values()), tuple(found.values())
        if not isinstance(wanted, Tensor):
            for one, other in zip(wanted, found, strict=True):
                self._compare(one, other)
            return
        found = found.cpu()
        if wanted.is_floating_point():
            differences = (wanted.double() - found.double()).abs().nan_to_num(0.0)
            self.outputs += differences.numel()
            self.total += float(differences.sum())
            self.most = max(self.most, float(differences.max()) if differences.numel() else 0.0)
        if self._task in ("classification", "segmentation", "language") and wanted.ndim > 1:
            classes = -1 if self._task == "language" else 1
            same = wanted.argmax(classes) == found.argmax(classes)
            self.same += int(same.sum())
            self.predicted += same.numel()
