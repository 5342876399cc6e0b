"""Trains networks, and scores them in float32 and with 8-bit integers."""

from __future__ import annotations

from collections.abc import Mapping
from copy import copy
from typing import Any

from optuna.trial import BaseTrial
from torch import nn

from optnas.candidate import Candidate
from optnas.datasets.dataset import Dataset, Loaders
from optnas.evaluators.abilities import (
    Configurable,
    KnowsChance,
    KnowsData,
    Rescoring,
    Retrainable,
)
from optnas.evaluators.base import Evaluator
from optnas.evaluators.epoch_report import Report
from optnas.evaluators.int8_scores import (
    calibration_of,
    int8_fingerprint,
    int8_network,
    int8_scores,
    network_of,
    with_int8,
)
from optnas.evaluators.recipe import Recipe
from optnas.evaluators.retraining import RetrainingEvaluator
from optnas.evaluators.training import TrainingEvaluator
from optnas.study.objectives import Direction
from optnas.utils.checks import check_counts
from optnas.utils.inputs import call
from optnas.utils.int8 import EXAMPLES, Calibration, int8_version
from optnas.utils.random_state import preserved, seeded


class Quantized(Evaluator, KnowsData, Retrainable, Configurable, KnowsChance, Rescoring):
    """Trains as the given evaluator does, and scores each network with 8-bit integers, too.

    After its training a network is quantised as `optnas export --format onnx-int8` does it:
    post-training static quantisation by ONNX Runtime, with 8-bit weights (a scale for each output
    channel) and 8-bit activations, whose ranges come from training examples. ONNX Runtime then runs
    that file on the whole validation part. Each score of the training has a second one, whose name
    ends in `.int8`: `val_loss.int8`, `val_accuracy.int8`. They are those of the exported file.

    The training itself knows nothing of the integers (it isn't quantisation-aware). Each trial
    takes a few seconds longer, most of them for the export. Needs the extra `onnx`.

    Example:
        ```python
        import optnas

        data = optnas.digits()
        search = optnas.Search(
            space=optnas.MacroCNNSpace(data.input_shape, data.outputs),
            evaluator=optnas.Quantized(optnas.TrainingEvaluator(data, epochs=5)),
            objectives=("val_accuracy.int8", "model_size_mb.int8", "latency_ms.int8"),
        )
        ```

    Args:
        training: Trains a network and scores it in float32.
        examples: Training examples that the quantisation is calibrated with.

    Attributes:
        examples: As given.

    Raises:
        TypeError: `training` is no TrainingEvaluator.
        InputError: The extra `onnx` isn't installed, or `examples` is below 1.
    """

    def __init__(self, training: TrainingEvaluator, *, examples: int = EXAMPLES) -> None:
        if not isinstance(training, TrainingEvaluator):
            raise TypeError(
                f"training must be a TrainingEvaluator, got {training!r}: 8-bit networks are "
                "calibrated and scored with its data"
            )
        check_counts(examples=examples)
        int8_version()
        self._training = training
        self.examples = examples
        self.device = training.device
        self._looked = False
        self._calibration: Calibration | None = None

    def __repr__(self) -> str:
        return f"Quantized({self._training!r}, examples={self.examples})"

    @property
    def training(self) -> TrainingEvaluator:
        """Trains a network and scores it in float32."""
        return self._training

    @property
    def provides(self) -> Mapping[str, Direction]:
        """The training's scores, and a second one with `.int8` for each."""
        return with_int8(self._training.provides)

    @property
    def data(self) -> Dataset | Loaders:
        """That of the training."""
        return self._training.data

    @property
    def fingerprint(self) -> dict[str, Any]:
        """The training's, the calibration's settings, and ONNX Runtime's version."""
        return self._training.fingerprint | int8_fingerprint(self.examples)

    @property
    def chance(self) -> Mapping[str, float]:
        """That of the training, also for 8-bit scores."""
        return with_int8(self._training.chance)

    def configured(self, *, device: str | None = None, epochs: int | None = None) -> Quantized:
        """A copy with another device or number of epochs."""
        evaluator = copy(self)
        evaluator._training = self._training.configured(device=device, epochs=epochs)
        evaluator.device = evaluator._training.device
        return evaluator

    def suggest(self, trial: BaseTrial) -> Recipe:
        """The recipe of the training."""
        return self._training.suggest(trial)

    def evaluate(self, candidate: Candidate, recipe: Recipe, report: Report) -> dict[str, float]:
        """Trains `candidate.model` in place, and scores it in float32 and with 8-bit integers.

        Raises:
            CandidateError: A loss became NaN or infinite.
            NetworkError: The network can't be written or quantised; its trial fails. Until one
                could be, networks are tried before their training.
            InputError: The model's output doesn't fit the data.
        """
        inputs = candidate.example_inputs
        calibration = self._calibrated(candidate)
        if not self._looked:
            with preserved(), int8_network(network_of(candidate.model, inputs), calibration) as net:
                call(net, inputs)
            self._looked = True
        scores = self._training.evaluate(candidate, recipe, report)
        report.give_way()
        with seeded(candidate.seed + recipe.seed):
            found = int8_scores(self._training, candidate.model, recipe, inputs, calibration)
        return {**scores, **found}

    def _calibrated(self, candidate: Candidate) -> Calibration:
        if self._calibration is None:
            inputs = candidate.example_inputs
            self._calibration = calibration_of(self.data, inputs, self.examples)
        return self._calibration

    def retraining(self, epochs: int | None = None) -> QuantizedRetraining:
        """The evaluator that trains on all but the test part, and scores there in both forms.

        Raises:
            InputError: The data has no test part, or `epochs` is below 1.
        """
        return QuantizedRetraining(self._training.retraining(epochs), self.data, self.examples)

    def score_again(self, model: nn.Module, recipe: Recipe) -> dict[str, float]:
        """The scores of a trained model on the validation part, in float32."""
        return self._training.score_again(model, recipe)


