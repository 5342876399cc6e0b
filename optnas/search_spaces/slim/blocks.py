"""Finds the residual blocks of a network that can be left out.

A block adds something to its input: without it the input passes on, and the layers behind it get
what they could have got. Source: Veit et al., Residual networks behave like ensembles of relatively
shallow networks, NeurIPS 2016 (arXiv 1605.06431), who leave blocks out of a trained network.

Which modules are blocks shows in PyTorch's graph of gradients: from the output, additions and
activations lead to the input.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from optnas.search_spaces.slim.check import error_text, run
from optnas.search_spaces.slim.slicing import Group, Slicer
from optnas.utils.inputs import Inputs, batch_of, call, is_one_example

_PASSED = (
    "Clone",
    "Elu",
    "Gelu",
    "Hardswish",
    "Hardtanh",
    "LeakyRelu",
    "Mish",
    "NativeLayerNorm",
    "Relu",
    "Silu",
)
"""What may stand between a sum and the output of a block, or between its input and the sum."""


class Skip(nn.Module):
    """Stands for a block that is left out: passes the first input on.

    Args:
        in_tuple: Whether the block returned a tuple of one tensor.
    """

    def __init__(self, in_tuple: bool = False) -> None:
        super().__init__()
        self.in_tuple = in_tuple

    def forward(self, x: Tensor, *_: Any, **__: Any) -> Tensor | tuple[Tensor]:
        """The input; further ones are for the block alone."""
        return (x,) if self.in_tuple else x


class _Call(NamedTuple):
    """What a module was called with, and what it returned, in the graph of gradients.

    Attributes:
        into: What computed its first input.
        out: What computed its output.
        in_tuple: Whether it returned a tuple of one tensor.
    """

    into: Any
    out: Any
    in_tuple: bool


def residual_blocks(model: nn.Module, inputs: Inputs) -> dict[str, Skip]:
    """The innermost modules that add something to their input, each with what stands for it.

    Such a module is called once, and its first input and its output have one shape.

    Args:
        model: The network, in evaluation mode; its parameters need gradients.
        inputs: Its example inputs.
    """
    found = {
        name: Skip(one.in_tuple)
        for name, one in _calls(model, inputs).items()
        if _adds_to(one.into, one.out)
    }
    return {
        name: skip
        for name, skip in found.items()
        if not any(other.startswith(f"{name}.") for other in found)
    }


def _calls(model: nn.Module, inputs: Inputs) -> dict[str, _Call]:
    """The calls of modules that may be blocks, by name."""
    entered: dict[nn.Module, list[tuple[Any, Any]]] = {}
    numbers: Counter[str] = Counter()
    found: dict[str, _Call] = {}
    hooks = []
    for name, module in model.named_modules():
        if not name or not any(True for _ in module.parameters()):
            continue

        def enter(module: nn.Module, args: tuple[Any, ...]) -> None:
            first = args[0] if args else None
            # Noted before, because an in-place operation changes it.
            known = (first.grad_fn, _kind(first)) if isinstance(first, Tensor) else (None, None)
            entered.setdefault(module, []).append(known)

        def leave(module: nn.Module, _: Any, out: Any, name: str = name) -> None:
            into, kind = entered[module].pop()
            numbers[name] += 1
            in_tuple = isinstance(out, tuple) and len(out) == 1
            out = out[0] if in_tuple else out
            if into is not None and isinstance(out, Tensor) and _kind(out) == kind:
                found[name] = _Call(into, out.grad_fn, in_tuple)

        hooks += [module.register_forward_pre_hook(enter), module.register_forward_hook(leave)]
    try:
        with torch.enable_grad():
            call(model, inputs)
    finally:
        for hook in hooks:
            hook.remove()
    return {name: one for name, one in found.items() if numbers[name] == 1}


def _kind(tensor: Tensor) -> tuple[Any, ...]:
    return tuple(tensor.shape), tensor.dtype


def _adds_to(into: Any, out: Any) -> bool:
    """Whether an output is the input and something else that is computed from it, added up."""
    waiting, seen = [(out, False)], set()
    while waiting:
        node, added = waiting.pop()
        if node is into and added:
            return True
        if node is None or node is into or (node, added) in seen:
            continue
        seen.add((node, added))
        kind = type(node).__name__
        above = [source for source, _ in node.next_functions]
        if kind.startswith("AddBackward") and getattr(node, "_saved_alpha", 1) == 1:
            for this, other in (above, above[::-1]) if len(above) == 2 else ():
                waiting.append((this, added or _depends(other, into)))
        elif kind.startswith(_PASSED) and above:
            waiting.append((above[0], added))
    return False


def _depends(node: Any, source: Any) -> bool:
    """Whether something was computed from the source, by more than passing it on."""
    waiting, seen = [node], set()
    while waiting:
        node = waiting.pop()
        if node is source:
            return True
        if node is not None and node not in seen:
            seen.add(node)
            waiting += [above for above, _ in node.next_functions]
    return False


def droppable(
    model: nn.Module, inputs: Inputs, blocks: Mapping[str, Skip]
) -> tuple[dict[str, Skip], dict[str, str]]:
    """The blocks without which the network runs, any of them or all; why others can't be left out.

    Args:
        model: The network, in evaluation mode.
        inputs: Its example inputs.
        blocks: The blocks.
    """
    wanted = [t.shape for t in run(model, inputs)]

    def failure(chosen: Mapping[str, Skip]) -> str:
        try:
            slim = Slicer(model, {}, []).build([], chosen)
            shapes = [t.shape for t in run(slim, inputs)]
            if is_one_example(inputs):
                run(slim.train(), batch_of(inputs, 2))
        except Exception as error:
            return f"without it, the network fails ({error_text(error)})"
        return "" if shapes == wanted else "without it, the outputs have other shapes"

    if not failure(blocks):
        return dict(blocks), {}
    found: dict[str, Skip] = {}
    refused: dict[str, str] = {}
    for name, skip in blocks.items():
        if reason := failure({**found, name: skip}):
            refused[name] = reason
        else:
            found[name] = skip
    return found, refused


def blocks_around(group: Group, blocks: Iterable[str]) -> frozenset[str]:
    """The blocks in which all of a group lies; none if a part of it lies elsewhere."""
    places = [port.layer or port.side for port in group.channels]
    found = {
        place: next((block for block in blocks if place.startswith(f"{block}.")), None)
        for place in places
    }
    around = frozenset(block for block in found.values() if block is not None)
    return frozenset() if None in found.values() else around
