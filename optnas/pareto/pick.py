"""Picks one network of the front: by limits, by weights, or the knee."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
from optuna.study import Study
from optuna.trial import FrozenTrial

from optnas.errors import InputError
from optnas.pareto.architectures import ArchitectureRecord, without_equals
from optnas.pareto.dominance import knees, least, nondominated, way_from_best
from optnas.pareto.front import why_no_front
from optnas.pareto.noise import interval, within_noise
from optnas.pareto.reference_limits import limits_text, reference_limits
from optnas.pareto.snapshot import Snapshot
from optnas.study.describe import number_of
from optnas.utils.text import number, plural, there_are


class Pick(NamedTuple):
    """A chosen network, and the reason for the choice, in words.

    Attributes:
        entry: Its architecture, with the chosen trial in place of the one that represents it.
        why: The reason.
        chosen_from: The networks that it was chosen from, itself included.
    """

    entry: ArchitectureRecord
    why: str
    chosen_from: tuple[ArchitectureRecord, ...]

    @property
    def among(self) -> str:
        """How many it was chosen from: `3 networks`, or `3 trials` where some share a network."""
        networks = {record.trials for record in self.chosen_from}
        shared = len(networks) < len(self.chosen_from)
        return plural(len(self.chosen_from), "trial" if shared else "network")

    def __repr__(self) -> str:
        return f"Pick(trial {self.entry.number}: {self.entry.architecture}; {self.why})"


def pick(
    study: Study | Snapshot,
    *,
    at_most: Mapping[str, float] | None = None,
    at_least: Mapping[str, float] | None = None,
    weights: Mapping[str, float] | None = None,
    by_knee: bool = False,
) -> Pick:
    """Chooses a network of the front.

    Candidates are the feasible networks within the limits that no other one of them dominates, not
    even but for differences within noise (`optnas.pareto.noise`). An architecture that was trained
    with several recipes is a network with each. Where some are within the study's reference, the
    others aren't candidates: what is worse than it is of no use.

    `weights` take the one with the largest sum of weight times value, where each value is scaled
    from 0 to 1 between the smallest and the largest among the candidates. Limits alone take the
    candidate that is best in the study's first objective; nothing, or `by_knee`, takes the one
    closest to the ideal point, which has the best value of each objective (`dominance.knees`), of
    several the best in the first objective. A network with an infinitely bad value is only taken if
    all have one; one with an infinitely good value comes before those without. Limits apply to the
    measured values; the reason says where a 95 % interval reaches beyond one.

    Args:
        study: Any study, or a snapshot of it.
        at_most: Upper limits, by the name of an objective or of anything else that was measured.
        at_least: Lower limits, likewise.
        weights: By name of objectives: above 0 where more is better, below 0 where less is.
        by_knee: Whether to take the knee.

    Raises:
        InputError: No network is within the limits, a name is unknown, a weight prefers the worse
            values of an objective, or both weights and the knee are given.
    """
    if weights and by_knee:
        raise InputError("a network is chosen by the knee or by weights: give one of them")
    at_most, at_least = dict(at_most or {}), dict(at_least or {})
    seen = Snapshot.of(study)
    names = seen.names
    feasible = seen.each_recipe
    if not feasible:
        raise InputError(why_no_front(seen.study))
    within, limits = _within(names, feasible, at_most, at_least)
    within = without_equals(within)
    bounded = [record for record in within if math.inf not in record.losses]
    within, useful = _useful(seen, bounded or within)
    points = np.array([record.losses for record in within])
    kept = np.flatnonzero(nondominated(points))
    noisy = within_noise([within[i].trial for i in kept], names, seen.directions)
    sure = [i for i in kept if within[i].number not in noisy]
    kept = np.array(sure if sure else kept)
    chosen, points = [within[i] for i in kept], points[kept]
    ways = ""
    if weights:
        i, rule = _by_weights(seen, chosen, weights)
    elif by_knee or not limits:
        i, *equal = knees(points)
        shares = ", ".join(
            f"{name} {share:.0%}"
            for name, share in zip(names, way_from_best(points)[i], strict=True)
        )
        rule = "the only network"
        if len(chosen) > 1:
            rule = "closest to the ideal point (the best value of each objective)"
            ways = f"; distance from their best (0%) to their worst value (100%): {shares}"
            ways += _equally_close(names, chosen, [i, *equal])
    else:
        i = int(points[:, 0].argmin())
        rule = f"best {names[0]} ({number(chosen[i].values[0])})"
    found = Pick(chosen[i], rule, tuple(chosen))
    where = f"on the front{useful}"
    if rule != "the only network":
        where = f"of {found.among} {where}"
    why = f"{rule} {where}{' with ' + limits if limits else ''}"
    if sure and noisy:
        why += f"; {len(noisy)} more {'is' if len(noisy) == 1 else 'are'} there only by noise"
    return found._replace(why=why + ways + _unsure(chosen[i].trial, at_most, at_least))


def _equally_close(
    names: Sequence[str], chosen: Sequence[ArchitectureRecord], knees: Sequence[int]
) -> str:
    """Which networks are as close as the one taken, the first, and why it is; empty without any."""
    if len(knees) == 1:
        return ""
    numbers = sorted(chosen[i].number for i in knees)
    listed = f"{', '.join(map(str, numbers[:-1]))} and {numbers[-1]}"
    who = f"trials {listed}" if len(numbers) <= 5 else plural(len(numbers), "trial")
    taken, *others = (chosen[i] for i in knees)
    best = np.min([record.losses for record in others], axis=0)
    ahead = [
        name for name, mine, theirs in zip(names, taken.losses, best, strict=True) if mine < theirs
    ]
    reason = f"for its {ahead[0]}" if ahead else "as the first"
    return (
        f"; {who} are equally close: trial {taken.number} is taken {reason}; give limits or "
        "weights to choose"
    )


def _useful(
    seen: Snapshot, found: list[ArchitectureRecord]
) -> tuple[list[ArchitectureRecord], str]:
    """The networks within the study's reference if there are any, and the reference in words."""
    limits = reference_limits(seen.study, seen.trials)
    useful = [record for record in found if (np.array(record.losses) <= limits).all()]
    if len(useful) in (0, len(found)):
        return found, ""
    return useful, f" within the reference {limits_text(seen.study, seen.trials)}"


