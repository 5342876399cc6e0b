"""A network as an ONNX file."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Mapping
from pathlib import Path

import torch
from torch import nn

from optnas.candidate import Inputs, in_order
from optnas.errors import InputError

NEEDED = "needs the extra onnx: pip install 'optnas[onnx]'"


def write_onnx(model: nn.Module, inputs: Inputs, path: Path) -> list[str]:
    """Exports a model, with its weights inside, for inputs of these shapes.

    Args:
        model: In evaluation mode, on the CPU.
        inputs: One batch.
        path: The file to write.

    Returns:
        The names of the inputs in the file, in the order of `inputs`.

    Raises:
        InputError: The packages onnx and onnxscript aren't installed.
    """
    try:
        import onnx
        import onnxscript  # noqa: F401 - what the exporter is written in
    except ModuleNotFoundError as error:
        raise InputError(f"writing ONNX {NEEDED}") from error
    named = dict(inputs) if isinstance(inputs, Mapping) else None
    # It warns of what isn't installed beside it, and of its own deprecations.
    logger = logging.getLogger("torch.onnx")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            torch.onnx.export(
                model,
                () if named else in_order(inputs),
                str(path),
                kwargs=named,
                dynamo=True,
                external_data=False,
                verbose=False,
            )
    finally:
        logger.setLevel(level)
    graph = onnx.load(path).graph
    weights = {tensor.name for tensor in graph.initializer}
    return [given.name for given in graph.input if given.name not in weights]
