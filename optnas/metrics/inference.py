"""Passes without gradients: in PyTorch's inference mode, where a network runs in it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch

from optnas.utils.inputs import Inputs, shapes_noted

Pass = Callable[[], Any]


@contextmanager
def inference(one_pass: Pass, made_anew: Callable[[], Pass], inputs: Inputs) -> Iterator[Pass]:
    """A block in which passes run without gradients, after a first one that isn't measured.

    A network that differentiates inside of its forward (`torch.enable_grad`, `autograd.grad`) fails
    in inference mode, whose tensors can't take part in that. Its passes run under `no_grad`.

    Args:
        one_pass: Runs a pass.
        made_anew: Makes such a function with another copy of the network. It is called if a pass
            fails in inference mode, which may leave tensors of that mode in the network.
        inputs: The example inputs, for messages.

    Yields:
        The function to call in the block.
    """
    if _runs_in_inference_mode(one_pass, inputs):
        with torch.inference_mode():
            yield one_pass
        return
    one_pass = made_anew()
    with torch.no_grad():
        with shapes_noted(inputs):
            one_pass()
        yield one_pass


def _runs_in_inference_mode(one_pass: Pass, inputs: Inputs) -> bool:
    """Runs a first pass, which compiles and allocates."""
    try:
        with torch.inference_mode(), shapes_noted(inputs):
            one_pass()
    except torch.OutOfMemoryError:
        raise
    except RuntimeError:  # if the mode isn't the reason, the second attempt raises it again
        return False
    return True
