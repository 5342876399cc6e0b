"""Objects that can be made again with other arguments."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from dataclasses import fields, is_dataclass, replace
from typing import Any, Self, get_type_hints

from optnas.errors import InputError

_GIVEN = "_given_arguments"


class _OfInit:
    """The signature of the constructor: `__new__` takes anything, and would hide it."""

    def __get__(self, thing: object, cls: type) -> inspect.Signature:
        own = inspect.signature(cls.__init__)  # type: ignore[misc]  # the subclass's
        return own.replace(parameters=list(own.parameters.values())[1:])


class Remakable:
    """An object that remembers the arguments that it was made with.

    Other attributes may be derived from them, so they alone say how to make it again. A copy
    (`copy.copy`, pickle) has none: its attributes may differ from what was given.
    """

    __signature__ = _OfInit()

    def __new__(cls, *args: Any, **arguments: Any) -> Self:
        """Keeps the arguments."""
        made = super().__new__(cls)
        object.__setattr__(made, _GIVEN, (args, arguments))  # dataclasses are frozen
        return made

    def __getstate__(self) -> Any:
        """Leaves the arguments out: hashes of code and copies are as without them."""
        state: Any = super().__getstate__()
        if isinstance(state, dict):
            return {name: value for name, value in state.items() if name != _GIVEN}
        return state

    def __setstate__(self, state: Any) -> None:
        """A copy takes the attributes; the arguments that it was made with were none."""
        vars(self).update(state or {})
        vars(self).pop(_GIVEN, None)


def is_remakable(made: object) -> bool:
    """Whether `arguments_of` and `remade` take it."""
    return isinstance(made, Remakable) or (is_dataclass(made) and not isinstance(made, type))


def arguments_of(made: Any) -> dict[str, Any]:
    """The arguments of the constructor that made an object, by name, with defaults.

    Raises:
        InputError: It is a copy.
    """
    if not isinstance(made, Remakable):
        return {field.name: getattr(made, field.name) for field in fields(made) if field.init}
    given = vars(made).get(_GIVEN)
    if given is None:
        raise InputError(
            f"this {type(made).__name__} is a copy of another one, so its settings can't be "
            "changed by name: change them in the study file"
        )
    bound = _signature(made).bind(*given[0], **given[1])
    bound.apply_defaults()
    found: dict[str, Any] = {}
    for name, value in bound.arguments.items():
        kind = bound.signature.parameters[name].kind
        found |= value if kind is inspect.Parameter.VAR_KEYWORD else {name: value}
    return found


def annotations_of(made: object) -> dict[str, Any]:
    """The annotations of the constructor's arguments; empty where they can't be read."""
    try:
        return get_type_hints(type(made) if is_dataclass(made) else type(made).__init__)
    except (NameError, TypeError, AttributeError):
        return {}


def remade(made: Any, changes: Mapping[str, Any]) -> Any:
    """An object like this one, with some arguments changed.

    Raises:
        InputError: It is a copy.
        ValueError: The constructor refuses an argument.
        TypeError: It takes arguments by position alone.
    """
    if not isinstance(made, Remakable):
        return replace(made, **changes)
    return type(made)(**arguments_of(made) | dict(changes))


def _signature(made: object) -> inspect.Signature:
    return inspect.signature(type(made))
