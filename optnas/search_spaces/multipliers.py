"""Multipliers of all widths or all depths of a staged network, as choices of a search space."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from optnas.search_spaces.checks import check_positives

Numbers = tuple[int, ...]


def check_multipliers(
    name: str,
    multipliers: Sequence[float],
    choices: Sequence[tuple[int, ...]],
    scaled: Callable[[float], Numbers],
) -> None:
    """Raises ValueError unless each multiplier gives other networks.

    Args:
        name: That of the setting, such as `width_multipliers`.
        multipliers: Its choices.
        choices: The choices for each width or depth that is multiplied.
        scaled: Multiplies all of them, where they are fixed.
    """
    check_positives(name, multipliers)
    if tuple(multipliers) == (1.0,):
        return
    multiplied = name.replace("_multipliers", "s")
    free = next((own for own in choices if len(set(own)) > 1), None)
    if free is not None:
        raise ValueError(
            f"{name} need fixed {multiplied}, but one is a choice among {free}: give each one "
            f"value, or leave {name} out"
        )
    by_result: dict[Numbers, float] = {}
    for multiplier in multipliers:
        other = by_result.setdefault(scaled(multiplier), multiplier)
        if other != multiplier:
            raise ValueError(
                f"{name} {other:g} and {multiplier:g} give the same {multiplied} "
                f"{scaled(multiplier)}: leave one of them out"
            )
