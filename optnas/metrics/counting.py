"""Multiply-accumulates, counted operation by operation.

**macs** = multiply-accumulates of convolutions, matrix products, recurrent layers and attention
(QKᵀ and AV included) for one example; no bias, normalisation, activation, pooling or softmax.

PyTorch's `torch.utils.flop_counter` does the counting. Whatever hides operations from it is
switched off: the fused path of multi-head attention, the fused attention kernels, and oneDNN,
whose recurrent layers it can't see. Rules of our own count the products that it has none for.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cache
from math import prod
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.flop_counter import flop_registry, shape_wrapper

from optnas.candidate import Inputs, call, copy_of

Shape = tuple[int, ...]


class PassCount(NamedTuple):
    """What one inference pass does.

    Attributes:
        macs: Multiply-accumulates.
        unknown: Operations that there is no formula for: products on sparse tensors, quantised or
            custom operations, say. Whatever they do isn't in `macs`.
    """

    macs: int
    unknown: tuple[str, ...] = ()


@dataclass
class ModuleCount:
    """What one module did in one inference pass.

    Attributes:
        macs: Multiply-accumulates of its own operations; those of its children are theirs.
        calls: How often it was called.
        output: Shape of the first tensor in its last output; empty if there is none.
    """

    macs: int = 0
    calls: int = 0
    output: Shape = field(default=())


def count_macs(model: nn.Module, inputs: Inputs) -> int:
    """Counts the multiply-accumulates of `model(inputs)` in evaluation mode.

    Args:
        model: Left as it was: a copy is run.
        inputs: One batch element.

    Returns:
        The count, under the definition in the module's docstring.
    """
    return count_pass(copy_of(model), inputs).macs


def count_pass(model: nn.Module, inputs: Inputs) -> PassCount:
    """Counts one pass of the model itself, in the mode that it is in."""
    with _counter() as counter:
        call(model, inputs)
    return PassCount(counter.macs, tuple(sorted(counter.unknown)))


def count_modules(model: nn.Module, inputs: Inputs) -> dict[str, ModuleCount]:
    """Counts like `count_macs`, for each module by its name in `model.named_modules()`.

    A module that stands at several places is counted under its first name; what a scripted module
    does counts for the module that calls it.
    """
    copied = copy_of(model)
    # The one named "" stands for what happens in the model outside of its modules.
    counts = {name: ModuleCount() for name, _ in copied.named_modules()}
    running, counted = [counts[""]], 0
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

            return hook

        def leave(module: nn.Module, args: object, output: object) -> None:
            settle()
            running.pop().output = _shape(output)

        for name, module in copied.named_modules():  # hooks on a copy need no removal
            if not isinstance(module, torch.jit.ScriptModule):  # which takes none
                module.register_forward_pre_hook(enter(counts[name]))
                module.register_forward_hook(leave)
        call(copied, inputs)
        settle()
    return counts


def _shape(output: object) -> Shape:
    tensors = (t for t in torch.utils._pytree.tree_leaves(output) if isinstance(t, Tensor))
    first = next(tensors, None)
    return () if first is None else tuple(first.shape)


class _Counter(TorchDispatchMode):
    """Adds up the multiply-accumulates of all operations of this thread.

    `FlopCounterMode` does the same with the same formulas; it also follows modules, through hooks
    on every module of the process, which takes most of its time.
    """

    supports_higher_order_operators = True

    def __init__(self) -> None:
        super().__init__()
        self.macs = 0
        self.unknown: set[str] = set()

    @classmethod
    def _should_skip_dynamo(cls) -> bool:
        return False  # nothing is compiled here: don't import a compiler (a second) to say so

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Any = None
    ) -> Any:
        kwargs = kwargs or {}
        formula = _FORMULAS.get(getattr(func, "_overloadpacket", func))
        if formula is None and _is_composite(func):
            with self:
                return func.decompose(*args, **kwargs)
        out = func(*args, **kwargs)
        if formula is not None:
            self.macs += _flops(formula, args, kwargs, out) // 2
        elif _may_multiply(func):
            self.unknown.add(func.name())
        return out


@cache
def _is_composite(func: Any) -> bool:
    """Whether an operation is made of others, which are the ones to count."""
    if not isinstance(func, torch._ops.OpOverload):
        return False
    key = torch._C.DispatchKey.CompositeImplicitAutograd
    return bool(torch._C._dispatch_has_kernel_for_dispatch_key(func.name(), key))


@cache
def _may_multiply(func: Any) -> bool:
    """Whether an operation without a formula may be a product: a foreign one, or by its name."""
    words = set(func.name().partition("::")[2].partition(".")[0].split("_"))
    return func.namespace not in ("aten", "prim", "prims") or bool(words & _PRODUCTS)


def _flops(formula: Any, args: tuple[Any, ...], kwargs: dict[str, Any], out: Any) -> int:
    of_shapes = getattr(formula, "__wrapped__", None)
    if of_shapes is None:  # one that wants the tensors themselves
        return int(formula(*args, **kwargs, out_val=out))
    # What the wrapper does, without its walk through every argument's insides.
    shapes = [a.shape if isinstance(a, Tensor) else a for a in args]
    named = {n: a.shape if isinstance(a, Tensor) else a for n, a in kwargs.items()}
    return int(of_shapes(*shapes, **named, out_shape=getattr(out, "shape", None)))


@contextmanager
def _counter() -> Iterator[_Counter]:
    """A counter that sees every operation that there is a formula for."""
    with (
        nothing_hidden(onednn=False),
        torch.no_grad(),
        sdpa_kernel(SDPBackend.MATH),
        _Counter() as counter,
    ):
        yield counter


_backends = threading.RLock()


@contextmanager
def nothing_hidden(*, onednn: bool) -> Iterator[None]:
    """Has no operation stand for a whole layer: no fused attention layers, nor oneDNN's, if so.

    These are settings of the process, so one thread at a time may have them its way.
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


