"""A dataset: examples and targets as tensors, or your own loaders."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal, get_args

import numpy as np
import torch
from numpy.typing import ArrayLike
from torch import Tensor
from torch.utils.data import DataLoader

from optnas.datasets.check_dataset import check_task, checked_part, is_whole
from optnas.datasets.check_loader import check_loader
from optnas.datasets.class_numbers import check_class_numbers
from optnas.datasets.preparation import category_sizes, prepared_inputs
from optnas.errors import InputError
from optnas.utils.inputs import Inputs, form_of, in_order, map_inputs

Task = Literal["classification", "regression", "segmentation", "language"]
PREPARATION = "preparation"
"""The key of `Dataset.preparation` among the facts that stay with weights."""
Part = tuple[Inputs, Tensor]
"""Inputs of examples (one tensor, or several by position or by name), and their targets."""


@dataclass(frozen=True, eq=False)
class Dataset:
    """Examples and targets in three parts. A search never uses `test`.

    A network that takes several tensors gets them as a dictionary by the names of its arguments, or
    as a tuple. The first dimension of each counts the examples.

    Example:
        ```python
        import torch

        import optnas


        def part(n):
            x = {"x": torch.randn(n, 5, 3), "lengths": torch.randint(1, 6, (n,))}
            return x, torch.arange(n) % 2


        data = optnas.Dataset("walks", "classification", part(60), part(20), part(20), outputs=2)
        space = optnas.SequenceSpace((5, 3), data.outputs, lengths=True)
        ```

    Attributes:
        name: What the data is called, in reports and errors.
        task: `classification` (targets: int64 class numbers, shape `(n,)`), `regression` (targets:
            float32, shape `(n, outputs)`), `segmentation` (a class for each pixel: whole numbers,
            shape `(n, height, width)`; pixels with a negative number are left out) or `language`
            (examples and targets: int64 tokens, shape `(n, length)`; networks return logits of
            shape `(n, length, outputs)`).
        train: Examples `(n, *input_shape)` and targets for training. Examples are a tensor, or a
            tuple or dictionary of tensors.
        val: Examples and targets on which the search compares architectures.
        test: Examples and targets for the chosen network.
        outputs: Number of classes, of regression targets, or of different tokens.
        x_moments: Mean and standard deviation with which the examples were normalised, float64.
        y_moments: Those with which regression targets were normalised.
        vocabulary: The text of each token, if it is known.
        preparation: How the columns of a table became the examples, as JSON (see `frame`); empty
            if they are no such columns. It stays with the weights of trained networks.

    Raises:
        InputError: The task is unknown, a part isn't a pair of examples and targets, what they hold
            are no tensors of one length, or a class number is out of range.
    """

    name: str
    task: Task
    train: Part
    val: Part
    test: Part
    outputs: int
    x_moments: tuple[Tensor, Tensor] = (torch.zeros(()), torch.ones(()))
    y_moments: tuple[Tensor, Tensor] = (torch.zeros(()), torch.ones(()))
    vocabulary: tuple[str, ...] = ()
    preparation: str = ""

    def __post_init__(self) -> None:
        check_task(self.task, self.name, get_args(Task))
        for part in ("train", "val", "test"):
            found = checked_part(self.name, part, getattr(self, part), self.task)
            object.__setattr__(self, part, found)
        if self.task != "regression":
            parts = {"train": self.train[1], "val": self.val[1], "test": self.test[1]}
            whole = {part: y for part, y in parts.items() if is_whole(y)}
            check_class_numbers(self.name, whole, self.outputs)

    def __repr__(self) -> str:
        x = self.train[0]
        shape = f"input_shape={self.input_shape}" if isinstance(x, Tensor) else form_of(x)
        return (
            f"Dataset({self.name!r}, {self.task!r}, {self._sizes} examples, "
            f"{shape}, outputs={self.outputs})"
        )

    def normalize(self, x: ArrayLike) -> Tensor:
        """Normalises new raw examples `(n, *input_shape)` for a trained network.

        Raises:
            InputError: The examples are prepared rows of a table.
        """
        if self.preparation:
            raise InputError(f"{self.name}: rows of a table are prepared by prepare(), not so")
        mean, std = self.x_moments
        return ((torch.as_tensor(np.asarray(x)).double() - mean) / std).float()

    def denormalize(self, y: Tensor) -> Tensor:
        """Converts a regression network's outputs to the units of the raw targets.

        Returns:
            Numbers of type float64 (float32 on MPS, which has no float64): float32 doesn't tell
            targets apart that lie close together far from 0, such as seconds since 1970.
        """
        kind = torch.float32 if y.device.type == "mps" else torch.float64
        mean, std = (moment.to(y.device, kind) for moment in self.y_moments)
        return y.to(kind) * std + mean

    def prepare(self, rows: object) -> Inputs:
        """Prepares new rows of the table that the data was made of (`frame`), for a network.

        Args:
            rows: A DataFrame, or a dictionary of columns; it needs no target.

        Raises:
            InputError: The data wasn't made of a table, or a column is missing.
        """
        if not self.preparation:
            raise InputError(f"{self.name} was not made of a table: optnas.frame makes such data")
        return prepared_inputs(rows, json.loads(self.preparation), self.name)

    @property
    def classes(self) -> tuple[str, ...]:
        """The names of the classes by number, of data made of a table; else empty."""
        return tuple(self._prepared.get("classes", ()))

    @property
    def category_sizes(self) -> tuple[int, ...]:
        """The number of codes of each category, of data made of a table; else empty."""
        return category_sizes(self._prepared) if self.preparation else ()

    @property
    def _prepared(self) -> dict[str, Any]:
        return json.loads(self.preparation) if self.preparation else {}

    @property
    def input_shape(self) -> tuple[int, ...]:
        """Shape of one example, without the batch dimension.

        Raises:
            InputError: Networks take several inputs (see `example_inputs`).
        """
        x = self.train[0]
        if not isinstance(x, Tensor):
            raise InputError(
                f"an example of {self.name} is more than one tensor ({form_of(x)}), so it has no "
                "single input_shape: "
                + (
                    "optnas.TabularSpace.for_data(data) makes a space for it"
                    if self.preparation
                    else "take the shapes of example_inputs"
                )
            )
        return tuple(x.shape[1:])

    @property
    def example_inputs(self) -> Inputs:
        """The inputs of the first training example, in the form that a search space gives."""
        return map_inputs(lambda tensor: tensor[:1], self.train[0])

    @property
    def _sizes(self) -> str:
        return "/".join(str(len(part[1])) for part in (self.train, self.val, self.test))

    @cached_property
    def fingerprint(self) -> str:
        """Name, sizes of the parts, and a hash of the training and validation parts."""
        return f"{self.name} {self._sizes} {_digest(self.preparation, self.train, self.val)}"

    @cached_property
    def retraining_fingerprint(self) -> str:
        """The fingerprint, with a hash of the test part."""
        return f"{self.fingerprint} test {_digest('', self.test)}"


@dataclass(frozen=True, eq=False)
class Loaders:
    """Your own DataLoaders, with their batches, augmentation and order.

    Attributes:
        train: Yields batches `(x, y)`: `x` is a tensor, or a tuple or dictionary of tensors that
            the model takes by position or by name; `y` is a tensor. With a `step`, which
            `TrainingEvaluator` takes, it yields batches of any form. Its length is the number of
            no batches.
        val: Yields the validation batches, in a fixed order.
        task: `classification`, `regression`, `segmentation` or `language` (tokens and the next
            ones, both of shape `(batch, length)`; a negative target isn't counted).
        name: What the data is called. Change it whenever the data or the augmentation change: a
            study can't look inside a loader.
        train_val: Training and validation examples together, shuffled and augmented as `train` is;
            needed to retrain a chosen network.
        test: Examples that the search never uses, in a fixed order; needed to retrain.

    Raises:
        ValueError: The task is unknown, the name is empty, or a loader is a dataset, or has no
            length or no batches.
    """

    train: DataLoader[Any]
    val: DataLoader[Any]
    task: Task
    name: str
    train_val: DataLoader[Any] | None = None
    test: DataLoader[Any] | None = None

    def __post_init__(self) -> None:
        check_task(self.task, self.name, get_args(Task))
        if not self.name:
            raise ValueError("name is empty: give one, because a study tells data apart by it")
        for part in ("train", "val", "train_val", "test"):
            if getattr(self, part) is not None:
                check_loader(part, getattr(self, part))

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


def moments_json(data: Dataset | Loaders | None) -> dict[str, str]:
    """Mean and standard deviation that the data was normalised with, and its vocabulary, as JSON.

    These must stay with a network's weights, because the data may be normalised differently later.

    Returns:
        `x_mean` and `x_std` of examples, `y_mean` and `y_std` of targets, each where something was
        normalised; `vocabulary`, if the text of each token is known; `preparation` of rows of
        a table. Empty for loaders, which prepare the data themselves.
    """
    found: dict[str, str] = {}
    if isinstance(data, Dataset):
        for name, (mean, std) in (("x", data.x_moments), ("y", data.y_moments)):
            if bool((mean != 0).any()) or bool((std != 1).any()):
                found |= {f"{name}_mean": _json(mean), f"{name}_std": _json(std)}
        if data.vocabulary:
            found["vocabulary"] = json.dumps(data.vocabulary)
        if data.preparation:
            found[PREPARATION] = data.preparation
    return found


def _json(tensor: Tensor) -> str:
    """A tensor as JSON that restores each number exactly; a single element as a number."""
    return json.dumps(tensor.item() if tensor.numel() == 1 else tensor.tolist())


def _digest(preparation: str, *parts: Part) -> str:
    digest = hashlib.sha256(preparation.encode())
    for x, y in parts:
        if isinstance(x, Mapping):
            digest.update(json.dumps(list(x)).encode())
        for tensor in (*in_order(x), y):
            # As bytes, because NumPy has no bfloat16.
            flat = tensor.detach().contiguous().reshape(-1)
            digest.update(flat.view(torch.uint8).numpy().tobytes())
    return digest.hexdigest()[:12]
