"""Finds a network's weights in a state_dict that has other names around them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from torch import Tensor, nn

from optnas.errors import InputError

_COMPILED = "_orig_mod."
"""What `torch.compile` adds to names, wherever the compiled module is."""
_WRAPPED = "module."
"""What `DataParallel` and moving averages add in front of names."""


def fitting_state(model: nn.Module, state: Mapping[str, Any]) -> Mapping[str, Any]:
    """A state under the names that a model has for it.

    The state may be that of a wrapper, such as `AveragedModel`, `DataParallel`, `torch.compile`, or
    a module that has the model as an attribute; or that of the model without its own wrapper.

    Raises:
        InputError: The state doesn't fit the model, or it fits twice.
    """
    own = model.state_dict()
    if not isinstance(own, Mapping) or own.keys() == state.keys():
        return _checked(own, state)
    given = {name.replace(_COMPILED, ""): value for name, value in state.items()}
    names = {name.replace(_COMPILED, ""): name for name in own}
    for found in (names, {n.removeprefix(_WRAPPED): original for n, original in names.items()}):
        fits = [
            prefix
            for prefix in _prefixes(found, given)
            if all(
                prefix + name in given and _shape(given[prefix + name]) == _shape(own[original])
                for name, original in found.items()
            )
        ]
        if len(fits) > 1:
            raise InputError(
                f"report.weights was given several networks ({', '.join(map(repr, fits))}): give "
                "it the one that has the scores"
            )
        if fits:
            return _checked(own, {original: given[fits[0] + n] for n, original in found.items()})
    return _checked(own, state)


def _prefixes(names: Mapping[str, str], given: Mapping[str, Any]) -> list[str]:
    """What may stand before the names; nothing, if they are there as they are."""
    first = next(iter(names), "")
    found = [name.removesuffix(first) for name in given if name.endswith(first)]
    return [""] if "" in found else [p for p in found if p.endswith(".")]


def _shape(value: object) -> tuple[int, ...] | None:
    return tuple(value.shape) if isinstance(value, Tensor) else None


def _checked(own: Any, state: Mapping[str, Any]) -> Mapping[str, Any]:
    if not isinstance(own, Mapping):
        return state
    missing = [name for name in own if name not in state]
    unknown = [name for name in state if name not in own]
    other = [
        f"{name} has shape {_shape(value)}, not {_shape(own[name])}"
        for name, value in state.items()
        if name in own and _shape(value) != _shape(own[name])
    ]
    reasons = [
        *(f"{name} is missing" for name in missing),
        *(f"{name} is unknown" for name in unknown),
        *other,
    ]
    if reasons:
        raise InputError(
            f"report.weights was given weights that don't fit the trial's network ({reasons[0]}): "
            "give it the network, a copy of it, or its state_dict()"
        )
    return state
