"""The memory that one inference pass needs.

A pass over one example is followed operation by operation: when each tensor's storage is allocated,
last read and freed. The bytes are counted exactly. Not counted are a kernel's own allocations, such
as a convolution's workspace, and sparse tensors. Attention is counted as PyTorch's fused CPU kernel
runs it, which never holds QKᵀ as a whole.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from functools import partial
from typing import Any, ClassVar, Self

import torch
from torch import Tensor, UntypedStorage, nn
from torch.multiprocessing.reductions import StorageWeakRef
from torch.utils._pytree import tree_leaves

from optnas.candidate import Candidate
from optnas.devices.device import device_name, resolve_device, synchronize
from optnas.metrics.base import Metric, check_counts, labelled
from optnas.metrics.eager import EagerMode, uncompiled, unfused
from optnas.metrics.inference import inference
from optnas.utils.inputs import Inputs, batch_of, call, copied, map_inputs, shapes_noted
from optnas.utils.trees import all_tensors_in

MB = 1e6


class PeakMemory(Metric):
    """Peak memory of all tensors during one inference pass over one example, in 10⁶ bytes.

    Counted are weights, inputs, and every tensor that the model's Python code keeps alive at the
    worst moment, in the types that the model has.
    """

    name = "peak_memory_mb"
    least: ClassVar[float] = 0.0

    def measure(self, candidate: Candidate) -> float:
        """Follows one inference pass over the example inputs."""
        return trace_memory(candidate.to_measure(), candidate.example_inputs)[0] / MB


class PeakActivation(Metric):
    """Peak memory of the activations during one inference pass over one example, in 10⁶ bytes.

    A tensor counts from the operation that makes it to the last one that reads it, as in a runtime
    that plans its memory (Lin et al., MCUNet: Tiny deep learning on IoT devices, 2020), even where
    Python code keeps it longer, in the type that the model has. The input counts, the weights
    don't; an in-place operation needs no second tensor. `Int8PeakActivation` counts what the
    network needs once it is quantised.
    """

    name = "peak_activation_mb"
    least: ClassVar[float] = 0.0

    def measure(self, candidate: Candidate) -> float:
        """Follows one inference pass over the example inputs."""
        return trace_memory(candidate.to_measure(), candidate.example_inputs)[1] / MB


class CudaPeakMemory(Metric):
    """Peak memory of PyTorch's CUDA allocator during one inference pass, in 10⁶ bytes.

    Weights, kernels' workspaces and the allocator's rounding are included. cuDNN chooses its
    kernels by the shapes, so a larger batch may need less memory.

    Args:
        device: `cuda` or `cuda:N`.
        batch_size: Examples in the pass.
        label: Tells several such metrics of one study apart: `cuda_peak_memory_mb.LABEL`.

    Raises:
        ValueError: The device isn't a CUDA device, or the batch size isn't at least 1.
    """

    effort: ClassVar[int] = 2
    exact = False
    least: ClassVar[float] = 0.0

    def __init__(self, device: str = "cuda", batch_size: int = 1, label: str = "") -> None:
        if not device.startswith("cuda"):
            raise ValueError(f"device must be cuda or cuda:N, got {device!r}")
        check_counts(batch_size=batch_size)
        self._device, self._batch_size, self._label = device, batch_size, label

    @property
    def name(self) -> str:
        """`cuda_peak_memory_mb`, with the label if there is one."""
        return labelled("cuda_peak_memory_mb", self._label)

    @property
    def fingerprint(self) -> dict[str, Any]:
        """The GPU's model, the batch size, and PyTorch's version."""
        return {
            "device_name": device_name(resolve_device(self._device)),
            "batch_size": self._batch_size,
            "torch": torch.__version__,
        }

    def measure(self, candidate: Candidate) -> float:
        """The growth of the allocator's peak in a second pass, plus weights and inputs."""
        device = resolve_device(self._device)

        def made() -> tuple[nn.Module, Inputs]:
            batch = batch_of(candidate.example_inputs, self._batch_size)
            inputs = map_inputs(lambda tensor: tensor.to(device), batch)
            return candidate.to_measure().to(device), inputs

        def anew() -> Callable[[], Any]:
            return partial(call, *made())

        first = made()
        resident = sum(_storages(*first).values())
        # The pass before the measured one allocates the workspaces that are kept.
        with inference(partial(call, *first), anew, candidate.example_inputs) as one_pass:
            synchronize(device)
            before = torch.cuda.memory_allocated(device)
            torch.cuda.reset_peak_memory_stats(device)
            one_pass()
            synchronize(device)
        return (torch.cuda.max_memory_allocated(device) - before + resident) / MB


