"""Files that hold a trained network: written, and loaded again to be run."""

from __future__ import annotations

import json
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import safetensors.torch
import torch
from torch import Tensor, nn
from torch.export import Dim, ExportedProgram

from optnas.errors import InputError
from optnas.export.signature import named_inputs, named_outputs
from optnas.export.usage import FACTS, Usage, onnx_usage, pt2_usage, safetensors_usage
from optnas.utils.inputs import Inputs, call, in_order, map_inputs
from optnas.utils.onnx_file import NEEDED, without_remarks, write_onnx

Run = Callable[[Inputs], dict[str, Tensor]]
"""Runs a network on a batch; all its outputs, by name and in order."""


class Format(ABC):
    """A kind of file that a trained network is taken home in.

    Attributes:
        name: As a person gives it; the file's suffix is the same.
        runs_with: What runs the file.
        packages: Those that matter to it, besides PyTorch.
    """

    name: str
    runs_with: str
    packages: tuple[str, ...] = ()

    @abstractmethod
    def write(
        self,
        model: nn.Module,
        inputs: Inputs,
        path: Path,
        facts: Mapping[str, str],
        batch_size: int | None,
    ) -> None:
        """Writes a network.

        Args:
            model: In evaluation mode, on the CPU.
            inputs: One batch element.
            path: The file.
            facts: What the file is to hold beside the network.
            batch_size: The only one that the network will take; None lets it take any.

        Raises:
            InputError: This network can't be written so, or packages are missing.
        """

    @abstractmethod
    def load(self, path: Path, fresh: Callable[[], nn.Module]) -> Run:
        """Loads a file that `write` has written.

        Args:
            path: The file.
            fresh: Makes the network with weights of no use, for files that hold weights alone.
        """

    @abstractmethod
    def usage(self, use: Usage) -> str:
        """Python code that loads the file and runs it."""


class ONNX(Format):
    """Open Neural Network Exchange: graph and weights in one file."""

    name = "onnx"
    runs_with = "ONNX Runtime"
    packages = ("onnx", "onnxruntime")

    def write(
        self,
        model: nn.Module,
        inputs: Inputs,
        path: Path,
        facts: Mapping[str, str],
        batch_size: int | None,
    ) -> None:
        """See `Format`; `optnas.export.signature` names inputs and outputs."""
        _onnxruntime()  # without which it can't be checked
        batch, shapes = _batch(inputs, batch_size)
        program = trace(model, inputs, batch_size)
        try:
            write_onnx(
                program,
                batch,
                path,
                names=list(named_inputs(inputs)),
                shapes=shapes,
                outputs=list(runner(model)(batch)),
                metadata=facts,
            )
        except InputError:
            raise
        except Exception as error:
            raise InputError(
                f"this network can't be written as ONNX ({_reason(error)}): --format pt2 or "
                "safetensors may take it"
            ) from error

    def load(self, path: Path, fresh: Callable[[], nn.Module]) -> Run:
        """In ONNX Runtime, on the CPU."""
        session = _onnxruntime().InferenceSession(
            path.read_bytes(), providers=["CPUExecutionProvider"]
        )
        outputs = [given.name for given in session.get_outputs()]

        def run(inputs: Inputs) -> dict[str, Tensor]:
            feed = {name: tensor.numpy() for name, tensor in named_inputs(inputs).items()}
            found = session.run(outputs, feed)
            return dict(zip(outputs, map(torch.from_numpy, found), strict=True))

        return run

    def usage(self, use: Usage) -> str:
        """For ONNX Runtime and NumPy."""
        return onnx_usage(use)


class PT2(Format):
    """A program of `torch.export`: PyTorch runs it without the code that made it."""

    name = "pt2"
    runs_with = "torch.export.load"

    def write(
        self,
        model: nn.Module,
        inputs: Inputs,
        path: Path,
        facts: Mapping[str, str],
        batch_size: int | None,
    ) -> None:
        """See `Format`; the facts are JSON in the archive's file `optnas.json`."""
        program = trace(model, inputs, batch_size)
        with without_remarks():
            torch.export.save(program, path, extra_files={FACTS: json.dumps(dict(facts))})

    def load(self, path: Path, fresh: Callable[[], nn.Module]) -> Run:
        """In PyTorch."""
        with without_remarks():
            module = torch.export.load(path).module()
        return runner(module)

    def usage(self, use: Usage) -> str:
        """For PyTorch alone."""
        return pt2_usage(use)


class Safetensors(Format):
    """Weights alone: whoever loads them needs the network's code."""

    name = "safetensors"
    runs_with = "the network's own code"
    packages = ("safetensors",)

    def write(
        self,
        model: nn.Module,
        inputs: Inputs,
        path: Path,
        facts: Mapping[str, str],
        batch_size: int | None,
    ) -> None:
        """See `Format`; the facts are the file's metadata. Nothing limits the batch size."""
        safetensors.torch.save_model(model, str(path), dict(facts))

    def load(self, path: Path, fresh: Callable[[], nn.Module]) -> Run:
        """Into a new network."""
        model = fresh()
        safetensors.torch.load_model(model, path)
        return runner(model.eval())

    def usage(self, use: Usage) -> str:
        """For PyTorch and the network's own code."""
        return safetensors_usage(use)


FORMATS: dict[str, Format] = {f.name: f for f in (ONNX(), PT2(), Safetensors())}


def runner(model: Callable[..., Any]) -> Run:
    """Runs a PyTorch model."""

    def run(inputs: Inputs) -> dict[str, Tensor]:
        with torch.no_grad():
            return named_outputs(call(model, inputs))

    return run


def trace(model: nn.Module, inputs: Inputs, batch_size: int | None) -> ExportedProgram:
    """The operations of a model, for one batch size or for any.

    Raises:
        InputError: PyTorch can't trace it.
    """
    batch, shapes = _batch(inputs, batch_size)
    named = dict(batch) if isinstance(batch, Mapping) else None
    try:
        with without_remarks():
            return torch.export.export(
                model,
                () if named else in_order(batch),
                named,
                dynamic_shapes=shapes,
                strict=False,
            )
    except Exception as error:
        what, do = (
            ("for batches of any size", "--batch-size 1 fixes it")
            if batch_size is None
            else (f"for batches of {batch_size}", "--format safetensors takes its weights alone")
        )
        raise InputError(
            f"this network's code can't be traced {what} ({_reason(error)}): {do}"
        ) from error


def _batch(inputs: Inputs, batch_size: int | None) -> tuple[Inputs, Any]:
    """A batch to trace with, and which of its dimensions may change."""
    # Of 2 for any size: PyTorch takes a dimension of 1 for one that never changes.
    batch = map_inputs(lambda t: t.repeat_interleave(batch_size or 2, dim=0), inputs)
    if batch_size is not None:
        return batch, None
    any_size = {0: Dim("batch", min=1)}
    if isinstance(inputs, Mapping):
        return batch, dict.fromkeys(inputs, any_size)
    return batch, tuple(any_size for _ in in_order(inputs))


def _onnxruntime() -> Any:
    try:
        import onnxruntime
    except ModuleNotFoundError as error:
        raise InputError(f"writing ONNX {NEEDED}") from error
    return onnxruntime


def _reason(error: Exception) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return f"{type(error).__name__}: {lines[0]}" if lines else type(error).__name__
