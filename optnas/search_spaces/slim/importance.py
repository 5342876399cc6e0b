"""Ranks the channels of a group: the most important ones stay.

Sources: Fang et al., DepGraph, CVPR 2023 (arXiv 2301.12900): the squared weights of all layers of a
group are summed. Molchanov et al., Importance estimation for neural network pruning, CVPR 2019
(arXiv 1906.10771), equation 8: the sum of (gradient · weight)² estimates by how much the loss
changes without a channel. There it is that of one layer; here that of the group.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from optnas.candidate import copy_of
from optnas.errors import InputError
from optnas.search_spaces.slim.graph import Port
from optnas.search_spaces.slim.layers import Side
from optnas.search_spaces.slim.slicing import Group, cuts
from optnas.utils.inputs import Inputs, call
from optnas.utils.random_state import seeded

Order = NDArray[np.intp]
"""The units of a group, the most important one first."""


def by_magnitude(
    model: nn.Module, ports: Mapping[Port, Side], groups: Sequence[Group]
) -> list[Order]:
    """Ranks by the sum of squared weights. Biases don't count."""
    return [_order(model, ports, group, lambda weight: weight.detach() ** 2) for group in groups]


def by_taylor(
    model: nn.Module,
    ports: Mapping[Port, Side],
    groups: Sequence[Group],
    batch: tuple[Inputs, Any],
    loss: Callable[[Any, Any], Tensor],
) -> list[Order]:
    """Ranks by the estimated change of the loss on a batch. Biases don't count.

    Raises:
        InputError: The loss isn't one number.
    """
    model = copy_of(model).requires_grad_()
    inputs, targets = batch
    with torch.enable_grad(), seeded(0):
        value = loss(call(model, inputs), targets)
        if not isinstance(value, Tensor) or value.numel() != 1:
            raise InputError(
                "loss(outputs, targets) must return a tensor of one element, got "
                f"{tuple(value.shape) if isinstance(value, Tensor) else type(value).__name__}"
            )
        value.sum().backward()

    def change(weight: Tensor) -> Tensor:
        return torch.zeros_like(weight) if weight.grad is None else (weight.grad * weight) ** 2

    return [_order(model, ports, group, change) for group in groups]


def _order(
    model: nn.Module,
    ports: Mapping[Port, Side],
    group: Group,
    of: Callable[[Tensor], Tensor],
) -> Order:
    total = np.zeros(group.units)
    for cut in cuts(model, ports, group):
        if isinstance(cut.tensor, nn.Parameter) and not cut.bias:
            found = of(cut.tensor).detach().double().movedim(cut.dim, 0)
            total += found.reshape(len(found), -1).sum(1).numpy()[cut.entries].sum(axis=1)
    return np.argsort(-total, kind="stable")
