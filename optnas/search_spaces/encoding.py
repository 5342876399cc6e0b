"""Finds the parameters of an architecture: the inverse of a space's `suggest`."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from optuna.distributions import BaseDistribution, CategoricalDistribution
from optuna.trial import FixedTrial

from optnas.errors import InputError
from optnas.search_spaces.base import Architecture
from optnas.utils.distributions import contains


def encode(
    suggest: Callable[[FixedTrial], Architecture],
    architecture: Architecture,
    settings: Callable[[Architecture], Mapping[str, Any]],
) -> dict[str, Any]:
    """Runs `suggest` with a trial that answers with the architecture's own settings.

    Example:
        ```python
        from dataclasses import asdict, dataclass

        from optnas.search_spaces import encode


        @dataclass(frozen=True)
        class Perceptron:
            width: int


        def suggest(trial):
            return Perceptron(trial.suggest_int("width", 8, 64))


        print(encode(suggest, Perceptron(32), asdict))  # {'width': 32}
        ```

    Args:
        suggest: That of the space.
        architecture: Any architecture.
        settings: Lists an architecture's settings by parameter name, also those that this space
            doesn't draw because they are fixed.

    Returns:
        The parameters that were drawn. With them, `suggest` returns the architecture.

    Raises:
        InputError: The space doesn't have the architecture.
    """
    given = settings(architecture)
    trial = _Answers(given)
    found = suggest(trial)
    if found != architecture:
        # What was drawn is equal, so a fixed setting differs.
        ours = settings(found)
        for name in (*given, *ours):
            if given.get(name) != ours.get(name):
                raise InputError(
                    f"the space doesn't have this architecture: {name} is "
                    f"{given.get(name, 'absent')} in the architecture, and "
                    f"{ours.get(name, 'absent')} in the space"
                )
        raise InputError(f"the space doesn't have this architecture, but {found}")
    return trial.params


class _Answers(FixedTrial):
    """A trial that takes the values of an architecture."""

    def __init__(self, settings: Mapping[str, Any]) -> None:
        super().__init__({})
        self._settings = settings

    # Every `suggest_*` of FixedTrial calls this.
    def _suggest(self, name: str, distribution: BaseDistribution) -> Any:
        if name not in self._settings:
            raise InputError(
                f"the space doesn't have this architecture: it has no single value for {name}, "
                f"which is {_text(distribution)} in the space"
            )
        value = self._settings[name]
        if not contains(distribution, value):
            raise InputError(
                f"the space doesn't have this architecture: {name} is {value} in the architecture, "
                f"and {_text(distribution)} in the space"
            )
        # 3.0 stands for the choice 3.
        self._params[name] = distribution.to_external_repr(distribution.to_internal_repr(value))
        return super()._suggest(name, distribution)


def _text(distribution: BaseDistribution) -> str:
    """The allowed values in words."""
    if isinstance(distribution, CategoricalDistribution):
        return f"one of {', '.join(map(str, distribution.choices))}"
    attributes = distribution._asdict()
    step = attributes["step"]
    steps = f" in steps of {step:g}" if step not in (None, 1) else ""
    return f"from {attributes['low']:g} to {attributes['high']:g}{steps}"
