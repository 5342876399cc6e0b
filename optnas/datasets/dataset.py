"""A dataset: examples and targets as tensors, or a person's own loaders."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal, get_args

import numpy as np
import torch
from numpy.typing import ArrayLike
from torch import Tensor
from torch.utils.data import DataLoader

Task = Literal["classification", "regression"]
Part = tuple[Tensor, Tensor]


@dataclass(frozen=True, eq=False)
class Dataset:
    """Examples and targets in three parts. A search never touches `test`.

    Attributes:
        name: What the data is called, in reports and errors.
        task: `classification` (targets: int64 class numbers, shape `(n,)`) or `regression`
            (targets: float32, shape `(n, outputs)`).
        train: Examples `(n, *input_shape)` and targets to train on.
        val: Those that the search compares architectures on.
        test: Those kept for the chosen network.
        outputs: Number of classes, or of regression targets.
        x_moments: Mean and standard deviation that examples were normalised with.
        y_moments: Those of regression targets.
    """

    name: str
    task: Task
    train: Part
    val: Part
    test: Part
    outputs: int
    x_moments: Part = (torch.zeros(()), torch.ones(()))
    y_moments: Part = (torch.zeros(()), torch.ones(()))

    def normalize(self, x: ArrayLike) -> Tensor:
        """New raw examples, as a trained network takes them."""
        mean, std = self.x_moments
        return ((torch.as_tensor(np.asarray(x)) - mean) / std).float()

    def denormalize(self, y: Tensor) -> Tensor:
        """Outputs of a regression network, in the units of the raw targets."""
        mean, std = self.y_moments
        return y * std.to(y.device) + mean.to(y.device)

    @property
    def input_shape(self) -> tuple[int, ...]:
        """Shape of one example, without the batch dimension."""
        return tuple(self.train[0].shape[1:])

    @cached_property
    def fingerprint(self) -> str:
        """Name, sizes of the parts, and a hash of what a search sees of them."""
        sizes = "/".join(str(len(part[0])) for part in (self.train, self.val, self.test))
        return f"{self.name} {sizes} {_digest(*self.train, *self.val)}"

    @cached_property
    def retraining_fingerprint(self) -> str:
        """The same, and a hash of the test part."""
        return f"{self.fingerprint} test {_digest(*self.test)}"


@dataclass(frozen=True, eq=False)
class Loaders:
    """A person's own DataLoaders, with their own batches, augmentation and order.

    Attributes:
        train: Gives batches `(x, y)`; its length is the number of batches.
        val: The same for validation, in a fixed order.
        task: `classification` or `regression`.
        name: What the data is called. It must change whenever the data or the augmentation
            change: a study can't see into a loader.
        train_val: For the retraining of a chosen network: training and validation examples
            together, shuffled and augmented as `train` is.
        test: Examples that the search never sees, in a fixed order, for the chosen network.
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
            raise ValueError("name is empty: a study tells data apart by it")

    @property
    def fingerprint(self) -> str:
        """The name, and the numbers of batches."""
        return f"{self.name} {len(self.train)}/{len(self.val)} batches"

    @property
    def retraining_fingerprint(self) -> str:
        """The name, and the numbers of batches of the other two."""
        both, test = (0 if part is None else len(part) for part in (self.train_val, self.test))
        return f"{self.name} {both}/{test} batches"


def _digest(*tensors: Tensor) -> str:
    digest = hashlib.sha256()
    for tensor in tensors:
        digest.update(tensor.numpy().tobytes())
    return digest.hexdigest()[:12]
