"""Scores of a network's file with 8-bit integers, and the examples that calibrate it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, TypeVar

import torch
from torch import nn

from optnas.candidate import copy_of
from optnas.datasets.dataset import Dataset, Loaders
from optnas.errors import InputError
from optnas.evaluators.abilities import Rescoring
from optnas.evaluators.feed import pair_of
from optnas.utils.file_network import FileNetwork
from optnas.utils.inputs import (
    Inputs,
    is_one_example,
    join_inputs,
    map_inputs,
    number_of,
    shapes_of,
)
from optnas.utils.int8 import Calibration, int8_version, write_int8
from optnas.utils.network import Network
from optnas.utils.network_file import load_network
from optnas.utils.random_state import seeded
from optnas.utils.signature import as_form, named_inputs

SUFFIX = ".int8"
"""How the names of scores of 8-bit networks end."""


Value = TypeVar("Value")


def with_int8(scores: Mapping[str, Value]) -> dict[str, Value]:
    """What belongs to scores by name, and the same for those of 8-bit networks."""
    return {**scores, **{f"{name}{SUFFIX}": value for name, value in scores.items()}}


def int8_fingerprint(examples: int) -> dict[str, str]:
    """The settings that decide the integers of a network.

    Raises:
        InputError: ONNX Runtime isn't installed.
    """
    text = f"{examples} training examples, MinMax, u8s7, per channel, onnxruntime {int8_version()}"
    return {"int8": text}


def calibration_of(data: Dataset | Loaders, inputs: Inputs, number: int) -> Calibration:
    """Examples of the training part, the same ones for every network.

    Of a `Dataset` they are spread evenly over the part. Of loaders they are the first ones of an
    epoch that is shuffled and augmented under a fixed seed.

    Args:
        data: The data; nothing but its training part is read.
        inputs: One batch element, as networks take it.
        number: Number of examples; all, if there are fewer.

    Raises:
        InputError: They aren't what networks take.
    """
    found = _of_dataset(data, number) if isinstance(data, Dataset) else _of_loaders(data, number)
    ours, wanted = named_inputs(found), named_inputs(inputs)
    fits = ours.keys() == wanted.keys() and all(
        ours[name].shape[1:] == tensor.shape[1:] for name, tensor in wanted.items()
    )
    if not fits:
        raise InputError(
            f"int8 is calibrated with training examples, and those of {data.name!r} have the "
            f"shapes {shapes_of(ours)} (the first number counts them), where networks take "
            f"{shapes_of(wanted)}: let the data have the shapes of the space's example_inputs"
        )
    tensors = {name: ours[name].to("cpu", wanted[name].dtype).contiguous() for name in wanted}
    examples = number_of(as_form(inputs, tensors))
    return Calibration(as_form(inputs, tensors), f"{examples} examples of the training part")


def _of_dataset(data: Dataset, number: int) -> Inputs:
    there = len(data.train[1])
    rows = torch.arange(min(number, there)) * there // min(number, there)
    return map_inputs(lambda tensor: tensor[rows], data.train[0])


def _of_loaders(data: Loaders, number: int) -> Inputs:
    found: Inputs | None = None
    with seeded(0):
        for batch in data.train:
            try:
                inputs, _ = pair_of(batch)
            except InputError as error:
                raise InputError(
                    f"int8 is calibrated with training examples, and the batches of {data.name!r} "
                    "are no pairs (inputs, targets), so it isn't known what networks are called "
                    "with: let the loaders yield such pairs"
                ) from error
            try:
                found = inputs if found is None else join_inputs(found, inputs)
            except RuntimeError as error:
                raise InputError(
                    f"int8 is calibrated with training examples of one shape, and batches of "
                    f"{data.name!r} have others: pad all examples to one length"
                ) from error
            if number_of(found) >= number:
                break
    assert found is not None  # loaders with no batches are refused
    return map_inputs(lambda tensor: tensor[:number], found)


def network_of(model: nn.Module, inputs: Inputs) -> Network:
    """A copy of a trained network on the CPU, for batches of any size where that is possible."""
    # In the layout that the weights have when they are loaded: then the files are the same.
    copied = copy_of(model).to("cpu", memory_format=torch.contiguous_format)  # type: ignore[call-overload]
    return Network(copied, inputs, None if is_one_example(inputs) else 1)


@contextmanager
def int8_network(network: Network, calibration: Calibration) -> Iterator[FileNetwork]:
    """A network's file with 8-bit integers, in the place of the network, for a block."""
    with TemporaryDirectory(prefix="optnas.int8.") as folder:
        path = Path(folder) / "model.onnx"
        write_int8(network, calibration, path, {})
        run = load_network(path, threads=torch.get_num_threads())
        yield FileNetwork(run, network)


def int8_scores(
    scorer: Rescoring, model: nn.Module, recipe: Any, inputs: Inputs, calibration: Calibration
) -> Mapping[str, float]:
    """The scores of a trained network with 8-bit integers, by names that end in `.int8`.

    Args:
        scorer: Scores networks.
        model: The trained network; it stays as it is.
        recipe: The recipe that it was trained with.
        inputs: One batch element.
        calibration: The examples that show the ranges of its activations.
    """
    with int8_network(network_of(model, inputs), calibration) as network:
        found = scorer.score_again(network, recipe)
    return {f"{name}{SUFFIX}": score for name, score in found.items()}
