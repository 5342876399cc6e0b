"""The standard losses and scores of both tasks; they check the shape of the outputs."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial

import torch
from torch import Tensor
from torch.nn import functional

from optnas.datasets.dataset import Dataset, Loaders
from optnas.errors import InputError
from optnas.utils.inputs import described


def accuracy(outputs: Tensor, targets: Tensor) -> Tensor:
    """Share of examples whose largest output is that of their class.

    Args:
        outputs: Shape `(n, classes)` or more; further dimensions are averaged too.
        targets: Class numbers, shape `(n,)`, and the further dimensions.

    Raises:
        InputError: The outputs aren't one for each of two classes or more.
    """
    outputs = logits_of(outputs)
    if outputs.ndim < 2 or outputs.shape[1] < 2 or outputs[:, 0].shape != targets.shape:
        raise InputError(
            f"val_accuracy takes outputs of shape (n, classes) and class numbers of shape (n,), "
            f"and there are outputs of shape {tuple(outputs.shape)} for targets of shape "
            f"{tuple(targets.shape)}: "
            + ("give y.argmax(1) of one-hot rows, or " if _are_shares(targets, outputs) else "")
            + "switch it off (accuracy=False), and give a score of your own (scores=) for another"
        )
    return (outputs.argmax(1) == targets).float().mean()


def standard_loss(data: Dataset | Loaders) -> Callable[[Tensor, Tensor], Tensor]:
    """The loss of a task: cross-entropy for classification, mean squared error for regression."""
    if data.task == "regression":
        return squared_error
    classes = data.outputs if isinstance(data, Dataset) else 2
    return partial(cross_entropy, classes=classes)


def loss_named(name: str, data: Dataset | Loaders) -> Callable[[Tensor, Tensor], Tensor]:
    """The loss of a name in `LOSSES`, for some data.

    Raises:
        InputError: There is no such loss, or it isn't one of the data's task.
    """
    fitting = {n: loss for n, loss in LOSSES.items() if (n == "cross_entropy") == _classes(data)}
    if name not in fitting:
        raise InputError(
            f"the loss {name!r} is none for {data.task}: give {' or '.join(fitting)}, or a "
            "function of outputs and targets"
        )
    return standard_loss(data) if name == "cross_entropy" else fitting[name]


def _classes(data: Dataset | Loaders) -> bool:
    return data.task == "classification"


def cross_entropy(
    outputs: Tensor, targets: Tensor, classes: int, label_smoothing: float = 0.0
) -> Tensor:
    """Mean cross-entropy, in nats.

    Args:
        outputs: Logits, shape `(n, classes)` or more; further dimensions are averaged too.
        targets: Class numbers, shape `(n,)`; or the share of each class, the outputs' shape.
        classes: The least number of outputs.
        label_smoothing: Share of the target that all outputs share equally.

    Raises:
        InputError: The model returns fewer outputs than there are classes, or what is no tensor;
            the targets are no class numbers.
    """
    outputs = logits_of(outputs)
    if outputs.ndim < 2 or outputs.shape[1] < classes:
        raise InputError(
            f"the model returns shape {tuple(outputs.shape)} for {classes} classes: give its last "
            "layer one output a class"
        )
    _check_tensor(targets)
    shares = _are_shares(targets, outputs)
    if not shares and (targets.is_floating_point() or targets.ndim != outputs.ndim - 1):
        raise InputError(
            f"the targets of classes must be whole numbers of shape (n,), got {targets.dtype} of "
            f"shape {tuple(targets.shape)}: give y.argmax(1) of one-hot rows, y.long() of whole "
            "floats, or a loss of your own (loss=)"
        )
    return functional.cross_entropy(outputs, targets, label_smoothing=label_smoothing)


def chance_scores(data: Dataset) -> dict[str, float]:
    """The scores on the validation part of a prediction that ignores its input.

    For classification it is the share of each class in the training part (its accuracy is that of
    the most frequent class); for regression, the mean of the training targets.

    Returns:
        `val_loss`, the standard loss, and for classification `val_accuracy`.
    """
    targets = data.val[1]
    if data.task == "regression":
        mean = data.train[1].mean(dim=0, keepdim=True)
        return {"val_loss": float(squared_error(mean.expand_as(targets), targets))}
    # One count more in each class: a class that training never saw has no infinite loss.
    shares = torch.bincount(data.train[1], minlength=data.outputs).float() + 1
    outputs = (shares / shares.sum()).log().expand(len(targets), -1)
    return {
        "val_loss": float(cross_entropy(outputs, targets, data.outputs)),
        "val_accuracy": float(accuracy(outputs, targets)),
    }


def squared_error(outputs: Tensor, targets: Tensor) -> Tensor:
    """Mean squared error. Unlike `torch.nn.functional.mse_loss` it never broadcasts.

    Args:
        outputs: Shape `(n, outputs)`.
        targets: The same shape.

    Raises:
        InputError: The shapes differ, or the model returns what is no tensor.
    """
    return functional.mse_loss(_alike(outputs, targets), targets)


def _absolute_error(outputs: Tensor, targets: Tensor) -> Tensor:
    return functional.l1_loss(_alike(outputs, targets), targets)


def _smooth_error(outputs: Tensor, targets: Tensor) -> Tensor:
    return functional.smooth_l1_loss(_alike(outputs, targets), targets)


def _huber_error(outputs: Tensor, targets: Tensor) -> Tensor:
    return functional.huber_loss(_alike(outputs, targets), targets)


LOSSES: dict[str, Callable[..., Tensor]] = {
    "cross_entropy": cross_entropy,
    "mse_loss": squared_error,
    "l1_loss": _absolute_error,
    "smooth_l1_loss": _smooth_error,
    "huber_loss": _huber_error,
}
"""The losses that have a name, which is that of the function in `torch.nn.functional`."""


def _alike(outputs: object, targets: Tensor) -> Tensor:
    """The outputs, which must have the targets' shape."""
    found = logits_of(outputs)
    _check_tensor(targets)
    if found.shape != targets.shape:
        column = found.shape == (*targets.shape, 1)
        raise InputError(
            f"the model returns shape {tuple(found.shape)}, the targets have "
            f"{tuple(targets.shape)}: "
            + ("give y[:, None]" if column and targets.ndim == 1 else _AS_MANY)
        )
    return found


def _check_tensor(targets: object) -> None:
    if not isinstance(targets, Tensor):
        raise InputError(
            f"the targets are {described(targets)}, and the usual loss takes a tensor: give the "
            "loss of each part by its name (loss={'digit': 'cross_entropy', …}), or a loss of your "
            "own that takes them as they are (loss=lambda outputs, targets: …)"
        )


_AS_MANY = "give the model's last layer as many outputs as targets"


def _are_shares(targets: Tensor, outputs: Tensor) -> bool:
    """Whether targets are a share for each class: one-hot, smoothed, or mixed in the loader."""
    return targets.is_floating_point() and targets.ndim > 1 and targets.shape == outputs.shape


def logits_of(outputs: object) -> Tensor:
    """What the model returns, or the `logits` in it, as models of transformers call it.

    Raises:
        InputError: There is no such tensor.
    """
    found = outputs.get("logits") if isinstance(outputs, Mapping) else outputs
    if isinstance(found, Tensor):
        return found.float()
    raise InputError(
        f"the model returns {described(outputs)}, and the usual loss and accuracy take a tensor of "
        "shape (n, outputs), or one called logits in a dictionary: return that, or give a loss of "
        "your own that takes what the model returns (loss=lambda outputs, targets: …, "
        "accuracy=False)"
    )
