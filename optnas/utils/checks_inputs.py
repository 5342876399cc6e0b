"""Networks that know more of their inputs than their shape, and say what doesn't fit."""

from __future__ import annotations

from abc import ABC, abstractmethod

from torch import Tensor, nn

from optnas.errors import InputError


class ChecksInputs(ABC):
    """A network whose inputs are checked before it is trained.

    A check in `forward` would cost a GPU a wait at each batch, and can't be exported.
    """

    @abstractmethod
    def check_inputs(self, x: Tensor, lengths: Tensor | None = None) -> None:
        """Takes what `forward` takes, of any number of examples.

        Raises:
            InputError: The network can't be meant to take them.
        """


def check_tokens(layer: nn.Embedding, ids: Tensor) -> None:
    """Raises InputError if one of the tokens has no vector in an embedding."""
    if not ids.numel() or ids.is_floating_point():
        return
    least, most, number = int(ids.min()), int(ids.max()), layer.num_embeddings
    if least < 0:
        raise InputError(
            f"the inputs have the token {least}, and tokens are numbered from 0: "
            "give padding a number of its own"
        )
    if most >= number:
        raise InputError(
            f"the inputs have the token {most}, and the network has vectors for the tokens 0 to "
            f"{number - 1}: give it a vocabulary of {most + 1}, or number the "
            "tokens from 0"
        )