@uncompiled
def trace_memory(model: nn.Module, inputs: Inputs) -> tuple[int, int]:
    """Peak bytes of one inference pass.

    Args:
        model: Run once, in its present mode.
        inputs: One batch element.

    Returns:
        The peak of all tensors, weights included, as Python keeps them; and the peak of the
        activations, each counted from its making to its last use.
    """
    inputs = copied(inputs)  # a slice shares the storage of the whole data set
    lives = _Lives(_storages(model))
    lives.see(inputs)
    with unfused(onednn=True), _Trace(lives).following(), shapes_noted(inputs):
        result = call(model, inputs)
    lives.see(result)  # in use to the end
    return lives.peak + sum(lives.resident.values()), lives.peak_in_use()


def _storages(model: nn.Module, inputs: Any = ()) -> dict[int, int]:
    """The bytes of each storage behind the tensors of a model and of `inputs`, by its address."""
    held = [v for m in model.modules() for k, v in vars(m).items() if k not in _OF_MODULES]
    tensors = [*model.parameters(), *model.buffers(), *tree_leaves(held), *tree_leaves(inputs)]
    storages = [t.untyped_storage() for t in tensors if _has_storage(t)]
    return {storage._cdata: storage.nbytes() for storage in storages}


_OF_MODULES = set(vars(nn.Module()))
"""The attributes that each module has; the others may be constants, and lists or dicts of them."""


def _has_storage(value: Any) -> bool:
    return isinstance(value, Tensor) and value.layout == torch.strided


class _Lives:
    """The lives of all storages: when they are made, read for the last time, and freed.

    Args:
        resident: The bytes of the storages that are there before the pass, and after it.
    """

    def __init__(self, resident: dict[int, int]) -> None:
        self.peak = 0
        self.resident = resident
        self._constants: list[UntypedStorage] = []  # kept, so that no other gets the address
        self._step = 0
        self._alive: dict[int, tuple[StorageWeakRef, int]] = {}
        # For each storage, in the order of their making: steps of making and of last use, bytes.
        self._lives: list[list[int]] = []
        self._life: dict[int, list[int]] = {}
        self._threads = threading.Lock()

    def read(self, tensors: Any) -> None:
        """Records tensors that an operation reads.

        What no operation has made was there before the pass, such as a constant in a closure.
        """
        with self._threads:
            self._step += 1
            storages = _storages_of(tensors)
            for storage in storages:
                if storage._cdata not in self._alive and storage._cdata not in self.resident:
                    self.resident[storage._cdata] = storage.nbytes()
                    self._constants.append(storage)
            self._record(storages)

    def see(self, tensors: Any) -> None:
        """Records tensors that were just made, or are in use for another reason."""
        with self._threads:
            self._record(_storages_of(tensors))

    def _record(self, storages: list[UntypedStorage]) -> None:
        for storage in storages:
            key = storage._cdata
            if key in self.resident:
                continue
            if key not in self._alive:
                self._life[key] = [self._step, self._step, 0]
                self._lives.append(self._life[key])
            self._alive[key] = StorageWeakRef(storage), storage.nbytes()
            self._life[key][1:] = self._step, max(self._life[key][2], storage.nbytes())
        self._alive = {k: v for k, v in self._alive.items() if not v[0].expired()}
        self.peak = max(self.peak, sum(size for _, size in self._alive.values()))

    def peak_in_use(self) -> int:
        """Peak bytes if each storage is kept from its making to its last use."""
        changes = [0] * (self._step + 2)
        for made, last, size in self._lives:
            changes[made] += size
            changes[last + 1] -= size
        peak = held = 0
        for change in changes:
            held += change
            peak = max(peak, held)
        return peak


def _storages_of(tensors: Any) -> list[UntypedStorage]:
    return [t.untyped_storage() for t in all_tensors_in(tensors) if _has_storage(t)]


class _Trace(EagerMode):
    """Follows the storages of all tensors that the operations of one thread make and read."""

    def __init__(self, lives: _Lives) -> None:
        super().__init__()
        self._lives = lives

    def for_thread(self) -> Self:
        return type(self)(self._lives)

    def run(self, func: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        if func is not torch.ops.aten.lift_fresh.default:  # its argument was made just now
            self._lives.read([*args, *kwargs.values()])
        out = func(*args, **kwargs)
        self._lives.see(out)
        return out
