"""Compares studies: their fronts, their hypervolumes, and which front dominates which."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import replace
from typing import NamedTuple

import numpy as np
from optuna.study import Study, StudyDirection

from optnas.errors import InputError
from optnas.pareto.architectures import without_equals
from optnas.pareto.dominance import dominates, losses, nondominated
from optnas.pareto.front import why_no_front
from optnas.pareto.hypervolume import is_exact
from optnas.pareto.reference_box import Box, reference_box
from optnas.pareto.snapshot import Snapshot
from optnas.study.describe import recipe_text
from optnas.study.fingerprint import differences
from optnas.study.record import record_of

BOX = (
    "1 = as good as one network with the best value of each objective among the first 10 feasible "
    "trials of each study; more is possible"
)
"""What the hypervolumes of a comparison are measured in."""


class Member(NamedTuple):
    """An architecture on the front of one study, under the objectives that are compared.

    Attributes:
        trial: Its trial.
        architecture: Its canonical string.
        recipe: The recipe of the training in short, where the front has the architecture with
            several; else empty.
        values: Those of the compared objectives.
        losses: The same with maximised ones negated.
        stands: Whether no member of another study's front dominates it.
    """

    trial: int
    architecture: str
    recipe: str
    values: tuple[float, ...]
    losses: tuple[float, ...]
    stands: bool


class Compared(NamedTuple):
    """One study of a comparison.

    Attributes:
        label: Its name in the comparison.
        trials: The number of its COMPLETE trials.
        front: Its front under the objectives that are compared.
        hypervolume: The front's hypervolume in the common box (see `BOX`).
        dominates: By the label of each other study, the share of that study's front that members
            of this front dominate (the coverage of two sets, Zitzler and Thiele 1998, but strict:
            equal points don't count).
    """

    label: str
    trials: int
    front: tuple[Member, ...]
    hypervolume: float
    dominates: dict[str, float]


class Comparison(NamedTuple):
    """Several studies, compared by the objectives that they share.

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
    """Compares the fronts of studies by the objectives that all of them have.

    Hypervolumes are what `optnas.hypervolume` gives, but in one box: the smallest that holds the
    box of each study. Studies of the same trials have the same hypervolume here as there.

    Args:
        studies: The studies by label.

    Raises:
        InputError: There are fewer than two, they share no objective, an objective has another
            direction in one of them, or a study has no feasible COMPLETE trial.
    """
    if len(studies) < 2:
        there = ", ".join(studies) or "none"
        raise InputError(f"a comparison needs two studies or more, got {there}")
    seen = {label: Snapshot.of(study) for label, study in studies.items()}
    names, left_out = _shared(seen)
    directions = _directions(seen, names)
    fronts = {label: _front(label, own, names, directions) for label, own in seen.items()}
    points = {
        label: np.array([member.losses for member in front]) for label, front in fronts.items()
    }
    every = np.concatenate(list(points.values()))
    box = _box(seen, names) or Box.around(every)
    stands = iter(nondominated(every))
    found = tuple(
        Compared(
            label=label,
            trials=len(seen[label].complete),
            front=tuple(member._replace(stands=bool(next(stands))) for member in fronts[label]),
            hypervolume=box.volume(own),
            dominates={
                other: float(np.mean([dominates(own, point).any() for point in points[other]]))
                for other in points
                if other != label
            },
        )
        for label, own in points.items()
    )
    return Comparison(
        names=names,
        maximized=[direction == StudyDirection.MAXIMIZE for direction in directions],
        left_out=left_out,
        studies=found,
        exact=is_exact(len(names)),
        notes=_notes(studies),
    )


def _shared(studies: Mapping[str, Snapshot]) -> tuple[list[str], list[str]]:
    """Objectives that all studies have, and those that only some have."""
    every = [study.names for study in studies.values()]
    names = [name for name in every[0] if all(name in other for other in every)]
    if not names:
        listed = "; ".join(
            f"{label}: {', '.join(own)}" for label, own in zip(studies, every, strict=True)
        )
        raise InputError(f"these studies share no objective ({listed})")
    others = dict.fromkeys(name for own in every for name in own if name not in names)
    return names, list(others)


def _directions(studies: Mapping[str, Snapshot], names: list[str]) -> list[StudyDirection]:
    """The directions of the shared objectives; raises InputError where they differ."""
    found = []
    for name in names:
        of = {label: own.directions[own.names.index(name)] for label, own in studies.items()}
        if len(set(of.values())) > 1:
            up = next(label for label, d in of.items() if d == StudyDirection.MAXIMIZE)
            down = next(label for label, d in of.items() if d != StudyDirection.MAXIMIZE)
            raise InputError(
                f"{name} is maximised in {up} and minimised in {down}: they can't be compared"
            )
        found.append(next(iter(of.values())))
    return found


def _front(
    label: str, study: Snapshot, names: list[str], directions: list[StudyDirection]
) -> list[Member]:
    """The front of a study under the shared objectives, by the number of the trial."""
    columns = [study.names.index(name) for name in names]
    feasible = study.each_recipe
    if not feasible:
        raise InputError(f"{label}: {why_no_front(study.study)}")
    shared = [replace(r, values=tuple(r.values[i] for i in columns)) for r in feasible]
    found = without_equals(shared)
    points = losses([record.values for record in found], directions)
    kept = np.flatnonzero(nondominated(points))
    times = Counter(found[i].trials for i in kept)
    return [
        Member(
            trial=found[i].number,
            architecture=found[i].architecture,
            recipe=recipe_text(found[i].trial) if times[found[i].trials] > 1 else "",
            values=found[i].values,
            losses=tuple(points[i].tolist()),
            stands=False,
        )
        for i in kept
    ]


def _box(studies: Mapping[str, Snapshot], names: list[str]) -> Box | None:
    """The box that holds those of the studies, in the shared objectives; None if none has one."""
    found = []
    for study in studies.values():
        box = reference_box(study.study, study.feasible)
        columns = [study.names.index(name) for name in names]
        if box is not None:
            found.append(Box(box.ideal[columns], box.reference[columns]))
    return Box.holding(found) if found else None


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
