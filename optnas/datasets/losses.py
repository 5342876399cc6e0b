"""The usual losses and scores, for models whose outputs fit."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from torch import Tensor
from torch.nn import functional

from optnas.datasets.dataset import Dataset, Loaders
from optnas.errors import InputError


def accuracy(outputs: Tensor, targets: Tensor) -> Tensor:
    """Share of examples whose greatest output is their class."""
    return (outputs.argmax(1) == targets).float().mean()


def standard_loss(data: Dataset | Loaders) -> Callable[[Tensor, Tensor], Tensor]:
    """Cross-entropy for classification, the mean squared error for regression."""
    if data.task == "regression":
        return squared_error
    classes = data.outputs if isinstance(data, Dataset) else 2
    return partial(cross_entropy, classes=classes)


def cross_entropy(outputs: Tensor, targets: Tensor, classes: int) -> Tensor:
    """Mean cross-entropy, for models that return one output a class; raises InputError else."""
    if outputs.ndim < 2 or outputs.shape[1] < classes:
        raise InputError(
            f"the model returns shape {tuple(outputs.shape)} for {classes} classes: give its last "
            "layer one output a class"
        )
    return functional.cross_entropy(outputs, targets)


def squared_error(outputs: Tensor, targets: Tensor) -> Tensor:
    """Mean squared error; unlike `mse_loss` it never broadcasts."""
    if outputs.shape != targets.shape:
        raise InputError(
            f"the model returns shape {tuple(outputs.shape)}, the targets have "
            f"{tuple(targets.shape)}: give the model's last layer as many outputs as targets"
        )
    return functional.mse_loss(outputs, targets)
