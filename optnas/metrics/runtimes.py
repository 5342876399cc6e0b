"""Timed inference passes in PyTorch and in ONNX Runtime."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import nn

from optnas.devices.device import synchronize
from optnas.errors import InputError
from optnas.metrics.int8_size import noise_like
from optnas.utils.inputs import Inputs, call, copied, in_order
from optnas.utils.int8 import quantize
from optnas.utils.onnx_file import import_onnxruntime, write_onnx

Pass = Callable[[], float]
"""Runs one pass and returns its milliseconds."""
NEEDED_BY = "runtime='onnxruntime'"


def torch_pass(model: Callable[..., Any], inputs: Inputs, device: torch.device) -> Pass:
    """Passes in PyTorch, timed with CUDA events on CUDA, with the CPU's clock elsewhere.

    The device is synchronised before and after each pass. All passes get the same inputs: of those
    that the network changes in place, each gets a copy, which isn't timed.
    """
    given = _Given(inputs, device)
    if device.type == "cuda":
        return _cuda_pass(model, given, device)

    def timed() -> float:
        own = given.inputs()
        start = time.perf_counter_ns()
        call(model, own)
        synchronize(device)
        return (time.perf_counter_ns() - start) / 1e6

    return timed


class _Given:
    """The inputs of passes.

    Args:
        inputs: Changes of tensors that were made in inference mode can't be seen.
        device: Where they are.
    """

    def __init__(self, inputs: Inputs, device: torch.device) -> None:
        self._inputs, self._device = inputs, device
        self._kept, self._versions = copied(inputs), _versions(inputs)
        self._changed = False

    def inputs(self) -> Inputs:
        """The inputs as they were given: themselves, until a pass has changed them."""
        self._changed = self._changed or _versions(self._inputs) != self._versions
        if not self._changed:
            return self._inputs
        found = copied(self._kept)
        synchronize(self._device)
        return found


def _versions(inputs: Inputs) -> list[int]:
    """How often each tensor was changed in place."""
    return [0 if tensor.is_inference() else tensor._version for tensor in in_order(inputs)]


def _cuda_pass(model: Callable[..., Any], given: _Given, device: torch.device) -> Pass:
    with torch.cuda.device(device):
        start, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
        torch.cuda.synchronize(device)

    def timed() -> float:
        with torch.cuda.device(device):
            own = given.inputs()
            start.record()
            call(model, own)
            end.record()
            end.synchronize()
        return float(start.elapsed_time(end))

    return timed


def runtime_version() -> str:
    """The version of ONNX Runtime; raises InputError if it isn't installed."""
    return str(import_onnxruntime(NEEDED_BY).__version__)


def onnxruntime_pass(
    model: nn.Module, inputs: Inputs, device: torch.device, threads: int, *, int8: bool = False
) -> Pass:
    """Passes in ONNX Runtime, timed with the CPU's clock; inputs and outputs are NumPy arrays.

    Args:
        model: The network.
        inputs: The batch of a pass.
        device: Where it runs.
        threads: CPU threads that it may use.
        int8: Whether it runs with 8-bit weights and activations.

    Raises:
        InputError: The packages aren't installed, or ONNX Runtime can't use the device.
    """
    if int8 and device.type != "cpu":
        raise InputError(
            f"8-bit networks run on the CPU here, not on {device.type}: give Latency('cpu', …)"
        )
    onnxruntime = import_onnxruntime(NEEDED_BY)
    provider = {"cpu": "CPUExecutionProvider", "cuda": "CUDAExecutionProvider"}.get(device.type)
    there = onnxruntime.get_available_providers()
    if provider not in there:
        raise InputError(
            f"ONNX Runtime can't use {device.type} here (it has {', '.join(there)}): measure on "
            "the CPU, or install the onnxruntime package for the device"
        )
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    settings = {"device_id": device.index or 0} if device.type == "cuda" else {}
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model.onnx"
        names = write_onnx(model, inputs, path)
        if int8:
            noise = in_order(noise_like(inputs).inputs)
            quantize(path, path, [{n: t.numpy() for n, t in zip(names, noise, strict=True)}])
        session = onnxruntime.InferenceSession(
            path.read_bytes(), options, providers=[(provider, settings)]
        )
    feed = {n: t.numpy() for n, t in zip(names, in_order(inputs), strict=True)}

    def timed() -> float:
        start = time.perf_counter_ns()
        session.run(None, feed)
        return (time.perf_counter_ns() - start) / 1e6

    return timed
