"""The reference point that a study keeps: what is worse than it in an objective gains nothing."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from optuna.study import Study
from optuna.trial import TrialState

from optnas.errors import InputError
from optnas.utils.text import there_are

REFERENCE_POINT = "optnas:reference_point"
"""The system attribute of a study that keeps a `Reference`."""

NONE = "none"
"""The text of a reference without limits."""
Given = Mapping[str, float] | str
"""Limits by objective ({} for none), or the name of a baseline whose values are the limits; without
a name, the worst values of the baselines are."""


@dataclass(frozen=True)
class Reference:
    """What a study's reference point is made of.

    An objective's limit is the given one. Where nothing is given, it is the worst value of the
    study's baselines. It is never worse than chance.

    Attributes:
        given: Limits by objective, or the name of a baseline; an empty text for the worst values of
            all baselines.
        chance: Values by objective that a constant prediction reaches (see `chance_of`).
        since: The number of trials that the study had when the limits were given.
        before: What was given before, as text.
    """

    given: Given = ""
    chance: Mapping[str, float] = field(default_factory=dict)
    since: int = 0
    before: str = ""


def check_reference(given: Any, objectives: Sequence[str], baselines: Sequence[str]) -> None:
    """Raises InputError unless a reference names objectives with finite numbers, or a baseline."""
    if isinstance(given, str):
        if given and given not in baselines:
            raise InputError(
                f"reference {given!r} is no baseline; {there_are(given, baselines)}. Give one, or "
                "limits by objective, such as {'" + objectives[0] + "': 0.5}"
            )
        return
    if not isinstance(given, Mapping):
        raise InputError(
            f"reference must be limits by objective, or a baseline's name, got {given!r}"
        )
    for name, value in given.items():
        if name not in objectives:
            raise InputError(
                f"reference: no objective {name!r}; {there_are(name, objectives)} (a bound "
                "on another name is a constraint)"
            )
        if isinstance(value, bool) or not isinstance(value, (int, float)):
            raise InputError(f"reference: {name} must be a number, got {value!r}")
        if not math.isfinite(value):
            raise InputError(f"reference: {name} must be finite, got {value!r}")


def parse_reference(text: str, baselines: Sequence[str]) -> Given:
    """The reference that an option gives: `val_loss=0.3,latency_ms=1`, a baseline's name, or none.

    Raises:
        InputError: It is neither.
    """
    if text in baselines:
        return text
    if text == NONE:
        return {}
    found = {}
    for part in text.split(","):
        name, _, value = (piece.strip() for piece in part.rpartition("="))
        try:
            found[name] = float(value)
        except ValueError:
            name = ""
        if not name:
            there = f" (there are: {', '.join(baselines)})" if baselines else ""
            raise InputError(
                f"`reference={text!r}` must be NAME=VALUE with commas between, such as "
                f"val_loss=0.3,latency_ms=1, or the name of a baseline{there}"
            )
    return found


def reference_text(given: Given) -> str:
    """A reference as `parse_reference` reads it."""
    if isinstance(given, str):
        return given
    return ",".join(f"{name}={value!r}" for name, value in given.items()) or NONE


def stored_reference(study: Study) -> Reference | None:
    """The reference that a study keeps; None for a study that was made without one.

    What other code wrote in another form is left out.
    """
    found = study._storage.get_study_system_attrs(study._study_id).get(REFERENCE_POINT)
    if not isinstance(found, dict):
        return None
    given, since, before = (found.get(name) for name in ("given", "since", "before"))
    return Reference(
        given=given if isinstance(given, str) else _numbers(given),
        chance=_numbers(found.get("chance")),
        since=since if type(since) is int else 0,
        before=before if isinstance(before, str) else "",
    )


def _numbers(found: Any) -> dict[str, float]:
    """The finite numbers by name among what is stored."""
    return {
        name: float(value)
        for name, value in (found.items() if isinstance(found, dict) else ())
        if type(value) in (int, float) and math.isfinite(value)
    }


def keep_reference_point(study: Study, given: Given, chance: Mapping[str, float]) -> None:
    """Writes the reference into the study, unless it keeps the same.

    The limits that were given before stay in it as text, with the number of trials at the change. A
    study that has COMPLETE trials, and was made without a reference, keeps none until one is given.
    """
    known = stored_reference(study)
    plain = given if isinstance(given, str) else {n: float(v) for n, v in given.items()}
    trials = study.get_trials(deepcopy=False)
    if known is None:
        if not plain and any(t.state == TrialState.COMPLETE for t in trials):
            return
        known = Reference()
    elif (known.given, dict(known.chance)) == (plain, dict(chance)):
        return
    since, before = known.since, known.before
    if known.given != plain and trials:
        since, before = len(trials), reference_text(known.given) or "the baselines"
    new = {"given": plain, "chance": dict(chance), "since": since, "before": before}
    study._storage.set_study_system_attr(study._study_id, REFERENCE_POINT, new)
