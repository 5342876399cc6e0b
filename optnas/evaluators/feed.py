"""Provides training batches and held-out batches, on the device."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cached_property
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader

from optnas.datasets.dataset import Dataset, Loaders, Part
from optnas.errors import InputError
from optnas.evaluators.layout import accepts, laid_out, memory_format
from optnas.evaluators.step import OwnStep, step_of_pairs
from optnas.study.recipe_text import DEFAULT_BATCH_SIZE
from optnas.utils.inputs import Inputs, are_inputs, described, map_inputs, split_inputs
from optnas.utils.random_state import preserved
from optnas.utils.trees import moved, rows_of

Batch = Any
"""A pair of a model's inputs and their targets; with a step of the user's, anything."""

_TARGETS = ("labels", "label", "targets", "target", "y")
"""What targets are called in dictionaries."""
HELD_OUT_BATCH_SIZE = 512
"""Large enough to hide a layer's overhead, small enough that activations stay in the cache."""
HELD_OUT_TOKENS = 4096
"""The same for sequences of tokens, whose activations and logits belong to each token."""


class Feed(ABC):
    """Provides batches of the training part, and of the part that is held out for scores.

    Args:
        device: Where the batches are.
        step: The user's step; None if batches are pairs.

    Attributes:
        device: As given.
        step: As given.
        run: `run(model, batch)` runs a network on a batch; returns its outputs and targets.
    """

    def __init__(self, device: torch.device, step: OwnStep | None = None) -> None:
        self.device = device
        self.step = step
        self.run: Callable[[Any, Batch], tuple[Any, Any]] = step or step_of_pairs

    def layout(self, model: nn.Module, precision: str) -> torch.memory_format:
        """The memory layout for a model and its images.

        The code of the user's step, and of a model that refuses the faster one, gets the one that
        it was written for.

        Args:
            model: The model, on the device; its weights may be in another layout afterwards.
            precision: That of the training.
        """
        if self.step is not None:
            return torch.contiguous_format
        layout = memory_format(model, self.device, precision)
        if layout is torch.channels_last:
            model.to(memory_format=layout)  # type: ignore[call-overload]
            if not accepts(model, self._example, layout):
                return torch.contiguous_format
        return layout

    @cached_property
    def _example(self) -> Inputs:
        """The inputs of the first held-out example; of all in its batch if they can't be cut."""
        with preserved():
            inputs, _ = next(iter(self.held_out(torch.contiguous_format)))
        return inputs if rows_of(inputs) is None else map_inputs(lambda x: x[:1], inputs)

    @property
    def whole_parts(self) -> Sequence[Part]:
        """Inputs and targets of both parts, if they are known before they are used."""
        return ()

    @abstractmethod
    def steps(self, batch_size: int | None) -> int:
        """Batches in an epoch."""

    @abstractmethod
    def train(self, batch_size: int | None, layout: torch.memory_format) -> Iterator[Batch]:
        """The batches of one epoch, shuffled by torch's generator."""

    @abstractmethod
    def held_out(self, layout: torch.memory_format) -> Iterator[Batch]:
        """The batches of the part that scores are computed on."""


