"""Whether the data's inputs fit a network: numbers of tokens, and what the network itself checks.

A wrong token ends a training on the CPU in an error that names no token, and on a GPU the process.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from optnas.datasets.dataset import Part
from optnas.errors import InputError
from optnas.utils.checks_inputs import ChecksInputs, check_tokens
from optnas.utils.inputs import Inputs, call, in_order, map_inputs, number_of
from optnas.utils.trees import all_tensors_in, rows_of


@contextmanager
def inputs_checked(
    model: nn.Module, batch: Inputs | None, parts: Iterable[Inputs]
) -> Iterator[None]:
    """Checks the tokens that embeddings get while the model runs, and those of the whole data.

    Args:
        model: The model.
        batch: The inputs that it is about to run on; None if they are of a form of the user's own.
        parts: The inputs of whole parts of the data, where they are known: a tensor of `batch` that
            an embedding gets as it is stands for those.

    Raises:
        InputError: A token has no vector, or the network refuses the inputs.
    """
    parts = list(parts)
    if isinstance(model, ChecksInputs) and batch is not None:
        for inputs in parts or [batch]:
            call(model.check_inputs, inputs)

    def check(layer: nn.Embedding, arguments: tuple[Any, ...]) -> None:
        if not arguments or not isinstance(arguments[0], Tensor):
            return
        check_tokens(layer, arguments[0])
        for at, given in enumerate(() if batch is None else in_order(batch)):
            if given is arguments[0]:
                for inputs in parts:
                    check_tokens(layer, in_order(inputs)[at])

    hooks = [
        layer.register_forward_pre_hook(check)
        for layer in model.modules()
        if type(layer) is nn.Embedding
    ]
    try:
        yield
    finally:
        for hook in hooks:
            hook.remove()


def check_finite(model: nn.Module, parts: Iterable[Part], *, usual_loss: bool) -> None:
    """Raises InputError if NaN or infinite numbers in the data reach outputs, or the usual loss.

    A network may take NaN for what isn't known, and a loss of the user's may leave it out.

    Args:
        model: The network; its mode stays.
        parts: Inputs and targets.
        usual_loss: Whether the loss is the usual one of the task.
    """
    for inputs, targets in parts:
        rows = _not_finite(inputs)
        if len(rows) and not _makes_numbers(model, inputs, rows[:1]):
            raise InputError(
                f"{len(rows)} of {number_of(inputs)} examples hold NaN or infinite numbers, and "
                "the network makes such outputs of them: fill them, or leave these examples out"
            )
        rows = _not_finite(targets)
        if len(rows) and usual_loss:
            raise InputError(
                f"{len(rows)} of {number_of(targets)} targets hold NaN or infinite numbers, and so "
                "would the loss: leave these examples out, or give a loss of your own that does "
                "(loss=)"
            )


def _not_finite(examples: Inputs) -> Tensor:
    """The numbers of the examples that hold NaN or an infinite number, where they can be seen."""
    none = torch.zeros(0, dtype=torch.int64)
    found = [
        ~tensor.reshape(len(tensor), -1).isfinite().all(1)
        for tensor in in_order(examples)
        if tensor.ndim and tensor.is_floating_point()
    ]
    if not found or not rows_of(examples):
        return none
    return torch.stack(found).any(0).nonzero().flatten()


def _makes_numbers(model: nn.Module, inputs: Inputs, rows: Tensor) -> bool:
    """Whether the outputs of some examples are finite."""
    training = model.training
    try:
        outputs = call(model.eval(), map_inputs(lambda t: t[rows] if t.ndim else t, inputs))
    except Exception:  # it takes no part of a batch
        return True
    finally:
        model.train(training)
    return all(bool(tensor.isfinite().all()) for tensor in all_tensors_in(outputs))
