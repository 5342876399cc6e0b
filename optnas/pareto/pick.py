"""One network out of the front: by limits, by weights, or the knee."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from optuna.study import Study
from optuna.trial import FrozenTrial

from optnas.errors import InputError
from optnas.pareto.dominance import knee, losses, way_from_best
from optnas.pareto.entries import Entry, entries
from optnas.pareto.front import front_of, why_no_front
from optnas.study.objectives import maximized, objective_names
from optnas.utils.text import number


class Pick(NamedTuple):
    """A chosen network, and what the choice was made by, in words."""

    entry: Entry
    why: str


def pick(
    study: Study,
    *,
    at_most: Mapping[str, float] | None = None,
    at_least: Mapping[str, float] | None = None,
    weights: Mapping[str, float] | None = None,
    by_knee: bool = False,
) -> Pick:
    """Chooses a network of the front.

    Of the feasible networks within the limits, those that no other one of them dominates are
    looked at. One is taken by `weights`: the largest sum of weight times value, each value scaled
    from 0 to 1 between the smallest and the largest among them. With limits alone it is the one
    that is best in the study's first objective; with nothing, or `by_knee`, the one closest to the
    best of everything (`dominance.knee`).

    Args:
        study: Any study.
        at_most: Upper limits, by the name of an objective or of anything else that was measured.
        at_least: Lower limits, likewise.
        weights: By name of objectives: above 0 where more is better, below 0 where less is.
        by_knee: Whether to take the knee.

    Raises:
        InputError: Nothing is within the limits, a name is unknown, a weight asks for the worse of
            an objective, or both weights and the knee are asked for.
    """
    if weights and by_knee:
        raise InputError("a network is chosen by the knee or by weights: give one of them")
    at_most, at_least = dict(at_most or {}), dict(at_least or {})
    names = objective_names(study)
    within, limits = _within(names, _feasible(study), at_most, at_least)
    trials = front_of([entry.trial for entry in within], study.directions)
    members = {trial.number for trial in trials}
    chosen = [entry for entry in within if entry.trial.number in members]
    points = losses([entry.trial.values for entry in chosen], study.directions)
    if weights:
        i, rule = _by_weights(study, chosen, weights)
    elif by_knee or not limits:
        i = knee(points)
        shares = ", ".join(
            f"{name} {share:.0%}"
            for name, share in zip(names, way_from_best(points)[i], strict=True)
        )
        rule = f"closest to the best of everything (the way from best to worst: {shares})"
    else:
        i = int(points[:, 0].argmin())
        rule = f"best {names[0]} ({number(chosen[i].trial.values[0])})"
    among = f"{len(chosen)} network{'s' * (len(chosen) > 1)} on the front"
    return Pick(chosen[i], f"{rule} of {among}{' with ' + limits if limits else ''}")


def _feasible(study: Study) -> list[Entry]:
    feasible = [entry for entry in entries(study) if entry.feasible]
    if not feasible:
        raise InputError(why_no_front(study))
    return feasible


def measured(names: Sequence[str], trial: FrozenTrial, name: str) -> float | None:
    """What a trial has under the name of an objective, or of anything else that was measured.

    Args:
        names: Those of the study's objectives.
        trial: A COMPLETE trial.
        name: The name.
    """
    if name in names:
        return float(trial.values[names.index(name)])
    value = trial.user_attrs.get(name)
    return None if isinstance(value, bool) or not isinstance(value, (int, float)) else float(value)


def _within(
    names: Sequence[str],
    feasible: list[Entry],
    at_most: Mapping[str, float],
    at_least: Mapping[str, float],
) -> tuple[list[Entry], str]:
    """The entries within all limits, and the limits in words."""
    limits = [(name, bound, 1.0) for name, bound in at_most.items()]
    limits += [(name, bound, -1.0) for name, bound in at_least.items()]
    texts = []
    within = feasible
    for name, bound, sign in limits:
        texts.append(f"{name} {'≤' if sign > 0 else '≥'} {number(bound)}")
        known = [
            (sign * value, entry)
            for entry in within
            if (value := measured(names, entry.trial, name)) is not None
        ]
        if not known:
            raise InputError(f"no network has {name!r}; there are: {_known(names, feasible)}")
        inside = [entry for value, entry in known if value <= sign * bound]
        if not inside:
            nearest, entry = min(known, key=lambda pair: pair[0])
            others = f" and {', '.join(texts[:-1])}" if texts[:-1] else ""
            raise InputError(
                f"no network on record has {texts[-1]}{others}: the nearest is trial "
                f"{entry.trial.number} with {name} {number(sign * nearest)}; relax a limit, or "
                "search further"
            )
        within = inside
    return within, ", ".join(texts)


def _known(names: Sequence[str], feasible: Sequence[Entry]) -> str:
    known = dict.fromkeys(names)
    for entry in feasible:
        known |= dict.fromkeys(
            name
            for name in entry.trial.user_attrs
            if measured(names, entry.trial, name) is not None
        )
    return ", ".join(known)


def _by_weights(
    study: Study, chosen: Sequence[Entry], weights: Mapping[str, float]
) -> tuple[int, str]:
    names = objective_names(study)
    more = dict(zip(names, maximized(study), strict=True))
    sums = [0.0] * len(chosen)
    for name, weight in weights.items():
        if name not in more:
            raise InputError(f"weight of unknown objective {name!r}; there are: {', '.join(names)}")
        if weight == 0 or (weight > 0) != more[name]:
            kind, sign = ("maximised", "above") if more[name] else ("minimised", "below")
            raise InputError(f"{name} is {kind}, so its weight must be {sign} 0, got {weight:g}")
        values = [entry.trial.values[names.index(name)] for entry in chosen]
        low, high = min(values), max(values)
        for i, value in enumerate(values):
            sums[i] += weight * (value - low) / (high - low) if high > low else 0.0
    best = max(range(len(chosen)), key=lambda i: sums[i])
    asked = ", ".join(f"{name} {weight:g}" for name, weight in weights.items())
    return best, f"largest weighted sum ({asked}; each scaled to its range)"