def measured(names: Sequence[str], trial: FrozenTrial, name: str) -> float | None:
    """A trial's value of an objective, or of anything else that was measured; None without one.

    Args:
        names: The study's objectives.
        trial: A COMPLETE trial.
        name: The name.
    """
    if name in names:
        return float(trial.values[names.index(name)])
    return number_of(trial, name)


def _within(
    names: Sequence[str],
    feasible: list[ArchitectureRecord],
    at_most: Mapping[str, float],
    at_least: Mapping[str, float],
) -> tuple[list[ArchitectureRecord], str]:
    """The networks within all limits, and the limits in words."""
    limits = [(name, bound, 1.0) for name, bound in at_most.items()]
    limits += [(name, bound, -1.0) for name, bound in at_least.items()]
    texts = []
    within = feasible
    for name, bound, sign in limits:
        texts.append(f"{name} {'≤' if sign > 0 else '≥'} {number(bound)}")
        known = [
            (sign * value, record)
            for record in within
            if (value := measured(names, record.trial, name)) is not None
        ]
        if not known:
            raise InputError(f"no network has {name!r}; {there_are(name, _known(names, feasible))}")
        inside = [record for value, record in known if value <= sign * bound]
        if not inside:
            nearest, record = min(known, key=lambda pair: pair[0])
            others = f" and {', '.join(texts[:-1])}" if texts[:-1] else ""
            raise InputError(
                f"no network on record has {texts[-1]}{others}: the nearest is trial "
                f"{record.number} with {name} {number(sign * nearest)}; relax a limit, or "
                "search further"
            )
        within = inside
    return within, ", ".join(texts)


def _unsure(trial: FrozenTrial, at_most: Mapping[str, float], at_least: Mapping[str, float]) -> str:
    """Which limits the 95 % intervals of a trial's measurements reach beyond, as text's end."""
    texts = []
    for bounds, end, sign in ((at_most, 1, 1.0), (at_least, 0, -1.0)):
        for name, bound in bounds.items():
            found = interval(trial, name)
            if found and sign * found[end] > sign * bound:
                texts.append(f"{name} ({number(found[0])} to {number(found[1])})")
    if not texts:
        return ""
    return f"; but the 95 % interval reaches beyond the limit: {', '.join(texts)}"


def _known(names: Sequence[str], feasible: Sequence[ArchitectureRecord]) -> list[str]:
    known = dict.fromkeys(names)
    for record in feasible:
        known |= dict.fromkeys(
            name
            for name in record.trial.user_attrs
            if measured(names, record.trial, name) is not None
        )
    return list(known)


def _by_weights(
    study: Snapshot, chosen: Sequence[ArchitectureRecord], weights: Mapping[str, float]
) -> tuple[int, str]:
    names = study.names
    more = dict(zip(names, study.maximized, strict=True))
    for name, weight in weights.items():
        if name not in more:
            raise InputError(f"weight of unknown objective {name!r}; {there_are(name, names)}")
        if weight == 0 or (weight > 0) != more[name]:
            kind, sign = ("maximised", "above") if more[name] else ("minimised", "below")
            raise InputError(f"{name} is {kind}, so its weight must be {sign} 0, got {weight:g}")
        if not math.isfinite(weight):
            raise InputError(f"the weight of {name} must be finite, got {weight:g}")
    points = np.array([record.losses for record in chosen])[:, [*map(names.index, weights)]]
    # The largest sum of weight times scaled value is the shortest weighted way from the best.
    sizes = np.abs(np.array(list(weights.values())))
    best = least(points, way_from_best(points, logs=False) @ (sizes / sizes.max()))
    asked = ", ".join(f"{name} {weight:g}" for name, weight in weights.items())
    return best, f"largest weighted sum ({asked}; each scaled to its range)"
