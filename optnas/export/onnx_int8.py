"""ONNX files with 8-bit weights and activations."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

from torch import nn

from optnas.errors import InputError
from optnas.evaluators import Evaluator, Quantized
from optnas.evaluators.abilities import data_of, training_of
from optnas.evaluators.int8_scores import calibration_of
from optnas.export.base import Format
from optnas.export.onnx import ONNX
from optnas.export.usage import Usage
from optnas.utils.inputs import Inputs
from optnas.utils.int8 import EXAMPLES, METHOD, Calibration, write_int8
from optnas.utils.network import Network, Run
from optnas.utils.network_file import load_network


class ONNXInt8(Format):
    """An ONNX file with 8-bit weights and activations (see `optnas.utils.int8`).

    Args:
        calibration: The examples that show the ranges of the activations; without them nothing can
            be written.
    """

    name = "onnx-int8"
    suffix = "int8.onnx"
    runs_with = "ONNX Runtime"
    packages = ("onnx", "onnxruntime")
    rounds = True

    def __init__(self, calibration: Calibration | None = None) -> None:
        self._calibration = calibration

    @property
    def calibration(self) -> Calibration:
        """The examples that show the ranges of the activations."""
        assert self._calibration is not None
        return self._calibration

    def calibrated(self, evaluator: Evaluator, inputs: Inputs) -> ONNXInt8:
        """This format with training examples of a study.

        Args:
            evaluator: That of the study.
            inputs: One batch element.

        Raises:
            InputError: The evaluator knows no data, or its examples aren't what networks take.
        """
        training = training_of(evaluator)
        data = data_of(training)
        if data is None:
            raise InputError(
                f"int8 needs examples of the training part to calibrate with, and a "
                f"{type(evaluator).__name__} doesn't tell optnas its data: let the study's "
                "evaluator be a TrainingEvaluator, or derive yours from "
                'optnas.evaluators.KnowsData; or export with `format="onnx"`, and quantise that '
                "file with onnxruntime.quantization and examples of your own"
            )
        number = training.examples if isinstance(training, Quantized) else EXAMPLES
        return ONNXInt8(calibration_of(data, inputs, number))

    def write(self, network: Network, path: Path, facts: Mapping[str, str]) -> None:
        """See `Format`; the fact `calibration` says how the ranges were found."""
        words = f"{self.calibration.words}, {METHOD}"
        write_int8(network, self.calibration, path, {**facts, "calibration": words})

    def load(self, path: Path, fresh: Callable[[], nn.Module]) -> Run:
        """Loads the file in ONNX Runtime, on the CPU."""
        return load_network(path)

    def usage(self, use: Usage) -> str:
        """That of a float ONNX file: inputs and outputs are float32, too."""
        return ONNX().usage(use)
