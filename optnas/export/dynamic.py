"""Dimensions that may have any size in a network's file: the batch, and those of `dynamic=`."""

from __future__ import annotations

from collections.abc import Mapping

from torch import Tensor

from optnas.errors import InputError
from optnas.utils.inputs import Inputs
from optnas.utils.network import Run
from optnas.utils.signature import as_form, named_inputs

Dynamic = Mapping[str, Mapping[int, str]]
"""Names of dimensions by their number, by the name of the input."""


def check_dynamic(dynamic: Dynamic, inputs: Inputs) -> None:
    """Raises InputError unless the inputs have these dimensions."""
    given = named_inputs(inputs)
    for name, dimensions in dynamic.items():
        if name not in given:
            raise InputError(f"dynamic: no input is called {name!r}; there are: {', '.join(given)}")
        shape = given[name].shape
        for number, called in dimensions.items():
            if not 1 <= number < len(shape):
                raise InputError(
                    f"dynamic: dimension {number} of {name} must be from 1 to {len(shape) - 1} (0 "
                    "is the batch)"
                )
            if not called.isidentifier() or called == "batch":
                raise InputError(
                    f"dynamic: the name of a dimension must be a word other than batch: {called!r}"
                )
            if shape[number] < 2:
                raise InputError(
                    f"dynamic: dimension {number} of {name} is {shape[number]} in the space's "
                    "example_inputs; PyTorch can vary it only if the example has 2 or more"
                )


def read_dynamic(texts: list[str]) -> dict[str, dict[int, str]]:
    """Reads `INPUT:DIMENSION=NAME`, such as `input_ids:1=seq`.

    Raises:
        InputError: A text has another form.
    """
    found: dict[str, dict[int, str]] = {}
    for text in texts:
        place, _, called = text.partition("=")
        name, _, number = place.rpartition(":")
        if not (name and called and number.isdecimal()):
            raise InputError(
                f"`dynamic=` takes INPUT:DIMENSION=NAME, such as input_ids:1=seq, got {text!r}"
            )
        found.setdefault(name, {})[int(number)] = called
    return found


def shorter(run: Run, dynamic: Dynamic) -> Run:
    """Runs a network on inputs whose dynamic dimensions have half of their size."""

    def run_shorter(inputs: Inputs) -> dict[str, Tensor]:
        tensors = named_inputs(inputs)
        for name, dimensions in dynamic.items():
            for number in dimensions:
                half = max(1, tensors[name].shape[number] // 2)
                tensors[name] = tensors[name].narrow(number, 0, half).contiguous()
        return run(as_form(inputs, tensors))

    return run_shorter