class ArrayFeed(Feed):
    """Tensors that lie on the device; an epoch is one permutation, cut into views."""

    def __init__(
        self, train: Part, held_out: Part, device: torch.device, step: OwnStep | None = None
    ) -> None:
        super().__init__(device, step)
        self._train_x = map_inputs(lambda t: t.to(device), train[0])
        self._held_out_x = map_inputs(lambda t: t.to(device), held_out[0])
        self._train_y, self._held_out_y = train[1].to(device), held_out[1].to(device)

    @property
    def whole_parts(self) -> Sequence[Part]:
        """See `Feed`."""
        return (self._train_x, self._train_y), (self._held_out_x, self._held_out_y)

    def steps(self, batch_size: int | None) -> int:
        """Batches in an epoch; a last batch of a single example is left out."""
        size, n = batch_size or DEFAULT_BATCH_SIZE, len(self._train_y)
        return max(n // size + (n % size > 1 or (size == 1 and n % size > 0)), 1)

    def train(self, batch_size: int | None, layout: torch.memory_format) -> Iterator[Batch]:
        """The training part, shuffled once for the epoch and cut into slices."""
        size = batch_size or DEFAULT_BATCH_SIZE
        order = torch.randperm(len(self._train_y)).to(self.device)
        shuffled = map_inputs(lambda t: laid_out(t[order], layout), self._train_x)
        x = split_inputs(shuffled, size)
        y = self._train_y[order].split(size)
        return zip(x[: self.steps(size)], y[: self.steps(size)], strict=True)

    def held_out(self, layout: torch.memory_format) -> Iterator[Batch]:
        """Copies of slices of the held-out part: what is given them may change them in place."""
        x = map_inputs(lambda t: laid_out(t, layout), self._held_out_x)
        y, size = self._held_out_y, HELD_OUT_BATCH_SIZE
        if y.ndim == 2 and not y.is_floating_point():
            size = max(1, min(size, HELD_OUT_TOKENS // y.shape[1]))
        slices = zip(split_inputs(x, size), y.split(size), strict=True)
        return ((map_inputs(torch.clone, inputs), targets.clone()) for inputs, targets in slices)


class LoaderFeed(Feed):
    """The user's own DataLoaders; their batches are moved to the device."""

    def __init__(
        self,
        train: DataLoader[Any],
        held_out: DataLoader[Any],
        device: torch.device,
        step: OwnStep | None = None,
    ) -> None:
        super().__init__(device, step)
        self._train = train
        self._held_out = held_out

    def steps(self, batch_size: int | None) -> int:
        """The length of the training loader."""
        return len(self._train)

    def train(self, batch_size: int | None, layout: torch.memory_format) -> Iterator[Batch]:
        """The batches of the training loader."""
        return (self._moved(batch, layout) for batch in self._train)

    def held_out(self, layout: torch.memory_format) -> Iterator[Batch]:
        """The batches of the other loader."""
        return (self._moved(batch, layout) for batch in self._held_out)

    def _moved(self, batch: object, layout: torch.memory_format) -> Batch:
        if self.step is not None:
            return moved(batch, self.device)
        x, y = pair_of(batch)

        def placed(tensor: Tensor) -> Tensor:
            return laid_out(tensor.to(self.device, non_blocking=True), layout)

        return map_inputs(placed, x), moved(y, self.device)


def feed_of(data: Dataset | Loaders, device: torch.device, step: OwnStep | None) -> Feed:
    """The batches of the training part and the validation part, on a device."""
    if isinstance(data, Dataset):
        return ArrayFeed(data.train, data.val, device, step)
    return LoaderFeed(data.train, data.val, device, step)


def pair_of(batch: object) -> tuple[Inputs, Inputs]:
    """Inputs and targets of a loader's batch.

    Raises:
        InputError: It is no pair of them.
    """
    if isinstance(batch, (tuple, list)) and len(batch) == 2:
        x, y = batch
        # default_collate makes lists of tuples.
        x, y = (tuple(part) if isinstance(part, list) else part for part in (x, y))
        if are_inputs(x) and are_inputs(y):
            return x, y
        what = f"a pair of {described(x)} and {described(y)}"
    else:
        what = described(batch)
    raise InputError(
        f"a batch of the loaders is {what}; it must be a pair (inputs, targets), where inputs "
        "and targets are a tensor, or a tuple or dictionary of tensors each: let the dataset "
        "or the loader's collate_fn return such a pair, ((a, b), y) or ({'input_ids': ids}, y), or "
        f"say what to do with a batch: TrainingEvaluator(…, step=lambda model, batch: "
        f"{_step_for(batch)})"
    )


def _step_for(batch: object) -> str:
    """What a step may return for a batch like this one, as code."""
    match batch:
        case Mapping() if len(batch) > 1:
            first, *others = batch
            target = next((name for name in _TARGETS if name in others), others[-1])
            return f"(model(batch[{first!r}]), batch[{target!r}])"
        case tuple() | list() if len(batch) > 2:
            return "(model(*batch[:-1]), batch[-1])"
        case tuple() | list() if len(batch) == 2:
            return "(model(batch[0]), batch[1])"
        case Mapping() | tuple() | list() | Tensor():
            return "(model(batch), batch)"
    return "(model(batch), batch.y)"
