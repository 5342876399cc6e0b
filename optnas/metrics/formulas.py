"""The cost of each PyTorch operation, by the shapes of its tensors.

All formulas give floating-point operations, two for each multiply-accumulate; `counting.py` halves
them to MACs. `FORMULAS` holds PyTorch's own (`torch.utils.flop_counter`: convolutions, `mm`, `bmm`,
`addmm`, fused attention on GPUs, their gradients) and the ones below, for products that PyTorch has
no formula for.

Attention is counted as QKᵀ and AV, without the softmax. `counting.py` switches the fused attention
kernels off, so that attention runs as two `bmm`, which are counted by their formula; a model that
chooses the CPU's fused kernel itself is counted by `_attention`, which gives the same number. The
projections of Q, K, V and the output are ordinary matrix products.

Products that a formula of shapes can't tell, such as those of sparse tensors, solvers and Fourier
transforms, are named instead of counted (`may_multiply`). Products that are written as elementwise
multiplications and sums can't be seen.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import cache
from math import prod
from typing import Any

import torch
from torch import Tensor
from torch.utils.flop_counter import flop_registry, shape_wrapper

Shape = tuple[int, ...]


def count_flops(
    formula: Any, args: tuple[Any, ...], kwargs: dict[str, Any], out: Any
) -> int | None:
    """Floating-point operations of one operation.

    Args:
        formula: A formula of `FORMULAS`.
        args: The operation's arguments.
        kwargs: The operation's keyword arguments.
        out: The operation's result.

    Returns:
        The number; None if the formula doesn't hold for these arguments. A complex product counts
        as four real ones.
    """
    numbers = 1
    for value in (*args, *kwargs.values()):
        if isinstance(value, Tensor):
            if value.layout != torch.strided:
                return None
            numbers = 4 if value.is_complex() else numbers
    of_shapes = getattr(formula, "__wrapped__", None)
    if of_shapes is None:  # a formula that takes the tensors themselves
        return int(formula(*args, **kwargs, out_val=out))
    # What PyTorch's wrapper does, without its slow walk through nested arguments.
    shapes = [a.shape if isinstance(a, Tensor) else a for a in args]
    named = {n: a.shape if isinstance(a, Tensor) else a for n, a in kwargs.items()}
    flops = of_shapes(*shapes, **named, out_shape=getattr(out, "shape", None))
    return None if flops is None else numbers * int(flops)


def is_nested(value: object) -> bool:
    """Whether an argument is a nested tensor, which has no shape that a formula could use."""
    return isinstance(value, Tensor) and value.is_nested


def _attention(query: Shape, key: Shape, value: Shape, *_: Any, **__: Any) -> int:
    """QKᵀ and AV: query (…, L, E), key (…, S, E), value (…, S, V)."""
    return 2 * prod(query[:-1]) * key[-2] * (query[-1] + value[-1])


def _matrix_vector(matrix: Shape, vector: Shape, **_: Any) -> int:
    return 2 * prod(matrix)


def _added_matrix_vector(added: Shape, matrix: Shape, vector: Shape, **_: Any) -> int:
    return 2 * prod(matrix)


def _dot(a: Shape, b: Shape, **_: Any) -> int:
    return 2 * prod(a)


def _added_outer(added: Shape, a: Shape, b: Shape, **_: Any) -> int:
    return 2 * prod(a) * prod(b)


def _added_batch(added: Shape, a: Shape, b: Shape, **_: Any) -> int:
    return 2 * prod(a) * b[-1]


def _bilinear(
    a: Shape, weight: Shape, b: Shape, at_a: Any, at_weight: Any, at_b: Any, *_: Any, **__: Any
) -> int:
    """x₁ᵀAx₂ as two products: x₁ᵀA over (batch, out, in₁, in₂), then its result with x₂."""
    (outputs, in_a, in_b), batch = weight[-3:], prod(a) // weight[-2]
    return 2 * batch * outputs * (in_a * in_b + in_b)


def _convolution_tbc(x: Shape, weight: Shape, *_: Any, out_shape: Shape, **__: Any) -> int:
    """A convolution over (time, batch, channels)."""
    return 2 * prod(out_shape) * weight[0] * weight[1]


def _distances(a: Shape, b: Shape, p: float = 2.0, *_: Any, **__: Any) -> int | None:
    """Σ(aᵢ − bᵢ)² between all rows; other norms aren't products."""
    return 2 * prod(a[:-1]) * b[-2] * a[-1] if p == 2 else None


def _sampling_grid(theta: Shape, *_: Any, out_shape: Shape, **__: Any) -> int:
    """The affine map θ (…, n, n + 1) of each of the grid's points, written as (…, 1)."""
    return 2 * prod(out_shape) * theta[-1]


_aten = torch.ops.aten
_OWN: dict[Any, Callable[..., int | None]] = {
    _aten._scaled_dot_product_flash_attention_for_cpu: _attention,
    _aten.mv: _matrix_vector,
    _aten.addmv: _added_matrix_vector,
    _aten.addmv_: _added_matrix_vector,
    _aten.dot: _dot,
    _aten.vdot: _dot,
    _aten.addr: _added_outer,
    _aten.addr_: _added_outer,
    _aten.addbmm: _added_batch,
    _aten.addbmm_: _added_batch,
    _aten._trilinear: _bilinear,
    _aten.conv_tbc: _convolution_tbc,
    _aten._cdist_forward: _distances,
    _aten._euclidean_dist: _distances,
    _aten.affine_grid_generator: _sampling_grid,
}
FORMULAS = {
    **flop_registry,
    **{packet: shape_wrapper(rule) for packet, rule in _OWN.items()},
    _aten.addmm_: flop_registry[_aten.addmm],
    _aten.baddbmm_: flop_registry[_aten.baddbmm],
    _aten._int_mm: flop_registry[_aten.mm],
    _aten._addmm_activation: flop_registry[_aten.addmm],
}
"""The formula of each operation."""
_OF_PYTORCH = {"aten", "prim", "prims", "quantized", "quantized_decomposed"}
"""Namespaces in which an operation's name says whether it is a product."""
_PRODUCT = re.compile(
    r"""(_|^)(
    mm|bmm|addmm|hspmm|sspaddmm|matmul|matrix|linear|bilinear|trilinear
    |conv|convolution|conv[123]d|attention|transformer|rnn|lstm|gru
    |cdist|pdist|euclidean|fft
    |inv|pinv|solve|spsolve|lstsq|triangular|det|slogdet
    |cholesky|ldl|lu|qr|geqrf|ormqr|householder|svd|eig|eigh|eigvals
    )(_|$)""",
    re.VERBOSE,
)
"""Words in the names of PyTorch's operations that mark a product, or many of them."""


@cache
def may_multiply(func: Any) -> bool:
    """Whether an operation without a formula may be a product: by its name, if it is PyTorch's."""
    if not isinstance(func, torch._ops.OpOverload):
        return False  # control flow, whose operations are seen one by one
    types = [str(argument.type) for argument in func._schema.arguments]
    if not any("Tensor" in kind for kind in types):
        return False  # such as the profiler's marks
    name = func.name().partition("::")[2].partition(".")[0]
    return func.namespace not in _OF_PYTORCH or bool(_PRODUCT.search(name))
