"""The operations that an int8 runtime doesn't run on their own.

- What nothing reads, such as the indices of a pooling, isn't made.
- A batch normalisation is folded into the convolution or linear layer before it.
- ReLU, ReLU6 and other clamps are folded into the convolution, linear layer, batch normalisation,
  addition, subtraction, multiplication, division, or average or maximum pooling before them, as
  TensorFlow Lite's `fused_activation_function` does.

The last two only where nothing else reads the tensor between. Other activations (hard swish,
sigmoid, GELU, …) are operations of their own.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

PRODUCTS = {"convolution", "addmm", "mm", "bmm", "baddbmm", "linear"}
"""Operations that are a convolution or a linear layer where their weights are constant."""
NORMS = {"native_batch_norm", "_native_batch_norm_legit_no_training", "cudnn_batch_norm"}
CLAMPS = {"relu", "relu6", "hardtanh", "clamp", "clamp_min", "clamp_max"}
_POOLINGS = {"avg_pool2d", "avg_pool3d", "max_pool2d_with_indices", "max_pool3d_with_indices"}
CLAMPING = {"add", "sub", "mul", "div"} | _POOLINGS
"""Operations that clamp their result themselves, like convolutions and linear layers."""

Constant = tuple[int, int, int]
"""A constant: its storage, the offset there, and its elements."""


class Op(NamedTuple):
    """An operation.

    Attributes:
        name: PyTorch's name, without the underscore of an in-place operation.
        reads: The values that it reads.
        makes: The values that it makes.
        constants: The constants that it reads, without biases and what a normalisation has.
        channels: Output channels of a convolution, linear layer or batch normalisation with
            constant weights; 0 for others.
    """

    name: str
    reads: tuple[int, ...]
    makes: tuple[int, ...]
    constants: frozenset[Constant] = frozenset()
    channels: int = 0


class Graph(NamedTuple):
    """A network's operations, in the order in which its code runs them.

    Attributes:
        ops: The operations.
        sizes: The elements of each value.
        inputs: The values of the network's inputs.
        outputs: The values of its outputs.
    """

    ops: tuple[Op, ...]
    sizes: tuple[int, ...]
    inputs: tuple[int, ...]
    outputs: frozenset[int]


def needed(ops: Sequence[Op], outputs: frozenset[int]) -> list[Op]:
    """The operations whose values are read, without the values that aren't."""
    needed, kept = set(outputs), []
    for op in reversed(ops):
        makes = tuple(value for value in op.makes if value in needed)
        if makes:
            needed.update(op.reads)
            kept.append(op._replace(makes=makes))
    return kept[::-1]


def folded(ops: Sequence[Op], sizes: Sequence[int], outputs: frozenset[int]) -> list[Op]:
    """The operations, with normalisations and clamps folded into those before them.

    One of a part of a tensor, which has another size, isn't folded.
    """
    readers: dict[int, int] = {}
    for op in ops:
        for value in op.reads:
            readers[value] = readers.get(value, 0) + 1
    found: list[Op] = []
    maker: dict[int, int] = {}  # the places of the operations that may still take in another one
    plain: set[int] = set()  # among them, those that a normalisation may be folded into
    for op in ops:
        value = op.reads[0]
        alone = readers[value] == 1 and value not in outputs
        at = maker.get(value) if alone and sizes[op.makes[0]] == sizes[value] else None
        is_norm, is_clamp = op.name in NORMS, op.name in CLAMPS
        if at is not None and len(op.reads) == 1 and (is_clamp or (is_norm and at in plain)):
            found[at] = found[at]._replace(makes=op.makes)
            plain.discard(at)
        else:
            at = len(found)
            found.append(op)
            if op.channels and not is_norm:
                plain.add(at)
            if not op.channels and op.name not in CLAMPING:
                continue
        if len(op.makes) == 1:
            maker[op.makes[0]] = at
    return found
