"""A dataset: examples and targets as tensors, or your own loaders."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal, get_args

import numpy as np
import torch
from numpy.typing import ArrayLike
from torch import Tensor
from torch.utils.data import DataLoader

Task = Literal["classification", "regression", "segmentation"]
Part = tuple[Tensor, Tensor]


@dataclass(frozen=True, eq=False)
class Dataset:
    """Examples and targets in three parts. A search never uses `test`.

    Attributes:
        name: What the data is called, in reports and errors.
        task: `classification` (targets: int64 class numbers, shape `(n,)`), `regression`
            (targets: float32, shape `(n, outputs)`) or `segmentation` (a class for each pixel:
            int64, shape `(n, height, width)`; pixels with a negative number are left out).
        train: Examples `(n, *input_shape)` and targets for training.
        val: Examples and targets on which the search compares architectures.
        test: Examples and targets for the chosen network.
        outputs: Number of classes, or of regression targets.
        x_moments: Mean and standard deviation with which the examples were normalised.
        y_moments: Mean and standard deviation with which regression targets were normalised.
    """

    name: str
    task: Task
    train: Part
    val: Part
    test: Part
    outputs: int
    x_moments: Part = (torch.zeros(()), torch.ones(()))
    y_moments: Part = (torch.zeros(()), torch.ones(()))

    def __repr__(self) -> str:
        sizes = "/".join(str(len(part[0])) for part in (self.train, self.val, self.test))
        return (
            f"Dataset({self.name!r}, {self.task!r}, {sizes} examples, "
            f"input_shape={self.input_shape}, outputs={self.outputs})"
        )

    def normalize(self, x: ArrayLike) -> Tensor:
        """Normalises new raw examples `(n, *input_shape)` for a trained network."""
        mean, std = self.x_moments
        return ((torch.as_tensor(np.asarray(x)) - mean) / std).float()

    def denormalize(self, y: Tensor) -> Tensor:
        """Converts a regression network's outputs to the units of the raw targets."""
        mean, std = self.y_moments
        return y * std.to(y.device) + mean.to(y.device)

    @property
    def input_shape(self) -> tuple[int, ...]:
        """Shape of one example, without the batch dimension."""
        return tuple(self.train[0].shape[1:])

    @cached_property
    def fingerprint(self) -> str:
        """Name, sizes of the parts, and a hash of the training and validation parts."""
        sizes = "/".join(str(len(part[0])) for part in (self.train, self.val, self.test))
        return f"{self.name} {sizes} {_digest(*self.train, *self.val)}"

    @cached_property
    def retraining_fingerprint(self) -> str:
        """The fingerprint, with a hash of the test part."""
        return f"{self.fingerprint} test {_digest(*self.test)}"


@dataclass(frozen=True, eq=False)
class Loaders:
    """Your own DataLoaders, with their batches, augmentation and order.

    Attributes:
        train: Yields batches `(x, y)`: `x` is a tensor, or a tuple or dictionary of tensors that
            the model takes by position or by name; `y` is a tensor. With a `step`, which
            `TrainingEvaluator` takes, it yields batches of any form. Its length is the number of
            batches.
        val: Yields the validation batches, in a fixed order.
        task: `classification`, `regression` or `segmentation`.
        name: What the data is called. Change it whenever the data or the augmentation change: a
            study can't look inside a loader.
        train_val: Training and validation examples together, shuffled and augmented as `train` is;
            needed to retrain a chosen network.
        test: Examples that the search never uses, in a fixed order; needed to retrain.

    Raises:
        ValueError: The task is unknown, the name is empty, or a loader has no length or no batches.
    """

    train: DataLoader[Any]
    val: DataLoader[Any]
    task: Task
    name: str
    train_val: DataLoader[Any] | None = None
    test: DataLoader[Any] | None = None

    def __post_init__(self) -> None:
        if self.task not in get_args(Task):
            raise ValueError(f"task must be one of {', '.join(get_args(Task))}, got {self.task!r}")
        if not self.name:
            raise ValueError("name is empty: give one, because a study tells data apart by it")
        for part in ("train", "val", "train_val", "test"):
            if getattr(self, part) is not None:
                _check_length(part, getattr(self, part))

    def __repr__(self) -> str:
        return f"Loaders({self.name!r}, {self.task!r}, {len(self.train)}/{len(self.val)} batches)"

    @property
    def fingerprint(self) -> str:
        """The name, and the numbers of training and validation batches."""
        return f"{self.name} {len(self.train)}/{len(self.val)} batches"

    @property
    def retraining_fingerprint(self) -> str:
        """The name, and the numbers of batches in `train_val` and `test`."""
        both, test = (0 if part is None else len(part) for part in (self.train_val, self.test))
        return f"{self.name} {both}/{test} batches"


def _check_length(part: str, loader: DataLoader[Any]) -> None:
    try:
        batches = len(loader)
    except TypeError as error:
        raise ValueError(
            f"{part} has no length, and the schedule needs the number of its batches ({error}): "
            "give the dataset, or the loader, a __len__"
        ) from error
    if not batches:
        raise ValueError(
            f"{part} has no batches: give it examples, as many as a batch if it drops the last one"
        )


def moments_json(data: Dataset | Loaders | None) -> dict[str, str]:
    """Mean and standard deviation that the data was normalised with, as JSON.

    These must stay with a network's weights, because the data may be normalised differently later.

    Returns:
        `x_mean` and `x_std` of examples, `y_mean` and `y_std` of targets, each where something was
        normalised. Empty for loaders, which normalise the data themselves.
    """
    found: dict[str, str] = {}
    if isinstance(data, Dataset):
        for name, (mean, std) in (("x", data.x_moments), ("y", data.y_moments)):
            if bool((mean != 0).any()) or bool((std != 1).any()):
                found |= {f"{name}_mean": _json(mean), f"{name}_std": _json(std)}
    return found


def _json(tensor: Tensor) -> str:
    """A tensor as JSON that restores each float32 exactly; a single element as a number."""
    return json.dumps(tensor.item() if tensor.numel() == 1 else tensor.tolist())


def _digest(*tensors: Tensor) -> str:
    digest = hashlib.sha256()
    for tensor in tensors:
        digest.update(tensor.numpy().tobytes())
    return digest.hexdigest()[:12]
