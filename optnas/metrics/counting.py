"""Multiply-accumulates, counted operation by operation.

**macs** = multiply-accumulates of convolutions, matrix products, recurrent layers and attention
(QKᵀ and AV included) for one example; no bias, normalisation, activation, pooling or softmax.

The counter sees every operation of a pass, and counts those with a formula (`formulas.py`). Fused
operations would hide others, so they are switched off: the fast path of multi-head attention, the
fused attention kernels, and oneDNN, whose recurrent layers are one operation without a formula.
"""

from __future__ import annotations

import itertools
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cache
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils._python_dispatch import TorchDispatchMode

from optnas.candidate import copy_of
from optnas.metrics.formulas import FORMULAS, PRODUCTS, Shape, count_flops
from optnas.utils.inputs import Inputs, call


class PassCount(NamedTuple):
    """The count of one inference pass.

    Attributes:
        macs: Multiply-accumulates.
        unknown: Names of operations without a formula, such as products of sparse tensors,
            quantised and custom operations. What they do isn't in `macs`.
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


def count_pass(model: nn.Module, inputs: Inputs) -> PassCount:
    """Counts one pass of the model itself, in its present mode."""
    with _counter() as counter:
        call(model, inputs)
    return PassCount(counter.macs, tuple(sorted(counter.unknown)))


def count_modules(model: nn.Module, inputs: Inputs) -> dict[str, ModuleCount]:
    """Counts like `count_macs`, for each module by its name in `model.named_modules()`.

    A module that is registered at several places is counted under its first name. A scripted
    module's operations count for the module that calls it.
    """
    copied = copy_of(model)
    # The name "" stands for operations of the model outside of its modules.
    counts = {name: ModuleCount() for name, _ in copied.named_modules()}
    running, counted = [counts[""]], 0
    places = itertools.count(1)
    with _counter() as counter:

        def settle() -> None:
            nonlocal counted
            total = counter.macs
            running[-1].macs += total - counted
            counted = total

        def enter(count: ModuleCount) -> Callable[..., None]:
            def hook(module: nn.Module, args: object) -> None:
                settle()
                running.append(count)
                count.calls += 1
                count.order = count.order or next(places)

            return hook

        def leave(module: nn.Module, args: object, output: object) -> None:
            settle()
            running.pop().output = _shape(output)

        for name, module in copied.named_modules():  # hooks on a copy need no removal
            if not isinstance(module, torch.jit.ScriptModule):  # it takes no hooks
                module.register_forward_pre_hook(enter(counts[name]))
                module.register_forward_hook(leave)
        call(copied, inputs)
        settle()
    return counts


def _shape(output: object) -> Shape:
    tensors = (t for t in torch.utils._pytree.tree_leaves(output) if isinstance(t, Tensor))
    first = next(tensors, None)
    return () if first is None else tuple(first.shape)


class EagerMode(TorchDispatchMode):
    """Intercepts each operation of this thread, as PyTorch runs it."""

    supports_higher_order_operators = True

    @classmethod
    def _should_skip_dynamo(cls) -> bool:
        return False  # nothing is compiled here, and importing the compiler takes a second


class _Counter(EagerMode):
    """Adds up the multiply-accumulates of all operations of this thread.

    `FlopCounterMode` does the same with the same formulas, but also follows modules, through hooks
    on every module of the process, which take most of its time.
    """

    def __init__(self) -> None:
        super().__init__()
        self.macs = 0
        self.unknown: set[str] = set()

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Any = None
    ) -> Any:
        kwargs = kwargs or {}
        formula = FORMULAS.get(getattr(func, "_overloadpacket", func))
        if formula is None and _is_composite(func):
            with self:
                return func.decompose(*args, **kwargs)
        out = func(*args, **kwargs)
        if formula is not None:
            self.macs += count_flops(formula, args, kwargs, out) // 2
        elif _may_multiply(func):
            self.unknown.add(func.name())
        return out


@cache
def _is_composite(func: Any) -> bool:
    """Whether an operation consists of others, which are counted instead."""
    if not isinstance(func, torch._ops.OpOverload):
        return False
    key = torch._C.DispatchKey.CompositeImplicitAutograd
    return bool(torch._C._dispatch_has_kernel_for_dispatch_key(func.name(), key))


@cache
def _may_multiply(func: Any) -> bool:
    """Whether an operation without a formula may be a product, by its name or namespace."""
    words = set(func.name().partition("::")[2].partition(".")[0].split("_"))
    return func.namespace not in ("aten", "prim", "prims") or bool(words & PRODUCTS)


@contextmanager
def _counter() -> Iterator[_Counter]:
    """A counter that no fused operation escapes."""
    with (
        unfused(onednn=False),
        torch.no_grad(),
        sdpa_kernel(SDPBackend.MATH),
        _Counter() as counter,
    ):
        yield counter


_backends = threading.RLock()


@contextmanager
def unfused(*, onednn: bool) -> Iterator[None]:
    """Runs multi-head attention operation by operation, and recurrent layers too.

    These are settings of the whole process, so only one thread at a time is inside the block.

    Args:
        onednn: Whether oneDNN stays on; it runs a recurrent layer as one operation.
    """
    with _backends:
        before = torch.backends.mha.get_fastpath_enabled(), torch._C._get_mkldnn_enabled()
        torch.backends.mha.set_fastpath_enabled(False)
        torch._C._set_mkldnn_enabled(onednn and before[1])
        try:
            yield
        finally:
            torch.backends.mha.set_fastpath_enabled(before[0])
            torch._C._set_mkldnn_enabled(before[1])
