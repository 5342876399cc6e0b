"""The bounds of a study in words, and the trials that were made before a bound.

A trial keeps how far it breaks the bounds of its time. One that was made before a bound counts as
within it; the value that it stored says whether it is.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence

from optuna.trial import FrozenTrial, TrialState

from optnas.study.objectives import Direction
from optnas.utils.text import number, plural

_PREFIX = "bound on "


def bound_texts(trials: Sequence[FrozenTrial], fingerprint: Mapping[str, str]) -> list[str]:
    """The bounds in words: at most or at least, as the trials' constraints show.

    Args:
        trials: The trials of a study.
        fingerprint: The settings that it keeps.
    """
    bounds = {
        key.removeprefix(_PREFIX): value
        for key, value in fingerprint.items()
        if key.startswith(_PREFIX)
    }
    names = dict.fromkeys([*bounds, *(name for trial in trials for name in trial.constraints)])
    found = []
    for name in names:
        inside = sum(trial.constraints.get(name, 1.0) <= 0 for trial in trials)
        known = sum(name in trial.constraints for trial in trials)
        parts = [f"{number(inside)} of {plural(known, 'trial')} within"]
        limit = _limit(bounds.get(name))
        sign = _sign(name, limit, trials)
        if limit is not None and sign != "within":
            parts += _earlier(name, limit, sign, trials)
        text = name if name not in bounds else f"{name} {sign} {_shown(bounds[name])}"
        found.append(f"{text} ({'; '.join(parts)})")
    return found


def newer_bounds(
    trials: Sequence[FrozenTrial],
    bounds: Mapping[str, float],
    directions: Mapping[str, Direction],
) -> list[str]:
    """Says of each bound which trials break it, or may do so, and count as within.

    Args:
        trials: The trials of a study.
        bounds: Its bounds by name.
        directions: The direction of each bounded name.
    """
    found = []
    for name, limit in bounds.items():
        sign = "≥" if directions[name] == "maximize" else "≤"
        if parts := "; ".join(_earlier(name, limit, sign, trials)):
            newer = "is newer than some trials"
            found.append(f"the bound {name} {sign} {number(limit)} {newer}: {parts}")
    return found


def _earlier(name: str, limit: float, sign: str, trials: Sequence[FrozenTrial]) -> Iterator[str]:
    """What there is to say of the COMPLETE trials that count as within and may not be."""
    beyond = unknown = 0
    for trial in trials:
        if trial.state != TrialState.COMPLETE or trial.constraints.get(name, 0.0) > 0:
            continue
        value = trial.user_attrs.get(name)
        if isinstance(value, (int, float)):
            beyond += value < limit if sign == "≥" else value > limit
        else:
            unknown += name not in trial.constraints
    if beyond:
        verbs = ("breaks", "counts") if beyond == 1 else ("break", "count")
        yield f"{plural(beyond, 'earlier trial')} {verbs[0]} it and {verbs[1]} as within"
    if unknown:
        yield f"of {plural(unknown, 'earlier trial')} it isn't known"


def _limit(bound: str | None) -> float | None:
    try:
        return None if bound is None else float(bound)
    except ValueError:
        return None


def _sign(name: str, limit: float | None, trials: Sequence[FrozenTrial]) -> str:
    """Whether it is an upper or a lower bound, as the newest trial that was held to it shows."""
    if limit is None:
        return "within"
    for trial in reversed(trials):
        value, excess = trial.user_attrs.get(name), trial.constraints.get(name)
        if isinstance(value, (int, float)) and excess:
            if math.isclose(value - excess, limit):
                return "≤"
            if math.isclose(value + excess, limit):
                return "≥"
    return "within"


def _shown(bound: str) -> str:
    limit = _limit(bound)
    return bound if limit is None else number(limit)