def _matrix_vector(matrix: Shape, vector: Shape, **_: Any) -> int:
    return 2 * prod(matrix)


def _plus_matrix_vector(added: Shape, matrix: Shape, vector: Shape, **_: Any) -> int:
    return 2 * prod(matrix)


def _dot(a: Shape, b: Shape, **_: Any) -> int:
    return 2 * prod(a)


def _plus_outer(added: Shape, a: Shape, b: Shape, **_: Any) -> int:
    return 2 * prod(a) * prod(b)


def _plus_batch(added: Shape, a: Shape, b: Shape, **_: Any) -> int:
    return 2 * prod(a) * b[-1]


def _bilinear(
    a: Shape, weight: Shape, b: Shape, at_a: Any, at_weight: Any, at_b: Any, *_: Any, **__: Any
) -> int:
    """x₁ᵀAx₂ as two products: x₁ᵀA over (batch, out, in₁, in₂), then its result with x₂."""
    (outputs, in_a, in_b), batch = weight[-3:], prod(a) // weight[-2]
    return 2 * batch * outputs * (in_a * in_b + in_b)


def _attention(query: Shape, key: Shape, value: Shape, *_: Any, **__: Any) -> int:
    """QKᵀ and AV of a fused kernel: (…, L, E), (…, S, E) and (…, S, V)."""
    return 2 * prod(query[:-1]) * key[-2] * (query[-1] + value[-1])


def _convolution_tbc(x: Shape, weight: Shape, *_: Any, out_shape: Shape, **__: Any) -> int:
    return 2 * prod(out_shape) * weight[0] * weight[1]


_aten = torch.ops.aten
_OWN: dict[Any, Callable[..., int]] = {
    _aten.mv: _matrix_vector,
    _aten.addmv: _plus_matrix_vector,
    _aten.addmv_: _plus_matrix_vector,
    _aten.dot: _dot,
    _aten.vdot: _dot,
    _aten.addr: _plus_outer,
    _aten.addr_: _plus_outer,
    _aten.addbmm: _plus_batch,
    _aten.addbmm_: _plus_batch,
    _aten._trilinear: _bilinear,
    _aten.conv_tbc: _convolution_tbc,
    # A model may choose the kernel itself.
    _aten._scaled_dot_product_flash_attention_for_cpu: _attention,
}
_FORMULAS = {
    **flop_registry,
    **{packet: shape_wrapper(rule) for packet, rule in _OWN.items()},
    _aten.addmm_: flop_registry[_aten.addmm],
    _aten.baddbmm_: flop_registry[_aten.baddbmm],
    _aten._int_mm: flop_registry[_aten.mm],
    _aten._addmm_activation: flop_registry[_aten.addmm],
}
_PRODUCTS = {"mm", "bmm", "addmm", "matmul", "convolution", "attention", "linear", "rnn"}
"""What is said of a product in the names of PyTorch's operations."""
