"""Losses and scores of a class for each pixel.

All of them are computed from sums over pixels, so that batches are added up and not averaged, and
the outputs of a whole validation part needn't be in memory at once.

Outputs are logits of shape `(n, classes, height, width)`, targets class numbers of shape
`(n, height, width)`; or any other number of dimensions in place of height and width. Pixels with a
negative target are left out.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

from optnas.datasets.class_numbers import check_in_range, shares_of_classes, summed_cross_entropy
from optnas.datasets.logits import logits_of
from optnas.datasets.summed import Summed
from optnas.errors import InputError


@dataclass(frozen=True)
class PixelCrossEntropy(Summed):
    """Mean cross-entropy of the pixels, in nats.

    Example:
        ```python
        import torch

        from optnas.datasets.pixels import PixelCrossEntropy

        targets = torch.zeros(2, 5, 5, dtype=torch.int64)
        PixelCrossEntropy(classes=3)(torch.zeros(2, 3, 5, 5), targets)  # ln 3
        ```

    Attributes:
        classes: The least number of outputs.
    """

    classes: int = 2

    def sums(self, outputs: Tensor, targets: Tensor, label_smoothing: float = 0.0) -> Tensor:
        """The sum of the cross-entropies, and the number of pixels."""
        logits, targets = pixels_of(outputs, targets, self.classes)
        total, number = summed_cross_entropy(logits, targets, label_smoothing)
        return torch.stack((total, number.to(total)))

    def of(self, sums: Tensor) -> Tensor:
        """See `Summed`; 0 where no pixel is counted, so that such a batch trains nothing."""
        return sums[0] / sums[1].clamp(min=1)

    def __call__(self, outputs: Tensor, targets: Tensor, label_smoothing: float = 0.0) -> Tensor:
        """The value for some examples; all outputs share `label_smoothing` of a target equally."""
        return self.of(self.sums(outputs, targets, label_smoothing))


@dataclass(frozen=True)
class PixelDice(Summed):
    """The soft Dice loss: 1 - the mean over the classes of D.

    For a class, D = (2 Σ p·g + 1) / (Σ p² + Σ g² + 1), where p is the softmax of the outputs at a
    pixel, g is 1 in pixels of that class and 0 in others, and sums run over all pixels of a batch
    (for a score: of the whole part). It lies between 0 and 1, and is 0 for perfect predictions.

    Source: Milletari et al., V-Net: fully convolutional neural networks for volumetric medical
    image segmentation, 3DV 2016 (arXiv 1606.04797). There it is 1 - the loss, of two classes and
    for one image. The 1 in both parts of the fraction isn't in the paper: with it, a class that no
    pixel has is defined, and has a gradient.

    Attributes:
        classes: The least number of outputs.
    """

    classes: int = 2

    def sums(self, outputs: Tensor, targets: Tensor) -> Tensor:
        """Σ p·g, Σ p² and Σ g² of each class, shape `(3, classes)`."""
        logits, targets = pixels_of(outputs, targets, self.classes)
        counted = (targets >= 0).unsqueeze(1)
        shares = logits.softmax(1) * counted
        truth = functional.one_hot(targets.clamp(min=0), logits.shape[1]).movedim(-1, 1) * counted
        axes = (0, *range(2, logits.ndim))
        parts = (shares * truth, shares.square(), truth.to(shares))
        return torch.stack([part.sum(axes) for part in parts])

    def of(self, sums: Tensor) -> Tensor:
        """See `Summed`."""
        both, predicted, true = sums
        coefficients: Tensor = (2 * both + 1) / (predicted + true + 1)
        return 1 - coefficients.mean()


@dataclass(frozen=True)
class PixelCrossEntropyAndDice(Summed):
    """The sum of the mean cross-entropy of the pixels, in nats, and the soft Dice loss.

    Attributes:
        classes: The least number of outputs.
    """

    classes: int = 2

    def sums(self, outputs: Tensor, targets: Tensor) -> Tensor:
        """Those of both, one after the other."""
        entropy = PixelCrossEntropy(self.classes).sums(outputs, targets)
        return torch.cat((entropy, PixelDice(self.classes).sums(outputs, targets).flatten()))

    def of(self, sums: Tensor) -> Tensor:
        """See `Summed`."""
        return PixelCrossEntropy().of(sums[:2]) + PixelDice().of(sums[2:].reshape(3, -1))


PIXEL_LOSSES: dict[str, type[PixelCrossEntropy | PixelDice | PixelCrossEntropyAndDice]] = {
    "cross_entropy": PixelCrossEntropy,
    "dice": PixelDice,
    "cross_entropy+dice": PixelCrossEntropyAndDice,
}
"""The losses that `TrainingEvaluator(loss=)` has by name for a class for each pixel."""


class PixelAccuracy(Summed):
    """The share of the pixels whose largest output is that of their class."""

    def sums(self, outputs: Tensor, targets: Tensor) -> Tensor:
        """The number of such pixels, and of all."""
        logits, targets = pixels_of(outputs, targets)
        # No prediction is negative, so pixels that are left out are never right.
        return torch.stack(((logits.argmax(1) == targets).sum(), (targets >= 0).sum()))

    def of(self, sums: Tensor) -> Tensor:
        """See `Summed`."""
        return sums[0] / sums[1]


class MeanIoU(Summed):
    """The mean over the classes of TP / (TP + FP + FN), the intersection over union.

    TP counts the pixels of a class that are predicted as such, FP those of others that are, and FN
    those of the class that aren't. The counts are those of all pixels that are scored together. A
    class that is neither in predictions nor in targets has no such ratio, and is left out.

    Example:
        ```python
        import torch

        from optnas.datasets.pixels import MeanIoU

        targets = torch.tensor([[[0, 0], [1, 1]]])
        outputs = torch.tensor([[[[1.0, 1.0], [1.0, 0.0]], [[0.0, 0.0], [0.0, 1.0]]]])
        MeanIoU()(outputs, targets)  # (2/3 + 1/2) / 2
        ```
    """

    def sums(self, outputs: Tensor, targets: Tensor) -> Tensor:
        """The confusion matrix: pixels by their class (row) and the predicted one (column)."""
        logits, targets = pixels_of(outputs, targets)
        classes = logits.shape[1]
        counted = targets >= 0
        pairs = targets[counted] * classes + logits.argmax(1)[counted]
        return torch.bincount(pairs, minlength=classes**2).reshape(classes, classes)

    def of(self, sums: Tensor) -> Tensor:
        """See `Summed`."""
        right = sums.diagonal().double()
        union = sums.sum(0) + sums.sum(1) - right
        return (right[union > 0] / union[union > 0]).mean()


def pixels_of(outputs: object, targets: Tensor, classes: int = 2) -> tuple[Tensor, Tensor]:
    """The logits and the classes of the pixels.

    Raises:
        InputError: The shapes don't fit, the targets are no whole numbers, there are fewer outputs
            than classes, or a target is out of range.
    """
    logits = logits_of(outputs)
    whole = not targets.is_floating_point() and not targets.is_complex()
    fits = logits.ndim >= 3 and logits[:, 0].shape == targets.shape
    if not whole or not fits:
        size = tuple(targets.shape)
        raise InputError(
            f"a class for each pixel takes outputs of shape (n, classes, height, width) and whole "
            f"numbers of shape (n, height, width), and there are outputs of shape "
            f"{tuple(logits.shape)} for targets of {targets.dtype} and shape {size}: "
            + (
                "give y.long()"
                if fits
                else "give y[:, 0]"
                if targets.ndim == logits.ndim and targets.shape[1] == 1
                else "let the network return an image of the size of its input, as UNetSpace's do"
            )
        )
    if logits.shape[1] < classes:
        raise InputError(
            f"the model returns shape {tuple(logits.shape)} for {classes} classes: give its last "
            "layer one output a class"
        )
    check_in_range(targets, logits.shape[1])
    return logits, targets.long()


def constant_scores(train: Tensor, val: Tensor, classes: int) -> dict[str, float]:
    """The scores of the same prediction for each pixel: the classes' shares in the training part.

    Args:
        train: Targets of the training part.
        val: Those of the validation part.
        classes: Their number.

    Returns:
        `val_loss` (cross-entropy), `val_accuracy` and `val_mean_iou`.
    """
    shares = shares_of_classes(train, classes)
    counts = torch.bincount(val[val >= 0].long(), minlength=classes).double()
    likeliest, pixels = int(shares.argmax()), counts.sum()
    right = counts[likeliest] / pixels
    present = set(counts.nonzero().flatten().tolist()) | {likeliest}
    return {
        "val_loss": float(-(counts * shares.log()).sum() / pixels),
        "val_accuracy": float(right),
        "val_mean_iou": float(right / len(present)),
    }
