"""Several studies against each other: their fronts, hypervolumes, and who dominates whom."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
from optuna.study import Study

from optnas.errors import InputError
from optnas.pareto import dominance
from optnas.pareto.dominance import Array, nondominated
from optnas.pareto.entries import entries
from optnas.pareto.front import complete_trials, why_no_front
from optnas.study.objectives import maximized, objective_names
from optnas.study.record import differences, record_of


class Member(NamedTuple):
    """An architecture on the front of one study, under the objectives that are compared."""

    trial: int
    architecture: str
    values: tuple[float, ...]
    stands: bool


class Compared(NamedTuple):
    """One study of a comparison.

    Attributes:
        label: What it is called.
        trials: Its COMPLETE trials.
        front: Its front under the objectives that are compared; a member `stands` if no member of
            another front dominates it.
        hypervolume: The front's share of the common box.
        dominates: By label of each other study, the share of that one's front that some member of
            this one's dominates (the coverage of two sets, Zitzler and Thiele 1998, but strict:
            equal points don't count).
    """

    label: str
    trials: int
    front: tuple[Member, ...]
    hypervolume: float
    dominates: dict[str, float]


class Comparison(NamedTuple):
    """Studies under the objectives that they share.

    Attributes:
        names: The objectives.
        maximized: Whether each is maximised.
        left_out: Objectives that not all studies have.
        studies: The studies.
        exact: Whether the hypervolumes are exact (up to 5 objectives).
        notes: Settings in which a study differs from the first one.
    """

    names: list[str]
    maximized: list[bool]
    left_out: list[str]
    studies: tuple[Compared, ...]
    exact: bool
    notes: list[str]


def compare(studies: Mapping[str, Study]) -> Comparison:
    """Compares fronts.

    The hypervolumes share a box: from the best to the worst value of each objective on any of the
    fronts, widened by a tenth at the worst end; a hypervolume is the share of it that a front
    dominates.

    Args:
        studies: The studies by label.

    Raises:
        InputError: There are fewer than two, they share no objective, an objective has another
            direction in one of them, or a study has no feasible COMPLETE trial.
    """
    if len(studies) < 2:
        there = ", ".join(studies) or "none"
        raise InputError(f"a comparison needs two studies or more, got {there}")
    names, left_out = _shared(studies)
    more = dict(zip(names, _directions(studies, names), strict=True))
    signs = np.array([-1.0 if more[name] else 1.0 for name in names])
    fronts: dict[str, tuple[Member, ...]] = {}
    points: dict[str, Array] = {}
    for label, study in studies.items():
        fronts[label], points[label] = _front(label, study, names, signs)
    every = np.concatenate(list(points.values()))
    stands = nondominated(every)
    known = np.where(np.isfinite(every), every, np.nan)
    ideal, worst = np.nanmin(known, axis=0), np.nanmax(known, axis=0)
    extent = np.where(worst > ideal, worst - ideal, np.maximum(np.abs(worst), 1.0))
    reference = np.full(len(names), 1.1)
    found, start = [], 0
    for label, own in points.items():
        standing = stands[start : start + len(own)]
        start += len(own)
        scaled = (own - ideal) / extent
        found.append(
            Compared(
                label,
                len(complete_trials(studies[label])),
                tuple(
                    member._replace(stands=bool(s))
                    for member, s in zip(fronts[label], standing, strict=True)
                ),
                dominance.hypervolume(scaled, reference) / 1.1 ** len(names),
                {other: _covered(own, points[other]) for other in points if other != label},
            )
        )
    return Comparison(
        names,
        [more[name] for name in names],
        left_out,
        tuple(found),
        dominance.is_exact(len(names)),
        _notes(studies),
    )


def _shared(studies: Mapping[str, Study]) -> tuple[list[str], list[str]]:
    """Objectives that all studies have, and those that only some have."""
    every = [objective_names(study) for study in studies.values()]
    names = [name for name in every[0] if all(name in other for other in every)]
    if not names:
        listed = "; ".join(
            f"{label}: {', '.join(own)}" for label, own in zip(studies, every, strict=True)
        )
        raise InputError(f"these studies share no objective ({listed})")
    others = dict.fromkeys(name for own in every for name in own if name not in names)
    return names, list(others)


def _directions(studies: Mapping[str, Study], names: list[str]) -> list[bool]:
    found = []
    for name in names:
        more = {
            label: maximized(study)[objective_names(study).index(name)]
            for label, study in studies.items()
        }
        if len(set(more.values())) > 1:
            up = next(label for label, m in more.items() if m)
            down = next(label for label, m in more.items() if not m)
            raise InputError(
                f"{name} is maximised in {up} and minimised in {down}: they can't be compared"
            )
        found.append(next(iter(more.values())))
    return found


def _front(
    label: str, study: Study, names: list[str], signs: Array
) -> tuple[tuple[Member, ...], Array]:
    own = objective_names(study)
    columns = [own.index(name) for name in names]
    feasible = [entry for entry in entries(study) if entry.feasible]
    if not feasible:
        raise InputError(f"{label}: {why_no_front(study)}")
    values = np.array([entry.trial.values for entry in feasible])[:, columns]
    keep = np.flatnonzero(nondominated(values * signs))
    members = tuple(
        Member(
            feasible[i].trial.number,
            feasible[i].architecture,
            tuple(values[i].tolist()),
            stands=False,
        )
        for i in keep
    )
    return members, values[keep] * signs


def _covered(own: Array, other: Array) -> float:
    """The share of the other points that some own point dominates."""
    covered = np.zeros(len(other), dtype=bool)
    for point in own:
        covered |= (point <= other).all(axis=1) & (point < other).any(axis=1)
    return float(covered.mean())


def _notes(studies: Mapping[str, Study]) -> list[str]:
    """Where the settings of the studies differ from those of the first one."""
    records = {label: record_of(study).fingerprint for label, study in studies.items()}
    first, *others = records
    notes = []
    for label in others:
        if not records[first] or not records[label]:
            continue
        for key, (there, here) in differences(records[first], records[label]).items():
            if key not in ("objectives", "code of the space"):
                notes.append(f"{key}: {there} in {first}, {here} in {label}")
    return notes
