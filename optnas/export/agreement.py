"""Compares the outputs of a network in PyTorch with those of its file."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from optnas.errors import InputError
from optnas.utils.inputs import Inputs, map_inputs
from optnas.utils.network import Run

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
        largest: The largest output: a small difference says little of outputs that are smaller.
        inputs: What the batches are taken from, in words.
        rounds: Whether the file computes with rounded numbers: then any difference is allowed.
    """

    batch_sizes: tuple[int, ...]
    difference: float
    largest: float
    inputs: str
    rounds: bool = False

    def __str__(self) -> str:
        sizes = ", ".join(map(str, self.batch_sizes))
        allowed = (
            "times the largest output, or 1"
            if self.rounds
            else f"({TOLERANCE:g} times the largest output, or 1, is allowed)"
        )
        return (
            f"outputs of up to {self.largest:.2g} differ by at most {self.difference:.1e} "
            f"{allowed}, at batch sizes {sizes} of {self.inputs}"
        )


def agree(
    one: Run,
    other: Run,
    examples: Inputs,
    words: str,
    sizes: Sequence[int],
    *,
    rounds: bool = False,
) -> Agreement:
    """Compares the outputs for batches of these sizes.

    Infinities are equal to themselves, and what isn't a number is equal to the same.

    Args:
        one: The network in PyTorch.
        other: The network in its file.
        examples: As many examples as the largest batch has.
        words: What they are, in words.
        sizes: The batch sizes.
        rounds: Whether the file computes with rounded numbers.

    Raises:
        InputError: The outputs differ by more than `TOLERANCE` (unless the file rounds), or in
            number, type or shape; or only one of them is NaN.
    """
    most = math.inf if rounds else TOLERANCE
    worst = largest = 0.0
    for size in sizes:
        batch = examples if size == max(sizes) else _first(size, examples)
        wanted, got = one(batch), other(batch)
        if _kinds(wanted) != _kinds(got):
            raise InputError(f"at batch size {size} its outputs are different: {_kinds(got)}")
        for name in wanted:
            difference = _difference(wanted[name], got[name])
            if not difference <= most:  # NaN isn't
                raise InputError(f"at batch size {size} its outputs differ by {difference:.2g}")
            worst, largest = max(worst, difference), max(largest, _largest(wanted[name]))
    return Agreement(tuple(sizes), worst, largest, words, rounds)


def _first(size: int, examples: Inputs) -> Inputs:
    """The first examples; a tensor without dimensions is shared by all."""
    return map_inputs(lambda t: t[:size].contiguous() if t.ndim else t, examples)


def _kinds(outputs: Mapping[str, Tensor]) -> dict[str, str]:
    return {n: f"{t.dtype} of shape {tuple(t.shape)}" for n, t in outputs.items()}


def _difference(wanted: Tensor, got: Tensor) -> float:
    if not wanted.numel():
        return 0.0
    wide = torch.complex128 if wanted.is_complex() else torch.float64
    if not (wanted.is_floating_point() or wanted.is_complex()):
        return 0.0 if torch.equal(wanted, got) else float("inf")
    same = (wanted == got) | (wanted.isnan() & got.isnan())  # infinities, too
    differences = (wanted.to(wide) - got.to(wide)).abs().masked_fill(same, 0.0)
    return float(differences.max()) / max(1.0, _largest(wanted))


def _largest(outputs: Tensor) -> float:
    finite = outputs[outputs.isfinite()]
    return float(finite.abs().max()) if finite.numel() else 0.0
