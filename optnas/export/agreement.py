"""Compares the outputs of a network in PyTorch with those of its file."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import islice

import torch
from torch import Tensor
from torch.utils.data import DataLoader

from optnas.datasets.dataset import Dataset, Loaders
from optnas.errors import InputError
from optnas.export.base import Run
from optnas.utils.inputs import Inputs, batch_shape, map_inputs

TOLERANCE = 1e-5
"""Largest difference of two outputs, relative to the batch's largest output if that is above 1."""
BATCH_SIZES = (1, 2, 7, 64)
"""Batch sizes that are compared if the file accepts any."""


@dataclass(frozen=True)
class Agreement:
    """The outcome of a comparison.

    Attributes:
        batch_sizes: The sizes of the compared batches.
        difference: The largest difference of two outputs, relative as in `TOLERANCE`.
        real: Whether the batches are examples of the validation part; else random numbers.
    """

    batch_sizes: tuple[int, ...]
    difference: float
    real: bool

    def __str__(self) -> str:
        sizes = ", ".join(map(str, self.batch_sizes))
        what = "validation examples" if self.real else "random inputs"
        return (
            f"outputs differ by at most {self.difference:.1e} ({TOLERANCE:g} times the largest "
            f"output, or 1, is allowed), at batch sizes {sizes} of {what}"
        )


def agree(one: Run, other: Run, examples: Inputs, real: bool, sizes: Sequence[int]) -> Agreement:
    """Compares the outputs for batches of these sizes.

    Args:
        one: The network in PyTorch.
        other: The network in its file.
        examples: At least as many examples as the largest batch has.
        real: Whether they are examples of the data.
        sizes: The batch sizes.

    Raises:
        InputError: The outputs differ by more than `TOLERANCE`, or in number, type or shape; or
            only one of them is NaN.
    """
    worst = 0.0
    for size in sizes:
        batch = _first(size, examples)
        wanted, got = one(batch), other(batch)
        if _kinds(wanted) != _kinds(got):
            raise InputError(f"at batch size {size} its outputs are different: {_kinds(got)}")
        for name in wanted:
            difference = _difference(wanted[name], got[name])
            if not difference <= TOLERANCE:  # NaN isn't
                raise InputError(f"at batch size {size} its outputs differ by {difference:.2g}")
            worst = max(worst, difference)
    return Agreement(tuple(sizes), worst, real)


def examples(data: Dataset | Loaders | None, inputs: Inputs, number: int) -> tuple[Inputs, bool]:
    """Inputs to compare outputs for.

    Args:
        data: The data; its validation part is used if its examples have the right shape.
        inputs: One batch element. Random integers are drawn from its values.
        number: Number of examples.

    Returns:
        The inputs, and whether they are examples of the validation part.
    """
    if isinstance(inputs, Tensor):
        found = _validation_examples(data, number)
        if found is not None and found.shape[1:] == inputs.shape[1:]:
            found = found.to("cpu", inputs.dtype)
            return found[torch.arange(number) % len(found)], True
    generator = torch.Generator().manual_seed(0)

    def random(tensor: Tensor) -> Tensor:
        shape = batch_shape(tensor, number)
        if tensor.is_floating_point():
            return torch.randn(shape, generator=generator).to(tensor.dtype)
        return tensor.flatten()[torch.randint(tensor.numel(), shape, generator=generator)]

    return map_inputs(random, inputs), False


def _validation_examples(data: Dataset | Loaders | None, number: int) -> Tensor | None:
    if isinstance(data, Dataset):
        return data.val[0][:number]
    if isinstance(data, Loaders):
        return _first_examples(data.val, number)
    return None


def _first_examples(loader: DataLoader[tuple[Tensor, Tensor]], number: int) -> Tensor:
    batches: list[Tensor] = []
    for x, _ in islice(loader, number):
        batches.append(x)
        if sum(map(len, batches)) >= number:
            break
    return torch.cat(batches)[:number]


def _first(size: int, examples: Inputs) -> Inputs:
    """The first examples; a tensor without dimensions is shared by all."""
    return map_inputs(lambda t: t[:size].contiguous() if t.ndim else t, examples)


def _kinds(outputs: Mapping[str, Tensor]) -> dict[str, str]:
    return {n: f"{t.dtype} of shape {tuple(t.shape)}" for n, t in outputs.items()}


def _difference(wanted: Tensor, got: Tensor) -> float:
    if not wanted.numel():
        return 0.0
    if not wanted.is_floating_point():
        return 0.0 if torch.equal(wanted, got) else float("inf")
    scale = max(1.0, float(wanted.abs().max()))
    return float((wanted.double() - got.double()).abs().max()) / scale
