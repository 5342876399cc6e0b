"""Whether the data's inputs fit a network: numbers of tokens, and what the network itself checks.

A wrong token ends a training on the CPU in an error that names no token, and on a GPU the process.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any

from torch import Tensor, nn

from optnas.utils.checks_inputs import ChecksInputs, check_tokens
from optnas.utils.inputs import Inputs, call, in_order


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
