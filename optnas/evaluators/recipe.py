"""The training recipe of one network."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import KW_ONLY, dataclass, fields
from typing import Any

import torch
from torch import Tensor

from optnas.evaluators.recipe_functions import (
    check_accumulate,
    check_loss,
    check_optimizer,
    check_scheduler,
    check_together,
    head_weights_of,
    unused_settings,
)
from optnas.evaluators.schedule import SCHEDULES, share_of_rate
from optnas.study.recipe_text import recipe_repr
from optnas.utils.checks import check_numbers

NUMBERS = (
    "learning_rate",
    "weight_decay",
    "batch_size",
    "warmup",
    "max_grad_norm",
    "label_smoothing",
    "ema_decay",
    "mixup",
)
OPTIMIZERS = ("adam", "adamw", "sgd", "rmsprop")


@dataclass(frozen=True, repr=False)
class Recipe:
    """All settings of a network's training.

    The defaults suit small networks; the weight decay is AdamW's default.

    The text of a recipe has a setting after `data` only where it differs from its default. Of a
    function it has the name, and a hash of its code.

    Example:
        ```python
        import torch

        import optnas

        recipe = optnas.Recipe(optimizer="sgd", learning_rate=0.1, batch_size=32)


        def slow_head(model):
            *body, head = model.children()
            return torch.optim.AdamW(
                [
                    {"params": [p for module in body for p in module.parameters()]},
                    {"params": head.parameters(), "lr": 1e-4},
                ],
                lr=1e-3,
            )


        recipe = optnas.Recipe(optimizer=slow_head, accumulate=4, max_grad_norm=1.0)
        ```

    Attributes:
        optimizer: `adam`, `adamw`, `sgd` (Nesterov momentum 0.9) or `rmsprop`. Or a function of the
            model, which is on its device, that makes any optimizer of PyTorch's kind, with groups
            of parameters if need be: `lambda model: torch.optim.Adagrad(model.parameters(), 0.1)`.
            It sets learning rates and weight decay itself; a function with two parameters is given
            the recipe, too, and may take them from there.
        learning_rate: The highest one; `schedule` and `warmup` lower it, or those that a function
            gave to its groups, over the steps.
        weight_decay: As the optimizer defines it.
        batch_size: Examples in a batch; None takes 64, or the size of your DataLoader's batches.
        seed: Added to the trial's seed: with another one, the same network is trained anew.
        epochs: Passes over the training part. The evaluator sets this, `precision` and `data`.
        precision: `float32`, `bfloat16` or `float16` (autocast).
        loss: The loss that is trained with, in place of the evaluator's: `cross_entropy` for
            classes and tokens; that, `dice` or `cross_entropy+dice` for classes of pixels (see
            `optnas.datasets.pixels`); `mse_loss`, `l1_loss`, `smooth_l1_loss` or `huber_loss` for
            regression; or `loss(outputs, targets)`, a function that returns a tensor of one
            element. The score `val_loss` stays the evaluator's, so that trials can be compared.
            Empty takes the evaluator's, which writes its name here.
        data: Fingerprint of data and split.
        schedule: `cosine` (the learning rate falls to zero along half a cosine), `one_cycle` (it
            rises from 1/25 of the highest one along half a cosine, and falls to 1/250,000 of it
            along another; Smith and Topin, arXiv 1708.07120, as PyTorch's `OneCycleLR` without a
            cycle of the momentum) or `constant`.
        warmup: Share of the steps over which the learning rate rises in a straight line; then the
            schedule begins. None takes 0. For `one_cycle` it is the share in which the cycle rises,
            and None takes 0.3.
        max_grad_norm: In each step the gradient is scaled down to this norm, over all parameters
            that the optimizer has, if it is larger; None leaves it as it is.
        label_smoothing: In training, this share of each target is spread equally over all classes
            (Szegedy et al., arXiv 1512.00567). Scores are computed without.
        ema_decay: Share of the exponential moving average of the weights that stays in a step, such
            as 0.99. Scores and kept weights are those of the average. The statistics of
            normalisation layers are averaged too; in the first steps the decay is at most
            `(1 + step) / (10 + step)`. 0 averages nothing.
        flip: Whether each training image is mirrored, left to right, with probability 1/2.
        shift: Each training image is moved by up to this number of pixels, in both directions;
            zeros come in, the mean of normalised images (He et al., arXiv 1512.03385, take 4
            pixels for images of 32×32).
        cutout: Side of a square in each training image that becomes zero. Its centre is anywhere in
            the image, so a part may lie outside (DeVries and Taylor, arXiv 1708.04552, who take 16
            for CIFAR-10 and 8 for CIFAR-100).
        mixup: Training examples are mixed in pairs, with a share drawn from Beta(mixup, mixup) for
            each batch; so are the losses for their targets (Zhang et al., arXiv 1710.09412, who
            take 1 for CIFAR, and 0.1 to 0.4 for ImageNet). 0 mixes nothing.
        scheduler: In place of `schedule` and `warmup`: a function of the optimizer and the number
            of steps in all epochs, that makes one of `torch.optim.lr_scheduler`. It is stepped
            after each step; a `ReduceLROnPlateau` after each epoch, with the mean training loss
            (which a retraining has, too).
        accumulate: Batches in a step; its gradient is the mean of theirs.
        head_weights: For the losses of several heads (`TrainingEvaluator(loss={…})`): the weight of
            each in the sum that is trained with, by the head's name; 1 where none is given. Scores
            have no weights. It is kept as pairs.
    """

    optimizer: str | Callable[..., torch.optim.Optimizer] = "adamw"
    learning_rate: float = 3e-3
    weight_decay: float = 1e-2
    batch_size: int | None = None
    seed: int = 0
    epochs: int = 0
    precision: str = "float32"
    loss: str | Callable[[Any, Any], Tensor] = ""
    data: str = ""
    _: KW_ONLY
    schedule: str = "cosine"
    warmup: float | None = None
    max_grad_norm: float | None = None
    label_smoothing: float = 0.0
    ema_decay: float = 0.0
    flip: bool = False
    shift: int = 0
    cutout: int = 0
    mixup: float = 0.0
    scheduler: Callable[[torch.optim.Optimizer, int], Any] | None = None
    accumulate: int = 1
    head_weights: Mapping[str, float] | tuple[tuple[str, float], ...] | None = None

    def __post_init__(self) -> None:
        check_optimizer(self.optimizer, OPTIMIZERS)
        check_scheduler(self.scheduler)
        check_accumulate(self.accumulate)
        check_loss(self.loss)
        object.__setattr__(self, "head_weights", head_weights_of(self.head_weights))
        check_numbers(**{name: getattr(self, name) for name in NUMBERS})
        if not 0 < self.learning_rate < math.inf:
            raise ValueError(f"learning_rate must be above 0, got {self.learning_rate}")
        if not 0 <= self.weight_decay < math.inf:
            raise ValueError(f"weight_decay must be at least 0, got {self.weight_decay}")
        if self.batch_size is not None and self.batch_size < 1:
            raise ValueError(f"batch_size must be at least 1, got {self.batch_size}")
        if self.schedule not in SCHEDULES:
            raise ValueError(
                f"schedule must be one of {', '.join(SCHEDULES)}, got {self.schedule!r}"
            )
        if self.warmup is not None and not 0 <= self.warmup < 1:
            raise ValueError(
                f"warmup is a share of the steps, from 0 to below 1, got {self.warmup}"
            )
        if self.max_grad_norm is not None and not 0 < self.max_grad_norm < math.inf:
            raise ValueError(
                f"max_grad_norm must be above 0 (None clips nothing), got {self.max_grad_norm}"
            )
        if not 0 <= self.label_smoothing < 1:
            raise ValueError(
                f"label_smoothing must be from 0 to below 1, got {self.label_smoothing}"
            )
        if not 0 <= self.ema_decay < 1:
            raise ValueError(f"ema_decay must be from 0 to below 1, got {self.ema_decay}")
        if not isinstance(self.flip, bool):
            raise ValueError(f"flip must be True or False, got {self.flip!r}")
        for name, pixels in (("shift", self.shift), ("cutout", self.cutout)):
            if not isinstance(pixels, int) or pixels < 0:
                raise ValueError(f"{name} is a number of pixels, 0 or more, got {pixels!r}")
        if not 0 <= self.mixup < math.inf:
            raise ValueError(f"mixup must be at least 0, got {self.mixup}")

        given = {
            field.name: value
            for field in fields(self)
            if (value := getattr(self, field.name)) != field.default
        }
        check_together(given, [self.optimizer], [self.scheduler])

    def __repr__(self) -> str:
        return recipe_repr(self, unused_settings([self.optimizer]))

    def learning_rate_at(self, step: int, steps: int, highest: float | None = None) -> float:
        """The learning rate of a step.

        Args:
            step: Counted from 0.
            steps: Their number, in all epochs.
            highest: In place of `learning_rate`: that of a group of parameters.
        """
        share = share_of_rate(self.schedule, self.warmup, step, steps)
        return (self.learning_rate if highest is None else highest) * share

    def make_optimizer(
        self, trained: Iterable[Tensor], *, in_part: bool = False
    ) -> torch.optim.Optimizer:
        """Makes the optimizer that `optimizer` names.

        Args:
            trained: The parameters, on their device.
            in_part: Whether some of them have no gradient in some steps.
        """
        parameters = list(trained)
        assert isinstance(self.optimizer, str)
        # One kernel for all parameters where PyTorch has one: a small network's step is mostly the
        # overhead of launching kernels.
        fused = all(p.device.type in ("cpu", "cuda") and p.is_floating_point() for p in parameters)
        lr, decay = self.learning_rate, self.weight_decay
        match self.optimizer:
            case "adam":
                return torch.optim.Adam(parameters, lr, weight_decay=decay, fused=fused)
            case "adamw":
                return torch.optim.AdamW(parameters, lr, weight_decay=decay, fused=fused)
            case "sgd":
                fused = fused and not in_part  # fused SGD needs a momentum of all, or of none
                sgd = torch.optim.SGD(
                    parameters, lr, 0.9, weight_decay=decay, nesterov=True, fused=fused
                )
                if fused:  # 0 is what a momentum starts from; a branch may have no gradient yet
                    for p in parameters:
                        sgd.state[p]["momentum_buffer"] = torch.zeros_like(p)
                return sgd
            case _:
                return torch.optim.RMSprop(parameters, lr, weight_decay=decay)

    def autocast(self, device: torch.device) -> AbstractContextManager[object]:
        """A context that runs a network's passes on a device in this precision."""
        if self.precision == "float32":
            return nullcontext()
        return torch.autocast(device.type, getattr(torch, self.precision))
