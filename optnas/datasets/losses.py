"""The standard losses and scores of each task; they check the shape of the outputs."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from torch import Tensor
from torch.nn import functional

from optnas.datasets.class_numbers import (
    UNCOUNTED,
    check_in_range,
    is_counted,
    shares_of_classes,
    summed_cross_entropy,
)
from optnas.datasets.dataset import Dataset, Loaders
from optnas.datasets.logits import SQUEEZED, is_squeezed, logits_of
from optnas.datasets.next_token import TokenCrossEntropy, perplexity
from optnas.datasets.pixels import PIXEL_LOSSES, constant_scores
from optnas.errors import InputError
from optnas.utils.inputs import described


def accuracy(outputs: Tensor, targets: Tensor) -> Tensor:
    """Share of examples whose largest output is that of their class.

    Args:
        outputs: Shape `(n, classes)` or more; further dimensions are averaged too.
        targets: Class numbers, shape `(n,)`, and the further dimensions. Not counted are -100,
            as in the loss, and with further dimensions any negative number.

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
    targets = targets.long()  # in uint8, -100 is a class
    right = outputs.argmax(1) == targets
    return right[is_counted(targets)].float().mean()


def standard_loss(data: Dataset | Loaders) -> Callable[[Tensor, Tensor], Tensor]:
    """The loss of a task: mean squared error for regression, cross-entropy for the others."""
    return next(iter(losses_by_name(data).values()))


def loss_named(name: str, data: Dataset | Loaders) -> Callable[[Tensor, Tensor], Tensor]:
    """The loss of a name, for some data.

    Raises:
        InputError: The data's task has no such loss.
    """
    fitting = losses_by_name(data)
    if name not in fitting:
        raise InputError(
            f"the loss {name!r} is none for {data.task}: give {' or '.join(fitting)}, or a "
            "function of outputs and targets"
        )
    return fitting[name]


def losses_by_name(data: Dataset | Loaders) -> dict[str, Callable[[Tensor, Tensor], Tensor]]:
    """The losses that a task has by name; the usual one is the first."""
    classes = data.outputs if isinstance(data, Dataset) else 2
    match data.task:
        case "regression":
            return {name: loss for name, loss in LOSSES.items() if name != "cross_entropy"}
        case "language":
            return {"cross_entropy": TokenCrossEntropy(classes)}
        case "segmentation":
            return {name: loss(classes) for name, loss in PIXEL_LOSSES.items()}
        case _:
            return {"cross_entropy": partial(cross_entropy, classes=classes)}


def cross_entropy(
    outputs: Tensor, targets: Tensor, classes: int, label_smoothing: float = 0.0
) -> Tensor:
    """Mean cross-entropy, in nats.

    Args:
        outputs: Logits, shape `(n, classes)` or more; further dimensions are averaged too.
        targets: Class numbers, shape `(n,)`, and the further dimensions (see `accuracy` for those
            that aren't counted); or the share of each class, the outputs' shape.
        classes: The least number of outputs.
        label_smoothing: Share of the target that all outputs share equally.

    Raises:
        InputError: The model returns fewer outputs than there are classes, outputs with further
            dimensions for one class an example, or what is no tensor; the targets are no class
            numbers, or one is out of range.
    """
    outputs = logits_of(outputs)
    _check_tensor(targets)
    if targets.ndim == 1 < outputs.ndim - 1:
        raise InputError(
            f"the model returns shape {tuple(outputs.shape)}, and one class for each example needs "
            f"({len(targets)}, classes): end the model with a mean over the other dimensions, say, "
            "and one output a class"
        )
    if outputs.ndim < 2 or outputs.shape[1] < classes:
        raise InputError(
            f"the model returns shape {tuple(outputs.shape)} for {classes} classes: "
            + (
                SQUEEZED
                if is_squeezed(outputs, targets)
                else "give its last layer one output a class"
            )
        )
    shares = _are_shares(targets, outputs)
    if not shares and (targets.is_floating_point() or targets.ndim != outputs.ndim - 1):
        raise InputError(
            f"the targets of classes must be whole numbers of shape (n,), got {targets.dtype} of "
            f"shape {tuple(targets.shape)}: give "
            + ("y.long()" if targets.ndim == 1 else "y.argmax(1) of one-hot rows, y.long()")
            + " of whole floats, or a loss of your own (loss=)"
        )
    if not shares and targets.ndim > 1:
        total, number = summed_cross_entropy(outputs, targets, label_smoothing)
        return total / number.clamp(min=1)
    if shares:
        return functional.cross_entropy(outputs, targets, label_smoothing=label_smoothing)
    targets = targets.long()  # PyTorch takes no other whole numbers
    check_in_range(targets, outputs.shape[1])
    # A batch in which nothing is counted trains nothing; its mean would be 0/0.
    if targets.is_cpu:
        if targets.numel() and int(targets.max()) == UNCOUNTED:
            return 0.0 * outputs.sum()
        return functional.cross_entropy(outputs, targets, label_smoothing=label_smoothing)
    some = is_counted(targets).any()  # read on the device, so that nothing waits for it
    targets = targets.where(some, 0)
    return functional.cross_entropy(outputs, targets, label_smoothing=label_smoothing) * some


def chance_scores(data: Dataset) -> dict[str, float]:
    """The scores on the validation part of a prediction that ignores its input.

    For classes it is the share of each class in the training part (its accuracy is that of the most
    frequent class); for language, the share of each token; for regression, the mean of the training
    targets.

    Returns:
        `val_loss`, the standard loss; for classes `val_accuracy`, unless the targets are shares of
        classes; for segmentation `val_mean_iou`; for language `perplexity`.
    """
    targets = data.val[1]
    if data.task == "regression":
        mean = data.train[1].float().mean(dim=0, keepdim=True)
        return {"val_loss": float(squared_error(mean.expand_as(targets), targets.float()))}
    if data.task == "classification" and targets.is_floating_point() and targets.ndim > 1:
        sums = data.train[1].double().movedim(1, 0).flatten(1).sum(1)
        sums += 1  # as in `shares_of_classes`, so that none is 0
        logs = (sums / sums.sum()).log().float().reshape(1, -1, *[1] * (targets.ndim - 2))
        return {"val_loss": float(cross_entropy(logs.expand_as(targets), targets, 2))}
    if data.task == "segmentation":
        return constant_scores(data.train[1], targets, data.outputs)
    logs = shares_of_classes(data.train[1], data.outputs).float().log()
    if data.task == "language":
        if targets.is_floating_point():
            raise InputError(
                f"{data.name}: the next tokens must be whole numbers, got {targets.dtype}: give "
                "y.long()"
            )
        loss = -float(logs[targets[is_counted(targets)]].mean())
        return {"val_loss": loss, "perplexity": perplexity(loss)}
    outputs = logs.expand(len(targets), -1)
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
            + (
                "give y[:, None]"
                if column and targets.ndim == 1
                else SQUEEZED
                if is_squeezed(found, targets)
                else _AS_MANY
            )
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
