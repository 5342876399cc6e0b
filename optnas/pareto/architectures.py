"""The architectures of a study: one record each, for tables, figures, the report and notes."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from optuna.study import StudyDirection
from optuna.trial import FrozenTrial

from optnas.pareto.dominance import dominates, losses
from optnas.pareto.front import front_of
from optnas.study.attributes import ARCHITECTURE, BASELINE, DUPLICATE_OF
from optnas.study.describe import architecture_name


@dataclass(frozen=True)
class ArchitectureRecord:
    """One architecture of a study.

    Attributes:
        trial: The trial that represents it: the first of its trials on the front; where there is
            none, the first feasible one that no other one of its trials dominates.
        architecture: Its canonical string, or its parameters.
        trials: The numbers of all its COMPLETE trials (other recipes, reused values).
        values: Those of the trial, one for each objective.
        losses: The same with maximised ones negated: less is better in each.
        feasible: Whether the trial breaks no constraint.
        on_front: Whether the trial is on the front, or, of a baseline that reused another trial's
            values, that one.
        baseline: The name of the hand-made network, if it is one.
        dominated_by: For a baseline, the numbers of the front's trials that dominate it.
    """

    trial: FrozenTrial
    architecture: str
    trials: tuple[int, ...]
    values: tuple[float, ...]
    losses: tuple[float, ...]
    feasible: bool
    on_front: bool
    baseline: str | None
    dominated_by: tuple[int, ...]

    @property
    def number(self) -> int:
        """The number of the trial that represents it."""
        return self.trial.number

    @property
    def others(self) -> list[int]:
        """The numbers of its other COMPLETE trials."""
        return [number for number in self.trials if number != self.trial.number]

    @property
    def place(self) -> str:
        """Its place: `front`, `dominated`, or `infeasible` where it breaks a constraint."""
        if self.on_front:
            return "front"
        return "dominated" if self.feasible else "infeasible"


def architecture_records(
    complete: Sequence[FrozenTrial],
    feasible: Sequence[FrozenTrial],
    front: Sequence[FrozenTrial],
    directions: Sequence[StudyDirection],
) -> list[ArchitectureRecord]:
    """A record for each architecture, by the number of its first trial.

    A baseline has one of its own, although the search may have found its architecture, too, with
    another recipe: the baseline is still to be compared with.

    Args:
        complete: The COMPLETE trials of a study, by number.
        feasible: Those that break no constraint.
        front: Those on the front.
        directions: Of the objectives.
    """
    keys: dict[int, tuple[str, str | None]] = {}
    groups: dict[tuple[str, str | None], list[FrozenTrial]] = {}
    for trial in complete:
        unknown = not trial.params and ARCHITECTURE not in trial.user_attrs
        name = f"trial {trial.number}" if unknown else architecture_name(trial)
        key = keys[trial.number] = _group(name, trial, keys)
        groups.setdefault(key, []).append(trial)
    allowed = {trial.number for trial in feasible}
    members = {trial.number for trial in front}
    chosen = [_representative(group, allowed, members, directions) for group in groups.values()]
    points = losses([trial.values for trial in chosen], directions)
    of_front = losses([trial.values for trial in front], directions)
    found = []
    for group, trial, point in zip(groups.values(), chosen, points, strict=True):
        baseline = _baseline(trial)
        better = [] if baseline is None else np.flatnonzero(dominates(of_front, point)).tolist()
        found.append(
            ArchitectureRecord(
                trial=trial,
                architecture=architecture_name(trial),
                trials=tuple(t.number for t in group),
                values=tuple(trial.values),
                losses=tuple(point.tolist()),
                feasible=trial.number in allowed,
                on_front=(trial.number if baseline is None else _original(trial)) in members,
                baseline=baseline,
                dominated_by=tuple(front[i].number for i in better),
            )
        )
    return found


def with_each_recipe(
    records: Sequence[ArchitectureRecord],
    feasible: Sequence[FrozenTrial],
    front: Sequence[FrozenTrial],
    directions: Sequence[StudyDirection],
) -> list[ArchitectureRecord]:
    """A record for each feasible trial that has values of its own, by number.

    The trial that represents an architecture may be worse in something than another one of it,
    with another recipe.

    Args:
        records: The architectures of a study.
        feasible: The COMPLETE trials that break no constraint.
        front: The trials on the front.
        directions: Of the objectives.
    """
    allowed = {trial.number: trial for trial in feasible}
    members = {trial.number for trial in front}
    found: list[tuple[FrozenTrial, ArchitectureRecord]] = []
    for record in records:
        trials = [allowed[n] for n in record.trials if n in allowed]
        found += [(t, record) for t in trials if _has_own_values(t, allowed)]
    found.sort(key=lambda pair: pair[0].number)
    points = losses([trial.values for trial, _ in found], directions)
    return [
        replace(
            record,
            trial=trial,
            values=tuple(trial.values),
            losses=tuple(point.tolist()),
            feasible=True,
            on_front=trial.number in members,
            baseline=_baseline(trial),
        )
        for (trial, record), point in zip(found, points, strict=True)
    ]


def with_each_member(
    records: Sequence[ArchitectureRecord], each_recipe: Sequence[ArchitectureRecord]
) -> list[ArchitectureRecord]:
    """The architectures, and a record for each further trial of one on the front, by number.

    Trained several times, with other recipes or other luck, an architecture may be on the front
    with several values. Of trials with equal values only the first has a record.

    Args:
        records: The architectures of a study.
        each_recipe: Those with each of their recipes.
    """
    known = {(record.trials, record.values) for record in records}
    members = without_equals([record for record in each_recipe if record.on_front])
    further = [record for record in members if (record.trials, record.values) not in known]
    return sorted([*records, *further], key=lambda record: record.number)


def by_architecture(records: Sequence[ArchitectureRecord]) -> dict[str, ArchitectureRecord]:
    """One record for each architecture, by its string, in the order of the records.

    A baseline and what the search found may be one architecture, which takes as long on a device.
    Of the two, the one on the front is taken, else the one that is feasible, else the better one.
    """
    found: dict[str, ArchitectureRecord] = {}
    for record in sorted(records, key=lambda r: (not r.on_front, not r.feasible, r.losses)):
        found.setdefault(record.architecture, record)
    return {record.architecture: found[record.architecture] for record in records}


def _has_own_values(trial: FrozenTrial, allowed: Collection[int]) -> bool:
    """Whether no other feasible trial stands for this one."""
    original = _original(trial)
    return original == trial.number or original not in allowed


def without_equals(records: Sequence[ArchitectureRecord]) -> list[ArchitectureRecord]:
    """The same records, but of those of one architecture with equal values only the first."""
    found: dict[tuple[object, ...], ArchitectureRecord] = {}
    for record in records:
        found.setdefault((record.trials, record.values), record)
    return list(found.values())


def _baseline(trial: FrozenTrial) -> str | None:
    name = trial.user_attrs.get(BASELINE)
    return None if name is None else str(name)


def _group(
    name: str, trial: FrozenTrial, keys: Mapping[int, tuple[str, str | None]]
) -> tuple[str, str | None]:
    """Which record a trial belongs to: one that reused a baseline's values is that baseline."""
    baseline = _baseline(trial)
    of_original = keys.get(_original(trial))
    if baseline is None and of_original is not None and of_original[0] == name:
        return of_original
    return name, baseline


def _original(trial: FrozenTrial) -> int:
    """The number of the trial whose values it has."""
    found = trial.user_attrs.get(DUPLICATE_OF)
    return found if isinstance(found, int) else trial.number


def _representative(
    group: list[FrozenTrial],
    feasible: Collection[int],
    members: Collection[int],
    directions: Sequence[StudyDirection],
) -> FrozenTrial:
    if len(group) == 1:
        return group[0]
    own = [t for t in group if DUPLICATE_OF not in t.user_attrs] or group
    candidates = [t for t in own if t.number in members]
    candidates = candidates or front_of([t for t in own if t.number in feasible], directions)
    return (candidates or own)[0]
