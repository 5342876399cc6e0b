"""Whether a search space's example inputs are a batch of several examples, whose costs add up."""

from __future__ import annotations

import logging
from collections.abc import Callable
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from optnas.candidate import copy_of
from optnas.errors import InputError
from optnas.evaluators.feed import Batch
from optnas.utils.inputs import Inputs, call, copied, cut_to_one, in_order, map_inputs
from optnas.utils.random_state import preserved
from optnas.utils.trees import all_tensors_in, rows_of

log = logging.getLogger("optnas")

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
        alone, _ = run(model.eval(), (map_inputs(_row, inputs), targets))
    except Exception:  # it takes no part of a batch
        return
    finally:
        model.train(training)
    if _same_row(outputs, alone):
        raise InputError(
            f"example_inputs is a batch of {several} examples, and all costs would be those of "
            f"{several} together: give one, {cut_to_one(example)}"
        )


def warn_of_several(model: nn.Module, example: Inputs) -> None:
    """Warns of example inputs that look like several examples, where no data shows what one is.

    They look so if the network's outputs of the first and of the last row are the same with and
    without the others. So they are in a batch, but seldom for the nodes of a graph, or the steps of
    a sequence.

    Args:
        model: The network; a copy is run.
        example: The example inputs of the search space, on its device.
    """
    several = rows_of(example)
    if several is None or several == 1:
        return
    with preserved(), torch.no_grad():
        torch.manual_seed(0)
        # Not the example itself: rows of zeros may look independent.
        inputs = map_inputs(_noise, example)
        try:
            own = copy_of(model)
            outputs = call(own, copied(inputs))
            alike = all(
                _same_row(outputs, call(own, map_inputs(partial(_row, at=at), inputs)), at)
                for at in (0, several - 1)
            )
        except Exception:  # it takes no part of the inputs, or not these numbers
            return
    if alike:
        log.warning(
            "example_inputs looks like %d examples, because the network gives each row the same "
            "output with and without the others: costs are those of all %d together. If it is a "
            "batch, give one, %s",
            several,
            several,
            cut_to_one(example),
        )


def _noise(tensor: Tensor) -> Tensor:
    return torch.randn_like(tensor) if tensor.is_floating_point() else tensor


def _row(tensor: Tensor, at: int = 0) -> Tensor:
    return tensor[at : at + 1].clone() if tensor.ndim else tensor


def _same_row(outputs: Any, alone: Any, at: int = 0) -> bool:
    """Whether a row of outputs is the only one of others."""
    one, other = (next(all_tensors_in(tree), None) for tree in (outputs, alone))
    if one is None or other is None or not one.ndim or one[at : at + 1].shape != other.shape:
        return False
    one, other = one.float(), other.float()
    largest = float(one.abs().max())
    return torch.allclose(one[at : at + 1], other, rtol=CLOSE, atol=CLOSE * largest)
