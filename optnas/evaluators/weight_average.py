"""The moving average of a model's weights over the steps of its training."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim.swa_utils import get_ema_multi_avg_fn


class WeightAverage:
    """The exponential moving average of a model's weights.

    Between epochs the model has the averaged weights, so scores, kept weights and checkpoints are
    those of the average. The weights that are trained are kept here until the next epoch.

    Statistics of normalisation layers, and all other buffers of floating-point numbers, are
    averaged like the weights, so that they belong to the same steps. Whole numbers, such as counts
    of batches, are those of the training, and so are buffers with an infinite number at the start:
    masks of an attention, whose mean with themselves isn't defined.

    In the first steps the decay is less, because the average would consist of the random initial
    weights: `(1 + step) / (10 + step)`, as TensorFlow's `ExponentialMovingAverage` has it.

    Args:
        model: The model, on its device.
        decay: The share of the average that stays in a step.
    """

    def __init__(self, model: nn.Module, decay: float) -> None:
        self._model = model
        self._decay = decay
        self._parameters = [p for p in model.parameters() if _is_averaged(p)]
        self._buffers = {
            name for name, b in model.named_buffers() if _is_averaged(b) and b.isfinite().all()
        }
        self._other: list[Tensor] | None = None
        """In an epoch the average; between epochs the trained weights. None before the first."""

    def begin_epoch(self) -> None:
        """Gives the model the weights that are trained."""
        if self._other is None:
            self._other = [tensor.detach().clone() for tensor in self._tensors()]
        else:
            self._exchange()

    def end_epoch(self) -> None:
        """Gives the model the averaged weights."""
        self._exchange()

    def update(self, step: int) -> None:
        """Takes the model's weights into the average.

        Args:
            step: Counted from 0.
        """
        if self._other:  # PyTorch's takes no empty list
            average = get_ema_multi_avg_fn(min(self._decay, (1 + step) / (10 + step)))
            average(self._other, self._tensors(), step)

    def state(self) -> list[Tensor] | None:
        """Between epochs: the weights that are trained (those in use, no copies)."""
        return self._other

    def load_state(self, state: Sequence[Tensor] | None) -> None:
        """Continues from a state; the model has the averaged weights already."""
        self._other = None
        if state is not None:
            self._other = [tensor.detach().clone() for tensor in self._tensors()]
            with torch.no_grad():
                for tensor, stored in zip(self._other, state, strict=True):
                    tensor.copy_(stored)

    def _tensors(self) -> list[Any]:
        # Buffers anew at each call: a module may replace them.
        buffers = self._model.named_buffers()
        return self._parameters + [buffer for name, buffer in buffers if name in self._buffers]

    @torch.no_grad()
    def _exchange(self) -> None:
        assert self._other is not None
        for tensor, other in zip(self._tensors(), self._other, strict=True):
            held = tensor.clone()
            tensor.copy_(other)
            other.copy_(held)


def _is_averaged(tensor: Tensor) -> bool:
    return tensor.is_floating_point() or tensor.is_complex()
