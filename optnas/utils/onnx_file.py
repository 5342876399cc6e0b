"""Writes a network as an ONNX file."""

from __future__ import annotations

import copy
import io
import logging
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, redirect_stderr
from functools import cache
from pathlib import Path
from threading import Lock
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
    with without_remarks(), operators_read_once():
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


_EXPORTING = Lock()


@contextmanager
def operators_read_once() -> Iterator[None]:
    """Lets PyTorch's exporter read the source of onnxscript's 500 operators once a process.

    It reads them for each file, which takes longer than a small network's export itself, and has
    no public setting for that. Where its private parts have other names, nothing is kept.
    """
    try:
        from torch.onnx._internal.exporter._registration import ONNXRegistry

        original = vars(ONNXRegistry)["from_torchlib"]
    except (ImportError, KeyError):
        yield
        return

    def kept(*args: Any, **settings: Any) -> Any:
        registry = copy.copy(_operators(original, ONNXRegistry, *args, **settings))
        registry.functions = {name: [*found] for name, found in registry.functions.items()}
        return registry

    with _EXPORTING:
        setattr(ONNXRegistry, "from_torchlib", staticmethod(kept))  # noqa: B010 - mypy's, too
        try:
            yield
        finally:
            setattr(ONNXRegistry, "from_torchlib", original)  # noqa: B010


@cache
def _operators(original: Any, registry: Any, *args: Any, **settings: Any) -> Any:
    return original.__func__(registry, *args, **settings)


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
