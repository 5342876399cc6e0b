"""The size of a network's file with 8-bit integers, and examples that stand in for data there."""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, ClassVar

import torch
from torch import Tensor

from optnas.candidate import Candidate
from optnas.metrics.base import Metric
from optnas.utils.inputs import Inputs, call, copied, is_one_example, map_inputs, shapes_noted
from optnas.utils.int8 import Calibration, int8_version, write_int8
from optnas.utils.network import Network


class Int8Size(Metric):
    """Size of the file with 8-bit weights and activations (`onnx-int8`), in 10⁶ bytes.

    It is the size of the whole file: integers, their scales, the graph, and what stays in float32.
    Neither weights nor calibration change it, so an untrained network is quantised with noise. The
    facts about the study that `optnas export` adds, about a kilobyte, aren't in it.

    The value is the same each time, but takes as long as an export, so samplers don't compute it of
    the architectures that they only consider: `exact` is False.
    """

    name = "model_size_mb.int8"
    exact = False
    effort: ClassVar[int] = 2
    least: ClassVar[float] = 0.0

    @property
    def fingerprint(self) -> dict[str, Any]:
        """The versions of ONNX Runtime and PyTorch, whose files may differ."""
        return {"onnxruntime": int8_version(), "torch": torch.__version__}

    def measure(self, candidate: Candidate) -> float:
        """Writes the file, and looks at its size.

        Raises:
            NetworkError: The network can't be written or quantised.
            InputError: Packages are missing.
        """
        model, inputs = candidate.to_measure(), candidate.example_inputs
        with torch.no_grad(), shapes_noted(inputs):
            call(model, copied(inputs))
            # Initial weights may be zeros, which the exporter leaves out, or equal ones, of which
            # it keeps one. Trained ones are neither.
            generator = torch.Generator().manual_seed(0)
            for weights in model.parameters():
                weights.add_(torch.rand(weights.shape, generator=generator), alpha=0.01)
        size = None if is_one_example(inputs) else 1
        with TemporaryDirectory(prefix="optnas.int8.") as folder:
            path = Path(folder) / "model.onnx"
            write_int8(Network(model, copied(inputs), size), noise_like(inputs), path, {})
            return path.stat().st_size / 1e6


def noise_like(inputs: Inputs) -> Calibration:
    """Examples where there are no data: noise in place of numbers, integers as they are.

    Args:
        inputs: One batch.
    """
    generator = torch.Generator().manual_seed(0)

    def drawn(tensor: Tensor) -> Tensor:
        if not tensor.is_floating_point():
            return tensor.contiguous()
        return torch.randn(tensor.shape, generator=generator).to(tensor.dtype)

    return Calibration(map_inputs(drawn, inputs), "noise")
