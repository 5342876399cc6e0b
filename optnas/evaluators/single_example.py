"""Says what to do where a training batch of one example meets a normalisation over the batch."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from optnas.errors import InputError

_MESSAGE = "Expected more than 1 value per channel when training"
"""How the error of `torch.nn.functional.batch_norm` begins."""


@contextmanager
def explained_single_example() -> Iterator[None]:
    """Turns PyTorch's error about such a batch into one that says what to do.

    Raises:
        InputError: The block had such a batch.
    """
    try:
        yield
    except ValueError as error:
        if not str(error).startswith(_MESSAGE):
            raise
        raise InputError(
            "a training batch has one example, and a BatchNorm layer computes its statistics over "
            f"the batch ({error}): let the DataLoader leave such a last batch out "
            "(drop_last=True), or choose another batch size"
        ) from error
