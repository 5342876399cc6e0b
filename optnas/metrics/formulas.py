"""What an operation of PyTorch costs, in floating-point operations: two for a multiply-accumulate.

The formulas of `torch.utils.flop_counter`, and our own for the products that it has none for.
"""

from __future__ import annotations

from collections.abc import Callable
from math import prod
from typing import Any

import torch
from torch import Tensor
from torch.utils.flop_counter import flop_registry, shape_wrapper

Shape = tuple[int, ...]


def count_flops(formula: Any, args: tuple[Any, ...], kwargs: dict[str, Any], out: Any) -> int:
    """What a formula says of one operation, from its arguments and its result."""
    of_shapes = getattr(formula, "__wrapped__", None)
    if of_shapes is None:  # one that wants the tensors themselves
        return int(formula(*args, **kwargs, out_val=out))
    # What the wrapper does, without its walk through every argument's insides.
    shapes = [a.shape if isinstance(a, Tensor) else a for a in args]
    named = {n: a.shape if isinstance(a, Tensor) else a for n, a in kwargs.items()}
    return int(of_shapes(*shapes, **named, out_shape=getattr(out, "shape", None)))


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
FORMULAS = {
    **flop_registry,
    **{packet: shape_wrapper(rule) for packet, rule in _OWN.items()},
    _aten.addmm_: flop_registry[_aten.addmm],
    _aten.baddbmm_: flop_registry[_aten.baddbmm],
    _aten._int_mm: flop_registry[_aten.mm],
    _aten._addmm_activation: flop_registry[_aten.addmm],
}
PRODUCTS = {"mm", "bmm", "addmm", "matmul", "convolution", "attention", "linear", "rnn"}
"""What is said of a product in the names of PyTorch's operations."""
