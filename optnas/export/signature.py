"""Names for the inputs and outputs of a network, as its files have them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from torch import Tensor
from torch.utils._pytree import tree_leaves

from optnas.utils.inputs import Inputs, in_order


def named_inputs(inputs: Inputs) -> dict[str, Tensor]:
    """The inputs in order: `input`; `input_0`, `input_1`, …; or by the names of arguments."""
    if isinstance(inputs, Tensor):
        return {"input": inputs}
    if isinstance(inputs, Mapping):
        return dict(inputs)
    return {f"input_{i}": tensor for i, tensor in enumerate(in_order(inputs))}


def named_outputs(outputs: Any) -> dict[str, Tensor]:
    """The tensors in a network's outputs, in order: `output`; `output_0`, …; `output_KEY`."""
    if isinstance(outputs, Tensor):
        return {"output": outputs}
    if isinstance(outputs, Mapping) and all(isinstance(v, Tensor) for v in outputs.values()):
        return {f"output_{name}": tensor for name, tensor in outputs.items()}
    leaves = [leaf for leaf in tree_leaves(outputs) if isinstance(leaf, Tensor)]
    return {f"output_{i}": tensor for i, tensor in enumerate(leaves)}
