"""The memory that one inference needs.

A pass of one example is followed operation by operation: which tensor storages there are, when
they come, when they go. Counted exactly, in 10⁶ bytes; what a kernel allocates for itself (a
convolution's workspace) is no tensor and isn't in it, nor are sparse tensors. Attention counts as
PyTorch's fused kernel for the CPU runs it, which never holds QKᵀ as a whole.
"""

from __future__ import annotations

from typing import Any, ClassVar

import torch
from torch import Tensor, nn
from torch.multiprocessing.reductions import StorageWeakRef
from torch.utils._pytree import tree_leaves

from optnas.candidate import Candidate
from optnas.devices.device import device_name, resolve_device, synchronize
from optnas.metrics.base import Metric, check_counts
from optnas.metrics.counting import EagerMode, nothing_hidden
from optnas.utils.inputs import Inputs, call, map_inputs

MB = 1e6


class PeakMemory(Metric):
    """Most memory that PyTorch's tensors hold during one inference, in 10⁶ bytes.

    Weights, inputs, and every tensor that the model's Python code keeps alive at the worst moment,
    for one example in float32 or whatever the model's types are, run as it is written.
    """

    @property
    def name(self) -> str:
        """`peak_memory_mb`."""
        return "peak_memory_mb"

    def measure(self, candidate: Candidate) -> float:
        """Follows one inference pass over the example inputs."""
        return trace_memory(candidate.to_measure(), candidate.example_inputs)[0] / MB


class PeakActivation(Metric):
    """Most memory for activations during one inference, in 10⁶ bytes, without the weights.

    This is what a micro-controller's RAM must hold: a tensor counts from the operation that makes
    it to the last one that reads it, as a runtime with a planned memory keeps it (Lin et al.,
    MCUNet: Tiny deep learning on IoT devices, 2020), wherever Python code would keep it longer. The
    input counts; an operation in place needs no second tensor.
    """

    @property
    def name(self) -> str:
        """`peak_activation_mb`."""
        return "peak_activation_mb"

    def measure(self, candidate: Candidate) -> float:
        """Follows one inference pass over the example inputs."""
        return trace_memory(candidate.to_measure(), candidate.example_inputs)[1] / MB


class CudaPeakMemory(Metric):
    """What CUDA's allocator gives out during one inference, in 10⁶ bytes, weights included.

    The allocator's own figure, with the workspaces of kernels and its rounding. cuDNN chooses its
    kernels by the shapes, so a larger batch may need less.

    Args:
        device: `cuda` or `cuda:N`.
        batch_size: Examples in the pass.
        label: Tells several of one study apart: `cuda_peak_memory_mb.LABEL`.
    """

    effort: ClassVar[int] = 2
    exact = False

    def __init__(self, device: str = "cuda", batch_size: int = 1, label: str = "") -> None:
        if not device.startswith("cuda"):
            raise ValueError(f"device must be cuda or cuda:N, got {device!r}")
        check_counts(batch_size=batch_size)
        self._device, self._batch_size, self._label = device, batch_size, label

    @property
    def name(self) -> str:
        """`cuda_peak_memory_mb`, with the label if there is one."""
        return f"cuda_peak_memory_mb.{self._label}" if self._label else "cuda_peak_memory_mb"

    @property
    def fingerprint(self) -> dict[str, Any]:
        """The GPU's model, the batch size, and PyTorch's version."""
        return {
            "device_name": device_name(resolve_device(self._device)),
            "batch_size": self._batch_size,
            "torch": torch.__version__,
        }

    def measure(self, candidate: Candidate) -> float:
        """The allocator's peak in a second pass, over what it held before, plus the model."""
        device = resolve_device(self._device)
        model = candidate.to_measure().to(device)
        inputs = map_inputs(
            lambda t: t.to(device).repeat_interleave(self._batch_size, dim=0),
            candidate.example_inputs,
        )
        resident = sum(_storages(model, inputs).values())
        with torch.inference_mode():
            call(model, inputs)  # workspaces that stay are allocated here
            synchronize(device)
            before = torch.cuda.memory_allocated(device)
            torch.cuda.reset_peak_memory_stats(device)
            call(model, inputs)
            synchronize(device)
        return (torch.cuda.max_memory_allocated(device) - before + resident) / MB


def trace_memory(model: nn.Module, inputs: Inputs) -> tuple[int, int]:
    """Bytes that one inference pass holds at its worst moment.

    Args:
        model: Run once, in the mode that it is in.
        inputs: One batch element.

    Returns:
        The peak of all tensors, weights included, as Python keeps them; and the peak of the
        activations, each kept from its making to its last use.
    """
    inputs = map_inputs(torch.clone, inputs)  # a slice would bring all of its data along
    resident = _storages(model)
    trace = _Trace(resident)
    trace.read(inputs)
    with nothing_hidden(onednn=True), torch.no_grad(), trace:
        result = call(model, inputs)
    trace.read(result)  # it is held to the end
    return trace.peak + sum(resident.values()), trace.peak_in_use()


def _storages(model: nn.Module, inputs: Any = ()) -> dict[int, int]:
    """The bytes of each storage behind all tensors that a model holds, and some others."""
    held = [value for module in model.modules() for value in vars(module).values()]
    tensors = [*model.parameters(), *model.buffers(), *held, *tree_leaves(inputs)]
    storages = [t.untyped_storage() for t in tensors if _has_storage(t)]
    return {storage._cdata: storage.nbytes() for storage in storages}


def _has_storage(value: Any) -> bool:
    return isinstance(value, Tensor) and value.layout == torch.strided


class _Trace(EagerMode):
    """Follows the storages of all tensors that operations make and read."""

    def __init__(self, resident: dict[int, int]) -> None:
        super().__init__()
        self.peak = 0
        self._resident = resident
        self._step = 0
        self._alive: dict[int, tuple[StorageWeakRef, int]] = {}
        # Made at, last read at, bytes; one entry for each storage, in the order of their making.
        self._lives: list[list[int]] = []
        self._life: dict[int, list[int]] = {}

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Any = None
    ) -> Any:
        self._step += 1
        self.read((args, kwargs))
        out = func(*args, **(kwargs or {}))
        self.read(out)
        return out

    def read(self, tensors: Any) -> None:
        """Takes note of tensors that are read now, or were made just now."""
        for tensor in tree_leaves(tensors):
            if not _has_storage(tensor):
                continue
            storage = tensor.untyped_storage()
            key = storage._cdata
            if key in self._resident:
                continue
            if key not in self._alive:
                self._life[key] = [self._step, self._step, 0]
                self._lives.append(self._life[key])
            self._alive[key] = StorageWeakRef(storage), storage.nbytes()
            self._life[key][1:] = self._step, max(self._life[key][2], storage.nbytes())
        self._alive = {k: v for k, v in self._alive.items() if not v[0].expired()}
        self.peak = max(self.peak, sum(size for _, size in self._alive.values()))

    def peak_in_use(self) -> int:
        """The peak with each storage kept from its making to its last use."""
        changes = [0] * (self._step + 2)
        for made, last, size in self._lives:
            changes[made] += size
            changes[last + 1] -= size
        peak = held = 0
        for change in changes:
            held += change
            peak = max(peak, held)
        return peak
