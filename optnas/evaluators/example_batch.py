"""Whether a search space's example inputs are a batch of several examples, whose costs add up."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from optnas.errors import InputError
from optnas.evaluators.feed import Batch
from optnas.utils.inputs import Inputs, cut_to_one, in_order, map_inputs
from optnas.utils.trees import all_tensors_in, rows_of

CLOSE = 1e-2
"""Outputs that differ by less, as a share of the largest, are equal: kernels differ by sizes."""


def check_one_example(
    model: nn.Module,
    example: Inputs,
    batch: Batch,
    outputs: Any,
    run: Callable[[nn.Module, Batch], tuple[Any, Any]],
) -> None:
    """Checks that example inputs aren't several examples, as far as the data can tell.

    They are if they have the dimensions of a batch of the data, and the network's output of an
    example is the same with and without the others. A graph's nodes depend on each other.

    Args:
        model: The network, on the batch's device; its mode stays.
        example: The example inputs of the search space.
        batch: Inputs and targets.
        outputs: What the network returned for the batch in evaluation mode.
        run: Runs the network on a batch.

    Raises:
        InputError: They are several examples.
    """
    inputs, targets = batch
    several, rows = rows_of(example), rows_of(inputs)
    if several is None or several == 1 or rows is None or rows == 1 or rows != rows_of(targets):
        return
    if sorted(t.ndim for t in in_order(example)) != sorted(t.ndim for t in in_order(inputs)):
        return
    training = model.training
    try:
        alone, _ = run(model.eval(), (map_inputs(_first, inputs), targets))
    except Exception:  # it takes no part of a batch
        return
    finally:
        model.train(training)
    if _same_first(outputs, alone):
        raise InputError(
            f"example_inputs is a batch of {several} examples, and all costs would be those of "
            f"{several} together: give one, {cut_to_one(example)}"
        )


def _first(tensor: Tensor) -> Tensor:
    return tensor[:1] if tensor.ndim else tensor


def _same_first(outputs: Any, alone: Any) -> bool:
    """Whether the first row of outputs is the only one of others."""
    one, other = (next(all_tensors_in(tree), None) for tree in (outputs, alone))
    if one is None or other is None or not one.ndim or one[:1].shape != other.shape:
        return False
    one, other = one.float(), other.float()
    return torch.allclose(one[:1], other, rtol=CLOSE, atol=CLOSE * float(one.abs().max()))
