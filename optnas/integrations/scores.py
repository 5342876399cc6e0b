"""Which of another package's numbers are the scores of a trial."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from optnas.errors import InputError
from optnas.utils.text import there_are


def named_scores(wanted: Mapping[str, str], found: Mapping[str, Any], how: str) -> dict[str, float]:
    """The scores by the trial's names.

    Args:
        wanted: The package's name of each score, by the trial's name.
        found: The package's numbers, by its names.
        how: What makes the package compute a number, for the message.

    Raises:
        InputError: There is no such number.
    """
    for name in wanted.values():
        if name not in found:
            raise InputError(f"no {name!r} to report; {there_are(name, found)}: {how}")
    return {score: float(found[name]) for score, name in wanted.items()}
