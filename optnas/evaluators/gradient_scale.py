"""Scales the loss of a training in float16, so that small gradients don't become 0.

Source: Micikevicius et al., Mixed precision training, ICLR 2018 (arXiv 1710.03740), as in PyTorch's
`GradScaler`: a step whose gradient isn't finite is left out, and the scale is halved; after 2,000
steps without one, it is doubled.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor


class GradientScale:
    """The scale of a training's loss; it does nothing in other precisions than float16.

    Args:
        precision: That of the recipe.
        device: Where the network is trained.
    """

    def __init__(self, precision: str, device: torch.device) -> None:
        self.used = precision == "float16"
        self._scaler = torch.amp.GradScaler(device.type, enabled=self.used)

    def scaled(self, loss: Tensor) -> Tensor:
        """The loss from which gradients are computed."""
        return self._scaler.scale(loss)

    def unscale(self, optimizer: torch.optim.Optimizer) -> None:
        """Makes the gradients those of the loss itself, before they are clipped."""
        if _has_gradient(optimizer):
            self._scaler.unscale_(optimizer)

    def step(self, optimizer: torch.optim.Optimizer) -> None:
        """Takes a step, unless a gradient isn't finite."""
        if not _has_gradient(optimizer):  # of a network in which nothing is trained
            optimizer.step()
            return
        self._scaler.step(optimizer)
        self._scaler.update()

    def state(self) -> dict[str, Any]:
        """All that `load_state` needs; empty in other precisions."""
        return self._scaler.state_dict()

    def load_state(self, state: Mapping[str, Any]) -> None:
        """Continues with a scale."""
        self._scaler.load_state_dict(dict(state))


def _has_gradient(optimizer: torch.optim.Optimizer) -> bool:
    groups = optimizer.param_groups
    return any(parameter.grad is not None for group in groups for parameter in group["params"])
