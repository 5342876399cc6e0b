"""Lines of code that run a network's file, for its model card."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from optnas.datasets.dataset import PREPARATION
from optnas.export.rows import example_rows, preparation_of
from optnas.utils.inputs import batch_shape


@dataclass(frozen=True)
class Usage:
    """The facts that the code depends on.

    Attributes:
        file: Name of the file.
        inputs: One batch element, by name.
        by_name: Whether the network takes its inputs by name.
        outputs: Number of outputs of the network.
        batch_size: Number of examples in the code.
        task: That of the data (see `optnas.Dataset`); empty if unknown.
        moments: What inputs and targets were normalised with, by the names in the file.
        make: Lines that make the untrained network `model`.
        ties: Names of weights that are others under a second name, each with the name in the file.
    """

    file: str
    inputs: Mapping[str, Tensor]
    by_name: bool
    outputs: int
    batch_size: int
    task: str
    moments: Mapping[str, str]
    make: str
    ties: Mapping[str, str]


def torch_call(use: Usage) -> list[str]:
    """Lines that call the PyTorch model `model`; normalisation is read from `facts`."""
    read = "torch.tensor(json.loads(facts[{!r}]), dtype=torch.float64)"
    given = ", ".join(
        f"{name}={variable}" if use.by_name else variable
        for name, variable in variables(use).items()
    )
    return [
        *prepared(
            use,
            read,
            "torch.zeros({shape}, dtype=torch.{type})",
            "({}).float()",
            "torch.from_numpy({})",
        ),
        "with torch.no_grad():",
        f"    outputs = model({given})",
        *shown(use, read, "double()"),
    ]


def variables(use: Usage) -> dict[str, str]:
    """The variables that hold the inputs, by the inputs' names."""
    if use.by_name:
        return {name: name for name in use.inputs}
    return {name: name.replace("input", "x").replace("_", "") for name in use.inputs}


def prepared(use: Usage, read: str, zeros: str, single: str, array: str = "{}") -> list[str]:
    """Lines that make the inputs: raw examples, then normalised if the data was.

    Args:
        use: The facts.
        read: Code that reads a fact by its name.
        zeros: Code that makes an array of a `shape` and a `type`.
        single: Code that makes float32 numbers of others.
        array: Code that makes such an array of one of numpy's.
    """
    preparation = preparation_of(use.moments)
    if preparation:
        return [
            f"preparation = json.loads(facts[{PREPARATION!r}])",
            "rows = {  # your rows, by column",
            *(f"    {k!r}: {v!r}," for k, v in example_rows(preparation, use.batch_size).items()),
            "}",
            "prepared = prepare(rows, preparation)",
            *(
                f"{variable} = " + array.format(f"prepared[{_part(name)!r}]")
                for name, variable in variables(use).items()
            ),
        ]
    lines = []
    for name, variable in variables(use).items():
        tensor = use.inputs[name]
        shape = batch_shape(tensor, use.batch_size)
        # Raw numbers may be so far from 0 that float32 doesn't tell them apart.
        kind = torch.float64 if "x_mean" in use.moments else tensor.dtype
        made = zeros.format(shape=shape, type=str(kind).removeprefix("torch."))
        what = "your examples"
        if tensor.ndim == 1 and not tensor.is_floating_point() and int(tensor[0]):
            made += f" + {int(tensor[0])}"  # a whole number an example, which 0 might not be
            what = "the valid steps of each example" if name == "lengths" else what
        lines.append(f"{variable} = {made}  # {what}")
    if "x_mean" in use.moments:
        lines += [f"mean = {read.format('x_mean')}", f"std = {read.format('x_std')}"]
        lines.append(f"x = {single.format('(x - mean) / std')}")
    return lines


def _part(name: str) -> str:
    """The name that `prepare` gives an input: a single tensor holds the numbers."""
    return "numbers" if name == "input" else name


def shown(use: Usage, read: str, double: str) -> list[str]:
    """Lines that print the meaning of the outputs.

    Args:
        use: The facts.
        read: Code that reads a fact by its name.
        double: The method that makes float64 numbers of the outputs.
    """
    if use.outputs == 1 and "classes" in preparation_of(use.moments):
        return ["print([preparation['classes'][i] for i in outputs.argmax(1)])"]
    if use.outputs == 1 and use.task == "classification":
        return ["print(outputs.argmax(1))  # the classes"]
    if use.outputs == 1 and use.task == "language":
        next_token = "int(outputs[0, -1].argmax())"
        if "vocabulary" in use.moments:
            next_token = f"json.loads(facts['vocabulary'])[{next_token}]"
        return [f"print({next_token})  # the most likely token after the first example"]
    if use.outputs == 1 and use.task == "segmentation":
        return ["print(outputs.argmax(1))  # the class of each pixel"]
    if use.outputs == 1 and "y_mean" in use.moments:
        return [
            f"mean = {read.format('y_mean')}",
            f"std = {read.format('y_std')}",
            f"print(outputs.{double} * std + mean)  # in the units of the targets",
        ]
    return ["print(outputs)"]


def joined(*lines: str) -> str:
    """The lines that aren't empty, as one text."""
    return "\n".join(line for line in lines if line)
