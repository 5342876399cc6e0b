"""Multiply-accumulates, counted operation by operation.

**macs** = multiply-accumulates of convolutions, matrix products, recurrent layers and attention
(QKᵀ and AV included) for one example; no bias, normalisation, activation, pooling or softmax.
A complex product counts as the four real ones that it consists of, in every layer.

The counter sees every operation of a pass (`eager.py`), and counts those with a formula
(`formulas.py`). Fused operations would hide others, so they are switched off: the fast path of
multi-head attention, the fused attention kernels, and oneDNN, whose recurrent layers are one
operation without a formula.
"""

from __future__ import annotations

import itertools
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cache
from typing import Any, NamedTuple, Self

import torch
from torch import Tensor, UntypedStorage, nn
from torch.nn.attention import SDPBackend, sdpa_kernel

from optnas.candidate import copy_of
from optnas.metrics.eager import EagerMode, uncompiled, unfused
from optnas.metrics.formulas import FORMULAS, Shape, count_flops, is_nested, may_multiply
from optnas.utils.inputs import Inputs, call, copied, shapes_noted
from optnas.utils.trees import all_tensors_in


class PassCount(NamedTuple):
    """The count of one inference pass.

    Attributes:
        macs: Multiply-accumulates.
        unknown: Names of operations without a formula, such as products of sparse tensors, solvers,
            Fourier transforms, quantised and custom operations. What they do isn't in `macs`.
    """

    macs: int
    unknown: tuple[str, ...] = ()


@dataclass
class ModuleCount:
    """The count of one module in one inference pass.

    Attributes:
        macs: Multiply-accumulates of its own operations, without those of its children.
        calls: Number of calls.
        order: Rank of its first call among all modules, from 1; 0 if it wasn't called.
        output: Shape of the first tensor in its last output; empty if there is none.
    """

    macs: int = 0
    calls: int = 0
    order: int = 0
    output: Shape = field(default=())


def count_macs(model: nn.Module, inputs: Inputs) -> int:
    """Counts the multiply-accumulates of `model(inputs)` in evaluation mode.

    Args:
        model: The network; it stays unchanged, because a copy is run.
        inputs: One batch element.

    Returns:
        Multiply-accumulates, as this file's docstring defines them.
    """
    return count_pass(copy_of(model), inputs).macs


@uncompiled
def count_pass(model: nn.Module, inputs: Inputs) -> PassCount:
    """Counts one pass of the model itself, in its present mode."""
    inputs = copied(inputs)
    counted, unknown = ModuleCount(), set[str]()
    with _counting(_Counter(counted, unknown)), shapes_noted(inputs):
        call(model, inputs)
    return PassCount(counted.macs, tuple(sorted(unknown)))


@uncompiled
def count_modules(model: nn.Module, inputs: Inputs) -> dict[str, ModuleCount]:
    """Counts like `count_macs`, for each module by its name in `model.named_modules()`.

    A module that is registered at several places is counted under its first name. A scripted
    module's operations count for the module that calls it, and so do those of a thread.
    """
    own, inputs = copy_of(model), copied(inputs)
    # The name "" stands for operations of the model outside of its modules.
    counts = {name: ModuleCount() for name, _ in own.named_modules()}
    places = itertools.count(1)

    def enter(count: ModuleCount) -> Callable[..., None]:
        def hook(module: nn.Module, args: object) -> None:
            count.calls += 1
            count.order = count.order or next(places)
            if (counter := _Counter.of_this_thread()) is not None:
                counter.running.append(count)

        return hook

    def leave(count: ModuleCount) -> Callable[..., None]:
        def hook(module: nn.Module, args: object, output: object) -> None:
            count.output = _shape(output)
            if (counter := _Counter.of_this_thread()) is not None:
                counter.running.pop()

        return hook

    for name, module in own.named_modules():  # hooks on a copy need no removal
        if not isinstance(module, torch.jit.ScriptModule):  # it takes no hooks
            module.register_forward_pre_hook(enter(counts[name]))
            # Always: a caller may catch a module's error and go on.
            module.register_forward_hook(leave(counts[name]), always_call=True)
    with _counting(_Counter(counts[""], set())), shapes_noted(inputs):
        call(own, inputs)
    return counts


def _shape(output: object) -> Shape:
    first = next(all_tensors_in(output), None)
    return () if first is None else tuple(first.shape)


_adding = threading.Lock()
_ADD, _CONVOLUTION = torch.ops.aten.add.Tensor, torch.ops.aten.convolution.default


class _Counter(EagerMode):
    """Adds up the multiply-accumulates of all operations of one thread.

    `FlopCounterMode` does the same with the same formulas, but also follows modules, through hooks
    on every module of the process, which take most of its time.

    Args:
        count: What operations outside of all modules count for.
        unknown: Collects the names of operations without a formula.
    """

    def __init__(self, count: ModuleCount, unknown: set[str]) -> None:
        super().__init__()
        self.running = [count]
        self._unknown = unknown
        self._sums: dict[int, UntypedStorage] = {}  # of real and imaginary parts, by address

    def for_thread(self) -> Self:
        return type(self)(self.running[-1], self._unknown)

    def run(self, func: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        formula = FORMULAS.get(getattr(func, "_overloadpacket", func))
        if formula is None and _is_composite(func) and not any(map(is_nested, args)):
            with self:
                return func.decompose(*args, **kwargs)
        out = func(*args, **kwargs)
        flops = (
            None if formula is None or is_nested(out) else count_flops(formula, args, kwargs, out)
        )
        if flops is not None:
            of_complex = func is _CONVOLUTION and all(map(self._is_sum_of_parts, args[:2]))
            with _adding:
                self.running[-1].macs += flops if of_complex else flops // 2
        elif formula is not None or may_multiply(func):
            self._unknown.add(func.name())
        elif func is _ADD and _are_parts(*args[:2]):
            storage = out.untyped_storage()
            self._sums[storage._cdata] = storage
        return out

    def _is_sum_of_parts(self, tensor: Tensor) -> bool:
        """Whether a tensor is the sum of a complex one's real and imaginary parts.

        PyTorch runs a complex convolution as three real ones, before the counter sees it: of the
        real parts, the imaginary parts, and their sums. The last stands for two of the four real
        convolutions that a complex one counts as.
        """
        return tensor.untyped_storage()._cdata in self._sums


def _are_parts(real: object, imaginary: object) -> bool:
    """Whether two tensors lie in memory as the real and the imaginary part of a complex one."""
    return (
        isinstance(real, Tensor)
        and isinstance(imaginary, Tensor)
        and real.layout == imaginary.layout == torch.strided
        and imaginary.storage_offset() - real.storage_offset() == 1
        and real.untyped_storage()._cdata == imaginary.untyped_storage()._cdata
        and real.shape == imaginary.shape
        and real.stride() == imaginary.stride()
    )


@cache
def _is_composite(func: Any) -> bool:
    """Whether an operation consists of others, which are counted instead."""
    if not isinstance(func, torch._ops.OpOverload):
        return False
    key = torch._C.DispatchKey.CompositeImplicitAutograd
    return bool(torch._C._dispatch_has_kernel_for_dispatch_key(func.name(), key))


@contextmanager
def _counting(counter: _Counter) -> Iterator[None]:
    """Counts what is run, so that no fused operation escapes."""
    with (
        unfused(onednn=False),
        sdpa_kernel(SDPBackend.MATH),
        counter.following(),
    ):
        yield
