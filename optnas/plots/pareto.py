"""The data of the Pareto figure: two objectives against each other, a third and a fourth.

`optnas.plots.pareto_drawing` draws it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
from optuna.study import Study

from optnas.errors import InputError
from optnas.pareto.architectures import ArchitectureRecord
from optnas.pareto.baselines import baseline_standings
from optnas.pareto.confirmed import Standing
from optnas.pareto.dominance import nondominated
from optnas.pareto.reference_limits import limit_values
from optnas.pareto.snapshot import Snapshot
from optnas.plots.points import points_of, several_objectives
from optnas.utils.text import definitions, there_are


class ParetoData(NamedTuple):
    """The data of the Pareto figure.

    Attributes:
        study_name: Of the study.
        names: Of the objectives.
        maximized: Whether each is maximised.
        x: The position of the objective on the horizontal axis.
        y: The position of the objective on the vertical axis.
        color: The position of the objective shown as colour; None without a third one.
        size: The position of the objective shown as size; None without a fourth one.
        points: The architectures.
        plane: The trials that no other one dominates in `x` and `y` alone.
        again: The trials that were evaluated again, with success.
        dominating: For each baseline the trials on the front that dominate it.
        missing: For each baseline that nothing dominates, what the nearest network lacks.
        reference: The limit of each objective (the study's reference point); None for no limit.
        definitions: The definitions of the counts among the objectives.
    """

    study_name: str
    names: list[str]
    maximized: list[bool]
    x: int
    y: int
    color: int | None
    size: int | None
    points: list[ArchitectureRecord]
    plane: tuple[int, ...]
    again: list[Standing]
    dominating: dict[str, tuple[int, ...]]
    missing: dict[str, str]
    reference: tuple[float | None, ...]
    definitions: str


def pareto_data(
    study: Study | Snapshot,
    x: str | None = None,
    y: str | None = None,
    color: str | None = None,
    size: str | None = None,
) -> ParetoData:
    """The architectures of a study, and which of them are on the front.

    Args:
        study: Any multi-objective study, or a snapshot of it.
        x: Name of the objective on the horizontal axis; by default the first that is free.
        y: Name of the objective on the vertical axis; by default the first that is free.
        color: Name of the objective shown as colour; by default the next one.
        size: Name of the objective shown as the markers' size; by default the next one.

    Raises:
        InputError: There is no such objective, one is asked for twice, there is only one, or no
            COMPLETE trial.
    """
    seen = Snapshot.of(study)
    names = several_objectives(seen)
    chosen = _chosen(names, {"y": y, "x": x, "color": color, "size": size})
    points = points_of(seen)
    feasible = [p for p in points if p.feasible]
    plane = np.array([(p.losses[chosen["x"]], p.losses[chosen["y"]]) for p in feasible])
    standings = baseline_standings(seen)
    return ParetoData(
        study_name=seen.study.study_name,
        names=names,
        maximized=seen.maximized,
        x=chosen["x"],
        y=chosen["y"],
        color=chosen.get("color"),
        size=chosen.get("size"),
        points=points,
        plane=tuple(feasible[i].number for i in np.flatnonzero(nondominated(plane))),
        again=[standing for standing in seen.standing.values() if standing.member.n],
        dominating={str(found.baseline.baseline): found.dominated_by for found in standings},
        missing={
            str(found.baseline.baseline): found.text()
            for found in standings
            if not found.dominated_by
        },
        reference=tuple(limit_values(seen.study, seen.trials)),
        definitions=definitions(_measured(seen)),
    )


def _measured(study: Snapshot) -> set[str]:
    """The objectives that optnas measured: those of another study may count anything."""
    return {name for t in study.complete for name in study.names if name in t.user_attrs}


def _chosen(names: Sequence[str], asked: Mapping[str, str | None]) -> dict[str, int]:
    """The position of the objective for each role: the one asked for, or the next free one."""
    roles: dict[str, str] = {}
    for role, name in asked.items():
        if name is None:
            continue
        if name not in names:
            raise InputError(f"unknown objective {name!r}; {there_are(name, names)}")
        if name in roles:
            raise InputError(
                f"{role} and {roles[name]} are both {name!r}; give two of: {', '.join(names)}"
            )
        roles[name] = role
    free = [name for name in names if name not in roles]
    filled = {role: name or (free.pop(0) if free else None) for role, name in asked.items()}
    return {role: names.index(name) for role, name in filled.items() if name is not None}