class QuantizedRetraining(Evaluator, Rescoring):
    """The final training of a network, with its scores on the test part in both forms.

    Args:
        retraining: Trains it.
        data: Its data; the training part calibrates.
        examples: Training examples that the quantisation is calibrated with.
    """

    def __init__(
        self, retraining: RetrainingEvaluator, data: Dataset | Loaders, examples: int
    ) -> None:
        self._retraining = retraining
        self._data = data
        self._examples = examples
        self.device = retraining.device

    @property
    def provides(self) -> Mapping[str, Direction]:
        """The retraining's scores, and a second one with `.int8` for each."""
        return with_int8(self._retraining.provides)

    @property
    def fingerprint(self) -> dict[str, Any]:
        """The retraining's, the calibration's settings, and ONNX Runtime's version."""
        return self._retraining.fingerprint | int8_fingerprint(self._examples)

    def suggest(self, trial: BaseTrial) -> Recipe:
        """The recipe of the retraining."""
        return self._retraining.suggest(trial)

    def evaluate(self, candidate: Candidate, recipe: Recipe, report: Report) -> dict[str, float]:
        """Trains `candidate.model` in place, and scores it in float32 and with 8-bit integers.

        Raises:
            CandidateError: A loss became NaN or infinite.
        """
        inputs = candidate.example_inputs
        calibration = calibration_of(self._data, inputs, self._examples)
        scores = self._retraining.evaluate(candidate, recipe, report)
        with seeded(candidate.seed + recipe.seed):
            found = int8_scores(self._retraining, candidate.model, recipe, inputs, calibration)
        return {**scores, **found}

    def score_again(self, model: nn.Module, recipe: Recipe) -> dict[str, float]:
        """The scores of a trained model on the test part, in float32."""
        return self._retraining.score_again(model, recipe)
