"""The reference point that a study keeps: what is worse than it in an objective gains nothing."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from optuna.study import Study
from optuna.trial import FrozenTrial, TrialState

from optnas.errors import InputError
from optnas.study.attributes import BASELINE
from optnas.study.objectives import maximized, objective_names
from optnas.utils.text import number

REFERENCE_POINT = "optnas:reference_point"
"""The system attribute of a study that keeps a `Reference`."""

Given = Mapping[str, float] | str
"""Limits by objective, or the name of a baseline whose values are the limits; empty for neither."""


@dataclass(frozen=True)
class Reference:
    """What a study's reference point is made of.

    An objective's limit is the given one. Without any given limit, it is the worst value of the
    study's baselines. It is never worse than chance.

    Attributes:
        given: Limits by objective, or the name of a baseline; empty for neither.
        chance: Values by objective that a constant prediction reaches (see `chance_of`).
        since: The number of trials that the study had when the limits were given.
        before: What was given before, as text.
    """

    given: Given = ""
    chance: Mapping[str, float] = field(default_factory=dict)
    since: int = 0
    before: str = ""

    def limits(
        self,
        names: Sequence[str],
        maximize: Sequence[bool],
        baselines: Mapping[str, Sequence[float]],
    ) -> list[float]:
        """The limit of each objective as a loss (negated where it is maximised); inf for none.

        Args:
            names: The objectives.
            maximize: Whether each is maximised.
            baselines: The values of the COMPLETE baselines, by name.
        """
        signs = [-1.0 if more else 1.0 for more in maximize]
        chance = dict(self.chance)
        found = []
        for i, (name, sign) in enumerate(zip(names, signs, strict=True)):
            if isinstance(self.given, str):
                known = [v for n, v in baselines.items() if self.given in ("", n)]
                limit = max((sign * values[i] for values in known), default=math.inf)
            else:
                limit = sign * self.given[name] if name in self.given else math.inf
            if name in chance:
                limit = min(limit, sign * chance[name])
            found.append(limit)
        return found


def check_reference(given: Any, objectives: Sequence[str], baselines: Sequence[str]) -> None:
    """Raises InputError unless a reference names objectives with finite numbers, or a baseline."""
    if isinstance(given, str):
        if given and given not in baselines:
            there = ", ".join(baselines) or "none"
            raise InputError(
                f"reference {given!r} is no baseline; there are: {there}. Give one of them, or "
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
                f"reference: no objective {name!r}; there are: {', '.join(objectives)} (a bound "
                "on another name is a constraint)"
            )
        if isinstance(value, bool) or not isinstance(value, (int, float)):
            raise InputError(f"reference: {name} must be a number, got {value!r}")
        if not math.isfinite(value):
            raise InputError(f"reference: {name} must be finite, got {value!r}")


def parse_reference(text: str, baselines: Sequence[str]) -> Given:
    """The reference that an option gives: `val_loss=0.3,latency_ms=1`, or a baseline's name.

    Raises:
        InputError: It is neither.
    """
    if text in baselines:
        return text
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
                f"--reference {text!r} must be NAME=VALUE with commas between, such as "
                f"val_loss=0.3,latency_ms=1, or the name of a baseline{there}"
            )
    return found


def reference_text(given: Given) -> str:
    """A reference as `parse_reference` reads it."""
    if isinstance(given, str):
        return given
    return ",".join(f"{name}={value!r}" for name, value in given.items())


def stored_reference(study: Study) -> Reference:
    """The reference that a study keeps."""
    return read_reference(study._storage.get_study_system_attrs(study._study_id))


def read_reference(attrs: Mapping[str, Any]) -> Reference:
    """The reference among the system attributes of a study."""
    found = attrs.get(REFERENCE_POINT)
    return Reference(**found) if isinstance(found, dict) else Reference()


def keep_reference_point(study: Study, given: Given, chance: Mapping[str, float]) -> None:
    """Writes the reference into the study, unless it keeps the same.

    The limits that were given before stay in it as text, with the number of trials at the change.
    """
    known = stored_reference(study)
    plain = given if isinstance(given, str) else {n: float(v) for n, v in given.items()}
    if (known.given, dict(known.chance)) == (plain, dict(chance)):
        return
    since, before = known.since, known.before
    if known.given != plain:
        trials = len(study.get_trials(deepcopy=False))
        before = (reference_text(known.given) or "none") if trials else ""
        since = trials
    new = {"given": plain, "chance": dict(chance), "since": since, "before": before}
    study._storage.set_study_system_attr(study._study_id, REFERENCE_POINT, new)


def baseline_values(trials: Sequence[FrozenTrial]) -> dict[str, Sequence[float]]:
    """The values of the COMPLETE baselines by name; of those that break no bound."""
    return {
        str(t.user_attrs[BASELINE]): t.values
        for t in trials
        if t.state == TrialState.COMPLETE
        and BASELINE in t.user_attrs
        and all(excess <= 0 for excess in t.constraints.values())
    }


def reference_limits(study: Study, trials: Sequence[FrozenTrial]) -> list[float]:
    """The reference point of a study as losses (see `Reference.limits`); inf for no limit.

    Args:
        study: The study.
        trials: Its trials; the COMPLETE baselines among them count.
    """
    return stored_reference(study).limits(
        objective_names(study), maximized(study), baseline_values(trials)
    )


def limits_text(study: Study, trials: Sequence[FrozenTrial]) -> str:
    """The reference point in words; empty if there are no limits."""
    found = reference_limits(study, trials)
    names, more = objective_names(study), maximized(study)
    return ", ".join(
        f"{name} {'≥' if up else '≤'} {number(-limit if up else limit)}"
        for name, up, limit in zip(names, more, found, strict=True)
        if math.isfinite(limit)
    )
