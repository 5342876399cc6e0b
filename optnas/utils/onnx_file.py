"""Writes a network as an ONNX file."""

from __future__ import annotations

import io
import logging
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, redirect_stderr
from pathlib import Path
from typing import Any

import torch
from torch import nn
from torch.export import ExportedProgram

from optnas.errors import InputError
from optnas.utils.inputs import Inputs, in_order

NEEDED = "needs the extra onnx: pip install 'optnas[onnx]'"


def import_onnxruntime(needed_by: str) -> Any:
    """The package onnxruntime.

    Args:
        needed_by: What needs the package; the error begins with it.

    Raises:
        InputError: It isn't installed.
    """
    try:
        import onnxruntime
    except ModuleNotFoundError as error:
        raise InputError(f"{needed_by} {NEEDED}") from error
    return onnxruntime


def write_onnx(
    model: nn.Module | ExportedProgram,
    inputs: Inputs,
    path: Path,
    *,
    names: Sequence[str] = (),
    shapes: Any = None,
    outputs: Sequence[str] = (),
    metadata: Mapping[str, str] | None = None,
) -> list[str]:
    """Exports a model with its weights, for inputs of these shapes.

    Args:
        model: In evaluation mode and on the CPU, or traced already.
        inputs: One batch of example inputs.
        path: The file to write.
        names: Names of the inputs; by default those of the arguments.
        shapes: The dimensions that may vary (`dynamic_shapes` of `torch.export.export`).
        outputs: Names of the outputs; by default those of the last operations.
        metadata: Text by key that the file holds in addition to the network.

    Returns:
        The names of the inputs in the file, in the order of `inputs`.

    Raises:
        InputError: The packages onnx and onnxscript aren't installed.
    """
    try:
        import onnx
        import onnxscript  # noqa: F401 - the exporter imports it
    except ModuleNotFoundError as error:
        raise InputError(f"writing ONNX {NEEDED}") from error
    named = dict(inputs) if isinstance(inputs, Mapping) else None
    with without_remarks():
        program = torch.onnx.export(
            model,
            () if named else in_order(inputs),
            kwargs=named,
            dynamo=True,
            dynamic_shapes=shapes,
            input_names=names or None,
            output_names=outputs or None,
            verbose=False,
        )
        assert program is not None
        program.model.metadata_props.update(metadata or {})
        program.save(str(path), external_data=False)
    graph = onnx.load(path).graph
    weights = {tensor.name for tensor in graph.initializer}
    return [given.name for given in graph.input if given.name not in weights]


@contextmanager
def without_remarks() -> Iterator[None]:
    """Silences PyTorch's exporters.

    They warn about packages that aren't installed and about their own deprecations, and print the
    programs that they can't trace.
    """
    before = logging.root.manager.disable
    logging.disable(logging.CRITICAL)
    try:
        with warnings.catch_warnings(), redirect_stderr(io.StringIO()):
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(before)
