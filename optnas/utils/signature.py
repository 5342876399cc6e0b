"""Names for the inputs and outputs of a network, as its files have them."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping
from typing import Any

from torch import Tensor

from optnas.errors import NetworkError
from optnas.utils.inputs import Inputs, in_order


def named_inputs(inputs: Inputs) -> dict[str, Tensor]:
    """The inputs in order: `input`; `input_0`, `input_1`, …; or by the names of arguments."""
    if isinstance(inputs, Tensor):
        return {"input": inputs}
    if isinstance(inputs, Mapping):
        return dict(inputs)
    return {f"input_{i}": tensor for i, tensor in enumerate(in_order(inputs))}


def as_form(inputs: Inputs, tensors: Mapping[str, Tensor]) -> Inputs:
    """Tensors by the names of `named_inputs`, in the form that `inputs` have."""
    if isinstance(inputs, Tensor):
        return tensors["input"]
    return dict(tensors) if isinstance(inputs, Mapping) else tuple(tensors.values())


def named_outputs(outputs: Any) -> dict[str, Tensor]:
    """The tensors in a network's outputs, in order: `output`; `output_0`, …; `output_KEY`.

    Raises:
        InputError: There are none.
    """
    found = only_tensors(outputs)
    if isinstance(found, Tensor):
        return {"output": found}
    if isinstance(found, Mapping) and all(isinstance(v, Tensor) for v in found.values()):
        return {f"output_{name}": tensor for name, tensor in found.items()}
    return {f"output_{i}": leaf for i, (_, leaf) in enumerate(_leaves(found))}


def only_tensors(outputs: Any) -> Any:
    """Outputs that a file can have.

    They stay as they are if they are tensors, in tuples, lists and dictionaries. Otherwise (a
    dataclass, `ModelOutput`, a cache or a number among them) the tensors in them are left: a
    dictionary, by the names of keys and fields; of a tuple or list, a tuple.

    Raises:
        InputError: There are no tensors.
    """
    if _is_plain(outputs):
        return outputs
    found = {path: leaf for path, leaf in _leaves(outputs) if isinstance(leaf, Tensor)}
    if not found:
        raise NetworkError(
            f"the network returns a {type(outputs).__name__} in which there are no tensors: it "
            "must return a tensor, or a tuple, dictionary or dataclass of tensors"
        )
    return tuple(found.values()) if isinstance(outputs, (tuple, list)) else found


def left_out(outputs: Any) -> list[str]:
    """What `only_tensors` leaves out, each with its type; what is None isn't named."""
    return [
        f"{path or 'the output'} ({type(leaf).__name__})"
        for path, leaf in _leaves(outputs)
        if not isinstance(leaf, Tensor) and leaf is not None
    ]


def _is_plain(value: Any) -> bool:
    if type(value) in (tuple, list):  # a file can't have named tuples
        return bool(value) and all(map(_is_plain, value))
    if type(value) is dict:
        return bool(value) and all(isinstance(k, str) and _is_plain(v) for k, v in value.items())
    return isinstance(value, Tensor)


def _leaves(value: Any, path: str = "") -> Iterator[tuple[str, Any]]:
    """The parts of outputs that hold no others, each with its place: `logits`, `hidden_0`."""
    below: Iterator[tuple[object, Any]]
    if isinstance(value, Mapping):
        below = iter(value.items())
    elif isinstance(value, (tuple, list)):
        below = iter(enumerate(value))
    elif dataclasses.is_dataclass(value) and not isinstance(value, type):
        below = iter([(f.name, getattr(value, f.name)) for f in dataclasses.fields(value)])
    else:
        yield path, value
        return
    for name, inner in below:
        yield from _leaves(inner, f"{path}_{name}" if path else str(name))
