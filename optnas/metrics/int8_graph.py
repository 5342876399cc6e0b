"""The graph of a network as an int8 runtime runs it: operations, and the tensors between them.

One pass is followed operation by operation (`eager.py`), and recorded as a graph without in-place
operations: each write makes a new tensor, so that `x += y` and `x + y` are the same. Views
(reshape, flatten, transpose, slice, expand) and conversions of the type are no operations. What
doesn't depend on the input is a constant, computed before; it lies in flash. Attention runs as
matrix products and a softmax. Then operations are folded into others (`int8_folding.py`).
"""

from __future__ import annotations

import threading
from collections.abc import Iterable, Sequence
from functools import cache
from typing import Any, Self

import torch
from torch import Tensor, UntypedStorage, nn
from torch.multiprocessing.reductions import StorageWeakRef
from torch.nn.attention import SDPBackend, sdpa_kernel

from optnas.errors import InputError
from optnas.metrics.eager import EagerMode, uncompiled, unfused
from optnas.metrics.int8_folding import NORMS, PRODUCTS, Constant, Graph, Op, folded, needed
from optnas.utils.inputs import Inputs, call, copied, described, in_order, shapes_noted
from optnas.utils.trees import all_tensors_in


@uncompiled
def int8_graph(model: nn.Module, inputs: Inputs) -> Graph:
    """The graph of one pass of the model itself, in its present mode.

    Args:
        model: The network, in evaluation mode.
        inputs: One batch element.

    Raises:
        InputError: What the network returns holds no tensor.
    """
    inputs = copied(inputs)  # a slice shares the storage of the whole data set
    values = _Values()
    entering = tuple(values.new(tensor) for tensor in in_order(inputs))
    with (
        unfused(onednn=True),
        sdpa_kernel(SDPBackend.MATH),
        _Trace(values).following(),
        shapes_noted(inputs),
    ):
        result = call(model, inputs)
    if not any(True for _ in all_tensors_in(result)):
        raise InputError(
            f"the forward of {type(model).__name__} returns {described(result)}, in which there "
            "is no tensor: return tensors, or a tuple, dictionary or dataclass of them"
        )
    leaving = frozenset(values.of(_tensors(result)))
    ops = folded(needed(values.ops, leaving), values.sizes, leaving)
    return Graph(tuple(ops), tuple(values.sizes), entering, leaving)


def _tensors(found: Any) -> list[Tensor]:
    return [tensor for tensor in all_tensors_in(found) if tensor.layout == torch.strided]


class _Values:
    """The values behind the storages of a pass, and the operations between them."""

    def __init__(self) -> None:
        self.ops: list[Op] = []
        self.sizes: list[int] = []
        self._at: dict[int, int | None] = {}  # None is a constant
        self._refs: list[StorageWeakRef] = []  # kept, so that no other storage gets the address
        self._threads = threading.Lock()

    def new(self, tensor: Tensor) -> int:
        """A new value, which from now on is what the tensor's storage holds."""
        storage = tensor.untyped_storage()
        self._keep(storage, len(self.sizes))
        self.sizes.append(storage.nbytes() // tensor.element_size())
        return len(self.sizes) - 1

    def of(self, tensors: Iterable[Tensor]) -> tuple[int, ...]:
        """The values that tensors hold; what no operation has made is a constant."""
        found: dict[int, None] = {}
        for tensor in tensors:
            storage = tensor.untyped_storage()
            if storage._cdata not in self._at:
                self._keep(storage, None)
            if (value := self._at[storage._cdata]) is not None:
                found[value] = None
        return tuple(found)

    def record(self, func: Any, args: Sequence[Any], kwargs: dict[str, Any], out: Any) -> None:
        """Records an operation that has run."""
        with self._threads:
            given = _tensors([*args, *kwargs.values()])
            reads = self.of(given)
            written = _written(func, args, kwargs)
            fresh = [t for t in _tensors(out) if t.untyped_storage()._cdata not in self._at]
            made = {t.untyped_storage()._cdata: t for t in (*fresh, *written)}
            name = _name(func)
            if name == "_to_copy":
                for tensor in made.values():
                    self._keep(tensor.untyped_storage(), reads[0] if reads else None)
            elif not reads:
                for tensor in made.values():
                    self._keep(tensor.untyped_storage(), None)
            elif made:
                constants = [t for t in given if self._at[t.untyped_storage()._cdata] is None]
                makes = tuple(self.new(tensor) for tensor in made.values())
                self.ops.append(_op(name, reads, makes, given, constants, out))

    def _keep(self, storage: UntypedStorage, value: int | None) -> None:
        if storage._cdata not in self._at:
            self._refs.append(StorageWeakRef(storage))
        self._at[storage._cdata] = value


def _op(
    name: str,
    reads: tuple[int, ...],
    makes: tuple[int, ...],
    given: Sequence[Tensor],
    constants: Sequence[Tensor],
    out: Any,
) -> Op:
    channels = 0
    if name in NORMS and len(reads) == 1:
        channels, constants = given[0].shape[1], ()
    weights = [t for t in constants if t.ndim > 1]
    if name in PRODUCTS and weights:
        channels, constants = out.shape[1 if name == "convolution" else -1], weights
    # A slice of a weight is a part of its own; the same weight seen transposed is the same part.
    return Op(name, reads, makes, frozenset(map(_part, constants)), channels)


def _part(tensor: Tensor) -> Constant:
    """The part of a constant that a tensor shows; what it repeats (`expand`) is there once."""
    storage = tensor.untyped_storage()
    elements = min(tensor.numel(), storage.nbytes() // tensor.element_size())
    return storage._cdata, int(tensor.storage_offset()), elements


def _written(func: Any, args: Sequence[Any], kwargs: dict[str, Any]) -> list[Tensor]:
    """The arguments that an operation writes to."""
    places = _writes_to(func)
    given = [args[at] if at < len(args) else kwargs.get(name) for at, name in places]
    return _tensors(given) if given else []


@cache
def _writes_to(func: Any) -> list[tuple[int, str]]:
    """Places and names of the arguments that an operation writes to; control flow has none."""
    arguments = func._schema.arguments if isinstance(func, torch._ops.OpOverload) else ()
    return [(i, a.name) for i, a in enumerate(arguments) if a.alias_info and a.alias_info.is_write]


@cache
def _name(func: Any) -> str:
    return str(func.name()).partition("::")[2].partition(".")[0].rstrip("_")


class _Trace(EagerMode):
    """Records the operations of one thread."""

    def __init__(self, values: _Values) -> None:
        super().__init__()
        self._values = values

    def for_thread(self) -> Self:
        return type(self)(self._values)

    def run(self, func: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        out = func(*args, **kwargs)
        self._values.record(func, args, kwargs, out)
        return out
